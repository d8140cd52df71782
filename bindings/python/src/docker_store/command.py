"""The commands that a step runs, and the image settings of its result."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from ctypes import byref
from dataclasses import dataclass, field

from ._call import Path, call, milliseconds, optional, path, text, words
from ._handle import Handle
from ._library import library
from .lease import Lease


@dataclass(frozen=True)
class Volume:
    """A volume of the engine, which must exist."""

    name: str
    read_only: bool = False


@dataclass(frozen=True)
class Bind:
    """A directory or file on the engine's host."""

    source: str
    read_only: bool = False


@dataclass(frozen=True)
class Secret:
    """A file that never appears in the result, the log, the environment or what the engine shows of the container."""

    content: bytes
    uid: int = 0
    gid: int = 0
    mode: int = 0o400

    def __repr__(self) -> str:
        return f"Secret({len(self.content)} bytes)"


@dataclass(frozen=True)
class Command:
    """A program, looked up in the container's PATH, and its arguments. No shell is involved. Its settings apply only to it."""

    argv: Sequence[str]
    #: By default the image's, as for `user` and `env`; `env` overrides the image's variables.
    cwd: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    user: str | None = None
    hostname: str | None = None
    #: The engine's name of a network; the default is no network.
    network: str | None = None
    #: Words that are put before the arguments; True for the image's own entrypoint.
    entrypoint: Sequence[str] | bool = False
    #: Limits of processor time (1.5 processors, for example), and of memory in bytes, including swap.
    cpus: float | None = None
    memory: int | None = None
    #: What is mounted, by mount point.
    mounts: Mapping[str, Lease | Volume | Bind] = field(default_factory=dict)
    secrets: Mapping[str, Secret | bytes] = field(default_factory=dict)
    #: The standard input: bytes, or the path of a file, which may be a pipe.
    stdin: bytes | os.PathLike[str] | None = None
    #: In seconds; if it expires, the run raises `TimedOut`.
    timeout: float | None = None
    #: If True, a non-zero exit status is returned and does not raise `CommandFailed`.
    allow_failure: bool = False

    def _made(self) -> Handle:
        made = Handle("command")
        call(library.dstore_command_new, words(self.argv, "argv"), len(self.argv), byref(made))
        at = made.pointer
        if self.cwd is not None:
            call(library.dstore_command_cwd, at, text(self.cwd, "cwd"))
        for name, value in self.env.items():
            call(library.dstore_command_env, at, text(name, "env"), text(value, name))
        if self.user is not None:
            call(library.dstore_command_user, at, text(self.user, "user"))
        if self.hostname is not None:
            call(library.dstore_command_hostname, at, text(self.hostname, "hostname"))
        if self.network is not None:
            call(library.dstore_command_network, at, text(self.network, "network"))
        if self.entrypoint is True:
            call(library.dstore_command_image_entrypoint, at)
        elif self.entrypoint is not False:
            call(library.dstore_command_entrypoint, at, words(self.entrypoint, "entrypoint"), len(self.entrypoint))
        if self.cpus is not None:
            call(library.dstore_command_nano_cpus, at, round(self.cpus * 1e9))
        if self.memory is not None:
            call(library.dstore_command_memory, at, self.memory)
        for target, source in self.mounts.items():
            place = text(target, "mounts")
            if isinstance(source, Lease):
                call(library.dstore_command_lease, at, source._at, place)
            elif isinstance(source, Volume):
                call(library.dstore_command_volume, at, text(source.name, "volume"), place, source.read_only)
            else:
                call(library.dstore_command_bind, at, text(source.source, "source"), place, source.read_only)
        for target, secret in self.secrets.items():
            s = Secret(secret) if isinstance(secret, bytes) else secret
            place = text(target, "secrets")
            call(library.dstore_command_secret, at, place, s.content, len(s.content), s.uid, s.gid, s.mode)
        if isinstance(self.stdin, bytes):
            call(library.dstore_command_stdin, at, self.stdin, len(self.stdin))
        elif self.stdin is not None:
            call(library.dstore_command_stdin_file, at, path(self.stdin, "stdin"))
        if self.timeout is not None:
            call(library.dstore_command_timeout, at, milliseconds(self.timeout))
        call(library.dstore_command_allow_failure, at, self.allow_failure)
        return made


@dataclass(frozen=True)
class HealthCheck:
    """How an engine checks a container's health. A time (in seconds) or `retries` of 0 selects the engine's default."""

    #: Words, or a line for the image's shell. No words remove the base's check; None disables health checks.
    command: Sequence[str] | str | None
    interval: float = 0
    timeout: float = 0
    start_period: float = 0
    retries: int = 0


@dataclass(frozen=True)
class ImageConfig:
    """Image settings of a result. They override those of its base; what is not set is kept."""

    #: No words remove the base's.
    entrypoint: Sequence[str] | None = None
    command: Sequence[str] | None = None
    #: A value of None removes the base's; so does False below.
    env: Mapping[str, str | None] = field(default_factory=dict)
    labels: Mapping[str, str | None] = field(default_factory=dict)
    user: str | None = None
    directory: str | None = None
    ports: Mapping[str, bool] = field(default_factory=dict)
    volumes: Mapping[str, bool] = field(default_factory=dict)
    stop_signal: str | None = None
    health_check: HealthCheck | None = None

    def _made(self) -> Handle:
        made = Handle("image_config", library.dstore_image_config_new())
        at = made.pointer
        if self.entrypoint is not None:
            argv = words(self.entrypoint, "entrypoint")
            call(library.dstore_image_config_entrypoint, at, argv, len(self.entrypoint))
        if self.command is not None:
            call(library.dstore_image_config_command, at, words(self.command, "command"), len(self.command))
        for name, value in self.env.items():
            call(library.dstore_image_config_env, at, text(name, "env"), optional(value, name))
        for name, value in self.labels.items():
            call(library.dstore_image_config_label, at, text(name, "labels"), optional(value, name))
        if self.user is not None:
            call(library.dstore_image_config_user, at, text(self.user, "user"))
        if self.directory is not None:
            call(library.dstore_image_config_directory, at, text(self.directory, "directory"))
        for port, exposed in self.ports.items():
            call(library.dstore_image_config_port, at, text(port, "ports"), exposed)
        for place, declared in self.volumes.items():
            call(library.dstore_image_config_volume, at, text(place, "volumes"), declared)
        if self.stop_signal is not None:
            call(library.dstore_image_config_stop_signal, at, text(self.stop_signal, "stop_signal"))
        if self.health_check is not None:
            check = self.health_check
            times = [milliseconds(time or None) for time in (check.interval, check.timeout, check.start_period)]
            if check.command is None or isinstance(check.command, str):
                line = optional(check.command, "command")
                call(library.dstore_image_config_health_shell, at, line, *times, check.retries)
            else:
                argv = words(check.command, "command")
                call(library.dstore_image_config_health_check, at, argv, len(check.command), *times, check.retries)
        return made


def as_path(source: object) -> Path | None:
    """Returns `source` if it is a path."""
    return source if isinstance(source, (str, bytes, os.PathLike)) else None
