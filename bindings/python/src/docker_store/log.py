"""The library's own log: what went wrong without making a call fail."""

from __future__ import annotations

import math
import time

from ._abi import LogLevel
from ._call import blocking, call
from ._cancel import Switch
from ._library import library

# No cancel ends the library's wait for a line, so it is asked for short ones.
_SLICE_MS = 50


def log_collect(level: LogLevel = LogLevel.WARNING) -> None:
    """Has lines of up to `level` kept from now on, for all stores of the process; `LogLevel.OFF` ends that."""
    call(library.dstore_log_collect, level)


def log_fetch(timeout: float = 0) -> list[tuple[LogLevel, str]]:
    """The lines that were kept and not fetched yet. If there are none, waits so many seconds for the first."""
    lines: list[tuple[LogLevel, str]] = []
    end = time.monotonic() + timeout
    _fetch(lines, 0)
    while not lines and (left := end - time.monotonic()) > 0:
        _fetch(lines, min(_SLICE_MS, math.ceil(left * 1000)))
    return lines


def _fetch(lines: list[tuple[LogLevel, str]], wait_ms: int) -> None:
    def keep(level: LogLevel, line: str) -> None:
        lines.append((level, line))

    blocking(Switch(), lambda turn: call(library.dstore_log_fetch, wait_ms, turn.line(keep), None))
