"""Caches, as they are lent."""

from __future__ import annotations

from ctypes import byref, c_int32
from types import TracebackType

from ._abi import Released
from ._call import blocking, call, milliseconds, told
from ._cancel import Cancel, Switch
from ._handle import Handle, ended
from ._library import library


class Lease:
    """A copy of a cache, lent until it is released or discarded. `Store.cache` lends one.

    As a context manager it is released at the end, and discarded if the block raises.
    """

    def __init__(self, handle: Handle) -> None:
        # None once it had its end.
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
        """The generation that it was cloned from; 0 is a cache that nobody has released yet."""
        return int(library.dstore_lease_generation(self._at))

    def release(self, *, timeout: float | None = None, cancel: Cancel | None = None) -> Released:
        """Gives it back: if anything was changed and the cache is still what was cloned, it becomes the next generation."""
        switch, released, time = Switch(cancel), c_int32(), milliseconds(timeout)
        at = self._at
        blocking(
            switch,
            lambda _: call(library.dstore_lease_release_within, at, time, switch.pointer, byref(released)),
        )
        self._handle = None
        return Released(released.value)

    def discard(self) -> None:
        """Gives it back without keeping anything of it."""
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
