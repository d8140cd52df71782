"""What a step runs, and what its result says to whoever runs it."""

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
    """A volume of the engine's, which must exist."""

    name: str
    read_only: bool = False


@dataclass(frozen=True)
class Bind:
    """A directory or file of the engine's machine."""

    source: str
    read_only: bool = False


@dataclass(frozen=True)
class Secret:
    """A file that is in no result, no log, no environment, and not in what the engine shows of the container."""

    content: bytes
    uid: int = 0
    gid: int = 0
    mode: int = 0o400

    def __repr__(self) -> str:
        return f"Secret({len(self.content)} bytes)"


@dataclass(frozen=True)
class Command:
    """A program, looked up in the container's PATH, and its arguments. No shell is involved. What is set ends with it."""

    argv: Sequence[str]
    #: By default the image's, as are `user` and `env`, over which this is set.
    cwd: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    user: str | None = None
    hostname: str | None = None
    #: The engine's name of one; by default none at all.
    network: str | None = None
    #: Words before the arguments; True for the image's own.
    entrypoint: Sequence[str] | bool = False
    #: Processors' time, 1.5 say, and bytes of memory, swap included.
    cpus: float | None = None
    memory: int | None = None
    #: What is mounted where.
    mounts: Mapping[str, Lease | Volume | Bind] = field(default_factory=dict)
    secrets: Mapping[str, Secret | bytes] = field(default_factory=dict)
    #: Bytes, or the path of a file, which may be a pipe.
    stdin: bytes | os.PathLike[str] | None = None
    #: In seconds: `TimedOut`.
    timeout: float | None = None
    #: Whether an exit status other than 0 is an answer, not `CommandFailed`.
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
    """How an engine finds out whether a container is well. A time, in seconds, or `retries` of 0 is the engine's default."""

    #: Words, or a line for the image's shell. No words take the base's check away; None says that none is made.
    command: Sequence[str] | str | None
    interval: float = 0
    timeout: float = 0
    start_period: float = 0
    retries: int = 0


@dataclass(frozen=True)
class ImageConfig:
    """What a result says to whoever runs it, set over what its base says; what is not set stays."""

    #: No words take the base's away.
    entrypoint: Sequence[str] | None = None
    command: Sequence[str] | None = None
    #: None for a value takes the base's away; so does False below.
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
    """`source`, if it is a path."""
    return source if isinstance(source, (str, bytes, os.PathLike)) else None
