"""The base class of all exceptions of the package."""

from __future__ import annotations


class Error(Exception):
    """A call failed. The class is one of `docker_store.errors`, or this one if the status is unknown to this package."""

    #: A `docker_store.Status`, as a number.
    status: int
    #: One human-readable line: the operation, its object, and what the engine or the system reported.
    message: str
    #: The HTTP status of the engine's response; None if it did not respond.
    http_status: int | None
    #: The operating system's error number; None if there was none.
    errno: int | None
    #: The exit status of the command, for `CommandFailed`, `OutOfMemory` and `NotStarted`.
    exit_code: int | None

    def __init__(
        self,
        message: str,
        status: int = 0,
        http_status: int | None = None,
        errno: int | None = None,
        exit_code: int | None = None,
    ) -> None:
        super().__init__(message, status, http_status, errno, exit_code)
        self.message = message
        self.status = status
        self.http_status = http_status
        self.errno = errno
        self.exit_code = exit_code

    def __str__(self) -> str:
        return self.message
