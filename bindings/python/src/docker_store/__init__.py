"""A build store in Docker: results are images, caches are volumes leased as writable copies, and logs are plain files."""

from . import errors
from ._abi import (
    CacheMode,
    Channel,
    Counter,
    Fate,
    ImageFormat,
    Item,
    LogLevel,
    Outcome,
    Released,
    Remnant,
    Status,
    Strategy,
    Went,
)
from ._cancel import Cancel
from ._error import Error
from ._library import version
from .command import Bind, Command, HealthCheck, ImageConfig, Secret, Volume
from .host_files import HostFiles
from .host_folder import HostFolder
from .ids import make_id
from .lease import Lease
from .listing import (
    Cache,
    CacheUsage,
    Gone,
    Health,
    LogUsage,
    Pin,
    Policy,
    Pruned,
    PruneReport,
    Purged,
    Result,
    ResultUsage,
    Space,
    Trouble,
    Usage,
)
from .log import log_collect, log_fetch
from .options import Options
from .remains import Remains, destroy, destroy_remains, find_remains
from .step import Step
from .store import Store

__all__ = [
    "Bind",
    "Cache",
    "CacheMode",
    "CacheUsage",
    "Cancel",
    "Channel",
    "Command",
    "Counter",
    "Error",
    "Fate",
    "Gone",
    "Health",
    "HealthCheck",
    "HostFiles",
    "HostFolder",
    "ImageConfig",
    "ImageFormat",
    "Item",
    "Lease",
    "LogLevel",
    "LogUsage",
    "Options",
    "Outcome",
    "Pin",
    "Policy",
    "PruneReport",
    "Pruned",
    "Purged",
    "Released",
    "Remains",
    "Remnant",
    "Result",
    "ResultUsage",
    "Secret",
    "Space",
    "Status",
    "Step",
    "Store",
    "Strategy",
    "Trouble",
    "Usage",
    "Volume",
    "Went",
    "destroy",
    "destroy_remains",
    "errors",
    "find_remains",
    "log_collect",
    "log_fetch",
    "make_id",
    "version",
]
