"""Ids of results."""

from __future__ import annotations

from ctypes import byref, c_char_p, c_void_p

from ._call import call, lengths, some_bytes, taken
from ._library import library


def make_id(name: str, *parts: str | bytes) -> str:
    """The id of a result of all that goes into it: its name and, say, the id of its base, its commands, digests of its files.

    The same name and parts give the same id, from every language; others give another one. Where a part ends counts.
    """
    data = [part.encode("utf-8", "surrogateescape") if isinstance(part, str) else part for part in parts]
    made = c_void_p()
    call(
        library.dstore_id,
        some_bytes(name, "name"),
        (c_char_p * len(data))(*data),
        lengths(data),
        len(data),
        byref(made),
    )
    return taken(made) or ""
