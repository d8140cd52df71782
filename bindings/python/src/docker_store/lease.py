"""Leases of caches."""

from __future__ import annotations

from ctypes import byref, c_int32
from types import TracebackType

from ._abi import Released
from ._call import blocking, call, milliseconds, told
from ._cancel import Cancel, Switch
from ._handle import Handle, ended
from ._library import library


class Lease:
    """A writable copy of a cache, valid until it is released or discarded; see `Store.cache`.

    As a context manager it is released at the end of the block, and discarded if the block raises.
    """

    def __init__(self, handle: Handle) -> None:
        # None after a release or a discard.
        self._handle: Handle | None = handle

    @property
    def _at(self) -> Handle:
        if self._handle is None:
            raise ended("lease")
        return self._handle.pointer

    @property
    def volume(self) -> str:
        """The name of the engine's volume."""
        return told(library.dstore_lease_volume(self._at))

    @property
    def generation(self) -> int:
        """The generation that it was cloned from. 0 means that the cache has never been released."""
        return int(library.dstore_lease_generation(self._at))

    def release(self, *, timeout: float | None = None, cancel: Cancel | None = None) -> Released:
        """Releases it. If files changed and the cache is still at the cloned generation, it becomes the next one."""
        switch, released, time = Switch(cancel), c_int32(), milliseconds(timeout)
        at = self._at
        blocking(
            switch,
            lambda _: call(library.dstore_lease_release_within, at, time, switch.pointer, byref(released)),
        )
        self._handle = None
        return Released(released.value)

    def discard(self) -> None:
        """Discards it: nothing of it is kept."""
        call(library.dstore_lease_discard, self._at)
        self._handle = None

    def __enter__(self) -> Lease:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._handle is None:
            return
        if kind is None:
            self.release()
        else:
            self.discard()
