"""What Python holds of the library's: freed when nobody has it any more, and by the process that made it alone."""

from __future__ import annotations

import os
import sys
from ctypes import c_void_p

from ._abi import Status
from ._library import library
from .errors import Closed


class Handle(c_void_p):
    """A place for an object of the library's, which a call fills. Empty until then, and if the call fails.

    A call that is given it keeps it: so nobody frees what another thread is in.
    """

    def __init__(self, kind: str, made: int | None = None) -> None:
        super().__init__(made)
        self._kind = kind
        self._process = os.getpid()

    @property
    def pointer(self) -> Handle:
        """For a call."""
        if os.getpid() != self._process:
            raise Closed(
                f"using the {self._kind}: this process was forked from the one that made it; open a store of its own",
                Status.CLOSED,
            )
        return self

    def __del__(self) -> None:
        # What a forked child has is its parent's, which frees it. At the end of the process nothing need be done.
        if self.value and not sys.is_finalizing() and os.getpid() == self._process:
            getattr(library, f"dstore_{self._kind}_free")(self)


def ended(what: str) -> Closed:
    return Closed(f"the {what} had its end before", Status.CLOSED)
