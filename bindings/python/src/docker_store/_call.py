"""One call of the library: its arguments and results, its errors, its callbacks, and how Ctrl-C stops it.

Python runs signal handlers in its main thread, between bytecode instructions. A call in the main thread would delay them. So
another thread makes the call, and the main thread waits for it in a way that a handler may interrupt. An exception of a
handler (KeyboardInterrupt) stops the call by its cancel, and is re-raised once the call has cleaned up. Callbacks nevertheless
run in the calling thread, because what they use (a database, for example) may belong to that thread.
"""

from __future__ import annotations

import _thread
import math
import os
import threading
from collections.abc import Sequence
from contextlib import suppress
from ctypes import Array, byref, c_char_p, c_size_t, c_void_p, memmove, string_at
from typing import Any, Callable, Protocol, TypeVar, Union

from . import _abi
from ._abi import Channel, Fate, Item, LogLevel, Status
from ._cancel import Switch
from ._error import Error
from ._library import library
from .errors import OF_STATUS, Closed, InvalidArgument

T = TypeVar("T")

#: A local path.
Path = Union[str, bytes, "os.PathLike[str]", "os.PathLike[bytes]"]


class Readable(Protocol):
    """An object that bytes can be read from, such as a file opened with "rb"."""

    def read(self, size: int, /) -> bytes: ...


class Writable(Protocol):
    """An object that bytes can be written to."""

    def write(self, data: bytes, /) -> object: ...


# ---------------------------------------------------------------- arguments


def _whole(data: bytes, name: str) -> bytes:
    if b"\0" in data:
        raise InvalidArgument(f"the argument {name} contains a NUL", Status.INVALID_ARGUMENT)
    return data


def text(value: str, name: str) -> bytes:
    """Text for the library. Invalid text raises what the library would return."""
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a str, not {type(value).__name__}")
    return _whole(value.encode("utf-8", "surrogateescape"), name)


def optional(value: str | None, name: str) -> bytes | None:
    return None if value is None else text(value, name)


def some_bytes(value: str | bytes, name: str) -> bytes:
    """A name of any bytes."""
    return _whole(value, name) if isinstance(value, bytes) else text(value, name)


def path(value: Path, name: str) -> bytes:
    return _whole(os.fsencode(value), name)


def words(values: Sequence[str], name: str) -> Array[c_char_p]:
    if isinstance(values, (str, bytes)):
        raise TypeError(f"{name} must be a sequence of words, not a str")
    return (c_char_p * len(values))(*(text(value, name) for value in values))


def milliseconds(timeout: float | None) -> int:
    """Converts seconds to the library's milliseconds; None means no limit."""
    if timeout is None or timeout == math.inf:
        return 0
    if not timeout > 0:
        raise InvalidArgument(f"a timeout of {timeout} seconds is not valid", Status.INVALID_ARGUMENT)
    return min(math.ceil(timeout * 1000), 2**63)


# ---------------------------------------------------------------- results


def told(data: bytes | None) -> str:
    """Converts text of the library."""
    return (data or b"").decode("utf-8", "surrogateescape")


def taken(place: c_void_p) -> str | None:
    """Converts a string that must be freed, and frees it."""
    if not place.value:
        return None
    try:
        return told(string_at(place.value))
    finally:
        library.dstore_string_free(c_char_p(place.value))


def call(function: Any, *arguments: Any) -> None:
    """Calls a function that takes a `dstore_error **` last, and raises its error."""
    error = c_void_p()
    status = function(*arguments, byref(error))
    if status == Status.OK:
        return
    try:
        message = told(library.dstore_error_message(error)) or told(library.dstore_status_name(status))
        raise OF_STATUS.get(status, Error)(
            message,
            status,
            library.dstore_error_http_status(error) or None,
            library.dstore_error_os_errno(error) or None,
            code if (code := library.dstore_error_exit_code(error)) >= 0 else None,
        )
    finally:
        library.dstore_error_free(error)


# ---------------------------------------------------------------- calls that block


def blocking(switch: Switch, work: Callable[[Turn], T]) -> T:
    """Runs `work`, which calls the library once; `switch` stops it."""
    return Turn(switch).run(work)


