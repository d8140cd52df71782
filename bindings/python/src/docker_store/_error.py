"""What all exceptions of the package are."""

from __future__ import annotations


class Error(Exception):
    """A call failed. Its class is one of `docker_store.errors`; this one where the status is one of a newer library."""

    #: A `docker_store.Status`, as a number.
    status: int
    #: One line for a person: what was being done, to what, and what the engine or the system answered.
    message: str
    #: What the engine answered with; None where it did not.
    http_status: int | None
    #: The operating system's number; None where there was none.
    errno: int | None
    #: With what the command ended, for `CommandFailed` and `OutOfMemory`.
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
