"""Ids of results."""

from __future__ import annotations

from ctypes import byref, c_char_p, c_void_p

from ._call import call, lengths, some_bytes, taken
from ._library import library


def make_id(name: str, *parts: str | bytes) -> str:
    """Derives the id of a result from everything that goes into it: its name and, for example, its base's id and its commands.

    The same name and parts give the same id, from every language; different ones give a different id. Boundaries between
    parts count.
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