class Turn:
    """One call that blocks."""

    def __init__(self, switch: Switch) -> None:
        self._switch = switch
        self._process = os.getpid()
        #: The exception that a callback raised.
        self._raised: BaseException | None = None
        self._apart = threading.get_ident() == threading.main_thread().ident
        self._done = self._stopping = False
        self._answer: Any = None
        self._failure: BaseException | None = None
        self._request: Callable[[], None] | None = None
        # Held until the waiting thread has something to do.
        self._wake, self._heard = _thread.allocate_lock(), _thread.allocate_lock()
        self._wake.acquire()
        self._heard.acquire()

    def run(self, work: Callable[[Turn], T]) -> T:
        if self._apart:
            self._run_apart(work)
        else:
            self._serve(work)
        answer, failure, raised = self._answer, self._failure, self._raised
        self._answer = self._failure = self._raised = None
        try:
            if raised is not None:
                raise raised
            if failure is not None:
                raise failure
            return answer  # type: ignore[no-any-return]
        finally:
            # Avoids a reference cycle: a traceback refers to this frame, and this frame to the exceptions.
            del answer, failure, raised

    def _serve(self, work: Callable[[Turn], T]) -> None:
        try:
            self._answer = work(self)
        except BaseException as e:
            self._failure = e
        self._done = True
        _open(self._wake)

    def _run_apart(self, work: Callable[[Turn], T]) -> None:
        begun = False
        try:
            begun = True
            try:
                _thread.start_new_thread(self._serve, (work,))
            except RuntimeError:
                # The system cannot start a thread. A handler must then wait.
                begun = self._apart = False
                self._serve(work)
            while not self._done:
                self._wake.acquire()
                self._serve_callback()
        except BaseException:
            if begun:
                self._see_it_out()
            raise

    def _serve_callback(self) -> None:
        request, self._request = self._request, None
        if request is None:
            return
        request()
        if os.getpid() != self._process:
            # The callback forked. The thread that made the call exists only in the parent.
            raise Closed("continuing a call in a process that its callback forked", Status.CLOSED)
        _open(self._heard)

    def _see_it_out(self) -> None:
        """Stops the call, and waits until it has returned. An exception in the meantime is another Ctrl-C, and is ignored."""
        if os.getpid() != self._process:
            return
        self._stopping = True
        while not self._done:
            try:
                self._switch.trigger()
                _open(self._heard)
                self._wake.acquire(timeout=0.02)
            except BaseException:
                continue

    def _hear(self, f: Callable[..., Any], *arguments: Any) -> Any:
        """Runs a callback in the thread that made the call. Returns its result, or None if the call must stop."""
        answer: list[Any] = []

        def run() -> None:
            try:
                answer.append(f(*arguments))
            except BaseException as e:
                self._raised = self._raised or e

        if self._stopping or self._raised:
            return None
        if self._apart:
            self._request = run
            _open(self._wake)
            self._heard.acquire()
        else:
            run()
        return answer if answer and not self._stopping else None

    # ------------------------------------------------------------ callbacks for C

    def write(self, to: Writable) -> Any:
        def heard(_: Any, data: int, length: int) -> int:
            return 0 if self._hear(to.write, string_at(data, length)) else 1

        return _abi.WRITE_CALLBACK(heard)

    def read(self, source: Readable) -> Any:
        def heard(_: Any, buffer: int, capacity: int, length: Any) -> int:
            answer = self._hear(self._read, source, capacity)
            if not answer:
                return 1
            memmove(buffer, answer[0], len(answer[0]))
            length[0] = len(answer[0])
            return 0

        return _abi.READ_CALLBACK(heard)

    @staticmethod
    def _read(source: Readable, capacity: int) -> bytes:
        data = source.read(capacity)
        if data is None:
            raise BlockingIOError("read() of a non-blocking source returned None: no data available")
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise TypeError(f"read() must return bytes, not {type(data).__name__}")
        if len(data) > capacity:
            raise ValueError(f"read({capacity}) returned {len(data)} bytes")
        return bytes(data)

    def output(self, f: Callable[[Channel, bytes], object] | None) -> Any:
        if f is None:
            return _abi.OUTPUT_CALLBACK()
        wanted = f

        def heard(_: Any, channel: int, data: int, length: int) -> int:
            return 0 if self._hear(wanted, Channel(channel), string_at(data, length)) else 1

        return _abi.OUTPUT_CALLBACK(heard)

    def follow(self, f: Callable[[int, bytes], object] | None) -> Any:
        if f is None:
            return _abi.FOLLOW_CALLBACK()
        wanted = f

        def heard(_: Any, attempt: int, data: int, length: int) -> int:
            return 0 if self._hear(wanted, attempt, string_at(data, length)) else 1

        return _abi.FOLLOW_CALLBACK(heard)

    def progress(self, f: Callable[[str, str, int, int], object] | None) -> Any:
        if f is None:
            return _abi.PROGRESS_CALLBACK()
        wanted = f

        def heard(_: Any, status: int, item: int, current: int, total: int) -> int:
            return 0 if self._hear(wanted, told(string_at(status)), told(string_at(item)), current, total) else 1

        return _abi.PROGRESS_CALLBACK(heard)

    def prune(self, f: Callable[[Item, str, int, int, Fate, str], object] | None) -> Any:
        if f is None:
            return _abi.PRUNE_CALLBACK()
        wanted = f

        def heard(_: Any, item: int, name: int, length: int, size: int, used: int, fate: int, why: int) -> int:
            row = (Item(item), told(string_at(name, length)), size, used, Fate(fate), told(string_at(why)))
            return 0 if self._hear(wanted, *row) else 1

        return _abi.PRUNE_CALLBACK(heard)

    def line(self, f: Callable[[LogLevel, str], object]) -> Any:
        def heard(_: Any, level: int, line: int, length: int) -> int:
            return 0 if self._hear(f, LogLevel(level), told(string_at(line, length))) else 1

        return _abi.LOG_CALLBACK(heard)


def _open(lock: _thread.LockType) -> None:
    with suppress(RuntimeError):  # it is already open
        lock.release()


def lengths(parts: Sequence[bytes]) -> Array[c_size_t]:
    return (c_size_t * len(parts))(*(len(part) for part in parts))
