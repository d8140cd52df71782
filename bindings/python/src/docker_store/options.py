"""How to open a store."""

from __future__ import annotations

from dataclasses import dataclass

from ._abi import Strategy
from ._call import call, milliseconds, text
from ._handle import Handle
from ._library import library


@dataclass(frozen=True)
class Options:
    """How to open a store, and how to reach the engine. Every option has a default."""

    #: "unix:///var/run/docker.sock", "tcp://host:2376", "ssh://user@host"; by default as the docker command finds it.
    engine: str | None = None
    #: The word that every name on the engine starts with.
    name: str | None = None
    #: How caches are cloned.
    strategy: Strategy = Strategy.AUTOMATIC
    #: Whether the files of the engine's volumes are accessed directly, if this process can.
    direct: bool = True
    #: Whether the engine itself sets up the network of steps that have no network.
    engine_network: bool = False
    #: Whether a released lease is synced to disk before it becomes the next generation.
    sync: bool = False
    #: A group whose members may use the root as its owner may.
    group: int | None = None
    #: The maximum size of a step's log in bytes, and whether further output is dropped; otherwise the step fails.
    log_limit: int | None = None
    log_drop: bool = False
    #: How long opening may take to reach the engine, in seconds.
    connect_timeout: float | None = None

    def _made(self) -> Handle:
        made = Handle("options", library.dstore_options_new())
        at = made.pointer
        if self.engine is not None:
            call(library.dstore_options_engine, at, text(self.engine, "engine"))
        if self.name is not None:
            call(library.dstore_options_name, at, text(self.name, "name"))
        call(library.dstore_options_strategy, at, self.strategy)
        call(library.dstore_options_direct, at, self.direct)
        call(library.dstore_options_engine_network, at, self.engine_network)
        call(library.dstore_options_sync, at, self.sync)
        if self.group is not None:
            call(library.dstore_options_group, at, self.group)
        if self.log_limit is not None:
            call(library.dstore_options_log_limit, at, self.log_limit, self.log_drop)
        if self.connect_timeout is not None:
            call(library.dstore_options_connect_timeout, at, milliseconds(self.connect_timeout))
        return made
