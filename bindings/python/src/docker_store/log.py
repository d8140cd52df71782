"""The library's own log: problems that did not make a call fail."""

from __future__ import annotations

import math
import time

from ._abi import LogLevel
from ._call import blocking, call
from ._cancel import Switch
from ._library import library

# A cancel cannot stop the library's wait for a line, so each wait is short.
_SLICE_MS = 50


def log_collect(level: LogLevel = LogLevel.WARNING) -> None:
    """Starts collecting lines up to `level`, for all stores of the process; `LogLevel.OFF` stops collecting."""
    call(library.dstore_log_collect, level)


def log_fetch(timeout: float = 0) -> list[tuple[LogLevel, str]]:
    """Returns the collected lines. If there are none, waits up to `timeout` seconds for the first."""
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
