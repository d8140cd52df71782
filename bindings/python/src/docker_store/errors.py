"""Exceptions, one for each status that a call can fail with. Made by generate.py: do not change it here."""

from __future__ import annotations

from ._abi import Status
from ._error import Error


class InvalidArgument(Error, ValueError):
    """An argument that the library or the engine cannot take. Nothing has changed."""


class NotFound(Error, LookupError):
    """What was named does not exist: a base, an image, a path in a container."""


class Conflict(Error):
    """Something is not in the state that this needs: a step that has failed, or whatever the engine says so of (HTTP
    409)."""


class InProgress(Error):
    """The engine is doing it already, such as a removal that another call began."""


class Busy(Error):
    """Somebody else is using it: try again later."""


class Cancelled(Error):
    """dstore_cancel_trigger() was called."""


class TimedOut(Error):
    """A timeout passed. What was asked may or may not have happened."""


class Unreachable(Error):
    """No engine answers at the address."""


class Unsupported(Error):
    """Something answers, but it is no engine that this library can use: not an engine, or too old."""


class Engine(Error):
    """The engine failed (HTTP 5xx, or an error in the middle of a stream), or its answer makes no sense or has no end."""


class CutShort(Error):
    """A connection or a stream ended in the middle."""


class Io(Error):
    """This machine's file system or operating system refused."""


class CommandFailed(Error):
    """The command of a step ended with a status other than zero: see dstore_error_exit_code()."""


class OutOfMemory(Error):
    """The kernel killed the command of a step because its memory ran out."""


class Callback(Error):
    """A callback returned something other than zero."""


class Closed(Error):
    """The store, step or lease was closed, committed, aborted or released before."""


class Corrupt(Error):
    """A file of the store's own, or of docker's configuration, makes no sense."""


class Internal(Error):
    """A fault of the library's own. The handle that was in use can only be freed from now on."""


class OutcomeUnknown(Error):
    """The engine was cut off in the call that decides, and does not tell what came of it: the result may or may not be
    there. The next look, or the next begin of the same id, finds the truth."""


class Killed(Error):
    """The command of a step did not end by itself: somebody killed, stopped or removed its container from outside, or
    the engine went down. That says nothing about the command: try again."""


class NotStarted(Error):
    """The command of a step was never started: its program is not there, or cannot be executed. dstore_error_exit_code()
    is what a shell would give, 127 and 126."""


OF_STATUS: dict[int, type[Error]] = {
    Status.INVALID_ARGUMENT: InvalidArgument,
    Status.NOT_FOUND: NotFound,
    Status.CONFLICT: Conflict,
    Status.IN_PROGRESS: InProgress,
    Status.BUSY: Busy,
    Status.CANCELLED: Cancelled,
    Status.TIMED_OUT: TimedOut,
    Status.UNREACHABLE: Unreachable,
    Status.UNSUPPORTED: Unsupported,
    Status.ENGINE: Engine,
    Status.CUT_SHORT: CutShort,
    Status.IO: Io,
    Status.COMMAND_FAILED: CommandFailed,
    Status.OUT_OF_MEMORY: OutOfMemory,
    Status.CALLBACK: Callback,
    Status.CLOSED: Closed,
    Status.CORRUPT: Corrupt,
    Status.INTERNAL: Internal,
    Status.OUTCOME_UNKNOWN: OutcomeUnknown,
    Status.KILLED: Killed,
    Status.NOT_STARTED: NotStarted,
}
