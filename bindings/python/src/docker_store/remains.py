"""Destroying roots."""

from __future__ import annotations

from ctypes import byref
from dataclasses import dataclass
from typing import Any

from ._abi import Remnant
from ._call import Path, blocking, call, milliseconds, path, text, told
from ._cancel import Cancel, Switch
from ._handle import Handle
from ._library import library
from .options import Options


@dataclass(frozen=True)
class Remains:
    """One object of a root that exists, or that was removed."""

    kind: Remnant
    name: str
    identity: str
    root: str | None
    engine: str | None
    removed: bool
    #: Why it could not be removed; None if there was no such failure.
    kept: str | None


def _optional(data: bytes | None) -> str | None:
    return None if data is None else told(data)


def _read(at: Any) -> list[Remains]:
    return [
        Remains(
            Remnant(library.dstore_remains_kind(at, n)),
            told(library.dstore_remains_name(at, n)),
            told(library.dstore_remains_identity(at, n)),
            _optional(library.dstore_remains_root(at, n)),
            _optional(library.dstore_remains_engine(at, n)),
            library.dstore_remains_removed(at, n),
            _optional(library.dstore_remains_kept(at, n)),
        )
        for n in range(library.dstore_remains_count(at))
    ]


def _remains(function: Any, *arguments: Any, timeout: float | None, cancel: Cancel | None) -> list[Remains]:
    switch, found, time = Switch(cancel), Handle("remains"), milliseconds(timeout)
    blocking(switch, lambda _: call(function, *arguments, time, switch.pointer, byref(found)))
    return _read(found.pointer)


def destroy(
    root: Path,
    options: Options | None = None,
    *,
    dry_run: bool = False,
    abandon: bool = False,
    timeout: float | None = None,
    cancel: Cancel | None = None,
) -> list[Remains]:
    """Destroys a root: removes everything of it from every engine that it was used with, and from the disk.

    The list gives the reason for each object that could not be removed. The root is then kept as well, and the next call
    continues. With `abandon`, the root is destroyed even if an engine cannot be reached.
    """
    made, place = (options or Options())._made(), path(root, "root")
    return _remains(library.dstore_destroy, place, made.pointer, dry_run, abandon, timeout=timeout, cancel=cancel)


def find_remains(
    identity: str | None = None,
    options: Options | None = None,
    *,
    timeout: float | None = None,
    cancel: Cancel | None = None,
) -> list[Remains]:
    """Lists the objects that roots, or the root of this identity, have on an engine. Removes nothing."""
    made = (options or Options())._made()
    which = None if identity is None else text(identity, "identity")
    return _remains(library.dstore_find_remains, made.pointer, which, timeout=timeout, cancel=cancel)


def destroy_remains(
    identity: str,
    options: Options | None = None,
    *,
    timeout: float | None = None,
    cancel: Cancel | None = None,
) -> list[Remains]:
    """Removes from an engine what is left of a root whose directory no longer exists. Call `find_remains` first."""
    made, which = (options or Options())._made(), text(identity, "identity")
    return _remains(library.dstore_destroy_remains, made.pointer, which, timeout=timeout, cancel=cancel)
