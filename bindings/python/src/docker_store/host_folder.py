"""Local directories that files are unpacked into."""

from __future__ import annotations

from ctypes import byref
from dataclasses import dataclass

from ._call import Path, call, path
from ._handle import Handle
from ._library import library


@dataclass(frozen=True)
class HostFolder:
    """A local directory that `copy_out_host` unpacks files into. It is created if it does not exist.

    No name and no link leads out of it: links are created as they are, but none is followed. A file or link that exists there
    is replaced. A directory that exists keeps its mode and owner, and its other files.
    """

    path: Path
    #: The numeric user and group of everything. This usually needs privileges. By default it is the user of this process.
    owner: tuple[int, int] | None = None
    #: Keeps the owners that the files have in the container.
    keep_owners: bool = False
    #: Keeps the modes that the files have in the container, with all bits. By default they have the permissions, less the umask.
    keep_modes: bool = False

    def _made(self) -> Handle:
        made = Handle("host_folder")
        call(library.dstore_host_folder_new, path(self.path, "path"), byref(made))
        at = made.pointer
        if self.owner is not None:
            call(library.dstore_host_folder_owner, at, *self.owner)
        if self.keep_owners:
            call(library.dstore_host_folder_keep_owners, at)
        if self.keep_modes:
            call(library.dstore_host_folder_keep_modes, at)
        return made
