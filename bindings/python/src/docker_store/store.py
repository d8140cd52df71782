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
    """An open store: results, caches, logs. Its calls may be made by any number of threads at once, and any number of processes
    may have the same root open. As a context manager it is closed at the end.

    `timeout` is in seconds; a call that it or `cancel` ends leaves nothing half done.
    """

    def __init__(
        self, root: Path, options: Options | None = None, *, timeout: float | None = None, cancel: Cancel | None = None
    ) -> None:
        """Opens the store at `root`, a directory, which is made if its parent exists."""
        place, made = path(root, "root"), (options or Options())._made()
        # None once it was closed: then nothing is to be held, not even a session.
        self._handle: Handle | None = Handle("store")
        handle = self._handle
        self._ask(library.dstore_store_open_within, place, made.pointer, timeout=timeout, cancel=cancel, out=[handle])

    def _ask(self, function: Any, *arguments: Any, timeout: float | None, cancel: Cancel | None, out: list[Any]) -> None:
        """A call whose arguments end with the limits and the places of its answers."""
        switch, time = Switch(cancel), milliseconds(timeout)
        places = [byref(place) for place in out]
        blocking(switch, lambda _: call(function, *arguments, time, switch.pointer, *places))

    @property
    def _at(self) -> Handle:
        if self._handle is None:
            raise ended("store")
        return self._handle.pointer

    def close(self, *, timeout: float | None = None, cancel: Cancel | None = None) -> None:
        """Closes it, and waits for removals under way. Later calls raise `Closed`; a second close does nothing."""
        if self._handle is None:
            return
        at, self._handle = self._at, None
        self._ask(library.dstore_store_close_within, at, timeout=timeout, cancel=cancel, out=[])

    def __enter__(self) -> Store:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    # ------------------------------------------------------------ what it is

    @property
    def root(self) -> str:
        """The root directory, without symbolic links."""
        return os.fsdecode(library.dstore_store_root(self._at))

    @property
    def prefix(self) -> str:
        """What every name of this store on the engine begins with."""
        return told(library.dstore_store_prefix(self._at))

    @property
    def state_dir(self) -> str:
        """A directory for the caller's own files."""
        return os.fsdecode(library.dstore_store_state_dir(self._at))

    @property
    def empty_dir(self) -> str:
        """A directory that is empty and that nobody may enter."""
        return os.fsdecode(library.dstore_store_empty_dir(self._at))

    @property
    def engine(self) -> str:
        """The address of the engine."""
        return told(library.dstore_store_engine(self._at))

    @property
    def api_version(self) -> str:
        """The version of the Engine API that is spoken."""
        return told(library.dstore_store_api_version(self._at))

    def log_file(self, id: str) -> str:
        """The path of the log of the build of `id`, whether it exists yet or not."""
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
        """Begins to build `id` on the result `base`, or on nothing. None: it has been built, and there is nothing to do.

        Waits while anybody else builds the same id; `follow` hears what that one writes to its log, and which attempt it
        is, from 1. The limits hold for all of the step.
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
        """`begin`; then, unless it is a hit, `work`; and then a commit, or an abort if `work` raises."""
        step = self.begin(id, base, timeout=timeout, cancel=cancel)
        if step is None:
            return Outcome.HIT
        with step:
            work(step)
        return Outcome.BUILT

    def building(self, id: str) -> bool:
        """Whether somebody, in this process or another, builds `id` now."""
        answer = c_bool()
        call(library.dstore_store_building, self._at, text(id, "id"), byref(answer))
        return answer.value

    # ------------------------------------------------------------ results

    def result(self, id: str, *, timeout: float | None = None, cancel: Cancel | None = None) -> bool:
        """Whether `id` has been built."""
        answer, name = c_bool(), text(id, "id")
        self._ask(library.dstore_store_result_within, self._at, name, timeout=timeout, cancel=cancel, out=[answer])
        return answer.value

    def delete(self, id: str, *, timeout: float | None = None, cancel: Cancel | None = None) -> bool:
        """Removes the result `id` and its log; whether there was one."""
        answer, name = c_bool(), text(id, "id")
        self._ask(library.dstore_store_delete_within, self._at, name, timeout=timeout, cancel=cancel, out=[answer])
        return answer.value

    def results(self, *, timeout: float | None = None, cancel: Cancel | None = None) -> list[Result]:
        """All results, by id."""
        found = Handle("results")
        self._ask(library.dstore_store_results_within, self._at, timeout=timeout, cancel=cancel, out=[found])
        return read_results(found)

    def went(self, id: str) -> Gone:
        """How the result `id` has gone, if it was there once and is not any more."""
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
        """Writes what is at `what` of the result `id` as a tar archive, to a path or a stream. Gives how many bytes that were."""
        first = self._at, text(id, "id"), text(what, "what")
        return self._out(library.dstore_store_copy_out, library.dstore_store_copy_out_file, first, tar, timeout, cancel)

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
        """Writes the result `id` as a file that every engine loads. `name` is what who loads it will call the image."""
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
        """Records the image in a file or stream as the result `id`; False if that is there already."""
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
        """Gives the result `id` a further name on the engine. Gives the id of the image that had it, if one had."""
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
        """Pushes the result `id` to a registry under `name`. Gives the digest, where the engine tells it."""
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
        """Lends a writable copy of the newest generation of a cache, which is made where it does not exist."""
        handle, which = Handle("lease"), some_bytes(name, "name")
        arguments = self._at, which, uid, gid, mode
        self._ask(library.dstore_store_cache, *arguments, timeout=timeout, cancel=cancel, out=[handle])
        return Lease(handle)

    def caches(self, *, timeout: float | None = None, cancel: Cancel | None = None) -> list[Cache]:
        """All caches, by name."""
        found = Handle("caches")
        self._ask(library.dstore_store_caches_within, self._at, timeout=timeout, cancel=cancel, out=[found])
        return read_caches(found.pointer)

    def delete_cache(self, name: str | bytes, *, timeout: float | None = None, cancel: Cancel | None = None) -> bool:
        """Removes a cache; whether there was one."""
        answer, which = c_bool(), some_bytes(name, "name")
        function = library.dstore_store_delete_cache_within
        self._ask(function, self._at, which, timeout=timeout, cancel=cancel, out=[answer])
        return answer.value

    def limit_cache(self, name: str | bytes, most: int | None) -> None:
        """The most bytes that a cache may hold, for all processes; None is no limit."""
        call(library.dstore_store_limit_cache, self._at, some_bytes(name, "name"), most or 0)

    def strategy(self, *, timeout: float | None = None, cancel: Cancel | None = None) -> tuple[Strategy, str]:
        """How caches are cloned, and why so."""
        strategy, reason = c_int32(), c_void_p()
        function = library.dstore_store_strategy_within
        self._ask(function, self._at, timeout=timeout, cancel=cancel, out=[strategy, reason])
        return Strategy(strategy.value), taken(reason) or ""

    # ------------------------------------------------------------ upkeep

    def ping(self, *, timeout: float | None = None, cancel: Cancel | None = None) -> None:
        """Asks whether the engine answers."""
        self._ask(library.dstore_store_ping, self._at, timeout=timeout, cancel=cancel, out=[])

    def health(self, *, timeout: float | None = None, cancel: Cancel | None = None) -> Health:
        """How the engine is, and what is not as well as it could be."""
        found = Handle("health")
        self._ask(library.dstore_store_health, self._at, timeout=timeout, cancel=cancel, out=[found])
        return read_health(found)

    def df(self, *, timeout: float | None = None, cancel: Cancel | None = None) -> Space:
        """How much space is free."""
        percent, root, engine = c_double(), c_double(), c_double()
        out = [percent, root, engine]
        self._ask(library.dstore_store_df_within, self._at, timeout=timeout, cancel=cancel, out=out)
        return Space(percent.value, root.value, None if engine.value < 0 else engine.value)

    def count(self, counter: Counter) -> int:
        """What a counter of this handle stands at."""
        value = c_uint64()
        call(library.dstore_store_count, self._at, counter, byref(value))
        return value.value

    def usage(self, *, timeout: float | None = None, cancel: Cancel | None = None) -> Usage:
        """What takes the space of the store."""
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
        """Removes results, caches and logs until the bounds hold. `each` hears every row as it comes."""
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
        """No prune of any process removes the result `id` from now on. False where it was pinned before."""
        answer, name = c_bool(), text(id, "id")
        self._ask(library.dstore_store_pin, self._at, name, timeout=timeout, cancel=cancel, out=[answer])
        return answer.value

    def unpin(self, id: str) -> bool:
        """Takes the pin away; whether there was one."""
        answer = c_bool()
        call(library.dstore_store_unpin, self._at, text(id, "id"), byref(answer))
        return answer.value

    def pin_cache(self, name: str | bytes, *, timeout: float | None = None, cancel: Cancel | None = None) -> bool:
        """`pin` of a cache."""
        answer, which = c_bool(), some_bytes(name, "name")
        self._ask(library.dstore_store_pin_cache, self._at, which, timeout=timeout, cancel=cancel, out=[answer])
        return answer.value

    def unpin_cache(self, name: str | bytes) -> bool:
        """`unpin` of a cache."""
        answer = c_bool()
        call(library.dstore_store_unpin_cache, self._at, some_bytes(name, "name"), byref(answer))
        return answer.value

    def pins(self) -> list[Pin]:
        """What is pinned: results by id, then caches by name."""
        found = Handle("pins")
        call(library.dstore_store_pins, self._at, byref(found))
        return read_pins(found)

    def purge(self, *, timeout: float | None = None, cancel: Cancel | None = None) -> Purged:
        """Removes what dead processes left, as opening does."""
        counts = [c_uint64(), c_uint64(), c_uint64()]
        self._ask(library.dstore_store_purge_within, self._at, timeout=timeout, cancel=cancel, out=counts)
        return Purged(*(count.value for count in counts))

    def complete_deletes(self, *, timeout: float | None = None, cancel: Cancel | None = None) -> None:
        """Waits until everything that was given up has left the engine."""
        self._ask(library.dstore_store_complete_deletes, self._at, timeout=timeout, cancel=cancel, out=[])
