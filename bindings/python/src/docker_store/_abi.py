"""The functions, callbacks and numbers of docker_store.h. Made by generate.py: do not change it here."""

from __future__ import annotations

from ctypes import (
    CFUNCTYPE,
    POINTER,
    c_bool,
    c_char_p,
    c_double,
    c_int32,
    c_int64,
    c_size_t,
    c_uint32,
    c_uint64,
    c_void_p,
)
from typing import Any

from ._numbers import Numbers

# Of the header: a library of another major or (below 1.0) minor version is another ABI.
VERSION = (0, 1)


class Status(Numbers):
    """How a call went. The numbers never change, and later versions may add some: take one that you do not know for a failure."""

    # It did what was asked.
    OK = 0
    # An argument that the library or the engine cannot take. Nothing has changed.
    INVALID_ARGUMENT = 1
    # What was named does not exist: a base, an image, a path in a container.
    NOT_FOUND = 2
    # Something is not in the state that this needs: a step that has failed, or whatever the engine says so of (HTTP
    # 409).
    CONFLICT = 3
    # The engine is doing it already, such as a removal that another call began.
    IN_PROGRESS = 4
    # Somebody else is using it: try again later.
    BUSY = 5
    # dstore_cancel_trigger() was called.
    CANCELLED = 6
    # A timeout passed. What was asked may or may not have happened.
    TIMED_OUT = 7
    # No engine answers at the address.
    UNREACHABLE = 8
    # Something answers, but it is no engine that this library can use: not an engine, or too old.
    UNSUPPORTED = 9
    # The engine failed (HTTP 5xx, or an error in the middle of a stream), or its answer makes no sense or has no end.
    ENGINE = 10
    # A connection or a stream ended in the middle.
    CUT_SHORT = 11
    # This machine's file system or operating system refused.
    IO = 12
    # The command of a step ended with a status other than zero: see dstore_error_exit_code().
    COMMAND_FAILED = 13
    # The kernel killed the command of a step because its memory ran out.
    OUT_OF_MEMORY = 14
    # A callback returned something other than zero.
    CALLBACK = 15
    # The store, step or lease was closed, committed, aborted or released before.
    CLOSED = 16
    # A file of the store's own, or of docker's configuration, makes no sense.
    CORRUPT = 17
    # A fault of the library's own. The handle that was in use can only be freed from now on.
    INTERNAL = 18
    # The engine was cut off in the call that decides, and does not tell what came of it: the result may or may not be
    # there. The next look, or the next begin of the same id, finds the truth.
    OUTCOME_UNKNOWN = 19
    # The command of a step did not end by itself: somebody killed, stopped or removed its container from outside, or
    # the engine went down. That says nothing about the command: try again.
    KILLED = 20
    # The command of a step was never started: its program is not there, or cannot be executed.
    # dstore_error_exit_code() is what a shell would give, 127 and 126.
    NOT_STARTED = 21


class Outcome(Numbers):
    """What a build did."""

    # The result was there before, or another build of the same id made it meanwhile.
    HIT = 1
    # This call built it.
    BUILT = 2


class Released(Numbers):
    """What became of a lease that was released."""

    # It is now the newest generation of the cache.
    WON = 1
    # The cache is no longer the generation that was cloned: another release came first, or the cache was deleted.
    LOST = 2
    # Nothing in it had changed, so the cache stays as it is.
    UNCHANGED = 3
    # Others still hold this shared lease; the last of them publishes it.
    SHARED = 4
    # With it the cache would hold more than its limit: it is given up, and the cache stays as it is.
    TOO_LARGE = 5


class Strategy(Numbers):
    """How caches are cloned."""

    # Overlay where the engine can, found out by trying; else copy.
    AUTOMATIC = 0
    # A lease is a new layer over the layers of the generation: constant in time, Linux engines only.
    OVERLAY = 1
    # A lease is a copy of the generation's files: any engine.
    COPY = 2


class Went(Numbers):
    """How a result that is not there any more has gone."""

    # Nobody knows of one that was there, or it is there still.
    UNKNOWN = 0
    # Somebody deleted it.
    DELETED = 1
    # A prune removed it.
    PRUNED = 2
    # Somebody removed it on the engine, past the store: when is not known, but when that was noticed.
    VANISHED = 3


class Channel(Numbers):
    """Which of its outputs a command wrote to."""

    # Standard output.
    STDOUT = 1
    # Standard error.
    STDERR = 2


class CacheMode(Numbers):
    """How leases of one cache that are out at the same time relate."""

    # Each lease is a copy of its own; of those cloned from one generation, the first changed one that is released
    # wins.
    PRIVATE = 0
    # One holder at a time, in all processes: others wait, and each sees what the one before released. A private lease
    # may still win in between.
    LOCKED = 1
    # Those who hold a lease at the same time, in all processes, hold the same one, mounted by all their containers at
    # once. The last release publishes it. Waits for a locked lease, and the other way round.
    SHARED = 2


