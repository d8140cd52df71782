"""A build in progress."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from ctypes import byref, c_int64, c_uint64, c_void_p
from types import TracebackType
from typing import Any, Callable

from ._abi import Channel
from ._call import Path, Readable, Turn, Writable, blocking, call, milliseconds, optional, path, taken, text, told
from ._cancel import Cancel, Switch
from ._error import Error
from ._handle import Handle, ended
from ._library import library
from .command import Command, ImageConfig, as_path
from .errors import Busy, InvalidArgument
from .host_files import HostFiles
from .host_folder import HostFolder

#: Receives the engine's description ("Downloading"), the layer, the bytes done and the total (0 if unknown).
Progress = Callable[[str, str, int, int], object]


class Step:
    """A build in progress, until it is committed or aborted; see `Store.begin`. Only one call at a time may use a step.

    As a context manager it is committed at the end of the block, and aborted if the block raises. If a call fails or is
    interrupted, the step can only be aborted.
    """

    def __init__(self, handle: Handle, switch: Switch) -> None:
        # None after a commit or an abort.
        self._handle: Handle | None = handle
        self._switch = switch
        self._id = told(library.dstore_step_id(handle))

    @property
    def _at(self) -> Handle:
        if self._handle is None:
            raise ended("step")
        return self._handle.pointer

    @property
    def id(self) -> str:
        """The id that a commit will record."""
        return self._id

    def _call(self, function: Any, *arguments: Any) -> None:
        at = self._at
        blocking(self._switch, lambda _: call(function, at, *arguments))

    def _within(self, work: Callable[[Turn], None]) -> None:
        blocking(self._switch, work)

    # ------------------------------------------------------------ sources

    def import_tar(self, tar: Path | Readable, progress: Progress | None = None) -> None:
        """Starts from the files in a tar archive, a path or a stream. Only for a step without a base, and first."""
        self._take(library.dstore_step_import, library.dstore_step_import_file, tar, progress)

    def load(self, archive: Path | Readable, progress: Progress | None = None) -> None:
        """Starts the step from the image in a Docker archive or an OCI layout. Only for a step without a base, and first."""
        self._take(library.dstore_step_load, library.dstore_step_load_file, archive, progress)

    def _take(self, by_reading: Any, by_path: Any, source: Path | Readable, progress: Progress | None) -> None:
        at, file = self._at, as_path(source)
        if file is not None:
            name = path(file, "file")
            self._within(lambda turn: call(by_path, at, name, turn.progress(progress), None))
        else:
            stream: Any = source
            self._within(lambda turn: call(by_reading, at, turn.read(stream), None, turn.progress(progress), None))

    def pull(
        self,
        reference: str,
        *,
        platform: str | None = None,
        user: str | None = None,
        password: str | None = None,
        server: str | None = None,
        progress: Progress | None = None,
    ) -> None:
        """Starts the step from an image that the engine pulls from its registry. Only for a step without a base, and first.

        `platform` is "os/arch" or "os/arch/variant". Raises `NotFound` if the image does not exist for that platform.
        """
        at, name = self._at, text(reference, "reference")
        login = optional(user, "user"), optional(password, "password"), optional(server, "server")
        if platform is None:
            self._within(lambda turn: call(library.dstore_step_pull, at, name, *login, turn.progress(progress), None))
        else:
            chosen = text(platform, "platform"), *login
            self._within(lambda turn: call(library.dstore_step_pull_platform, at, name, *chosen, turn.progress(progress), None))

    def use_image(self, reference: str) -> None:
        """Starts the step from an image that the engine already has. Only for a step without a base, and first."""
        self._call(library.dstore_step_use_image, text(reference, "reference"))

    # ------------------------------------------------------------ work

    def run(self, command: Command | Sequence[str], output: Callable[[Channel, bytes], object] | None = None) -> int:
        """Runs a command and returns its exit status. `output` receives its output as it arrives."""
        made = (command if isinstance(command, Command) else Command(command))._made()
        at, code = self._at, c_int64()
        self._within(lambda turn: call(library.dstore_step_run, at, made.pointer, turn.output(output), None, byref(code)))
        return code.value

    @property
    def was_started(self) -> bool:
        """Returns whether the last command that `run` returned for was started.

        This tells an exit status of 127 or 126 of a command from a program that does not exist or cannot be executed, if
        failures are allowed. Otherwise such a program raises `NotStarted`.
        """
        return bool(library.dstore_step_was_started(self._at))

    def copy_in_host(self, to: str, files: HostFiles | Path) -> str:
        """Copies local files into `to`, an absolute path in the step. Returns the digest of what was sent, for `make_id`.

        A path means the whole file or directory, owned by root.
        """
        files = files if isinstance(files, HostFiles) else HostFiles(files)
        made, digest = files._made(), c_void_p()
        self._call(library.dstore_step_copy_in_host, text(to, "to"), made.pointer, byref(digest))
        return taken(digest) or ""

    def copy_in(self, to: str, tar: Path | Readable) -> None:
        """Extracts a tar archive, a path or an object with `read`, into `to`, an absolute path in the step."""
        at, place, file = self._at, text(to, "to"), as_path(tar)
        if file is not None:
            self._call(library.dstore_step_copy_in_file, place, path(file, "tar"))
        else:
            stream: Any = tar
            self._within(lambda turn: call(library.dstore_step_copy_in, at, place, turn.read(stream), None))

    def copy_out(self, what: str, tar: Path | Writable) -> int:
        """Writes the file or directory at `what`, an absolute path in the step, as a tar archive. Returns the number of bytes."""
        at, place, file, size = self._at, text(what, "what"), as_path(tar), c_uint64()
        if file is not None:
            self._call(library.dstore_step_copy_out_file, place, path(file, "tar"), byref(size))
        else:
            stream: Any = tar
            self._within(lambda turn: call(library.dstore_step_copy_out, at, place, turn.write(stream), None, byref(size)))
        return size.value

    def copy_out_host(self, what: str, into: HostFolder | Path) -> int:
        """Unpacks the file or directory at `what`, an absolute path in the step, into a local directory: the contents of a
        directory, or a single file under its name. Returns the number of bytes in the files."""
        into = into if isinstance(into, HostFolder) else HostFolder(into)
        made, size = into._made(), c_uint64()
        self._call(library.dstore_step_copy_out_host, text(what, "what"), made.pointer, byref(size))
        return size.value

    def write_log(self, data: bytes | str) -> None:
        """Writes to the step's log, between the output of its commands."""
        data = data.encode() if isinstance(data, str) else data
        call(library.dstore_step_write_log, self._at, data, len(data))

    def configure(self, config: ImageConfig) -> None:
        """Sets the image settings of the step's result."""
        call(library.dstore_step_configure, self._at, config._made().pointer)

    def limit(self, *, timeout: float | None = None, cancel: Cancel | None = None) -> None:
        """Replaces the limits that the step was begun with. The timeout counts from now."""
        switch = Switch(cancel)
        call(library.dstore_step_limit, self._at, milliseconds(timeout), switch.pointer)
        self._switch = switch

    # ------------------------------------------------------------ the end

    def commit(self, *, timeout: float | None = None, cancel: Cancel | None = None) -> None:
        """Records the result and ends the step. If limits are given, they replace the step's."""
        self._end(library.dstore_step_commit, library.dstore_step_commit_within, timeout, cancel)

    def abort(self, *, timeout: float | None = None, cancel: Cancel | None = None) -> None:
        """Ends the step without a result, and removes what it has on the engine. The log is kept."""
        # Do this even if the block was interrupted.
        at, switch, time = self._at, Switch(cancel), milliseconds(timeout)
        self._handle = None
        blocking(switch, lambda _: call(library.dstore_step_abort_within, at, time, switch.pointer))

    def _end(self, plain: Any, within: Any, timeout: float | None, cancel: Cancel | None) -> None:
        at, time = self._at, milliseconds(timeout)
        switch = self._switch if timeout is None and cancel is None else Switch(cancel)
        try:
            if switch is self._switch:
                self._call(plain)
            else:
                blocking(switch, lambda _: call(within, at, time, switch.pointer))
        except (Busy, InvalidArgument):
            raise
        except BaseException:
            self._handle = None
            raise
        self._handle = None

    def __enter__(self) -> Step:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._handle is None:
            return
        if kind is None:
            self.commit()
            return
        # Report the first error only; what is left is removed in the background.
        with suppress(Error):
            self.abort()
