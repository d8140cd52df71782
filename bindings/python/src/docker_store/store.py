"""An open store."""

from __future__ import annotations

import os
from ctypes import byref, c_bool, c_double, c_int32, c_int64, c_uint64, c_void_p
from types import TracebackType
from typing import Any, Callable

from ._abi import CacheMode, Counter, ImageFormat, Outcome, Strategy, Went
from ._call import (
    Path,
    Readable,
    Turn,
    Writable,
    blocking,
    call,
    milliseconds,
    optional,
    path,
    some_bytes,
    taken,
    text,
    told,
)
from ._cancel import Cancel, Switch
from ._handle import Handle, ended
from ._library import library
from .command import as_path
from .host_folder import HostFolder
from .lease import Lease
from .listing import (
    Cache,
    EachPruned,
    Gone,
    Health,
    Pin,
    Policy,
    Pruned,
    PruneReport,
    Purged,
    Result,
    Space,
    Usage,
    read_caches,
    read_health,
    read_pins,
    read_pruned,
    read_results,
    read_usage,
)
from .options import Options
from .step import Progress, Step


class Store:
    """An open store: results, caches, logs. Thread-safe. Any number of processes may have the same root open. As a context
    manager it is closed at the end of the block.

    `timeout` is in seconds. A call that is stopped by it or by `cancel` leaves nothing half done.
    """

    def __init__(
        self, root: Path, options: Options | None = None, *, timeout: float | None = None, cancel: Cancel | None = None
    ) -> None:
        """Opens the store at the directory `root`, which is created if its parent exists."""
        place, made = path(root, "root"), (options or Options())._made()
        # None after a close: then nothing is held, not even a session.
        self._handle: Handle | None = Handle("store")
        handle = self._handle
        self._ask(library.dstore_store_open_within, place, made.pointer, timeout=timeout, cancel=cancel, out=[handle])

    def _ask(self, function: Any, *arguments: Any, timeout: float | None, cancel: Cancel | None, out: list[Any]) -> None:
        """Makes a call whose arguments end with the limits and the output parameters."""
        switch, time = Switch(cancel), milliseconds(timeout)
        places = [byref(place) for place in out]
        blocking(switch, lambda _: call(function, *arguments, time, switch.pointer, *places))

    @property
    def _at(self) -> Handle:
        if self._handle is None:
            raise ended("store")
        return self._handle.pointer

    def close(self, *, timeout: float | None = None, cancel: Cancel | None = None) -> None:
        """Closes the store and waits for pending removals. Later calls raise `Closed`; closing again is a no-op."""
        if self._handle is None:
            return
        at, self._handle = self._at, None
        self._ask(library.dstore_store_close_within, at, timeout=timeout, cancel=cancel, out=[])

    def __enter__(self) -> Store:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    # ------------------------------------------------------------ getters

    @property
    def root(self) -> str:
        """The root directory, with symbolic links resolved."""
        return os.fsdecode(library.dstore_store_root(self._at))

    @property
    def prefix(self) -> str:
        """The prefix of every name that this store uses on the engine."""
        return told(library.dstore_store_prefix(self._at))

    @property
    def state_dir(self) -> str:
        """A directory for the caller's own files."""
        return os.fsdecode(library.dstore_store_state_dir(self._at))

    @property
    def empty_dir(self) -> str:
        """An empty directory without access permissions."""
        return os.fsdecode(library.dstore_store_empty_dir(self._at))

    @property
    def engine(self) -> str:
        """The address of the engine."""
        return told(library.dstore_store_engine(self._at))

    @property
    def api_version(self) -> str:
        """The version of the Engine API in use."""
        return told(library.dstore_store_api_version(self._at))

    def log_file(self, id: str) -> str:
        """Returns the path of the log of the build of `id`, whether the file exists yet or not."""
        place = c_void_p()
        call(library.dstore_store_log_file, self._at, text(id, "id"), byref(place))
        return taken(place) or ""

    # ------------------------------------------------------------ builds

    def begin(
        self,
        id: str,
        base: str | None = None,
        *,
        follow: Callable[[int, bytes], object] | None = None,
        timeout: float | None = None,
        cancel: Cancel | None = None,
    ) -> Step | None:
        """Begins to build `id` on the result `base`, or on nothing. Returns None if `id` has already been built.

        Waits while another thread or process builds the same id. `follow` receives what that build writes to its log, and
        the number of the attempt, from 1. The limits apply to the whole step.
        """
        handle, switch, time = Handle("step"), Switch(cancel), milliseconds(timeout)
        at, below, name = self._at, optional(base, "base"), text(id, "id")

        def work(turn: Turn) -> None:
            heard, place = turn.follow(follow), byref(handle)
            call(library.dstore_store_begin_following, at, below, name, time, switch.pointer, heard, None, place)

        blocking(switch, work)
        return Step(handle, switch) if handle else None

    def build(
        self,
        id: str,
        work: Callable[[Step], object],
        base: str | None = None,
        *,
        timeout: float | None = None,
        cancel: Cancel | None = None,
    ) -> Outcome:
        """Calls `begin` and, if the result does not exist yet, `work`. Commits the step, or aborts it if `work` raises."""
        step = self.begin(id, base, timeout=timeout, cancel=cancel)
        if step is None:
            return Outcome.HIT
        with step:
            work(step)
        return Outcome.BUILT

    def building(self, id: str) -> bool:
        """Returns whether `id` is being built, by this process or another."""
        answer = c_bool()
        call(library.dstore_store_building, self._at, text(id, "id"), byref(answer))
        return answer.value

    # ------------------------------------------------------------ results

    def result(self, id: str, *, timeout: float | None = None, cancel: Cancel | None = None) -> bool:
        """Returns whether `id` has been built. A broken connection raises, and is never False."""
        answer, name = c_bool(), text(id, "id")
        self._ask(library.dstore_store_result_within, self._at, name, timeout=timeout, cancel=cancel, out=[answer])
        return answer.value

    def delete(self, id: str, *, timeout: float | None = None, cancel: Cancel | None = None) -> bool:
        """Removes the result `id` and its log. Returns False if it does not exist."""
        answer, name = c_bool(), text(id, "id")
        self._ask(library.dstore_store_delete_within, self._at, name, timeout=timeout, cancel=cancel, out=[answer])
        return answer.value

    def results(self, *, timeout: float | None = None, cancel: Cancel | None = None) -> list[Result]:
        """Lists all results, sorted by id."""
        found = Handle("results")
        self._ask(library.dstore_store_results_within, self._at, timeout=timeout, cancel=cancel, out=[found])
        return read_results(found)

    def went(self, id: str) -> Gone:
        """Returns how the result `id` was removed, if it once existed and no longer does."""
        went, when = c_int32(), c_int64()
        call(library.dstore_store_went, self._at, text(id, "id"), byref(went), byref(when))
        return Gone(Went(went.value), when.value or None)

    def why_gone(self, id: str, *, timeout: float | None = None, cancel: Cancel | None = None) -> Gone:
        """Does what `went` does, and asks the engine if the store has no record of how the result went. So it also
        reports a result that another program removed on the engine."""
        went, when, name = c_int32(), c_int64(), text(id, "id")
        self._ask(library.dstore_store_why_gone, self._at, name, timeout=timeout, cancel=cancel, out=[went, when])
        return Gone(Went(went.value), when.value or None)

    def copy_out(
        self,
        id: str,
        what: str,
        tar: Path | Writable,
        *,
        timeout: float | None = None,
        cancel: Cancel | None = None,
    ) -> int:
        """Writes the file or directory at `what` in `id` as a tar archive to a path or stream. Returns the number of bytes."""
        first = self._at, text(id, "id"), text(what, "what")
        return self._out(library.dstore_store_copy_out, library.dstore_store_copy_out_file, first, tar, timeout, cancel)

    def copy_out_host(
        self,
        id: str,
        what: str,
        into: HostFolder | Path,
        *,
        timeout: float | None = None,
        cancel: Cancel | None = None,
    ) -> int:
        """Unpacks the file or directory at `what` in `id` into a local directory, as `Step.copy_out_host` does."""
        into = into if isinstance(into, HostFolder) else HostFolder(into)
        made, size, switch, time = into._made(), c_uint64(), Switch(cancel), milliseconds(timeout)
        arguments = self._at, text(id, "id"), text(what, "what"), time, switch.pointer, made.pointer, byref(size)
        blocking(switch, lambda _: call(library.dstore_store_copy_out_host, *arguments))
        return size.value

    def save(
        self,
        id: str,
        archive: Path | Writable,
        *,
        format: ImageFormat = ImageFormat.DOCKER,
        name: str | None = None,
        timeout: float | None = None,
        cancel: Cancel | None = None,
    ) -> int:
        """Writes the result `id` as an image file that every engine can load. `name` is the image's name when it is loaded."""
        first = self._at, text(id, "id"), format, optional(name, "name")
        return self._out(library.dstore_store_save, library.dstore_store_save_file, first, archive, timeout, cancel)

    @staticmethod
    def _out(
        by_writing: Any,
        by_path: Any,
        first: tuple[Any, ...],
        to: Path | Writable,
        timeout: float | None,
        cancel: Cancel | None,
    ) -> int:
        switch, time, size, file = Switch(cancel), milliseconds(timeout), c_uint64(), as_path(to)
        if file is not None:
            place = path(file, "file")
            blocking(switch, lambda _: call(by_path, *first, time, switch.pointer, place, byref(size)))
        else:
            stream: Any = to
            blocking(
                switch,
                lambda turn: call(by_writing, *first, time, switch.pointer, turn.write(stream), None, byref(size)),
            )
        return size.value

    def load(
        self,
        id: str,
        archive: Path | Readable,
        *,
        progress: Progress | None = None,
        timeout: float | None = None,
        cancel: Cancel | None = None,
    ) -> bool:
        """Records the image in a file or stream as the result `id`. Returns False if that result already exists."""
        switch, time, built, file = Switch(cancel), milliseconds(timeout), c_bool(), as_path(archive)
        at, name = self._at, text(id, "id")

        def work(turn: Turn) -> None:
            end = turn.progress(progress), None, time, switch.pointer, byref(built)
            if file is not None:
                call(library.dstore_store_load_file, at, name, path(file, "file"), *end)
            else:
                stream: Any = archive
                call(library.dstore_store_load, at, name, turn.read(stream), None, *end)

        blocking(switch, work)
        return built.value

    def tag(self, id: str, name: str, *, timeout: float | None = None, cancel: Cancel | None = None) -> str | None:
        """Adds a tag to the result `id` on the engine. Returns the id of the image that had the tag, if any."""
        moved, arguments = c_void_p(), (text(id, "id"), text(name, "name"))
        self._ask(library.dstore_store_tag, self._at, *arguments, timeout=timeout, cancel=cancel, out=[moved])
        return taken(moved)

    def push(
        self,
        id: str,
        name: str,
        *,
        user: str | None = None,
        password: str | None = None,
        server: str | None = None,
        progress: Progress | None = None,
        timeout: float | None = None,
        cancel: Cancel | None = None,
    ) -> str | None:
        """Pushes the result `id` to a registry under `name`. Returns the digest, if the engine reports it."""
        switch, time, digest, at = Switch(cancel), milliseconds(timeout), c_void_p(), self._at
        login = optional(user, "user"), optional(password, "password"), optional(server, "server")
        names = text(id, "id"), text(name, "name")
        blocking(
            switch,
            lambda turn: call(
                library.dstore_store_push,
                at,
                *names,
                *login,
                turn.progress(progress),
                None,
                time,
                switch.pointer,
                byref(digest),
            ),
        )
        return taken(digest)

    # ------------------------------------------------------------ caches

    def cache(
        self,
        name: str | bytes,
        *,
        uid: int = 0,
        gid: int = 0,
        mode: CacheMode = CacheMode.PRIVATE,
        timeout: float | None = None,
        cancel: Cancel | None = None,
    ) -> Lease:
        """Leases a writable copy of the newest generation of a cache, which is created if it does not exist."""
        handle, which = Handle("lease"), some_bytes(name, "name")
        arguments = self._at, which, uid, gid, mode
        self._ask(library.dstore_store_cache, *arguments, timeout=timeout, cancel=cancel, out=[handle])
        return Lease(handle)

    def caches(self, *, timeout: float | None = None, cancel: Cancel | None = None) -> list[Cache]:
        """Lists all caches, sorted by name."""
        found = Handle("caches")
        self._ask(library.dstore_store_caches_within, self._at, timeout=timeout, cancel=cancel, out=[found])
        return read_caches(found.pointer)

    def delete_cache(self, name: str | bytes, *, timeout: float | None = None, cancel: Cancel | None = None) -> bool:
        """Deletes a cache. Returns False if it does not exist."""
        answer, which = c_bool(), some_bytes(name, "name")
        function = library.dstore_store_delete_cache_within
        self._ask(function, self._at, which, timeout=timeout, cancel=cancel, out=[answer])
        return answer.value

    def limit_cache(self, name: str | bytes, most: int | None) -> None:
        """Sets the size limit of a cache in bytes, for all processes; None removes it."""
        call(library.dstore_store_limit_cache, self._at, some_bytes(name, "name"), most or 0)

    def strategy(self, *, timeout: float | None = None, cancel: Cancel | None = None) -> tuple[Strategy, str]:
        """Returns how caches are cloned, and a human-readable explanation."""
        strategy, reason = c_int32(), c_void_p()
        function = library.dstore_store_strategy_within
        self._ask(function, self._at, timeout=timeout, cancel=cancel, out=[strategy, reason])
        return Strategy(strategy.value), taken(reason) or ""

    # ------------------------------------------------------------ upkeep

    def ping(self, *, timeout: float | None = None, cancel: Cancel | None = None) -> None:
        """Checks whether the engine answers."""
        self._ask(library.dstore_store_ping, self._at, timeout=timeout, cancel=cancel, out=[])

    def health(self, *, timeout: float | None = None, cancel: Cancel | None = None) -> Health:
        """Returns the state of the engine, and a list of problems."""
        found = Handle("health")
        self._ask(library.dstore_store_health, self._at, timeout=timeout, cancel=cancel, out=[found])
        return read_health(found)

    def df(self, *, timeout: float | None = None, cancel: Cancel | None = None) -> Space:
        """Returns the free space."""
        percent, root, engine = c_double(), c_double(), c_double()
        out = [percent, root, engine]
        self._ask(library.dstore_store_df_within, self._at, timeout=timeout, cancel=cancel, out=out)
        return Space(percent.value, root.value, None if engine.value < 0 else engine.value)

    def count(self, counter: Counter) -> int:
        """Returns the value of a counter of this handle."""
        value = c_uint64()
        call(library.dstore_store_count, self._at, counter, byref(value))
        return value.value

    def usage(self, *, timeout: float | None = None, cancel: Cancel | None = None) -> Usage:
        """Returns the disk usage of the store."""
        found = Handle("usage")
        self._ask(library.dstore_store_usage, self._at, timeout=timeout, cancel=cancel, out=[found])
        return read_usage(found)

    def prune(
        self,
        policy: Policy,
        each: EachPruned | None = None,
        *,
        timeout: float | None = None,
        cancel: Cancel | None = None,
    ) -> PruneReport:
        """Removes results, caches and logs until the limits of the policy are met. `each` receives every row as it happens."""
        switch, time, found = Switch(cancel), milliseconds(timeout), Handle("pruned")
        at, made, wanted = self._at, policy._made(), each
        hear = None if wanted is None else lambda *row: wanted(Pruned(*row))
        blocking(
            switch,
            lambda turn: call(
                library.dstore_store_prune,
                at,
                made.pointer,
                time,
                switch.pointer,
                turn.prune(hear),
                None,
                byref(found),
            ),
        )
        return read_pruned(found)

    def pin(self, id: str, *, timeout: float | None = None, cancel: Cancel | None = None) -> bool:
        """Pins the result `id`: from now on no prune of any process removes it. Returns False if it was already pinned."""
        answer, name = c_bool(), text(id, "id")
        self._ask(library.dstore_store_pin, self._at, name, timeout=timeout, cancel=cancel, out=[answer])
        return answer.value

    def unpin(self, id: str) -> bool:
        """Removes the pin. Returns False if there was none."""
        answer = c_bool()
        call(library.dstore_store_unpin, self._at, text(id, "id"), byref(answer))
        return answer.value

    def pin_cache(self, name: str | bytes, *, timeout: float | None = None, cancel: Cancel | None = None) -> bool:
        """Like `pin`, for a cache."""
        answer, which = c_bool(), some_bytes(name, "name")
        self._ask(library.dstore_store_pin_cache, self._at, which, timeout=timeout, cancel=cancel, out=[answer])
        return answer.value

    def unpin_cache(self, name: str | bytes) -> bool:
        """Like `unpin`, for a cache."""
        answer = c_bool()
        call(library.dstore_store_unpin_cache, self._at, some_bytes(name, "name"), byref(answer))
        return answer.value

    def pins(self) -> list[Pin]:
        """Lists all pins: results sorted by id, then caches sorted by name."""
        found = Handle("pins")
        call(library.dstore_store_pins, self._at, byref(found))
        return read_pins(found)

    def purge(self, *, timeout: float | None = None, cancel: Cancel | None = None) -> Purged:
        """Removes what terminated processes have left behind, as opening does."""
        counts = [c_uint64(), c_uint64(), c_uint64()]
        self._ask(library.dstore_store_purge_within, self._at, timeout=timeout, cancel=cancel, out=counts)
        return Purged(*(count.value for count in counts))

    def complete_deletes(self, *, timeout: float | None = None, cancel: Cancel | None = None) -> None:
        """Waits until everything queued for removal is gone from the engine."""
        self._ask(library.dstore_store_complete_deletes, self._at, timeout=timeout, cancel=cancel, out=[])