class Counter(Numbers):
    """What a store counts from the moment it is opened, for this handle alone."""

    # Builds that found their result there.
    RESULT_HITS = 1
    # Builds that did not.
    RESULT_MISSES = 2
    # Results that were committed.
    RESULTS_COMMITTED = 3
    # Leases of a cache that had something in it.
    CACHE_HITS = 4
    # Leases of a cache that was new or empty.
    CACHE_MISSES = 5
    # Leases cloned by mounting layers.
    CLONES_OVERLAY = 6
    # Leases cloned by copying files.
    CLONES_COPY = 7
    # Bytes that clones copied, as far as this process saw them pass.
    BYTES_COPIED = 8
    # Nanoseconds spent in cloning.
    CLONE_NANOSECONDS = 9
    # Nanoseconds spent in releasing.
    RELEASE_NANOSECONDS = 10
    # Releases that became the next generation.
    RELEASES_WON = 11
    # Releases discarded because another had won since the clone.
    RELEASES_LOST = 12
    # Releases of a lease in which nothing had changed.
    RELEASES_UNCHANGED = 13
    # Volumes and containers removed after the call that gave them up had returned.
    DEFERRED_DELETES = 14
    # Releases given up because the cache would hold more than its limit.
    RELEASES_TOO_LARGE = 15


class ImageFormat(Numbers):
    """The form of a result's file. Both are one tar stream, without compression."""

    # A docker archive, as `docker save` writes it.
    DOCKER = 1
    # An OCI image layout. It has a manifest.json beside its index, so that whoever takes docker archives takes it,
    # too.
    OCI = 2


class LogLevel(Numbers):
    """How much a line of the log matters."""

    # None at all.
    OFF = 0
    # Faults of the library's own.
    ERROR = 1
    # What went wrong without making a call fail: something that was not removed.
    WARNING = 2
    # What was done.
    INFO = 3
    # How.
    DEBUG = 4
    # All of it.
    TRACE = 5


class Remnant(Numbers):
    """What kind of thing is left of a root."""

    # A container of a step or a copy.
    CONTAINER = 1
    # A name of an image, or an image without one.
    IMAGE = 2
    # A volume: of a cache, a lease, a secret, or the claim on the root's names.
    VOLUME = 3
    # A file or folder of the root.
    FILE = 4
    # All that an engine has which cannot be asked.
    ENGINE = 5


class Item(Numbers):
    """What a store keeps, one of it."""

    # A result; its name is its id.
    RESULT = 1
    # A cache.
    CACHE = 2
    # The log of the builds of an id, which is its name.
    LOG = 3


class Fate(Numbers):
    """What became of something that a prune looked at."""

    # It was removed; in a dry run, it would be.
    REMOVED = 1
    # Somebody else removed it meanwhile.
    GONE = 2
    # It must stay: the row says why.
    SPARED = 3
    # It could not be removed: the row says why.
    FAILED = 4


WRITE_CALLBACK = CFUNCTYPE(c_int32, c_void_p, c_void_p, c_size_t)
FOLLOW_CALLBACK = CFUNCTYPE(c_int32, c_void_p, c_uint32, c_void_p, c_size_t)
WORK_CALLBACK = CFUNCTYPE(c_int32, c_void_p, c_void_p)
OUTPUT_CALLBACK = CFUNCTYPE(c_int32, c_void_p, c_int32, c_void_p, c_size_t)
READ_CALLBACK = CFUNCTYPE(c_int32, c_void_p, c_void_p, c_size_t, POINTER(c_size_t))
PROGRESS_CALLBACK = CFUNCTYPE(c_int32, c_void_p, c_void_p, c_void_p, c_uint64, c_uint64)
LOG_CALLBACK = CFUNCTYPE(c_int32, c_void_p, c_int32, c_void_p, c_size_t)
PRUNE_CALLBACK = CFUNCTYPE(c_int32, c_void_p, c_int32, c_void_p, c_size_t, c_uint64, c_int64, c_int32, c_void_p)

