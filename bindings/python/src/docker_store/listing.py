"""What a store reports about its contents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable

from ._abi import Fate, Item, Strategy, Went
from ._call import call, milliseconds, told
from ._handle import Handle
from ._library import library

#: Times are in seconds since 1970.


@dataclass(frozen=True)
class Result:
    id: str
    created: int
    #: Including layers that it shares with other images.
    size: int


@dataclass(frozen=True)
class Cache:
    name: str
    #: The generation that a lease would be cloned from; 0 if the cache has never been released.
    generation: int
    strategy: Strategy
    #: The number of volumes that the newest generation consists of.
    layers: int
    #: Disk usage; None if it is unknown.
    bytes: int | None
    created: int
    last_use: int
    #: The number of outstanding leases, in all processes.
    leases: int
    #: The size limit in bytes; None if it has no limit.
    limit: int | None


@dataclass(frozen=True)
class Space:
    """The free space, in percent."""

    percent: float
    root: float
    #: None if the engine's disk is not accessible.
    engine: float | None


@dataclass(frozen=True)
class Purged:
    containers: int
    images: int
    volumes: int


@dataclass(frozen=True)
class Trouble:
    what: str
    advice: str


@dataclass(frozen=True)
class Health:
    engine: str
    engine_version: str
    api_version: str
    newest_api_version: str
    address: str
    image_store: str
    strategy: Strategy
    strategy_reason: str
    network: str
    #: By how many milliseconds the engine's clock is ahead; None if it is unknown.
    clock_ahead_ms: int | None
    free_root: float
    free_engine: float | None
    troubles: list[Trouble]


@dataclass(frozen=True)
class ResultUsage:
    id: str
    image: str
    base: str | None
    #: The size without its base, and the whole size.
    own_bytes: int
    bytes: int
    created: int
    last_use: int
    build_ms: int | None
    pinned: bool
    building: bool
    held: bool
    log_bytes: int


@dataclass(frozen=True)
class CacheUsage:
    cache: Cache
    pinned: bool


@dataclass(frozen=True)
class LogUsage:
    id: str
    bytes: int
    written: int
    has_result: bool


@dataclass(frozen=True)
class Usage:
    """The disk usage of a store at one moment."""

    results_bytes: int
    caches_bytes: int
    logs_bytes: int
    #: The number of results for which it is unknown what they share, and of caches whose size is unknown.
    results_unknown: int
    caches_unknown: int
    how: str
    left: Purged
    results: list[ResultUsage]
    caches: list[CacheUsage]
    logs: list[LogUsage]


@dataclass(frozen=True)
class Pin:
    item: Item
    name: str
    since: int


@dataclass(frozen=True)
class Gone:
    """How a result was removed, and when; None if it is unknown."""

    went: Went
    when: int | None


@dataclass(frozen=True)
class Pruned:
    """What a prune did with one item."""

    item: Item
    name: str
    bytes: int
    last_use: int
    fate: Fate
    #: Why it was kept; "" if it was removed.
    why: str


@dataclass(frozen=True)
class PruneReport:
    rows: list[Pruned]
    #: By how many bytes the free space on the engine's disk has grown; None if it is not accessible.
    freed: int | None
    kept: int
    #: Whether all limits are met or, in a dry run, would be.
    reached: bool


@dataclass(frozen=True)
class Policy:
    """The limits to which a prune reduces a store. A policy without limits removes nothing. Times are in seconds."""

    most_bytes: int | None = None
    least_free_bytes: int | None = None
    least_free_percent: float | None = None
    unused_for: float | None = None
    keep_results: int | None = None
    spare: float | None = None
    results: bool = True
    caches: bool = True
    logs: bool = False
    dry_run: bool = False

    def _made(self) -> Handle:
        made = Handle("policy", library.dstore_policy_new())
        at = made.pointer
        if self.most_bytes is not None:
            call(library.dstore_policy_most_bytes, at, self.most_bytes)
        if self.least_free_bytes is not None:
            call(library.dstore_policy_least_free_bytes, at, self.least_free_bytes)
        if self.least_free_percent is not None:
            call(library.dstore_policy_least_free_percent, at, self.least_free_percent)
        if self.unused_for is not None:
            call(library.dstore_policy_unused_for, at, milliseconds(self.unused_for or None))
        if self.keep_results is not None:
            call(library.dstore_policy_keep_results, at, self.keep_results)
        if self.spare is not None:
            call(library.dstore_policy_spare, at, milliseconds(self.spare or None))
        call(library.dstore_policy_results, at, self.results)
        call(library.dstore_policy_caches, at, self.caches)
        call(library.dstore_policy_logs, at, self.logs)
        call(library.dstore_policy_dry_run, at, self.dry_run)
        return made


# ---------------------------------------------------------------- created from the library's objects


def _known(number: int) -> int | None:
    return None if number < 0 else number


def read_results(handle: Handle) -> list[Result]:
    at = handle.pointer
    return [
        Result(
            told(library.dstore_results_id(at, n)),
            library.dstore_results_created(at, n),
            library.dstore_results_size(at, n),
        )
        for n in range(library.dstore_results_count(at))
    ]


def read_caches(at: object) -> list[Cache]:
    return [
        Cache(
            told(library.dstore_caches_name(at, n, None)),
            library.dstore_caches_generation(at, n),
            Strategy(library.dstore_caches_strategy(at, n)),
            library.dstore_caches_layers(at, n),
            _known(library.dstore_caches_bytes(at, n)),
            library.dstore_caches_created(at, n),
            library.dstore_caches_last_use(at, n),
            library.dstore_caches_leases(at, n),
            library.dstore_caches_limit(at, n) or None,
        )
        for n in range(library.dstore_caches_count(at))
    ]


def read_health(handle: Handle) -> Health:
    at = handle.pointer
    clock = library.dstore_health_clock_ahead_ms(at)
    free_engine = library.dstore_health_free_engine(at)
    return Health(
        told(library.dstore_health_engine(at)),
        told(library.dstore_health_engine_version(at)),
        told(library.dstore_health_api_version(at)),
        told(library.dstore_health_newest_api_version(at)),
        told(library.dstore_health_address(at)),
        told(library.dstore_health_image_store(at)),
        Strategy(library.dstore_health_strategy(at)),
        told(library.dstore_health_strategy_reason(at)),
        told(library.dstore_health_network(at)),
        None if clock == -(2**63) else clock,
        library.dstore_health_free_root(at),
        None if free_engine < 0 else free_engine,
        [
            Trouble(told(library.dstore_health_trouble(at, n)), told(library.dstore_health_advice(at, n)))
            for n in range(library.dstore_health_troubles(at))
        ],
    )


def read_usage(handle: Handle) -> Usage:
    at = handle.pointer
    results = [
        ResultUsage(
            told(library.dstore_usage_result_id(at, n)),
            told(library.dstore_usage_result_image(at, n)),
            told(base) if (base := library.dstore_usage_result_base(at, n)) is not None else None,
            library.dstore_usage_result_own_bytes(at, n),
            library.dstore_usage_result_bytes(at, n),
            library.dstore_usage_result_created(at, n),
            library.dstore_usage_result_last_use(at, n),
            _known(library.dstore_usage_result_build_ms(at, n)),
            library.dstore_usage_result_pinned(at, n),
            library.dstore_usage_result_building(at, n),
            library.dstore_usage_result_held(at, n),
            library.dstore_usage_result_log_bytes(at, n),
        )
        for n in range(library.dstore_usage_results(at))
    ]
    caches = [
        CacheUsage(cache, library.dstore_usage_cache_pinned(at, n))
        for n, cache in enumerate(read_caches(library.dstore_usage_caches(at)))
    ]
    logs = [
        LogUsage(
            told(library.dstore_usage_log_id(at, n)),
            library.dstore_usage_log_bytes(at, n),
            library.dstore_usage_log_written(at, n),
            library.dstore_usage_log_has_result(at, n),
        )
        for n in range(library.dstore_usage_logs(at))
    ]
    return Usage(
        library.dstore_usage_results_bytes(at),
        library.dstore_usage_caches_bytes(at),
        library.dstore_usage_logs_bytes(at),
        library.dstore_usage_results_unknown(at),
        library.dstore_usage_caches_unknown(at),
        told(library.dstore_usage_how(at)),
        Purged(
            library.dstore_usage_left_containers(at),
            library.dstore_usage_left_images(at),
            library.dstore_usage_left_volumes(at),
        ),
        results,
        caches,
        logs,
    )


def read_pins(handle: Handle) -> list[Pin]:
    at = handle.pointer
    return [
        Pin(
            Item(library.dstore_pins_item(at, n)),
            told(library.dstore_pins_name(at, n, None)),
            library.dstore_pins_since(at, n),
        )
        for n in range(library.dstore_pins_count(at))
    ]


def read_pruned(handle: Handle) -> PruneReport:
    at = handle.pointer
    rows = [
        Pruned(
            Item(library.dstore_pruned_item(at, n)),
            told(library.dstore_pruned_name(at, n, None)),
            library.dstore_pruned_bytes(at, n),
            library.dstore_pruned_last_use(at, n),
            Fate(library.dstore_pruned_fate(at, n)),
            told(library.dstore_pruned_why(at, n)),
        )
        for n in range(library.dstore_pruned_count(at))
    ]
    return PruneReport(
        rows,
        _known(library.dstore_pruned_freed(at)),
        library.dstore_pruned_kept(at),
        library.dstore_pruned_reached(at),
    )


#: Receives each row of a prune as it happens.
EachPruned = Callable[[Pruned], object]
