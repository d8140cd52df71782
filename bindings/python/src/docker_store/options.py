"""How to open a store."""

from __future__ import annotations

from dataclasses import dataclass

from ._abi import Strategy
from ._call import call, milliseconds, text
from ._handle import Handle
from ._library import library


@dataclass(frozen=True)
class Options:
    """How to open a store, and how to reach the engine. Every setting has a default that suits most."""

    #: "unix:///var/run/docker.sock", "tcp://host:2376", "ssh://user@host"; by default as the docker command finds it.
    engine: str | None = None
    #: The word in front of every name on the engine.
    name: str | None = None
    #: How caches are cloned.
    strategy: Strategy = Strategy.AUTOMATIC
    #: Whether the engine's volumes may be used as files where they can be reached.
    direct: bool = True
    #: Whether the engine itself is to set up the network of steps that have none.
    engine_network: bool = False
    #: Whether what is released is synced to disk before it counts.
    sync: bool = False
    #: A group whose members may use the root as its owner may.
    group: int | None = None
    #: The most bytes that the log of a step may have, and whether what is more is dropped; else it fails the step.
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
