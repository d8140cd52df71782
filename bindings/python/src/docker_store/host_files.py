"""Local files that a step copies in."""

from __future__ import annotations

from collections.abc import Sequence
from ctypes import byref, c_void_p
from dataclasses import dataclass

from ._call import Path, blocking, call, milliseconds, path, some_bytes, taken, text
from ._cancel import Cancel, Switch
from ._handle import Handle
from ._library import library


@dataclass(frozen=True)
class HostFiles:
    """A local file or directory, and which parts of it are copied and how, for `Step.copy_in_host`.

    It is read when it is used. Sockets are skipped, as by `docker build`. Links inside a directory stay links. Extended
    attributes are not copied, and holes are filled with zeros.
    """

    #: If it is a symbolic link, its target is used.
    path: Path
    #: What is excluded: lines as in a .dockerignore file, after those of `dockerignore`. A leading ! includes matches again.
    exclude: Sequence[str] = ()
    #: The contents of a .dockerignore file.
    dockerignore: str | None = None
    #: The name in the step. By default a file keeps its name, and the contents of a directory are placed directly in the path
    #: that they are copied to.
    name: str | bytes | None = None
    #: The numeric user and group of everything; None keeps those that the local files have.
    owner: tuple[int, int] | None = (0, 0)
    #: All modification times, in seconds since 1970, so that the same files always have the same digest. None keeps them.
    fixed_times: int | None = None

    def _made(self) -> Handle:
        made = Handle("host_files")
        call(library.dstore_host_files_new, path(self.path, "path"), byref(made))
        at = made.pointer
        if self.dockerignore is not None:
            call(library.dstore_host_files_dockerignore, at, text(self.dockerignore, "dockerignore"))
        if isinstance(self.exclude, (str, bytes)):
            raise TypeError("exclude must be a sequence of patterns, not a str")
        for pattern in self.exclude:
            call(library.dstore_host_files_exclude, at, text(pattern, "exclude"))
        if self.name is not None:
            call(library.dstore_host_files_name, at, some_bytes(self.name, "name"))
        if self.owner is None:
            call(library.dstore_host_files_keep_owners, at)
        else:
            call(library.dstore_host_files_owner, at, *self.owner)
        if self.fixed_times is not None:
            call(library.dstore_host_files_fixed_times, at, self.fixed_times)
        return made

    def digest(self, *, timeout: float | None = None, cancel: Cancel | None = None) -> str:
        """Computes the digest of what `Step.copy_in_host` would send now, without sending it: 64 hex digits, for `make_id`."""
        made, digest, switch, time = self._made(), c_void_p(), Switch(cancel), milliseconds(timeout)
        arguments = made.pointer, time, switch.pointer, byref(digest)
        blocking(switch, lambda _: call(library.dstore_host_files_digest, *arguments))
        return taken(digest) or ""
