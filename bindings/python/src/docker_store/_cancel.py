"""Switches that end calls."""

from __future__ import annotations

import weakref

from ._handle import Handle
from ._library import library


class Switch:
    """What ends the one call, or the calls of the one step, that it was given to."""

    def __init__(self, cancel: Cancel | None = None) -> None:
        self._handle = Handle("cancel", library.dstore_cancel_new())
        if cancel is not None:
            cancel._lead(self)

    @property
    def pointer(self) -> Handle:
        return self._handle.pointer

    def trigger(self) -> None:
        library.dstore_cancel_trigger(self._handle.pointer)

    def is_triggered(self) -> bool:
        return bool(library.dstore_cancel_is_triggered(self._handle.pointer))


class Cancel:
    """A switch that ends the calls and steps it was given to, from any thread, and at once. Once on, it stays on."""

    def __init__(self) -> None:
        self._own = Switch()
        # By weak references: a call that is over is nobody's. No lock, as a signal handler may come in between.
        self._led: dict[int, weakref.ref[Switch]] = {}

    def trigger(self) -> None:
        """Turns it on: calls that wait wake, clean up, and raise `Cancelled`."""
        self._own.trigger()
        for led in list(self._led.values()):
            switch = led()
            if switch is not None:
                switch.trigger()

    def is_triggered(self) -> bool:
        return self._own.is_triggered()

    def _lead(self, switch: Switch) -> None:
        key, led = id(switch), self._led
        led[key] = weakref.ref(switch, lambda gone: led.pop(key, None) if led.get(key) is gone else None)
        # After that: whoever triggers in between finds it there, or is seen here.
        if self.is_triggered():
            switch.trigger()
