"""Handles for the library's objects: freed when the last reference goes, and only by the process that created them."""

from __future__ import annotations

import os
import sys
from ctypes import c_void_p

from ._abi import Status
from ._library import library
from .errors import Closed


class Handle(c_void_p):
    """A handle for an object of the library, set by a call. It is empty before, and if the call fails.

    A call that uses it keeps a reference, so no thread frees an object that another thread is using.
    """

    def __init__(self, kind: str, made: int | None = None) -> None:
        super().__init__(made)
        self._kind = kind
        self._process = os.getpid()

    @property
    def pointer(self) -> Handle:
        """Returns the pointer for a call."""
        if os.getpid() != self._process:
            raise Closed(
                f"using the {self._kind}: this process was forked from the one that made it; open a store of its own",
                Status.CLOSED,
            )
        return self

    def __del__(self) -> None:
        # A forked child's objects belong to its parent, which frees them. At the end of the process nothing need be done.
        if self.value and not sys.is_finalizing() and os.getpid() == self._process:
            getattr(library, f"dstore_{self._kind}_free")(self)


def ended(what: str) -> Closed:
    return Closed(f"the {what} had its end before", Status.CLOSED)
