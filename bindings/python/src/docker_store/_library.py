"""Finds the shared library, and declares its functions for ctypes."""

from __future__ import annotations

import ctypes
import ctypes.util
import os
from pathlib import Path
from typing import Any

from . import _abi


def _place() -> str:
    named = os.environ.get("DOCKER_STORE_LIBRARY")
    if named:
        return named
    beside = Path(__file__).with_name("libdocker_store.so")
    if beside.exists():
        return str(beside)
    major, minor = _abi.VERSION
    return f"libdocker_store.so.{major}" if major else f"libdocker_store.so.{major}.{minor}"


def _load() -> Any:
    place = _place()
    try:
        # Not PyDLL: a call releases the interpreter's lock.
        library = ctypes.CDLL(place)
    except OSError as e:
        raise ImportError(f"docker_store: loading {place}: {e}. Install the library, or set DOCKER_STORE_LIBRARY") from e
    for name, (restype, argtypes) in _abi.FUNCTIONS.items():
        try:
            function = getattr(library, name)
        except AttributeError as e:
            raise ImportError(f"docker_store: {place} has no {name}: it is older than this package") from e
        function.restype = restype
        function.argtypes = argtypes
    major, minor = library.dstore_version_number() // 1_000_000, library.dstore_version_number() // 1000 % 1000
    if (major, minor) != _abi.VERSION:
        raise ImportError(f"docker_store: {place} has version {major}.{minor}, but this package needs {_abi.VERSION}")
    return library


library: Any = _load()


def version() -> str:
    """Returns the version of the library in use."""
    return str(library.dstore_version().decode())
