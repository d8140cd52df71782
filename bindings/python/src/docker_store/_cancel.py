"""Cancellation tokens."""

from __future__ import annotations

import weakref

from ._handle import Handle
from ._library import library


class Switch:
    """A token for one call, or for the calls of one step."""

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
    """A cancellation token. Triggering it stops every call and step that it was passed to. It cannot be reset."""

    def __init__(self) -> None:
        self._own = Switch()
        # Weak references, so that completed calls are forgotten. No lock, because a signal handler may interrupt.
        self._led: dict[int, weakref.ref[Switch]] = {}

    def trigger(self) -> None:
        """Triggers it: calls that are waiting wake up, clean up and raise `Cancelled`."""
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
        # Check after registering: a concurrent trigger either finds the registration, or is seen here.
        if self.is_triggered():
            switch.trigger()