# Of each function what it answers and what it takes.
FUNCTIONS: dict[str, tuple[Any, list[Any]]] = {
    "dstore_version": (c_char_p, []),
    "dstore_version_number": (c_uint32, []),
    "dstore_status_name": (c_char_p, [c_int32]),
    "dstore_error_status": (c_int32, [c_void_p]),
    "dstore_error_message": (c_char_p, [c_void_p]),
    "dstore_error_http_status": (c_int32, [c_void_p]),
    "dstore_error_os_errno": (c_int32, [c_void_p]),
    "dstore_error_exit_code": (c_int64, [c_void_p]),
    "dstore_error_free": (None, [c_void_p]),
    "dstore_string_free": (None, [c_char_p]),
    "dstore_cancel_new": (c_void_p, []),
    "dstore_cancel_trigger": (None, [c_void_p]),
    "dstore_cancel_is_triggered": (c_bool, [c_void_p]),
    "dstore_cancel_free": (None, [c_void_p]),
    "dstore_options_new": (c_void_p, []),
    "dstore_options_engine": (c_int32, [c_void_p, c_char_p, POINTER(c_void_p)]),
    "dstore_options_name": (c_int32, [c_void_p, c_char_p, POINTER(c_void_p)]),
    "dstore_options_strategy": (c_int32, [c_void_p, c_int32, POINTER(c_void_p)]),
    "dstore_options_direct": (c_int32, [c_void_p, c_bool, POINTER(c_void_p)]),
    "dstore_options_engine_network": (c_int32, [c_void_p, c_bool, POINTER(c_void_p)]),
    "dstore_options_sync": (c_int32, [c_void_p, c_bool, POINTER(c_void_p)]),
    "dstore_options_group": (c_int32, [c_void_p, c_uint32, POINTER(c_void_p)]),
    "dstore_options_log_limit": (c_int32, [c_void_p, c_uint64, c_bool, POINTER(c_void_p)]),
    "dstore_options_connect_timeout": (c_int32, [c_void_p, c_uint64, POINTER(c_void_p)]),
    "dstore_options_free": (None, [c_void_p]),
    "dstore_store_open": (c_int32, [c_char_p, c_void_p, POINTER(c_void_p), POINTER(c_void_p)]),
    "dstore_store_open_within": (c_int32, [c_char_p, c_void_p, c_uint64, c_void_p, POINTER(c_void_p), POINTER(c_void_p)]),
    "dstore_store_close": (c_int32, [c_void_p, POINTER(c_void_p)]),
    "dstore_store_close_within": (c_int32, [c_void_p, c_uint64, c_void_p, POINTER(c_void_p)]),
    "dstore_store_free": (None, [c_void_p]),
    "dstore_store_root": (c_char_p, [c_void_p]),
    "dstore_store_prefix": (c_char_p, [c_void_p]),
    "dstore_store_state_dir": (c_char_p, [c_void_p]),
    "dstore_store_empty_dir": (c_char_p, [c_void_p]),
    "dstore_store_engine": (c_char_p, [c_void_p]),
    "dstore_store_api_version": (c_char_p, [c_void_p]),
    "dstore_store_log_file": (c_int32, [c_void_p, c_char_p, POINTER(c_void_p), POINTER(c_void_p)]),
    "dstore_store_result": (c_int32, [c_void_p, c_char_p, POINTER(c_bool), POINTER(c_void_p)]),
    "dstore_store_result_within": (c_int32, [c_void_p, c_char_p, c_uint64, c_void_p, POINTER(c_bool), POINTER(c_void_p)]),
    "dstore_store_delete": (c_int32, [c_void_p, c_char_p, POINTER(c_bool), POINTER(c_void_p)]),
    "dstore_store_delete_within": (c_int32, [c_void_p, c_char_p, c_uint64, c_void_p, POINTER(c_bool), POINTER(c_void_p)]),
    "dstore_store_results": (c_int32, [c_void_p, POINTER(c_void_p), POINTER(c_void_p)]),
    "dstore_store_results_within": (c_int32, [c_void_p, c_uint64, c_void_p, POINTER(c_void_p), POINTER(c_void_p)]),
    "dstore_results_count": (c_size_t, [c_void_p]),
    "dstore_results_id": (c_char_p, [c_void_p, c_size_t]),
    "dstore_results_created": (c_int64, [c_void_p, c_size_t]),
    "dstore_results_size": (c_uint64, [c_void_p, c_size_t]),
    "dstore_results_free": (None, [c_void_p]),
    "dstore_store_copy_out": (c_int32, [c_void_p, c_char_p, c_char_p, c_uint64, c_void_p, WRITE_CALLBACK, c_void_p, POINTER(c_uint64), POINTER(c_void_p)]),
    "dstore_store_copy_out_file": (c_int32, [c_void_p, c_char_p, c_char_p, c_uint64, c_void_p, c_char_p, POINTER(c_uint64), POINTER(c_void_p)]),
    "dstore_id": (c_int32, [c_char_p, POINTER(c_char_p), POINTER(c_size_t), c_size_t, POINTER(c_void_p), POINTER(c_void_p)]),
    "dstore_store_begin": (c_int32, [c_void_p, c_char_p, c_char_p, c_uint64, c_void_p, POINTER(c_void_p), POINTER(c_void_p)]),
    "dstore_store_begin_following": (c_int32, [c_void_p, c_char_p, c_char_p, c_uint64, c_void_p, FOLLOW_CALLBACK, c_void_p, POINTER(c_void_p), POINTER(c_void_p)]),
    "dstore_store_building": (c_int32, [c_void_p, c_char_p, POINTER(c_bool), POINTER(c_void_p)]),
    "dstore_store_build": (c_int32, [c_void_p, c_char_p, c_char_p, c_uint64, c_void_p, WORK_CALLBACK, c_void_p, POINTER(c_int32), POINTER(c_void_p)]),
    "dstore_step_id": (c_char_p, [c_void_p]),
    "dstore_step_limit": (c_int32, [c_void_p, c_uint64, c_void_p, POINTER(c_void_p)]),
    "dstore_step_write_log": (c_int32, [c_void_p, c_char_p, c_size_t, POINTER(c_void_p)]),
    "dstore_step_run": (c_int32, [c_void_p, c_void_p, OUTPUT_CALLBACK, c_void_p, POINTER(c_int64), POINTER(c_void_p)]),
    "dstore_step_was_started": (c_bool, [c_void_p]),
    "dstore_step_commit": (c_int32, [c_void_p, POINTER(c_void_p)]),
    "dstore_step_commit_within": (c_int32, [c_void_p, c_uint64, c_void_p, POINTER(c_void_p)]),
    "dstore_step_abort": (c_int32, [c_void_p, POINTER(c_void_p)]),
    "dstore_step_abort_within": (c_int32, [c_void_p, c_uint64, c_void_p, POINTER(c_void_p)]),
    "dstore_step_free": (None, [c_void_p]),
    "dstore_step_import": (c_int32, [c_void_p, READ_CALLBACK, c_void_p, PROGRESS_CALLBACK, c_void_p, POINTER(c_void_p)]),
    "dstore_step_import_file": (c_int32, [c_void_p, c_char_p, PROGRESS_CALLBACK, c_void_p, POINTER(c_void_p)]),
    "dstore_step_pull": (c_int32, [c_void_p, c_char_p, c_char_p, c_char_p, c_char_p, PROGRESS_CALLBACK, c_void_p, POINTER(c_void_p)]),
    "dstore_step_pull_platform": (c_int32, [c_void_p, c_char_p, c_char_p, c_char_p, c_char_p, c_char_p, PROGRESS_CALLBACK, c_void_p, POINTER(c_void_p)]),
    "dstore_step_use_image": (c_int32, [c_void_p, c_char_p, POINTER(c_void_p)]),
    "dstore_step_copy_in": (c_int32, [c_void_p, c_char_p, READ_CALLBACK, c_void_p, POINTER(c_void_p)]),
    "dstore_step_copy_in_file": (c_int32, [c_void_p, c_char_p, c_char_p, POINTER(c_void_p)]),
    "dstore_step_copy_out": (c_int32, [c_void_p, c_char_p, WRITE_CALLBACK, c_void_p, POINTER(c_uint64), POINTER(c_void_p)]),
    "dstore_step_copy_out_file": (c_int32, [c_void_p, c_char_p, c_char_p, POINTER(c_uint64), POINTER(c_void_p)]),
    "dstore_host_files_new": (c_int32, [c_char_p, POINTER(c_void_p), POINTER(c_void_p)]),
    "dstore_host_files_exclude": (c_int32, [c_void_p, c_char_p, POINTER(c_void_p)]),
    "dstore_host_files_include": (c_int32, [c_void_p, c_char_p, POINTER(c_void_p)]),
    "dstore_host_files_dockerignore": (c_int32, [c_void_p, c_char_p, POINTER(c_void_p)]),
    "dstore_host_files_name": (c_int32, [c_void_p, c_char_p, POINTER(c_void_p)]),
    "dstore_host_files_owner": (c_int32, [c_void_p, c_uint32, c_uint32, POINTER(c_void_p)]),
    "dstore_host_files_keep_owners": (c_int32, [c_void_p, POINTER(c_void_p)]),
    "dstore_host_files_fixed_times": (c_int32, [c_void_p, c_int64, POINTER(c_void_p)]),
    "dstore_host_files_digest": (c_int32, [c_void_p, c_uint64, c_void_p, POINTER(c_void_p), POINTER(c_void_p)]),
    "dstore_step_copy_in_host": (c_int32, [c_void_p, c_char_p, c_void_p, POINTER(c_void_p), POINTER(c_void_p)]),
    "dstore_host_files_free": (None, [c_void_p]),
    "dstore_image_config_new": (c_void_p, []),
    "dstore_image_config_entrypoint": (c_int32, [c_void_p, POINTER(c_char_p), c_size_t, POINTER(c_void_p)]),
    "dstore_image_config_command": (c_int32, [c_void_p, POINTER(c_char_p), c_size_t, POINTER(c_void_p)]),
    "dstore_image_config_env": (c_int32, [c_void_p, c_char_p, c_char_p, POINTER(c_void_p)]),
    "dstore_image_config_label": (c_int32, [c_void_p, c_char_p, c_char_p, POINTER(c_void_p)]),
    "dstore_image_config_user": (c_int32, [c_void_p, c_char_p, POINTER(c_void_p)]),
    "dstore_image_config_directory": (c_int32, [c_void_p, c_char_p, POINTER(c_void_p)]),
    "dstore_image_config_port": (c_int32, [c_void_p, c_char_p, c_bool, POINTER(c_void_p)]),
    "dstore_image_config_volume": (c_int32, [c_void_p, c_char_p, c_bool, POINTER(c_void_p)]),
    "dstore_image_config_stop_signal": (c_int32, [c_void_p, c_char_p, POINTER(c_void_p)]),
    "dstore_image_config_health_check": (c_int32, [c_void_p, POINTER(c_char_p), c_size_t, c_uint64, c_uint64, c_uint64, c_uint32, POINTER(c_void_p)]),
    "dstore_image_config_health_shell": (c_int32, [c_void_p, c_char_p, c_uint64, c_uint64, c_uint64, c_uint32, POINTER(c_void_p)]),
    "dstore_image_config_free": (None, [c_void_p]),
    "dstore_step_configure": (c_int32, [c_void_p, c_void_p, POINTER(c_void_p)]),
    "dstore_store_tag": (c_int32, [c_void_p, c_char_p, c_char_p, c_uint64, c_void_p, POINTER(c_void_p), POINTER(c_void_p)]),
    "dstore_store_push": (c_int32, [c_void_p, c_char_p, c_char_p, c_char_p, c_char_p, c_char_p, PROGRESS_CALLBACK, c_void_p, c_uint64, c_void_p, POINTER(c_void_p), POINTER(c_void_p)]),
    "dstore_store_save": (c_int32, [c_void_p, c_char_p, c_int32, c_char_p, c_uint64, c_void_p, WRITE_CALLBACK, c_void_p, POINTER(c_uint64), POINTER(c_void_p)]),
    "dstore_store_save_file": (c_int32, [c_void_p, c_char_p, c_int32, c_char_p, c_uint64, c_void_p, c_char_p, POINTER(c_uint64), POINTER(c_void_p)]),
    "dstore_store_load": (c_int32, [c_void_p, c_char_p, READ_CALLBACK, c_void_p, PROGRESS_CALLBACK, c_void_p, c_uint64, c_void_p, POINTER(c_bool), POINTER(c_void_p)]),
    "dstore_store_load_file": (c_int32, [c_void_p, c_char_p, c_char_p, PROGRESS_CALLBACK, c_void_p, c_uint64, c_void_p, POINTER(c_bool), POINTER(c_void_p)]),
    "dstore_step_load": (c_int32, [c_void_p, READ_CALLBACK, c_void_p, PROGRESS_CALLBACK, c_void_p, POINTER(c_void_p)]),
    "dstore_step_load_file": (c_int32, [c_void_p, c_char_p, PROGRESS_CALLBACK, c_void_p, POINTER(c_void_p)]),
    "dstore_command_new": (c_int32, [POINTER(c_char_p), c_size_t, POINTER(c_void_p), POINTER(c_void_p)]),
    "dstore_command_arg": (c_int32, [c_void_p, c_char_p, POINTER(c_void_p)]),
    "dstore_command_entrypoint": (c_int32, [c_void_p, POINTER(c_char_p), c_size_t, POINTER(c_void_p)]),
    "dstore_command_image_entrypoint": (c_int32, [c_void_p, POINTER(c_void_p)]),
    "dstore_command_cwd": (c_int32, [c_void_p, c_char_p, POINTER(c_void_p)]),
    "dstore_command_env": (c_int32, [c_void_p, c_char_p, c_char_p, POINTER(c_void_p)]),
    "dstore_command_user": (c_int32, [c_void_p, c_char_p, POINTER(c_void_p)]),
    "dstore_command_hostname": (c_int32, [c_void_p, c_char_p, POINTER(c_void_p)]),
    "dstore_command_network": (c_int32, [c_void_p, c_char_p, POINTER(c_void_p)]),
    "dstore_command_nano_cpus": (c_int32, [c_void_p, c_int64, POINTER(c_void_p)]),
    "dstore_command_memory": (c_int32, [c_void_p, c_int64, POINTER(c_void_p)]),
    "dstore_command_lease": (c_int32, [c_void_p, c_void_p, c_char_p, POINTER(c_void_p)]),
    "dstore_command_volume": (c_int32, [c_void_p, c_char_p, c_char_p, c_bool, POINTER(c_void_p)]),
    "dstore_command_bind": (c_int32, [c_void_p, c_char_p, c_char_p, c_bool, POINTER(c_void_p)]),
    "dstore_command_secret": (c_int32, [c_void_p, c_char_p, c_char_p, c_size_t, c_uint32, c_uint32, c_uint32, POINTER(c_void_p)]),
    "dstore_command_stdin": (c_int32, [c_void_p, c_char_p, c_size_t, POINTER(c_void_p)]),
    "dstore_command_stdin_file": (c_int32, [c_void_p, c_char_p, POINTER(c_void_p)]),
    "dstore_command_timeout": (c_int32, [c_void_p, c_uint64, POINTER(c_void_p)]),
    "dstore_command_allow_failure": (c_int32, [c_void_p, c_bool, POINTER(c_void_p)]),
    "dstore_command_free": (None, [c_void_p]),
    "dstore_store_cache": (c_int32, [c_void_p, c_char_p, c_uint32, c_uint32, c_int32, c_uint64, c_void_p, POINTER(c_void_p), POINTER(c_void_p)]),
    "dstore_lease_volume": (c_char_p, [c_void_p]),
    "dstore_lease_generation": (c_uint64, [c_void_p]),
    "dstore_lease_release": (c_int32, [c_void_p, POINTER(c_int32), POINTER(c_void_p)]),
    "dstore_lease_release_within": (c_int32, [c_void_p, c_uint64, c_void_p, POINTER(c_int32), POINTER(c_void_p)]),
    "dstore_lease_discard": (c_int32, [c_void_p, POINTER(c_void_p)]),
    "dstore_lease_free": (None, [c_void_p]),
    "dstore_store_strategy": (c_int32, [c_void_p, POINTER(c_int32), POINTER(c_void_p), POINTER(c_void_p)]),
    "dstore_store_strategy_within": (c_int32, [c_void_p, c_uint64, c_void_p, POINTER(c_int32), POINTER(c_void_p), POINTER(c_void_p)]),
    "dstore_store_delete_cache": (c_int32, [c_void_p, c_char_p, POINTER(c_bool), POINTER(c_void_p)]),
    "dstore_store_delete_cache_within": (c_int32, [c_void_p, c_char_p, c_uint64, c_void_p, POINTER(c_bool), POINTER(c_void_p)]),
    "dstore_store_limit_cache": (c_int32, [c_void_p, c_char_p, c_uint64, POINTER(c_void_p)]),
    "dstore_store_caches": (c_int32, [c_void_p, POINTER(c_void_p), POINTER(c_void_p)]),
    "dstore_store_caches_within": (c_int32, [c_void_p, c_uint64, c_void_p, POINTER(c_void_p), POINTER(c_void_p)]),
    "dstore_caches_count": (c_size_t, [c_void_p]),
    "dstore_caches_name": (c_char_p, [c_void_p, c_size_t, POINTER(c_size_t)]),
    "dstore_caches_generation": (c_uint64, [c_void_p, c_size_t]),
    "dstore_caches_strategy": (c_int32, [c_void_p, c_size_t]),
    "dstore_caches_layers": (c_size_t, [c_void_p, c_size_t]),
    "dstore_caches_bytes": (c_int64, [c_void_p, c_size_t]),
    "dstore_caches_created": (c_int64, [c_void_p, c_size_t]),
    "dstore_caches_last_use": (c_int64, [c_void_p, c_size_t]),
    "dstore_caches_leases": (c_size_t, [c_void_p, c_size_t]),
    "dstore_caches_limit": (c_uint64, [c_void_p, c_size_t]),
    "dstore_caches_free": (None, [c_void_p]),
    "dstore_store_ping": (c_int32, [c_void_p, c_uint64, c_void_p, POINTER(c_void_p)]),
    "dstore_store_health": (c_int32, [c_void_p, c_uint64, c_void_p, POINTER(c_void_p), POINTER(c_void_p)]),
    "dstore_health_engine": (c_char_p, [c_void_p]),
    "dstore_health_engine_version": (c_char_p, [c_void_p]),
    "dstore_health_api_version": (c_char_p, [c_void_p]),
    "dstore_health_newest_api_version": (c_char_p, [c_void_p]),
    "dstore_health_address": (c_char_p, [c_void_p]),
    "dstore_health_image_store": (c_char_p, [c_void_p]),
    "dstore_health_strategy": (c_int32, [c_void_p]),
    "dstore_health_strategy_reason": (c_char_p, [c_void_p]),
    "dstore_health_network": (c_char_p, [c_void_p]),
    "dstore_health_clock_ahead_ms": (c_int64, [c_void_p]),
    "dstore_health_free_root": (c_double, [c_void_p]),
    "dstore_health_free_engine": (c_double, [c_void_p]),
    "dstore_health_troubles": (c_size_t, [c_void_p]),
    "dstore_health_trouble": (c_char_p, [c_void_p, c_size_t]),
    "dstore_health_advice": (c_char_p, [c_void_p, c_size_t]),
    "dstore_health_free": (None, [c_void_p]),
    "dstore_store_df": (c_int32, [c_void_p, POINTER(c_double), POINTER(c_double), POINTER(c_double), POINTER(c_void_p)]),
    "dstore_store_df_within": (c_int32, [c_void_p, c_uint64, c_void_p, POINTER(c_double), POINTER(c_double), POINTER(c_double), POINTER(c_void_p)]),
    "dstore_store_count": (c_int32, [c_void_p, c_int32, POINTER(c_uint64), POINTER(c_void_p)]),
    "dstore_store_purge": (c_int32, [c_void_p, POINTER(c_uint64), POINTER(c_uint64), POINTER(c_uint64), POINTER(c_void_p)]),
    "dstore_store_purge_within": (c_int32, [c_void_p, c_uint64, c_void_p, POINTER(c_uint64), POINTER(c_uint64), POINTER(c_uint64), POINTER(c_void_p)]),
    "dstore_store_complete_deletes": (c_int32, [c_void_p, c_uint64, c_void_p, POINTER(c_void_p)]),
    "dstore_destroy": (c_int32, [c_char_p, c_void_p, c_bool, c_bool, c_uint64, c_void_p, POINTER(c_void_p), POINTER(c_void_p)]),
    "dstore_find_remains": (c_int32, [c_void_p, c_char_p, c_uint64, c_void_p, POINTER(c_void_p), POINTER(c_void_p)]),
    "dstore_destroy_remains": (c_int32, [c_void_p, c_char_p, c_uint64, c_void_p, POINTER(c_void_p), POINTER(c_void_p)]),
    "dstore_remains_count": (c_size_t, [c_void_p]),
    "dstore_remains_kind": (c_int32, [c_void_p, c_size_t]),
    "dstore_remains_name": (c_char_p, [c_void_p, c_size_t]),
    "dstore_remains_identity": (c_char_p, [c_void_p, c_size_t]),
    "dstore_remains_root": (c_char_p, [c_void_p, c_size_t]),
    "dstore_remains_engine": (c_char_p, [c_void_p, c_size_t]),
    "dstore_remains_removed": (c_bool, [c_void_p, c_size_t]),
    "dstore_remains_kept": (c_char_p, [c_void_p, c_size_t]),
    "dstore_remains_free": (None, [c_void_p]),
    "dstore_log_collect": (c_int32, [c_int32, POINTER(c_void_p)]),
    "dstore_log_fetch": (c_int32, [c_uint64, LOG_CALLBACK, c_void_p, POINTER(c_void_p)]),
    "dstore_store_usage": (c_int32, [c_void_p, c_uint64, c_void_p, POINTER(c_void_p), POINTER(c_void_p)]),
    "dstore_usage_results_bytes": (c_uint64, [c_void_p]),
    "dstore_usage_caches_bytes": (c_uint64, [c_void_p]),
    "dstore_usage_logs_bytes": (c_uint64, [c_void_p]),
    "dstore_usage_results_unknown": (c_uint64, [c_void_p]),
    "dstore_usage_caches_unknown": (c_uint64, [c_void_p]),
    "dstore_usage_how": (c_char_p, [c_void_p]),
    "dstore_usage_left_containers": (c_uint64, [c_void_p]),
    "dstore_usage_left_images": (c_uint64, [c_void_p]),
    "dstore_usage_left_volumes": (c_uint64, [c_void_p]),
    "dstore_usage_results": (c_size_t, [c_void_p]),
    "dstore_usage_result_id": (c_char_p, [c_void_p, c_size_t]),
    "dstore_usage_result_image": (c_char_p, [c_void_p, c_size_t]),
    "dstore_usage_result_base": (c_char_p, [c_void_p, c_size_t]),
    "dstore_usage_result_own_bytes": (c_uint64, [c_void_p, c_size_t]),
    "dstore_usage_result_bytes": (c_uint64, [c_void_p, c_size_t]),
    "dstore_usage_result_created": (c_int64, [c_void_p, c_size_t]),
    "dstore_usage_result_last_use": (c_int64, [c_void_p, c_size_t]),
    "dstore_usage_result_build_ms": (c_int64, [c_void_p, c_size_t]),
    "dstore_usage_result_pinned": (c_bool, [c_void_p, c_size_t]),
    "dstore_usage_result_building": (c_bool, [c_void_p, c_size_t]),
    "dstore_usage_result_held": (c_bool, [c_void_p, c_size_t]),
    "dstore_usage_result_log_bytes": (c_uint64, [c_void_p, c_size_t]),
    "dstore_usage_caches": (c_void_p, [c_void_p]),
    "dstore_usage_cache_pinned": (c_bool, [c_void_p, c_size_t]),
    "dstore_usage_logs": (c_size_t, [c_void_p]),
    "dstore_usage_log_id": (c_char_p, [c_void_p, c_size_t]),
    "dstore_usage_log_bytes": (c_uint64, [c_void_p, c_size_t]),
    "dstore_usage_log_written": (c_int64, [c_void_p, c_size_t]),
    "dstore_usage_log_has_result": (c_bool, [c_void_p, c_size_t]),
    "dstore_usage_free": (None, [c_void_p]),
    "dstore_policy_new": (c_void_p, []),
    "dstore_policy_most_bytes": (c_int32, [c_void_p, c_uint64, POINTER(c_void_p)]),
    "dstore_policy_least_free_bytes": (c_int32, [c_void_p, c_uint64, POINTER(c_void_p)]),
    "dstore_policy_least_free_percent": (c_int32, [c_void_p, c_double, POINTER(c_void_p)]),
    "dstore_policy_unused_for": (c_int32, [c_void_p, c_uint64, POINTER(c_void_p)]),
    "dstore_policy_keep_results": (c_int32, [c_void_p, c_size_t, POINTER(c_void_p)]),
    "dstore_policy_spare": (c_int32, [c_void_p, c_uint64, POINTER(c_void_p)]),
    "dstore_policy_results": (c_int32, [c_void_p, c_bool, POINTER(c_void_p)]),
    "dstore_policy_caches": (c_int32, [c_void_p, c_bool, POINTER(c_void_p)]),
    "dstore_policy_logs": (c_int32, [c_void_p, c_bool, POINTER(c_void_p)]),
    "dstore_policy_dry_run": (c_int32, [c_void_p, c_bool, POINTER(c_void_p)]),
    "dstore_policy_free": (None, [c_void_p]),
    "dstore_store_prune": (c_int32, [c_void_p, c_void_p, c_uint64, c_void_p, PRUNE_CALLBACK, c_void_p, POINTER(c_void_p), POINTER(c_void_p)]),
    "dstore_pruned_count": (c_size_t, [c_void_p]),
    "dstore_pruned_item": (c_int32, [c_void_p, c_size_t]),
    "dstore_pruned_name": (c_char_p, [c_void_p, c_size_t, POINTER(c_size_t)]),
    "dstore_pruned_bytes": (c_uint64, [c_void_p, c_size_t]),
    "dstore_pruned_last_use": (c_int64, [c_void_p, c_size_t]),
    "dstore_pruned_fate": (c_int32, [c_void_p, c_size_t]),
    "dstore_pruned_why": (c_char_p, [c_void_p, c_size_t]),
    "dstore_pruned_freed": (c_int64, [c_void_p]),
    "dstore_pruned_kept": (c_uint64, [c_void_p]),
    "dstore_pruned_reached": (c_bool, [c_void_p]),
    "dstore_pruned_free": (None, [c_void_p]),
    "dstore_store_pin": (c_int32, [c_void_p, c_char_p, c_uint64, c_void_p, POINTER(c_bool), POINTER(c_void_p)]),
    "dstore_store_unpin": (c_int32, [c_void_p, c_char_p, POINTER(c_bool), POINTER(c_void_p)]),
    "dstore_store_pin_cache": (c_int32, [c_void_p, c_char_p, c_uint64, c_void_p, POINTER(c_bool), POINTER(c_void_p)]),
    "dstore_store_unpin_cache": (c_int32, [c_void_p, c_char_p, POINTER(c_bool), POINTER(c_void_p)]),
    "dstore_store_pins": (c_int32, [c_void_p, POINTER(c_void_p), POINTER(c_void_p)]),
    "dstore_store_went": (c_int32, [c_void_p, c_char_p, POINTER(c_int32), POINTER(c_int64), POINTER(c_void_p)]),
    "dstore_pins_count": (c_size_t, [c_void_p]),
    "dstore_pins_item": (c_int32, [c_void_p, c_size_t]),
    "dstore_pins_name": (c_char_p, [c_void_p, c_size_t, POINTER(c_size_t)]),
    "dstore_pins_since": (c_int64, [c_void_p, c_size_t]),
    "dstore_pins_free": (None, [c_void_p]),
}
