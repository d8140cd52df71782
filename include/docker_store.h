/*
 * docker_store.h - a build store in Docker. Results are images, caches are volumes that are leased
 * as writable copies, and logs are plain files.
 *
 * Generated from src/capi by cbindgen. Change it there, then run `make header`.
 *
 * These rules apply to every function, unless its own comment says otherwise.
 *
 * ERRORS. A function that can fail returns a dstore_status and takes a `dstore_error **` as its
 * last parameter. Pass NULL if you do not need details. Otherwise it is set to NULL on success, and
 * to an error object on failure; free the object with dstore_error_free(). Other output parameters
 * are written only on success. Exception: an output that returns an object or a string to be freed
 * is set to NULL on failure.
 *
 * NULL. Pointers must not be NULL, except those that a function lists after "May be NULL". A NULL
 * pointer that is not listed returns DSTORE_INVALID_ARGUMENT. So does text that is not UTF-8, and a
 * number that is not a value of the enum it stands for.
 *
 * OWNERSHIP. A function that returns an object names the ..._free() function for it. Call that
 * function once; it is a no-op if passed NULL. Objects may be freed in any order: a store may be
 * freed before its steps. Borrowed text is valid until the object it came from is freed. Strings
 * and buffers that you pass in are copied and need be valid only during the call.
 *
 * THREADS. Stores, cancels, errors and lists are thread-safe. For other objects, functions that
 * take a const pointer may run concurrently. A function that takes a non-const pointer uses the
 * object exclusively; a call that conflicts with one in progress returns DSTORE_BUSY. Do not free
 * an object while another call is using it.
 *
 * CALLBACKS run on the calling thread, before the call returns, with no lock of the library held. A
 * callback may call any function, except functions on the step whose call is running it: they
 * return DSTORE_BUSY. Return 0 to continue; any other value stops the call with DSTORE_CALLBACK. A
 * callback must not throw, longjmp() or end the thread. The library only passes `user_data`
 * through.
 *
 * TEXT is NUL-terminated UTF-8. Names and paths described as "any bytes" need not be UTF-8.
 *
 * BLOCKING. A blocking call ends when the engine answers, its timeout expires or its dstore_cancel
 * is triggered; signals do not interrupt it. Even without a timeout, a call returns
 * DSTORE_TIMED_OUT if the engine leaves a short request unanswered for a minute.
 *
 * THE PROCESS. The library prints nothing, except a report if it has an internal error or if memory
 * runs out; running out of memory aborts the process. It installs no signal handler, raises no
 * SIGPIPE, and changes no process-wide state (except in dstore_log_collect()). It starts threads
 * only for background work (removing what is no longer needed, maintaining caches), for host name
 * lookups and for ssh. Its descriptors are 3 or higher, even if the host program has closed its
 * standard streams, and are closed on exec. In a child that is forked without exec, every call on a
 * store, step or lease of the parent returns DSTORE_CLOSED, and freeing one is a no-op.
 */


#ifndef DOCKER_STORE_H
#define DOCKER_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Marks functions whose return value must not be ignored; GCC and Clang warn if it is. */
#ifndef DSTORE_MUST_USE
#if defined(__GNUC__) || defined(__clang__)
#define DSTORE_MUST_USE __attribute__((warn_unused_result))
#else
#define DSTORE_MUST_USE
#endif
#endif

/* The version of this header. dstore_version() returns the version of the library in use. */
#define DSTORE_VERSION_MAJOR 0
#define DSTORE_VERSION_MINOR 1
#define DSTORE_VERSION_PATCH 0
#define DSTORE_VERSION_NUMBER \
    (DSTORE_VERSION_MAJOR * 1000000 + DSTORE_VERSION_MINOR * 1000 + DSTORE_VERSION_PATCH)
#define DSTORE_VERSION_STRING "0.1.0"


/**
 * The result of a call. The numbers never change. Later versions may add new ones; treat an
 * unknown status as a failure.
 */
enum dstore_status
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * The call succeeded.
     */
    DSTORE_OK = 0,
    /**
     * The library or the engine does not accept an argument. Nothing has changed.
     */
    DSTORE_INVALID_ARGUMENT = 1,
    /**
     * The named object does not exist: for example, a base, an image, or a path in a container.
     */
    DSTORE_NOT_FOUND = 2,
    /**
     * An object is in the wrong state for this call: for example, the step has failed, or the
     * engine answered HTTP 409.
     */
    DSTORE_CONFLICT = 3,
    /**
     * The engine is already doing it: for example, another call has started the same removal.
     */
    DSTORE_IN_PROGRESS = 4,
    /**
     * Another call or process is using the object. Try again later.
     */
    DSTORE_BUSY = 5,
    /**
     * dstore_cancel_trigger() was called.
     */
    DSTORE_CANCELLED = 6,
    /**
     * A timeout expired. The operation may or may not have been carried out.
     */
    DSTORE_TIMED_OUT = 7,
    /**
     * No engine answers at the address.
     */
    DSTORE_UNREACHABLE = 8,
    /**
     * The server at the address is not an engine that this library can use (not a Docker engine,
     * or too old), or what was requested is not possible with this engine.
     */
    DSTORE_UNSUPPORTED = 9,
    /**
     * The engine failed (HTTP 5xx, or an error inside a stream), or its response is invalid or
     * endless.
     */
    DSTORE_ENGINE = 10,
    /**
     * A connection or a stream ended before it was complete.
     */
    DSTORE_CUT_SHORT = 11,
    /**
     * The local file system or operating system reported an error.
     */
    DSTORE_IO = 12,
    /**
     * The command of a step exited with a non-zero status. See dstore_error_exit_code().
     */
    DSTORE_COMMAND_FAILED = 13,
    /**
     * The kernel killed the command of a step because its memory ran out.
     */
    DSTORE_OUT_OF_MEMORY = 14,
    /**
     * A callback returned a value other than zero.
     */
    DSTORE_CALLBACK = 15,
    /**
     * The store, step or lease has already been closed, committed, aborted, released or discarded.
     */
    DSTORE_CLOSED = 16,
    /**
     * A file of the store or of Docker's client configuration is invalid.
     */
    DSTORE_CORRUPT = 17,
    /**
     * An internal error: a bug in the library. The handle passed to the call is unusable; only
     * free it.
     */
    DSTORE_INTERNAL = 18,
    /**
     * The connection to the engine was lost during the deciding request, and the engine does not
     * report the outcome. The result may or may not exist. Look the result up, or begin the same
     * id again, to find out.
     */
    DSTORE_OUTCOME_UNKNOWN = 19,
    /**
     * The command of a step did not exit by itself: its container was killed, stopped or removed
     * from outside, or the engine went down. This says nothing about the command. Try again.
     */
    DSTORE_KILLED = 20,
    /**
     * The command of a step was never started: its program does not exist or cannot be executed.
     * dstore_error_exit_code() returns what a shell would report: 127 or 126.
     */
    DSTORE_NOT_STARTED = 21,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum dstore_status dstore_status;
#else
typedef int32_t dstore_status;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * What a build did.
 */
enum dstore_outcome
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * The result already existed, or another build of the same id created it in the meantime.
     */
    DSTORE_HIT = 1,
    /**
     * This call built the result.
     */
    DSTORE_BUILT = 2,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum dstore_outcome dstore_outcome;
#else
typedef int32_t dstore_outcome;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * The outcome of releasing a lease.
 */
enum dstore_released
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * The lease is now the newest generation of the cache.
     */
    DSTORE_RELEASE_WON = 1,
    /**
     * The lease was discarded: another release came first, the cache was deleted, or something
     * other than this store removed the lease's volume.
     */
    DSTORE_RELEASE_LOST = 2,
    /**
     * Nothing in the lease had changed. The cache is unchanged.
     */
    DSTORE_RELEASE_UNCHANGED = 3,
    /**
     * Other holders still use this shared lease. It is published when the last of them releases or
     * discards it.
     */
    DSTORE_RELEASE_SHARED = 4,
    /**
     * The cache would exceed its limit. The lease was discarded, and the cache is unchanged.
     */
    DSTORE_RELEASE_TOO_LARGE = 5,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum dstore_released dstore_released;
#else
typedef int32_t dstore_released;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * How caches are cloned.
 */
enum dstore_strategy
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * Overlay if a probe shows that the engine supports it; otherwise copy.
     */
    DSTORE_STRATEGY_AUTOMATIC = 0,
    /**
     * A lease is a new layer over the layers of the generation. Takes constant time; Linux engines
     * only.
     */
    DSTORE_STRATEGY_OVERLAY = 1,
    /**
     * A lease is a copy of the generation's files. Works on any engine.
     */
    DSTORE_STRATEGY_COPY = 2,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum dstore_strategy dstore_strategy;
#else
typedef int32_t dstore_strategy;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * How a result that no longer exists was removed.
 */
enum dstore_went
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * No such result is known, or it still exists.
     */
    DSTORE_WENT_UNKNOWN = 0,
    /**
     * A caller deleted it.
     */
    DSTORE_WENT_DELETED = 1,
    /**
     * A prune removed it.
     */
    DSTORE_WENT_PRUNED = 2,
    /**
     * Something other than a store removed it from the engine. When is unknown; the time is when
     * that was noticed.
     */
    DSTORE_WENT_VANISHED = 3,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum dstore_went dstore_went;
#else
typedef int32_t dstore_went;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * Which output a command wrote to.
 */
enum dstore_channel
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * Standard output.
     */
    DSTORE_STDOUT = 1,
    /**
     * Standard error.
     */
    DSTORE_STDERR = 2,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum dstore_channel dstore_channel;
#else
typedef int32_t dstore_channel;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * How concurrent leases of one cache relate.
 */
enum dstore_cache_mode
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * Each lease is a separate copy. Among leases cloned from the same generation, the first
     * release that contains changes wins.
     */
    DSTORE_CACHE_PRIVATE = 0,
    /**
     * One holder at a time, across all processes. Other callers wait, and each sees what the
     * previous holder released. A private lease may still win in the meantime.
     */
    DSTORE_CACHE_LOCKED = 1,
    /**
     * Concurrent holders, in any process, share one lease, and their containers mount it at the
     * same time. When the last holder releases or discards it, it is published if any holder
     * released it. Shared and locked leases of a cache wait for each other.
     */
    DSTORE_CACHE_SHARED = 2,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum dstore_cache_mode dstore_cache_mode;
#else
typedef int32_t dstore_cache_mode;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * What a store counts from when it is opened. Each handle has its own counters.
 */
enum dstore_counter
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * Builds whose result already existed.
     */
    DSTORE_COUNT_RESULT_HITS = 1,
    /**
     * Builds whose result did not exist yet.
     */
    DSTORE_COUNT_RESULT_MISSES = 2,
    /**
     * Results that were committed.
     */
    DSTORE_COUNT_RESULTS_COMMITTED = 3,
    /**
     * Leases of a cache that had contents.
     */
    DSTORE_COUNT_CACHE_HITS = 4,
    /**
     * Leases of a cache that was new or empty.
     */
    DSTORE_COUNT_CACHE_MISSES = 5,
    /**
     * Leases cloned by mounting layers.
     */
    DSTORE_COUNT_CLONES_OVERLAY = 6,
    /**
     * Leases cloned by copying files.
     */
    DSTORE_COUNT_CLONES_COPY = 7,
    /**
     * Bytes copied by clones, as far as they passed through this process.
     */
    DSTORE_COUNT_BYTES_COPIED = 8,
    /**
     * Nanoseconds spent in cloning.
     */
    DSTORE_COUNT_CLONE_NANOSECONDS = 9,
    /**
     * Nanoseconds spent in releasing.
     */
    DSTORE_COUNT_RELEASE_NANOSECONDS = 10,
    /**
     * Releases that became the next generation.
     */
    DSTORE_COUNT_RELEASES_WON = 11,
    /**
     * Releases discarded because another release came first, the cache was deleted, or the lease's
     * volume was removed from outside.
     */
    DSTORE_COUNT_RELEASES_LOST = 12,
    /**
     * Releases of a lease in which nothing had changed.
     */
    DSTORE_COUNT_RELEASES_UNCHANGED = 13,
    /**
     * Jobs done in the background, after the call that queued them had returned: the removal of a
     * volume or a container, and the discarding of a lease.
     */
    DSTORE_COUNT_DEFERRED_DELETES = 14,
    /**
     * Releases discarded because the cache would exceed its limit.
     */
    DSTORE_COUNT_RELEASES_TOO_LARGE = 15,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum dstore_counter dstore_counter;
#else
typedef int32_t dstore_counter;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * The format of a result's file. Both formats are one uncompressed tar stream.
 */
enum dstore_image_format
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * A Docker archive, as written by `docker save`.
     */
    DSTORE_IMAGE_DOCKER = 1,
    /**
     * An OCI image layout. It also contains a manifest.json, so programs that read Docker archives
     * accept it.
     */
    DSTORE_IMAGE_OCI = 2,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum dstore_image_format dstore_image_format;
#else
typedef int32_t dstore_image_format;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * The severity of a line of the log.
 */
enum dstore_log_level
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * No lines.
     */
    DSTORE_LOG_OFF = 0,
    /**
     * Internal errors of the library.
     */
    DSTORE_LOG_ERROR = 1,
    /**
     * Problems that did not make a call fail: for example, something could not be removed.
     */
    DSTORE_LOG_WARNING = 2,
    /**
     * What was done.
     */
    DSTORE_LOG_INFO = 3,
    /**
     * How it was done.
     */
    DSTORE_LOG_DEBUG = 4,
    /**
     * Everything.
     */
    DSTORE_LOG_TRACE = 5,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum dstore_log_level dstore_log_level;
#else
typedef int32_t dstore_log_level;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * The kind of an object in a dstore_remains list.
 */
enum dstore_remnant
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * A container of a step or a copy.
     */
    DSTORE_REMNANT_CONTAINER = 1,
    /**
     * A tag of an image, or an untagged image.
     */
    DSTORE_REMNANT_IMAGE = 2,
    /**
     * A volume of a cache, a lease or a secret, or the volume that claims the root's names.
     */
    DSTORE_REMNANT_VOLUME = 3,
    /**
     * A file or directory of the root.
     */
    DSTORE_REMNANT_FILE = 4,
    /**
     * Everything on an engine that cannot be reached.
     */
    DSTORE_REMNANT_ENGINE = 5,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum dstore_remnant dstore_remnant;
#else
typedef int32_t dstore_remnant;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * The kind of an item that a store keeps.
 */
enum dstore_item
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * A result. Its name is its id.
     */
    DSTORE_ITEM_RESULT = 1,
    /**
     * A cache.
     */
    DSTORE_ITEM_CACHE = 2,
    /**
     * The log of the builds of an id. Its name is that id.
     */
    DSTORE_ITEM_LOG = 3,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum dstore_item dstore_item;
#else
typedef int32_t dstore_item;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * What a prune did with an item.
 */
enum dstore_fate
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * It was removed. In a dry run, it would be removed.
     */
    DSTORE_FATE_REMOVED = 1,
    /**
     * Another caller or process removed it in the meantime.
     */
    DSTORE_FATE_GONE = 2,
    /**
     * It must be kept. The row says why.
     */
    DSTORE_FATE_SPARED = 3,
    /**
     * It could not be removed. The row says why.
     */
    DSTORE_FATE_FAILED = 4,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum dstore_fate dstore_fate;
#else
typedef int32_t dstore_fate;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * A list of caches, as they were at one moment. It is immutable, so any number of threads may read
 * it.
 */
typedef struct dstore_caches dstore_caches;

/**
 * A cancellation token. Triggering it stops every call and step that it was passed to. It cannot
 * be reset. Thread-safe, except for dstore_cancel_free().
 */
typedef struct dstore_cancel dstore_cancel;

/**
 * A command and its environment. Its settings apply only to the command: the result keeps its
 * base's configuration. May be run any number of times, by any number of threads concurrently. The
 * first error of a setter is remembered, and dstore_step_run() then fails with the same status, so
 * the caller may ignore the status of a setter.
 */
typedef struct dstore_command dstore_command;

/**
 * Why a call failed. It is immutable, so any number of threads may read it, and any thread may
 * free it.
 */
typedef struct dstore_error dstore_error;

/**
 * The state of the engine at one moment. It is immutable, so any number of threads may read it.
 */
typedef struct dstore_health dstore_health;

/**
 * A local file or directory, and which parts of it are copied and how. By default everything is
 * copied, owned by root, with its local modes and times. Sockets are skipped, as by "docker
 * build"; pipes and devices are copied as such. Links inside a directory stay links, and hard
 * links to one file stay hard links in the step. Extended attributes are not copied, and holes are
 * filled with zeros. May be used any number of times, by any number of threads concurrently. The
 * first error of a setter is remembered, and calls that use the object then fail with the same
 * status.
 */
typedef struct dstore_host_files dstore_host_files;

/**
 * A local directory that files are unpacked into, and how. It is created if it does not exist. By
 * default the files belong to the user of this process, and have the permissions that they have in
 * the container, less the umask and without set-user-ID, set-group-ID and sticky bits. May be used
 * any number of times, by any number of threads concurrently.
 */
typedef struct dstore_host_folder dstore_host_folder;

/**
 * Image settings of a result, for programs that run it as an image. They override those of its
 * base; what is not set is kept. May be used for any number of steps, by any number of threads
 * concurrently. The first error of a setter is remembered, and dstore_step_configure() then fails
 * with the same status, so the caller may ignore the status of a setter.
 */
typedef struct dstore_image_config dstore_image_config;

/**
 * A writable copy of a cache, valid until it is released or discarded. Any number of threads may
 * mount it and query it concurrently. Releasing or discarding it requires exclusive use; a
 * conflicting call returns DSTORE_BUSY.
 */
typedef struct dstore_lease dstore_lease;

/**
 * Options for dstore_store_open(). Every option has a default; pass NULL to use all defaults. Only
 * one thread at a time may set options. The first error of a setter is remembered, and
 * dstore_store_open() then fails with the same status, so the caller may ignore the status of a
 * setter.
 */
typedef struct dstore_options dstore_options;

/**
 * A list of pins, as they were at one moment. It is immutable, so any number of threads may read
 * it.
 */
typedef struct dstore_pins dstore_pins;

/**
 * The limits to which a prune reduces a store. A policy without limits removes nothing. First,
 * items that were unused for too long are removed. Then, while the store is too large or too
 * little disk space is free, the least recently used items are removed; among equals, the one that
 * was fastest to build. A result is removed after the results that were built on it. Only one
 * thread at a time may set the policy. The first error of a setter is remembered, and
 * dstore_store_prune() then fails with the same status.
 */
typedef struct dstore_policy dstore_policy;

/**
 * The report of a prune: a row for each item that it considered. Items that must be kept come
 * first, then the items that it tried to remove, in that order. It is immutable, so any number of
 * threads may read it.
 */
typedef struct dstore_pruned dstore_pruned;

/**
 * A list of objects of roots that exist, or that were removed. It is immutable, so any number of
 * threads may read it.
 */
typedef struct dstore_remains dstore_remains;

/**
 * A list of results, as they were at one moment. It is immutable, so any number of threads may
 * read it.
 */
typedef struct dstore_results dstore_results;

/**
 * A build in progress, until it is committed or aborted. Only one call at a time may use a step; a
 * second one, from another thread or a callback, returns DSTORE_BUSY. Successive calls may come
 * from different threads. dstore_step_id() may be called at any time.
 *
 * If a call fails, the step can only be aborted: other calls return DSTORE_CONFLICT, except
 * dstore_step_limit() and getters. The step stays usable after DSTORE_INVALID_ARGUMENT, except
 * from copying out to a pipe; after DSTORE_BUSY because the handle is in use; after DSTORE_IO
 * because a local file to import, load or copy in cannot be opened for reading; and after
 * DSTORE_NOT_FOUND from copying out a path that does not exist.
 */
typedef struct dstore_step dstore_step;

/**
 * An open store. Thread-safe, except for dstore_store_free(). Any number of processes may have the
 * same root open. In a child process that is forked without `exec`, its calls return
 * DSTORE_CLOSED; the child may open a store of its own.
 */
typedef struct dstore_store dstore_store;

/**
 * The disk usage of a store at one moment. It is immutable, so any number of threads may read it.
 */
typedef struct dstore_usage dstore_usage;

/**
 * Receives the next `length` bytes of a stream, at least one. Return 0 to continue; any other
 * value stops the call.
 */
typedef int32_t (*dstore_write_callback)(void *user_data,
                                         const char *bytes,
                                         size_t length);

/**
 * Receives a piece of the log of another build: `length` bytes, at least one, as they were
 * written. They are not split at line boundaries and not NUL-terminated. `attempt` counts from 1.
 * If it is higher than before, the previous build ended without a result, and this is the start of
 * the next build's log. Return 0 to continue; any other value stops waiting.
 */
typedef int32_t (*dstore_follow_callback)(void *user_data,
                                          uint32_t attempt,
                                          const char *bytes,
                                          size_t length);

/**
 * Performs the work of a build. The library owns `step`: do not free, commit or abort it, and do
 * not use it after returning. Return 0 to commit the step; any other value aborts it.
 */
typedef int32_t (*dstore_work_callback)(void *user_data,
                                        dstore_step *step);

/**
 * Receives output of a command: `length` bytes, at least one. They are not split at line
 * boundaries and not NUL-terminated. `channel` is a dstore_channel. Return 0 to continue; any
 * other value stops the command.
 */
typedef int32_t (*dstore_output_callback)(void *user_data,
                                          int32_t channel,
                                          const char *bytes,
                                          size_t length);

/**
 * Supplies the next bytes of a stream: writes up to `capacity` bytes to `buffer` and stores their
 * number in `*length`. `*length` is 0 on entry; leaving it 0 ends the stream. Return 0 to
 * continue; any other value stops the call.
 */
typedef int32_t (*dstore_read_callback)(void *user_data,
                                        char *buffer,
                                        size_t capacity,
                                        size_t *length);

/**
 * Reports the progress of a long call. `status` is the engine's description ("Downloading").
 * `item` is the layer it applies to, or "" for all. `current` of `total` bytes are done; `total`
 * is 0 if unknown. Return 0 to continue; any other value stops the call.
 */
typedef int32_t (*dstore_progress_callback)(void *user_data,
                                            const char *status,
                                            const char *item,
                                            uint64_t current,
                                            uint64_t total);

/**
 * Receives a line of the library's log: `length` bytes of UTF-8, followed by a NUL. `level` is a
 * dstore_log_level. Return 0 to continue; any other value stops the call, and the remaining lines
 * are kept for the next one.
 */
typedef int32_t (*dstore_log_callback)(void *user_data,
                                       int32_t level,
                                       const char *line,
                                       size_t length);

/**
 * Receives a row of a prune, as it happens. `item` is a dstore_item. `name` has `length` bytes,
 * followed by a NUL. `bytes` is the space that its removal frees, and `last_use` when it was last
 * used, in seconds since 1970. `fate` is a dstore_fate. `why` says why the item was kept, or is ""
 * if it was removed. Return 0 to continue; any other value stops the prune.
 */
typedef int32_t (*dstore_prune_callback)(void *user_data,
                                         int32_t item,
                                         const char *name,
                                         size_t length,
                                         uint64_t bytes,
                                         int64_t last_use,
                                         int32_t fate,
                                         const char *why);

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * Returns the version of the library in use: the DSTORE_VERSION_STRING that it was built with. A
 * constant; do not free it.
 *
 * Does not block.
 */
const char *dstore_version(void);

/**
 * Returns the version of the library in use: the DSTORE_VERSION_NUMBER that it was built with.
 * 1002003 is version 1.2.3.
 *
 * Does not block.
 */
uint32_t dstore_version_number(void);

/**
 * Returns a short human-readable name of a status, such as "not found". A constant; do not free
 * it. Never returns NULL, whatever the number.
 *
 * Does not block.
 */
const char *dstore_status_name(int32_t status);

/**
 * Returns the status of the failed call, or DSTORE_OK if `error` is NULL.
 *
 * Does not block. May be NULL: error.
 */
dstore_status dstore_error_status(const dstore_error *error);

/**
 * Returns one human-readable line of UTF-8: the operation, its object, and what the engine or the
 * system reported. Borrowed from `error`. Returns NULL if `error` is NULL.
 *
 * Does not block. May be NULL: error.
 */
const char *dstore_error_message(const dstore_error *error);

/**
 * Returns the HTTP status of the engine's response, or 0 if the engine did not respond.
 *
 * Does not block. May be NULL: error.
 */
int32_t dstore_error_http_status(const dstore_error *error);

/**
 * Returns the operating system's error number (an `errno`), or 0 if there was none.
 *
 * Does not block. May be NULL: error.
 */
int32_t dstore_error_os_errno(const dstore_error *error);

/**
 * Returns the exit status of the command after DSTORE_COMMAND_FAILED, DSTORE_OUT_OF_MEMORY and
 * DSTORE_NOT_STARTED. Returns -1 otherwise.
 *
 * Does not block. May be NULL: error.
 */
int64_t dstore_error_exit_code(const dstore_error *error);

/**
 * Frees an error; no-op if NULL.
 *
 * Does not block.
 */
void dstore_error_free(dstore_error *error);

/**
 * Frees a string that the library returned; no-op if NULL.
 *
 * Does not block.
 */
void dstore_string_free(char *string);

/**
 * Creates a cancellation token. Free it with dstore_cancel_free(). Returns NULL only on an
 * internal error.
 *
 * Does not block.
 */
DSTORE_MUST_USE
dstore_cancel *dstore_cancel_new(void);

/**
 * Triggers the token. Calls that are waiting wake up, clean up and return DSTORE_CANCELLED. May be
 * called from a signal handler: it takes no lock, allocates nothing and preserves `errno`.
 *
 * Does not block. May be NULL: cancel.
 */
void dstore_cancel_trigger(const dstore_cancel *cancel);

/**
 * Returns whether the token has been triggered. May be called from a signal handler, like
 * dstore_cancel_trigger().
 *
 * Does not block. May be NULL: cancel.
 */
bool dstore_cancel_is_triggered(const dstore_cancel *cancel);

/**
 * Frees a cancellation token; no-op if NULL. Calls and steps that were given it continue and can
 * no longer be cancelled with it.
 *
 * Does not block.
 */
void dstore_cancel_free(dstore_cancel *cancel);

/**
 * Creates options with all defaults. Free them with dstore_options_free(). Returns NULL only on an
 * internal error.
 *
 * Does not block.
 */
DSTORE_MUST_USE
dstore_options *dstore_options_new(void);

/**
 * Sets the engine's address: "unix:///var/run/docker.sock", "tcp://host:2376" or
 * "ssh://user@host". The default is `DOCKER_HOST`, otherwise the current Docker context, otherwise
 * that socket. Whether tcp uses TLS, and with which certificates, is taken from the context, or
 * from `DOCKER_TLS_VERIFY` and `DOCKER_CERT_PATH`.
 *
 * Does not block.
 */
dstore_status dstore_options_engine(dstore_options *options,
                                    const char *address,
                                    dstore_error **error);

/**
 * Sets the word that every name on the engine starts with: 1 to 32 characters from a-z and 0-9.
 * The default is "obuilder", so that OBuilder finds the results.
 *
 * Does not block.
 */
dstore_status dstore_options_name(dstore_options *options,
                                  const char *word,
                                  dstore_error **error);

/**
 * Sets how caches are cloned: a dstore_strategy. The default is DSTORE_STRATEGY_AUTOMATIC.
 *
 * Does not block.
 */
dstore_status dstore_options_strategy(dstore_options *options,
                                      int32_t strategy,
                                      dstore_error **error);

/**
 * Sets whether the library accesses the files of the engine's volumes directly, if this process
 * can. The default is true. Otherwise all access goes through the engine's archive calls. They are
 * slower and keep less of each file: whole seconds only, and no extended attributes except
 * capabilities.
 *
 * Does not block.
 */
dstore_status dstore_options_direct(dstore_options *options,
                                    bool direct,
                                    dstore_error **error);

/**
 * Sets whether the engine itself sets up the network of steps that have no network. The default is
 * false.
 *
 * Docker runs a program of its own for that in each container, which takes a third of the time of
 * a small step. By default the container's runtime does it, if a probe showed that this works. It
 * creates a network namespace that has only `lo`, which is up. It also creates an `/etc/hosts`
 * that names `localhost` and the container; commands cannot write to that file. If the engine sets
 * up the network, they can, and what they write is lost with the container.
 *
 * Does not block.
 */
dstore_status dstore_options_engine_network(dstore_options *options,
                                            bool engine,
                                            dstore_error **error);

/**
 * Sets whether the files of a released lease are synced to disk before it becomes the cache's next
 * generation. The default is false. Either way, nothing is lost if a process is killed, and after
 * a power failure a cache is one whole generation. With sync, that is the last released
 * generation. Without it, that is the newest generation that was certainly on disk. Releases of
 * the last five seconds, or longer if the disk was still busy with them, are dropped, with a
 * warning in the log.
 *
 * Has an effect only if this process can access the engine's volumes directly. See
 * docs/conventions.md.
 *
 * Does not block.
 */
dstore_status dstore_options_sync(dstore_options *options,
                                  bool sync,
                                  dstore_error **error);

/**
 * Sets a group whose members may use the root as its owner may. By default no other user may. The
 * library's own files, the logs and the caller's state then belong to that group. Set it the first
 * time as the root's owner, who must be in the group; members then open the root with the same
 * group.
 *
 * Does not block.
 */
dstore_status dstore_options_group(dstore_options *options,
                                   uint32_t gid,
                                   dstore_error **error);

/**
 * Sets the maximum size of a step's log in bytes. By default only the disk limits it. When the
 * limit is reached, the step fails with DSTORE_IO. If `drop` is true, further output is counted
 * and dropped instead, and the log's last line reports how much; an output callback still receives
 * everything. The same happens at the process's own file size limit, RLIMIT_FSIZE, and SIGXFSZ is
 * not raised.
 *
 * Does not block.
 */
dstore_status dstore_options_log_limit(dstore_options *options,
                                       uint64_t bytes,
                                       bool drop,
                                       dstore_error **error);

/**
 * Sets how long opening may take to reach the engine, in milliseconds. It must not be 0. The
 * default is 30 seconds.
 *
 * Does not block.
 */
dstore_status dstore_options_connect_timeout(dstore_options *options,
                                             uint64_t timeout_ms,
                                             dstore_error **error);

/**
 * Frees options; no-op if NULL. A store that was opened with them is not affected.
 *
 * Does not block.
 */
void dstore_options_free(dstore_options *options);

/**
 * Opens the store at `root`, a local directory (any bytes). Creates the directory if its parent
 * exists. Removes what terminated processes have left behind. Free the store with
 * dstore_store_free().
 *
 * Blocks, for a few engine calls and the removal of leftovers. May be NULL: options.
 */
DSTORE_MUST_USE
dstore_status dstore_store_open(const char *root,
                                const dstore_options *options,
                                dstore_store **store,
                                dstore_error **error);

/**
 * Like dstore_store_open(), limited by `timeout_ms` (0 means no timeout) and `cancel`. If either
 * stops the call, nothing stays open, and the next open continues the removal of leftovers. Free
 * the store with dstore_store_free().
 *
 * Blocks. May be NULL: cancel, options.
 */
DSTORE_MUST_USE
dstore_status dstore_store_open_within(const char *root,
                                       const dstore_options *options,
                                       uint64_t timeout_ms,
                                       const dstore_cancel *cancel,
                                       dstore_store **store,
                                       dstore_error **error);

/**
 * Closes the store and waits for pending removals, for up to ten seconds. An engine that takes
 * longer completes them later, and the next open of this root removes what is left. Also waits,
 * for up to two seconds, for cache layers that are being merged and for released files to reach
 * the disk.
 *
 * Calls already running on the store, its steps and its leases continue. Later calls return
 * DSTORE_CLOSED, except getters, dstore_step_limit(), dstore_store_log_file(),
 * dstore_store_count(), dstore_store_complete_deletes(), dstore_lease_discard() and the ..._free()
 * functions. dstore_step_abort() cleans up and still returns DSTORE_CLOSED. What open steps and
 * leases hold on the engine is removed when they are freed; dstore_store_complete_deletes() waits
 * for that. The handle must still be freed.
 *
 * Blocks.
 */
dstore_status dstore_store_close(const dstore_store *store,
                                 dstore_error **error);

/**
 * Like dstore_store_close(), limited by `timeout_ms` (0 means no timeout) and `cancel`. If either
 * stops the call, the store is closed anyway, and removals are still pending.
 *
 * Blocks. May be NULL: cancel.
 */
DSTORE_MUST_USE
dstore_status dstore_store_close_within(const dstore_store *store,
                                        uint64_t timeout_ms,
                                        const dstore_cancel *cancel,
                                        dstore_error **error);

/**
 * Frees a store; no-op if NULL. If the store is still open, closes it without waiting.
 *
 * Does not block.
 */
void dstore_store_free(dstore_store *store);

/**
 * Returns the root directory, with symbolic links resolved. Borrowed from `store`. Returns NULL if
 * `store` is NULL.
 *
 * Does not block. May be NULL: store.
 */
const char *dstore_store_root(const dstore_store *store);

/**
 * Returns the prefix of every name that this store uses on the engine. Borrowed from `store`.
 * Returns NULL if `store` is NULL.
 *
 * Does not block. May be NULL: store.
 */
const char *dstore_store_prefix(const dstore_store *store);

/**
 * Returns a directory for the caller's own files. Borrowed from `store`. Returns NULL if `store`
 * is NULL.
 *
 * Does not block. May be NULL: store.
 */
const char *dstore_store_state_dir(const dstore_store *store);

/**
 * Returns an empty directory without access permissions. Borrowed from `store`. Returns NULL if
 * `store` is NULL.
 *
 * Does not block. May be NULL: store.
 */
const char *dstore_store_empty_dir(const dstore_store *store);

/**
 * Returns the address of the engine. Borrowed from `store`. Returns NULL if `store` is NULL.
 *
 * Does not block. May be NULL: store.
 */
const char *dstore_store_engine(const dstore_store *store);

/**
 * Returns the version of the Engine API in use, such as "1.41". Borrowed from `store`. Returns
 * NULL if `store` is NULL.
 *
 * Does not block. May be NULL: store.
 */
const char *dstore_store_api_version(const dstore_store *store);

/**
 * Returns in `*path` the path of the log of the build of `id`, whether the file exists yet or not.
 * The file grows while the build runs; another attempt creates a new file. Free the path with
 * dstore_string_free().
 *
 * Does not block.
 */
DSTORE_MUST_USE
dstore_status dstore_store_log_file(const dstore_store *store,
                                    const char *id,
                                    char **path,
                                    dstore_error **error);

/**
 * Sets `*present` to whether `id` has been built. A broken connection is an error, never false.
 *
 * Blocks, for one round trip to the engine.
 */
DSTORE_MUST_USE
dstore_status dstore_store_result(const dstore_store *store,
                                  const char *id,
                                  bool *present,
                                  dstore_error **error);

/**
 * Like dstore_store_result(), limited by `timeout_ms` (0 means no timeout) and `cancel`.
 *
 * Blocks. May be NULL: cancel.
 */
DSTORE_MUST_USE
dstore_status dstore_store_result_within(const dstore_store *store,
                                         const char *id,
                                         uint64_t timeout_ms,
                                         const dstore_cancel *cancel,
                                         bool *present,
                                         dstore_error **error);

/**
 * Removes the result `id` and its log. If it does not exist, returns DSTORE_OK and sets `*deleted`
 * to false. Other tags of the image, and results built on it, are kept. Returns DSTORE_BUSY while
 * `id` is being built, or if a container outside this store was created from it.
 *
 * Blocks. May be NULL: deleted.
 */
dstore_status dstore_store_delete(const dstore_store *store,
                                  const char *id,
                                  bool *deleted,
                                  dstore_error **error);

/**
 * Like dstore_store_delete(), limited by `timeout_ms` (0 means no timeout) and `cancel`. If either
 * stops the call, the result may have been deleted anyway.
 *
 * Blocks. May be NULL: cancel, deleted.
 */
DSTORE_MUST_USE
dstore_status dstore_store_delete_within(const dstore_store *store,
                                         const char *id,
                                         uint64_t timeout_ms,
                                         const dstore_cancel *cancel,
                                         bool *deleted,
                                         dstore_error **error);

/**
 * Lists all results, sorted by id. Free the list with dstore_results_free().
 *
 * Blocks, for one round trip to the engine.
 */
DSTORE_MUST_USE
dstore_status dstore_store_results(const dstore_store *store,
                                   dstore_results **results,
                                   dstore_error **error);

/**
 * Like dstore_store_results(), limited by `timeout_ms` (0 means no timeout) and `cancel`. Free the
 * list with dstore_results_free().
 *
 * Blocks. May be NULL: cancel.
 */
DSTORE_MUST_USE
dstore_status dstore_store_results_within(const dstore_store *store,
                                          uint64_t timeout_ms,
                                          const dstore_cancel *cancel,
                                          dstore_results **results,
                                          dstore_error **error);

/**
 * Returns the number of results in the list, or 0 if `results` is NULL.
 *
 * Does not block. May be NULL: results.
 */
size_t dstore_results_count(const dstore_results *results);

/**
 * Returns the id of the result at `index`, counted from 0. Borrowed from `results`. Returns NULL
 * if `index` is beyond the end.
 *
 * Does not block. May be NULL: results.
 */
const char *dstore_results_id(const dstore_results *results,
                              size_t index);

/**
 * Returns when the image of the result at `index` was created, in seconds since 1970, or 0 beyond
 * the end.
 *
 * Does not block. May be NULL: results.
 */
int64_t dstore_results_created(const dstore_results *results,
                               size_t index);

/**
 * Returns the size of the result at `index` in bytes, including layers that it shares with other
 * images, or 0 beyond the end.
 *
 * Does not block. May be NULL: results.
 */
uint64_t dstore_results_size(const dstore_results *results,
                             size_t index);

/**
 * Frees a list; no-op if NULL.
 *
 * Does not block.
 */
void dstore_results_free(dstore_results *results);

/**
 * Passes the file or directory at `path` in the result `id` to `write`, as a tar stream. Its first
 * entry is named after the last component of `path`. `*bytes` is set to the number of bytes
 * written. `timeout_ms` 0 means no timeout. Returns DSTORE_NOT_FOUND if the result or the path
 * does not exist.
 *
 * Blocks. May be NULL: cancel, user_data, bytes.
 */
DSTORE_MUST_USE
dstore_status dstore_store_copy_out(const dstore_store *store,
                                    const char *id,
                                    const char *path,
                                    uint64_t timeout_ms,
                                    const dstore_cancel *cancel,
                                    dstore_write_callback write,
                                    void *user_data,
                                    uint64_t *bytes,
                                    dstore_error **error);

/**
 * Like dstore_store_copy_out(), but writes to the local file `tar` (any bytes), which must not be
 * a pipe. The bytes are written to a temporary file next to it, which is renamed to `tar` when it
 * is complete. Until then, and after a failure, an existing file is unchanged. A symbolic link is
 * followed.
 *
 * Blocks. May be NULL: cancel, bytes.
 */
DSTORE_MUST_USE
dstore_status dstore_store_copy_out_file(const dstore_store *store,
                                         const char *id,
                                         const char *path,
                                         uint64_t timeout_ms,
                                         const dstore_cancel *cancel,
                                         const char *tar,
                                         uint64_t *bytes,
                                         dstore_error **error);

/**
 * Derives the id of a result from everything that goes into it: its `name` and `count` parts. The
 * parts are, for example, the id of its base, its commands and the digests of the files that it
 * uses. The same name and parts give the same id in every version, from C, OCaml, Python and Rust.
 * Different ones give a different id, as far as SHA-256 can tell. Boundaries between parts count:
 * "ab", "c" and "a", "bc" give different ids. `lengths` holds the number of bytes of each part;
 * pass NULL if all parts are NUL-terminated.
 *
 * An id consists of the readable characters of the name (a-z, 0-9 and -, up to 40), a - and 64 hex
 * digits. Every store accepts it. Free it with dstore_string_free().
 *
 * `name` and `parts` are any bytes.
 *
 * Does not block. May be NULL: parts, if count is 0; lengths.
 */
DSTORE_MUST_USE
dstore_status dstore_id(const char *name,
                        const char *const *parts,
                        const size_t *lengths,
                        size_t count,
                        char **id,
                        dstore_error **error);

/**
 * Begins to build `id` on the result `base`, or on nothing if `base` is NULL. If `id` has already
 * been built, returns DSTORE_OK and sets `*step` to NULL. Waits while another thread or process
 * builds the same id. `timeout_ms` (0 means no timeout), counted from now, and `cancel` apply to
 * this call and to the whole step. Returns DSTORE_NOT_FOUND if `base` has not been built. Free the
 * step with dstore_step_free().
 *
 * A step without a base starts from what its first call supplies: dstore_step_import(),
 * dstore_step_pull(), dstore_step_load() or dstore_step_use_image(). Without such a call it starts
 * with no files, and only programs that were copied in can be run. If nothing was copied in, a
 * commit records a result without any files.
 *
 * Blocks. May be NULL: base, cancel.
 */
DSTORE_MUST_USE
dstore_status dstore_store_begin(const dstore_store *store,
                                 const char *base,
                                 const char *id,
                                 uint64_t timeout_ms,
                                 const dstore_cancel *cancel,
                                 dstore_step **step,
                                 dstore_error **error);

/**
 * Like dstore_store_begin(). While it waits for another build of the same id, it also passes to
 * `log` what that build writes to its log, as it is written. The log is passed from its start, and
 * is complete when this call reports that the result exists. If there is no build to wait for,
 * `log` is not called. If the other build fails or is killed, its log ends; the log of the next
 * build then follows as a further attempt, or this call returns a step.
 *
 * Returns DSTORE_CANCELLED or DSTORE_TIMED_OUT without delay, and DSTORE_CALLBACK if `log` does
 * not return 0. Free the step with dstore_step_free().
 *
 * Blocks. May be NULL: base, cancel, log, user_data.
 */
DSTORE_MUST_USE
dstore_status dstore_store_begin_following(const dstore_store *store,
                                           const char *base,
                                           const char *id,
                                           uint64_t timeout_ms,
                                           const dstore_cancel *cancel,
                                           dstore_follow_callback log,
                                           void *user_data,
                                           dstore_step **step,
                                           dstore_error **error);

/**
 * Sets `*building` to whether `id` is being built, by this process or another. Use it to follow a
 * log: once it is false, everything the build wrote can be read from the log file.
 *
 * Does not block.
 */
DSTORE_MUST_USE
dstore_status dstore_store_building(const dstore_store *store,
                                    const char *id,
                                    bool *building,
                                    dstore_error **error);

/**
 * Calls dstore_store_begin() and, if the result does not exist yet, `work`. Commits the step if
 * `work` returns 0; aborts it otherwise. `*outcome` is set to a dstore_outcome. See
 * dstore_step_commit() and dstore_step_abort().
 *
 * Blocks. May be NULL: base, cancel, user_data, outcome.
 */
DSTORE_MUST_USE
dstore_status dstore_store_build(const dstore_store *store,
                                 const char *base,
                                 const char *id,
                                 uint64_t timeout_ms,
                                 const dstore_cancel *cancel,
                                 dstore_work_callback work,
                                 void *user_data,
                                 dstore_outcome *outcome,
                                 dstore_error **error);

/**
 * Returns the id that a commit will record. Borrowed from `step`. Returns NULL if `step` is NULL.
 *
 * Does not block. May be NULL: step.
 */
const char *dstore_step_id(const dstore_step *step);

/**
 * Replaces the limits that the step was begun with. From now on `timeout_ms` (0 means no timeout;
 * counted from this call) and `cancel` apply to the step.
 *
 * Does not block. May be NULL: cancel.
 */
dstore_status dstore_step_limit(dstore_step *step,
                                uint64_t timeout_ms,
                                const dstore_cancel *cancel,
                                dstore_error **error);

/**
 * Writes `length` bytes to the step's log, between the output of its commands.
 *
 * Does not block, except on disk writes. May be NULL: bytes, if there are none.
 */
dstore_status dstore_step_write_log(dstore_step *step,
                                    const char *bytes,
                                    size_t length,
                                    dstore_error **error);

/**
 * Runs `command` on the step's current files and waits until it exits. Output is written to the
 * log as it arrives, and then passed to `output`. `*exit_code` is set to the command's exit
 * status: 0 to 255, or 128 + N if it was killed by signal N. A non-zero status returns
 * DSTORE_COMMAND_FAILED, unless dstore_command_allow_failure() was set. After
 * DSTORE_COMMAND_FAILED, `*exit_code` is not written; use dstore_error_exit_code().
 *
 * Returns DSTORE_NOT_STARTED if the program does not exist or cannot be executed. If the command
 * allows failures, `*exit_code` is then 127 or 126, as in a shell; dstore_step_was_started() tells
 * this from the exit status of a command that ran. A step that was begun with nothing has no
 * programs except those that were copied in.
 *
 * When this returns DSTORE_CANCELLED, DSTORE_TIMED_OUT or DSTORE_CALLBACK, the command has been
 * killed, and its container is removed or being removed in the background.
 *
 * Blocks. May be NULL: output, user_data, exit_code.
 */
DSTORE_MUST_USE
dstore_status dstore_step_run(dstore_step *step,
                              const dstore_command *command,
                              dstore_output_callback output,
                              void *user_data,
                              int64_t *exit_code,
                              dstore_error **error);

/**
 * Returns whether the last command for which dstore_step_run() returned DSTORE_OK was started at
 * all. Returns false if there was none, or if `step` is NULL.
 *
 * Does not block. May be NULL: step.
 */
bool dstore_step_was_started(const dstore_step *step);

/**
 * Records the result and ends the step. The result appears atomically, with the last engine call:
 * nothing that happens before leaves a result. After an error there is no result, and the step has
 * been aborted, so a new one may begin. Exceptions: if the step is in use (DSTORE_BUSY), it is
 * unchanged; after DSTORE_OUTCOME_UNKNOWN the result may exist, and the next begin of the id finds
 * it. The handle must still be freed.
 *
 * Blocks.
 */
DSTORE_MUST_USE
dstore_status dstore_step_commit(dstore_step *step,
                                 dstore_error **error);

/**
 * Like dstore_step_commit(), limited by `timeout_ms` (0 means no timeout) and `cancel`. They
 * replace the limits that the step was begun with.
 *
 * Blocks. May be NULL: cancel.
 */
DSTORE_MUST_USE
dstore_status dstore_step_commit_within(dstore_step *step,
                                        uint64_t timeout_ms,
                                        const dstore_cancel *cancel,
                                        dstore_error **error);

/**
 * Ends the step without a result, and removes its container and its tag. The log is kept. The
 * handle must still be freed. If the step has been cancelled or has timed out, cleaning up may
 * take a second and a half. What is not removed by then is removed in the background, and the call
 * returns DSTORE_CANCELLED or DSTORE_TIMED_OUT.
 *
 * Blocks.
 */
dstore_status dstore_step_abort(dstore_step *step,
                                dstore_error **error);

/**
 * Like dstore_step_abort(), limited by `timeout_ms` (0 means no timeout) and `cancel`. They
 * replace the limits that the step was begun with. What is not removed in time is removed in the
 * background; after that, the id can be built again.
 *
 * Blocks. May be NULL: cancel.
 */
DSTORE_MUST_USE
dstore_status dstore_step_abort_within(dstore_step *step,
                                       uint64_t timeout_ms,
                                       const dstore_cancel *cancel,
                                       dstore_error **error);

/**
 * Frees a step; no-op if NULL. A step that is neither committed nor aborted is aborted in the
 * background; dstore_store_complete_deletes() waits for that.
 *
 * Does not block.
 */
void dstore_step_free(dstore_step *step);

/**
 * Starts the step from the files in a tar stream supplied by `read`; needs no registry. Valid only
 * for a step begun without a base, and before any other source, command or copy.
 * dstore_step_copy_in() describes the stream. Returns DSTORE_INVALID_ARGUMENT for an archive
 * written by `docker save`, which is an image and not a root file system.
 *
 * Blocks. May be NULL: read_data, progress, progress_data.
 */
DSTORE_MUST_USE
dstore_status dstore_step_import(dstore_step *step,
                                 dstore_read_callback read,
                                 void *read_data,
                                 dstore_progress_callback progress,
                                 void *progress_data,
                                 dstore_error **error);

/**
 * Like dstore_step_import(), but reads the local file `tar` (any bytes). If the file supplies no
 * data, as a pipe may, the call waits no longer than the step's limits allow.
 *
 * Blocks. May be NULL: progress, user_data.
 */
DSTORE_MUST_USE
dstore_status dstore_step_import_file(dstore_step *step,
                                      const char *tar,
                                      dstore_progress_callback progress,
                                      void *user_data,
                                      dstore_error **error);

/**
 * Starts the step from an image that the engine pulls from its registry, such as
 * "debian:bookworm". Valid only for a step begun without a base, and before any other source,
 * command or copy. `user` and `password` are the credentials for the registry, if it requires
 * them. To use an identity token, pass `<token>` as the user and the token as the password.
 * `server` is the registry's address, as written in `reference`.
 *
 * Blocks. May be NULL: server, progress, user_data; user and password, if both are.
 */
DSTORE_MUST_USE
dstore_status dstore_step_pull(dstore_step *step,
                               const char *reference,
                               const char *user,
                               const char *password,
                               const char *server,
                               dstore_progress_callback progress,
                               void *user_data,
                               dstore_error **error);

/**
 * Like dstore_step_pull(), but pulls the image for `platform`: "os/arch" or "os/arch/variant",
 * such as "linux/arm64" or "linux/arm/v7". Returns DSTORE_NOT_FOUND if the image does not exist
 * for that platform. Commands of the step run only if the engine's host can run that platform's
 * programs.
 *
 * Blocks. May be NULL: server, progress, user_data; user and password, if both are.
 */
DSTORE_MUST_USE
dstore_status dstore_step_pull_platform(dstore_step *step,
                                        const char *reference,
                                        const char *platform,
                                        const char *user,
                                        const char *password,
                                        const char *server,
                                        dstore_progress_callback progress,
                                        void *user_data,
                                        dstore_error **error);

/**
 * Starts the step from an image that the engine already has. Valid only for a step begun without a
 * base, and before any other source, command or copy.
 *
 * Blocks.
 */
DSTORE_MUST_USE
dstore_status dstore_step_use_image(dstore_step *step,
                                    const char *reference,
                                    dstore_error **error);

/**
 * Extracts the tar stream supplied by `read` into `path`, an absolute path in the step. Missing
 * directories are created. Owners, modes and times are taken from the stream.
 *
 * The stream must contain the end of an archive: a block of 512 zero bytes in place of an entry.
 * (The format asks for two; one is enough, and what follows is ignored.) Returns DSTORE_CUT_SHORT
 * if the stream ends before that, or is empty. The stream may be compressed with gzip; its
 * contents are then checked in the same way. It may also use another compression that the engine
 * supports: bzip2 and xz, and zstd since Docker 23. For these, only the engine checks, and only
 * that the compressed data is complete. While `read` itself blocks, neither a limit nor a cancel
 * stops the call; dstore_step_copy_in_file() waits for a silent pipe only as long as the limits
 * allow.
 *
 * Blocks. May be NULL: user_data.
 */
DSTORE_MUST_USE
dstore_status dstore_step_copy_in(dstore_step *step,
                                  const char *path,
                                  dstore_read_callback read,
                                  void *user_data,
                                  dstore_error **error);

/**
 * Like dstore_step_copy_in(), but reads the local file `tar` (any bytes). If the file supplies no
 * data, as a pipe may, the call waits no longer than the step's limits allow.
 *
 * Blocks.
 */
DSTORE_MUST_USE
dstore_status dstore_step_copy_in_file(dstore_step *step,
                                       const char *path,
                                       const char *tar,
                                       dstore_error **error);

/**
 * Passes the file or directory at `path`, an absolute path in the step, to `write` as a tar
 * stream. Its first entry is named after the last component of `path`. `*bytes` is set to the
 * number of bytes written. Returns DSTORE_NOT_FOUND if the path does not exist; the step stays
 * usable.
 *
 * Blocks. May be NULL: user_data, bytes.
 */
DSTORE_MUST_USE
dstore_status dstore_step_copy_out(dstore_step *step,
                                   const char *path,
                                   dstore_write_callback write,
                                   void *user_data,
                                   uint64_t *bytes,
                                   dstore_error **error);

/**
 * Like dstore_step_copy_out(), but writes to the local file `tar` (any bytes), which must not be a
 * pipe. The bytes are written to a temporary file next to it, which is renamed to `tar` when it is
 * complete. Until then, and after a failure, an existing file is unchanged. A symbolic link is
 * followed. If `tar` is a pipe or a directory, or its directory does not exist, the step stays
 * usable.
 *
 * Blocks. May be NULL: bytes.
 */
DSTORE_MUST_USE
dstore_status dstore_step_copy_out_file(dstore_step *step,
                                        const char *path,
                                        const char *tar,
                                        uint64_t *bytes,
                                        dstore_error **error);

/**
 * Creates an object for the local file or directory at `path` (any bytes), which is read when the
 * object is used. If it is a symbolic link, its target is used. Free it with
 * dstore_host_files_free().
 *
 * Does not block.
 */
DSTORE_MUST_USE
dstore_status dstore_host_files_new(const char *path,
                                    dstore_host_files **files,
                                    dstore_error **error);

/**
 * Excludes what matches `pattern`, as a line of a .dockerignore file does. The pattern is relative
 * to the directory; * and ? match within a name, ** matches any directories, and a leading !
 * includes matches again. The last matching line decides. The contents of an excluded directory
 * are included again only by a line that starts with the directory's name. Patterns do not apply
 * to a single file.
 *
 * Does not block.
 */
dstore_status dstore_host_files_exclude(dstore_host_files *files,
                                        const char *pattern,
                                        dstore_error **error);

/**
 * Includes again what matches `pattern`: like dstore_host_files_exclude() with a leading !.
 *
 * Does not block.
 */
dstore_status dstore_host_files_include(dstore_host_files *files,
                                        const char *pattern,
                                        dstore_error **error);

/**
 * Adds all lines of a .dockerignore file, whose contents are `text`, except its comments.
 *
 * Does not block.
 */
dstore_status dstore_host_files_dockerignore(dstore_host_files *files,
                                             const char *text,
                                             dstore_error **error);

/**
 * Sets the name in the step: one path component (any bytes). By default a file keeps its name, and
 * the contents of a directory are placed directly in the path that they are copied to. A directory
 * with a name is placed there itself.
 *
 * Does not block.
 */
dstore_status dstore_host_files_name(dstore_host_files *files,
                                     const char *name,
                                     dstore_error **error);

/**
 * Sets the owner of everything in the step. The default is root, 0 and 0.
 *
 * Does not block.
 */
dstore_status dstore_host_files_owner(dstore_host_files *files,
                                      uint32_t uid,
                                      uint32_t gid,
                                      dstore_error **error);

/**
 * Keeps the numeric owners that the local files have.
 *
 * Does not block.
 */
dstore_status dstore_host_files_keep_owners(dstore_host_files *files,
                                            dstore_error **error);

/**
 * Sets all modification times to `seconds` since 1970. The same files then give the same bytes
 * each time, and have the same digest. By default the times are kept.
 *
 * Does not block.
 */
dstore_status dstore_host_files_fixed_times(dstore_host_files *files,
                                            int64_t seconds,
                                            dstore_error **error);

/**
 * Computes the digest of what dstore_step_copy_in_host() would send now, without sending it: 64
 * hex digits of a SHA-256, for dstore_id(). It covers names, types, modes, owners, times, contents
 * and links. It does not depend on the directory's location, the order of names in its file
 * system, or which parts of a file are holes. `timeout_ms` 0 means no timeout. Returns DSTORE_IO
 * if a file cannot be read or changes while it is read. Free the digest with dstore_string_free().
 *
 * Blocks. May be NULL: cancel.
 */
DSTORE_MUST_USE
dstore_status dstore_host_files_digest(const dstore_host_files *files,
                                       uint64_t timeout_ms,
                                       const dstore_cancel *cancel,
                                       char **digest,
                                       dstore_error **error);

/**
 * Copies the local `files` into `path`, an absolute path in the step; missing directories are
 * created. The contents of a directory are copied, or a single file under its name. Files are read
 * while they are sent, and nothing is stored locally. `*digest` is set to the digest of what was
 * sent, like that of dstore_host_files_digest(); free it with dstore_string_free(). Returns
 * DSTORE_IO if a file cannot be read or changes while it is read.
 *
 * Blocks.
 */
DSTORE_MUST_USE
dstore_status dstore_step_copy_in_host(dstore_step *step,
                                       const char *path,
                                       const dstore_host_files *files,
                                       char **digest,
                                       dstore_error **error);

/**
 * Frees the object; no-op if NULL.
 *
 * Does not block.
 */
void dstore_host_files_free(dstore_host_files *files);

/**
 * Creates an object for the local directory at `path` (any bytes). If it is a symbolic link to a
 * directory, that directory is used. Free the object with dstore_host_folder_free().
 *
 * Does not block.
 */
DSTORE_MUST_USE
dstore_status dstore_host_folder_new(const char *path,
                                     dstore_host_folder **folder,
                                     dstore_error **error);

/**
 * Gives everything this numeric user and group. This usually needs privileges.
 *
 * Does not block.
 */
dstore_status dstore_host_folder_owner(dstore_host_folder *folder,
                                       uint32_t uid,
                                       uint32_t gid,
                                       dstore_error **error);

/**
 * Keeps the numeric owners that the files have in the container. This usually needs privileges.
 *
 * Does not block.
 */
dstore_status dstore_host_folder_keep_owners(dstore_host_folder *folder,
                                             dstore_error **error);

/**
 * Keeps the modes that the files have in the container, with all bits.
 *
 * Does not block.
 */
dstore_status dstore_host_folder_keep_modes(dstore_host_folder *folder,
                                            dstore_error **error);

/**
 * Unpacks the file or directory at `path`, an absolute path in the step, into the local directory
 * `folder`: the contents of a directory, or a single file under its name. If `path` is a symbolic
 * link, the link itself is copied (by Podman, what it leads to); with a trailing slash, the
 * directory that it leads to. `*bytes` is set to the number of bytes in the files.
 *
 * No name and no link leads out of the local directory: links are created as they are, but none is
 * followed. A file or link that exists there is replaced. A directory that exists keeps its mode
 * and owner, and its other files. New files have the times of those in the step. Hard links stay
 * hard links, and pipes are created as such. Extended attributes are not copied, and holes are
 * filled with zeros. After an error, what was unpacked before is left.
 *
 * Returns DSTORE_NOT_FOUND if `path` does not exist; the step stays usable. Returns
 * DSTORE_UNSUPPORTED for a device, and on Windows for a link or a pipe. Returns DSTORE_IO if
 * something cannot be created: a file in place of a directory, or a file in what is a link there.
 *
 * Blocks. May be NULL: bytes.
 */
DSTORE_MUST_USE
dstore_status dstore_step_copy_out_host(dstore_step *step,
                                        const char *path,
                                        const dstore_host_folder *folder,
                                        uint64_t *bytes,
                                        dstore_error **error);

/**
 * Unpacks the file or directory at `path` in the result `id` into the local directory `folder`, as
 * dstore_step_copy_out_host() does. `timeout_ms` 0 means no timeout. Returns DSTORE_NOT_FOUND if
 * the result or the path does not exist.
 *
 * Blocks. May be NULL: cancel, bytes.
 */
DSTORE_MUST_USE
dstore_status dstore_store_copy_out_host(const dstore_store *store,
                                         const char *id,
                                         const char *path,
                                         uint64_t timeout_ms,
                                         const dstore_cancel *cancel,
                                         const dstore_host_folder *folder,
                                         uint64_t *bytes,
                                         dstore_error **error);

/**
 * Frees the object; no-op if NULL.
 *
 * Does not block.
 */
void dstore_host_folder_free(dstore_host_folder *folder);

/**
 * Creates a configuration in which nothing is set. Free it with dstore_image_config_free().
 * Returns NULL only on an internal error.
 *
 * Does not block.
 */
DSTORE_MUST_USE
dstore_image_config *dstore_image_config_new(void);

/**
 * Sets the entrypoint: the words in front of every command. No words remove the base's entrypoint.
 * The base's command is kept; set it as well if it does not fit.
 *
 * Does not block. May be NULL: argv, if argc is 0.
 */
dstore_status dstore_image_config_entrypoint(dstore_image_config *config,
                                             const char *const *argv,
                                             size_t argc,
                                             dstore_error **error);

/**
 * Sets the default command. No words remove the base's command.
 *
 * Does not block. May be NULL: argv, if argc is 0.
 */
dstore_status dstore_image_config_command(dstore_image_config *config,
                                          const char *const *argv,
                                          size_t argc,
                                          dstore_error **error);

/**
 * Sets an environment variable. A `value` of NULL removes the base's variable.
 *
 * Does not block. May be NULL: value.
 */
dstore_status dstore_image_config_env(dstore_image_config *config,
                                      const char *name,
                                      const char *value,
                                      dstore_error **error);

/**
 * Sets a label. A `value` of NULL removes the base's label.
 *
 * Does not block. May be NULL: value.
 */
dstore_status dstore_image_config_label(dstore_image_config *config,
                                        const char *name,
                                        const char *value,
                                        dstore_error **error);

/**
 * Sets the user: a name or a number, optionally followed by ":" and a group. "" sets no user,
 * which means root.
 *
 * Does not block.
 */
dstore_status dstore_image_config_user(dstore_image_config *config,
                                       const char *user,
                                       dstore_error **error);

/**
 * Sets the working directory, an absolute path.
 *
 * Does not block.
 */
dstore_status dstore_image_config_directory(dstore_image_config *config,
                                            const char *path,
                                            dstore_error **error);

/**
 * Declares a port that the program listens on: "80", "80/tcp" or "53/udp". If `exposed` is false,
 * removes the base's declaration.
 *
 * Does not block.
 */
dstore_status dstore_image_config_port(dstore_image_config *config,
                                       const char *port,
                                       bool exposed,
                                       dstore_error **error);

/**
 * Declares an absolute path at which an engine creates a volume for each container. If `declared`
 * is false, removes the base's declaration.
 *
 * Does not block.
 */
dstore_status dstore_image_config_volume(dstore_image_config *config,
                                         const char *path,
                                         bool declared,
                                         dstore_error **error);

/**
 * Sets the signal that asks the program to stop: "SIGTERM", "TERM" or "15". "" is the same as not
 * set.
 *
 * Does not block.
 */
dstore_status dstore_image_config_stop_signal(dstore_image_config *config,
                                              const char *signal,
                                              dstore_error **error);

/**
 * Sets the command with which an engine checks a container's health: exit status 0 means healthy.
 * No words remove the base's check. A time or `retries` of 0 selects the engine's default. The
 * times are the interval between checks, the timeout of one check, and the period after the start
 * in which failures do not count. `retries` is the number of consecutive failures after which the
 * container is unhealthy. Podman does not support health checks: a commit there fails.
 *
 * Does not block. May be NULL: argv, if argc is 0.
 */
dstore_status dstore_image_config_health_check(dstore_image_config *config,
                                               const char *const *argv,
                                               size_t argc,
                                               uint64_t interval_ms,
                                               uint64_t timeout_ms,
                                               uint64_t start_period_ms,
                                               uint32_t retries,
                                               dstore_error **error);

/**
 * Like dstore_image_config_health_check(), but `line` is run by the image's shell. A `line` of
 * NULL disables health checks, whatever the base specifies.
 *
 * Does not block. May be NULL: line.
 */
dstore_status dstore_image_config_health_shell(dstore_image_config *config,
                                               const char *line,
                                               uint64_t interval_ms,
                                               uint64_t timeout_ms,
                                               uint64_t start_period_ms,
                                               uint32_t retries,
                                               dstore_error **error);

/**
 * Frees a configuration; no-op if NULL.
 *
 * Does not block.
 */
void dstore_image_config_free(dstore_image_config *config);

/**
 * Sets the image settings of the step's result. Commands of the step still run with the base's
 * settings. May be called at any time before the commit, and repeatedly: later settings override
 * earlier ones. If the engine cannot be given exactly these settings, the commit returns
 * DSTORE_UNSUPPORTED.
 *
 * Does not block.
 */
DSTORE_MUST_USE
dstore_status dstore_step_configure(dstore_step *step,
                                    const dstore_image_config *config,
                                    dstore_error **error);

/**
 * Adds the tag `name`, "[HOST[:PORT]/]PATH[:TAG]", to the result `id`, and removes it from any
 * other image. `*moved_from` is set to the id of the image that had the tag, or to NULL if there
 * was none; free it with dstore_string_free(). The tag belongs to the caller: when the result is
 * deleted, the tag and its image are kept. Returns DSTORE_INVALID_ARGUMENT if `name` is one that
 * objects of a store use. `timeout_ms` 0 means no timeout.
 *
 * Blocks. May be NULL: cancel.
 */
DSTORE_MUST_USE
dstore_status dstore_store_tag(const dstore_store *store,
                               const char *id,
                               const char *name,
                               uint64_t timeout_ms,
                               const dstore_cancel *cancel,
                               char **moved_from,
                               dstore_error **error);

/**
 * Pushes the result `id` to a registry under `name`, which includes the registry:
 * "registry.example:5000/team/app:1.0". The result also gets this tag on the engine, as with
 * dstore_store_tag(). The engine sends the image, so the engine must be able to reach the registry
 * and trust it. `user`, `password` and `server` are as for dstore_step_pull(). `*digest` is set to
 * the digest by which the registry knows the image, or to NULL if the engine does not report it;
 * free it with dstore_string_free(). `timeout_ms` 0 means no timeout.
 *
 * Blocks. May be NULL: server, progress, user_data, cancel; user and password, if both are.
 */
DSTORE_MUST_USE
dstore_status dstore_store_push(const dstore_store *store,
                                const char *id,
                                const char *name,
                                const char *user,
                                const char *password,
                                const char *server,
                                dstore_progress_callback progress,
                                void *user_data,
                                uint64_t timeout_ms,
                                const dstore_cancel *cancel,
                                char **digest,
                                dstore_error **error);

/**
 * Passes the result `id` to `write` as an image file that every engine and dstore_store_load() can
 * load. `*bytes` is set to the number of bytes written. `format` is a dstore_image_format. `name`
 * is the name that the image gets when it is loaded; if it is NULL, the image has no name. The
 * same image gives the same bytes on every engine. `timeout_ms` 0 means no timeout.
 *
 * Blocks. May be NULL: name, cancel, user_data, bytes.
 */
DSTORE_MUST_USE
dstore_status dstore_store_save(const dstore_store *store,
                                const char *id,
                                int32_t format,
                                const char *name,
                                uint64_t timeout_ms,
                                const dstore_cancel *cancel,
                                dstore_write_callback write,
                                void *user_data,
                                uint64_t *bytes,
                                dstore_error **error);

/**
 * Like dstore_store_save(), but writes to the local file `file` (any bytes), which must not be a
 * pipe. The bytes are written to a temporary file next to it, which is renamed to `file` when it
 * is complete. Until then, and after a failure, an existing file is unchanged. A symbolic link is
 * followed.
 *
 * Blocks. May be NULL: name, cancel, bytes.
 */
DSTORE_MUST_USE
dstore_status dstore_store_save_file(const dstore_store *store,
                                     const char *id,
                                     int32_t format,
                                     const char *name,
                                     uint64_t timeout_ms,
                                     const dstore_cancel *cancel,
                                     const char *file,
                                     uint64_t *bytes,
                                     dstore_error **error);

/**
 * Records the image in the file supplied by `read` as the result `id`. If that result already
 * exists, sets `*built` to false and reads nothing. The file is a Docker archive or an OCI layout,
 * optionally compressed with gzip; image names in it are ignored. Returns DSTORE_CUT_SHORT if the
 * file is truncated or incomplete, and DSTORE_INVALID_ARGUMENT if it contains no image or several.
 * While `read` itself blocks, neither a limit nor a cancel stops the call. `timeout_ms` 0 means no
 * timeout.
 *
 * Blocks. May be NULL: read_data, progress, progress_data, cancel, built.
 */
DSTORE_MUST_USE
dstore_status dstore_store_load(const dstore_store *store,
                                const char *id,
                                dstore_read_callback read,
                                void *read_data,
                                dstore_progress_callback progress,
                                void *progress_data,
                                uint64_t timeout_ms,
                                const dstore_cancel *cancel,
                                bool *built,
                                dstore_error **error);

/**
 * Like dstore_store_load(), but reads the local file `file` (any bytes). If the file supplies no
 * data, as a pipe may, the call waits no longer than the limits allow.
 *
 * Blocks. May be NULL: progress, user_data, cancel, built.
 */
DSTORE_MUST_USE
dstore_status dstore_store_load_file(const dstore_store *store,
                                     const char *id,
                                     const char *file,
                                     dstore_progress_callback progress,
                                     void *user_data,
                                     uint64_t timeout_ms,
                                     const dstore_cancel *cancel,
                                     bool *built,
                                     dstore_error **error);

/**
 * Starts the step from the image in the file supplied by `read`, as for dstore_store_load(). Valid
 * only for a step begun without a base, and before any other source, command or copy. A commit
 * without any other change records exactly that image.
 *
 * Blocks. May be NULL: read_data, progress, progress_data.
 */
DSTORE_MUST_USE
dstore_status dstore_step_load(dstore_step *step,
                               dstore_read_callback read,
                               void *read_data,
                               dstore_progress_callback progress,
                               void *progress_data,
                               dstore_error **error);

/**
 * Like dstore_step_load(), but reads the local file `file` (any bytes). If the file supplies no
 * data, as a pipe may, the call waits no longer than the step's limits allow.
 *
 * Blocks. May be NULL: progress, user_data.
 */
DSTORE_MUST_USE
dstore_status dstore_step_load_file(dstore_step *step,
                                    const char *file,
                                    dstore_progress_callback progress,
                                    void *user_data,
                                    dstore_error **error);

/**
 * Creates a command of `argc` words: the program, looked up in the container's PATH, and its
 * arguments. No shell is involved. Free it with dstore_command_free().
 *
 * Does not block. May be NULL: argv, if argc is 0.
 */
DSTORE_MUST_USE
dstore_status dstore_command_new(const char *const *argv,
                                 size_t argc,
                                 dstore_command **command,
                                 dstore_error **error);

/**
 * Adds an argument.
 *
 * Does not block.
 */
dstore_status dstore_command_arg(dstore_command *command,
                                 const char *word,
                                 dstore_error **error);

/**
 * Puts `argc` words before the arguments, instead of the image's own entrypoint.
 *
 * Does not block. May be NULL: argv, if argc is 0.
 */
dstore_status dstore_command_entrypoint(dstore_command *command,
                                        const char *const *argv,
                                        size_t argc,
                                        dstore_error **error);

/**
 * Puts the image's own entrypoint before the arguments, as `docker run` does.
 *
 * Does not block.
 */
dstore_status dstore_command_image_entrypoint(dstore_command *command,
                                              dstore_error **error);

/**
 * Sets the working directory; it is created if missing. The default is the image's.
 *
 * Does not block.
 */
dstore_status dstore_command_cwd(dstore_command *command,
                                 const char *path,
                                 dstore_error **error);

/**
 * Sets an environment variable, overriding the image's.
 *
 * Does not block.
 */
dstore_status dstore_command_env(dstore_command *command,
                                 const char *name,
                                 const char *value,
                                 dstore_error **error);

/**
 * Sets the user: a name or a number, optionally followed by ":" and a group. The default is the
 * image's.
 *
 * Does not block.
 */
dstore_status dstore_command_user(dstore_command *command,
                                  const char *user,
                                  dstore_error **error);

/**
 * Sets the host name that the command sees. The default is "docker-store" in a container without a
 * network; otherwise the engine chooses one.
 *
 * Does not block.
 */
dstore_status dstore_command_hostname(dstore_command *command,
                                      const char *name,
                                      dstore_error **error);

/**
 * Sets the network, by the engine's name for it: "host", "bridge", ... The default is "none",
 * which is safe and fast (it saves a tenth of a second). It provides only `lo`, and an
 * `/etc/hosts` that the command cannot write to; see dstore_options_engine_network().
 *
 * Does not block.
 */
dstore_status dstore_command_network(dstore_command *command,
                                     const char *name,
                                     dstore_error **error);

/**
 * Limits the command's processor time, in billionths of a processor: 1500000000 is 1.5 processors.
 *
 * Does not block.
 */
dstore_status dstore_command_nano_cpus(dstore_command *command,
                                       int64_t nano_cpus,
                                       dstore_error **error);

/**
 * Limits the command's memory, including swap, to `bytes`. If the command exceeds the limit, the
 * kernel kills it and the run returns DSTORE_OUT_OF_MEMORY.
 *
 * Does not block.
 */
dstore_status dstore_command_memory(dstore_command *command,
                                    int64_t bytes,
                                    dstore_error **error);

/**
 * Mounts a leased cache at `target`, an absolute path. Release the lease after the step is
 * committed or aborted.
 *
 * Does not block.
 */
dstore_status dstore_command_lease(dstore_command *command,
                                   const dstore_lease *lease,
                                   const char *target,
                                   dstore_error **error);

/**
 * Mounts the engine's volume `name`, which must exist, at `target`, an absolute path. Nothing of
 * the image is copied into it.
 *
 * Does not block.
 */
dstore_status dstore_command_volume(dstore_command *command,
                                    const char *name,
                                    const char *target,
                                    bool read_only,
                                    dstore_error **error);

/**
 * Mounts `source`, an absolute path on the engine's host, at `target`, an absolute path.
 *
 * Does not block.
 */
dstore_status dstore_command_bind(dstore_command *command,
                                  const char *source,
                                  const char *target,
                                  bool read_only,
                                  dstore_error **error);

/**
 * Gives the command a read-only file at `target`, an absolute path, with `length` bytes of
 * content. It is owned by `uid` and `gid`, and its mode is `mode`, up to 0777. The content is
 * copied. It never appears in the result, the log, the environment or what the engine shows of the
 * container.
 *
 * Does not block. May be NULL: content, if there is none.
 */
dstore_status dstore_command_secret(dstore_command *command,
                                    const char *target,
                                    const char *content,
                                    size_t length,
                                    uint32_t uid,
                                    uint32_t gid,
                                    uint32_t mode,
                                    dstore_error **error);

/**
 * Sets the command's standard input to `length` bytes, which are copied. The default is empty.
 *
 * Does not block. May be NULL: content, if there is none.
 */
dstore_status dstore_command_stdin(dstore_command *command,
                                   const char *content,
                                   size_t length,
                                   dstore_error **error);

/**
 * Sets the command's standard input to a local file (any bytes), which is opened when the command
 * is run. It may be a pipe: a silent pipe delays neither the end of the command nor a cancel.
 *
 * Does not block.
 */
dstore_status dstore_command_stdin_file(dstore_command *command,
                                        const char *path,
                                        dstore_error **error);

/**
 * Kills the command after `timeout_ms` milliseconds, which must not be 0. The run then returns
 * DSTORE_TIMED_OUT.
 *
 * Does not block.
 */
dstore_status dstore_command_timeout(dstore_command *command,
                                     uint64_t timeout_ms,
                                     dstore_error **error);

/**
 * If `allow` is true, a non-zero exit status is not an error. By default it is: the run returns
 * DSTORE_COMMAND_FAILED, and the step can only be aborted. A program that cannot be started is
 * then not an error either; see dstore_step_was_started().
 *
 * Does not block.
 */
dstore_status dstore_command_allow_failure(dstore_command *command,
                                           bool allow,
                                           dstore_error **error);

/**
 * Frees a command; no-op if NULL. A run in progress continues.
 *
 * Does not block.
 */
void dstore_command_free(dstore_command *command);

/**
 * Leases a writable copy of the newest generation of the cache `name`, any non-empty byte string.
 * A cache that does not exist is created, empty. The copy's root directory is owned by `uid` and
 * `gid`. `mode` is a dstore_cache_mode. `timeout_ms` (0 means no timeout) and `cancel` apply to
 * waiting and copying. Free the lease with dstore_lease_free().
 *
 * Blocks. May be NULL: cancel.
 */
DSTORE_MUST_USE
dstore_status dstore_store_cache(const dstore_store *store,
                                 const char *name,
                                 uint32_t uid,
                                 uint32_t gid,
                                 int32_t mode,
                                 uint64_t timeout_ms,
                                 const dstore_cancel *cancel,
                                 dstore_lease **lease,
                                 dstore_error **error);

/**
 * Returns the name of the engine's volume that dstore_command_lease() mounts. Borrowed from
 * `lease`. Returns NULL if `lease` is NULL.
 *
 * Does not block. May be NULL: lease.
 */
const char *dstore_lease_volume(const dstore_lease *lease);

/**
 * Returns the generation that the lease was cloned from. 0 means that the cache has never been
 * released.
 *
 * Does not block. May be NULL: lease.
 */
uint64_t dstore_lease_generation(const dstore_lease *lease);

/**
 * Releases the lease. If its files have changed and the cache is still at the generation that was
 * cloned, the lease atomically becomes the next generation. `*released`, a dstore_released, is set
 * to the outcome. Returns DSTORE_BUSY while a container, running or not, mounts the lease. After
 * any error except DSTORE_CLOSED, the lease stays open and can be released again. The handle must
 * still be freed.
 *
 * Blocks, for as long as it takes to detect changes. With the copy strategy this examines every
 * file, or every byte if only the engine can access the volume. May be NULL: released.
 */
dstore_status dstore_lease_release(dstore_lease *lease,
                                   dstore_released *released,
                                   dstore_error **error);

/**
 * Like dstore_lease_release(), limited by `timeout_ms` (0 means no timeout) and `cancel`. If
 * either stops the call, the lease stays open.
 *
 * Blocks. May be NULL: cancel, released.
 */
DSTORE_MUST_USE
dstore_status dstore_lease_release_within(dstore_lease *lease,
                                          uint64_t timeout_ms,
                                          const dstore_cancel *cancel,
                                          dstore_released *released,
                                          dstore_error **error);

/**
 * Discards the lease: nothing of it is kept. The handle must still be freed.
 *
 * Does not block.
 */
dstore_status dstore_lease_discard(dstore_lease *lease,
                                   dstore_error **error);

/**
 * Frees a lease; no-op if NULL. A lease that is neither released nor discarded is discarded in the
 * background.
 *
 * Does not block.
 */
void dstore_lease_free(dstore_lease *lease);

/**
 * Sets `*strategy` to how caches are cloned, and `*reason` to a human-readable explanation; free
 * it with dstore_string_free(). If this engine has not been probed yet, probes it. Returns
 * DSTORE_UNSUPPORTED if an option requests a strategy that does not work on this engine.
 *
 * Blocks.
 */
DSTORE_MUST_USE
dstore_status dstore_store_strategy(const dstore_store *store,
                                    dstore_strategy *strategy,
                                    char **reason,
                                    dstore_error **error);

/**
 * Like dstore_store_strategy(), limited by `timeout_ms` (0 means no timeout) and `cancel`. Free
 * `*reason` with dstore_string_free().
 *
 * Blocks. May be NULL: cancel.
 */
DSTORE_MUST_USE
dstore_status dstore_store_strategy_within(const dstore_store *store,
                                           uint64_t timeout_ms,
                                           const dstore_cancel *cancel,
                                           dstore_strategy *strategy,
                                           char **reason,
                                           dstore_error **error);

/**
 * Deletes the cache `name` (any non-empty byte string). Outstanding leases continue, and their
 * releases are discarded. If the cache does not exist, returns DSTORE_OK and sets `*deleted` to
 * false. Returns DSTORE_BUSY if a container outside this store mounts it.
 *
 * Blocks. May be NULL: deleted.
 */
dstore_status dstore_store_delete_cache(const dstore_store *store,
                                        const char *name,
                                        bool *deleted,
                                        dstore_error **error);

/**
 * Like dstore_store_delete_cache(), limited by `timeout_ms` (0 means no timeout) and `cancel`. If
 * either stops the call, the cache may have been deleted anyway.
 *
 * Blocks. May be NULL: cancel, deleted.
 */
DSTORE_MUST_USE
dstore_status dstore_store_delete_cache_within(const dstore_store *store,
                                               const char *name,
                                               uint64_t timeout_ms,
                                               const dstore_cancel *cancel,
                                               bool *deleted,
                                               dstore_error **error);

/**
 * Sets the size limit of the cache `name` (any non-empty byte string) in bytes; 0 removes it. The
 * limit applies to all processes from now on, and may be set before the cache exists. A release
 * that would make the cache exceed the limit gives DSTORE_RELEASE_TOO_LARGE and is counted; the
 * lease is discarded and the cache is unchanged. The size is that of the cache's layers. A file
 * that is rewritten in several layers counts in each of them until they are merged in the
 * background. Has an effect only if this process can access the engine's volumes directly;
 * otherwise a release logs that it did not check the size.
 *
 * Does not block.
 */
DSTORE_MUST_USE
dstore_status dstore_store_limit_cache(const dstore_store *store,
                                       const char *name,
                                       uint64_t bytes,
                                       dstore_error **error);

/**
 * Lists all caches, sorted by name. Free the list with dstore_caches_free().
 *
 * Blocks.
 */
DSTORE_MUST_USE
dstore_status dstore_store_caches(const dstore_store *store,
                                  dstore_caches **caches,
                                  dstore_error **error);

/**
 * Like dstore_store_caches(), limited by `timeout_ms` (0 means no timeout) and `cancel`. Free the
 * list with dstore_caches_free().
 *
 * Blocks. May be NULL: cancel.
 */
DSTORE_MUST_USE
dstore_status dstore_store_caches_within(const dstore_store *store,
                                         uint64_t timeout_ms,
                                         const dstore_cancel *cancel,
                                         dstore_caches **caches,
                                         dstore_error **error);

/**
 * Returns the number of caches in the list, or 0 if `caches` is NULL.
 *
 * Does not block. May be NULL: caches.
 */
size_t dstore_caches_count(const dstore_caches *caches);

/**
 * Returns the name of the cache at `index`, counted from 0: `*length` bytes, followed by a NUL.
 * Borrowed from `caches`. Returns NULL if `index` is beyond the end.
 *
 * Does not block. May be NULL: caches, length.
 */
const char *dstore_caches_name(const dstore_caches *caches,
                               size_t index,
                               size_t *length);

/**
 * Returns the generation that a lease of the cache at `index` would be cloned from. Returns 0 if
 * it has never been released, and beyond the end.
 *
 * Does not block. May be NULL: caches.
 */
uint64_t dstore_caches_generation(const dstore_caches *caches,
                                  size_t index);

/**
 * Returns what the newest generation of the cache at `index` consists of: overlay layers, or one
 * whole copy. Returns DSTORE_STRATEGY_AUTOMATIC beyond the end.
 *
 * Does not block. May be NULL: caches.
 */
dstore_strategy dstore_caches_strategy(const dstore_caches *caches,
                                       size_t index);

/**
 * Returns the number of volumes that the newest generation of the cache at `index` consists of, or
 * 0 beyond the end.
 *
 * Does not block. May be NULL: caches.
 */
size_t dstore_caches_layers(const dstore_caches *caches,
                            size_t index);

/**
 * Returns the disk usage of the cache at `index` in bytes. Returns -1 if it is unknown, and beyond
 * the end.
 *
 * Does not block. May be NULL: caches.
 */
int64_t dstore_caches_bytes(const dstore_caches *caches,
                            size_t index);

/**
 * Returns when the cache at `index` was created, in seconds since 1970, or 0 beyond the end.
 *
 * Does not block. May be NULL: caches.
 */
int64_t dstore_caches_created(const dstore_caches *caches,
                              size_t index);

/**
 * Returns when the cache at `index` was last leased or released, in seconds since 1970, or 0
 * beyond the end.
 *
 * Does not block. May be NULL: caches.
 */
int64_t dstore_caches_last_use(const dstore_caches *caches,
                               size_t index);

/**
 * Returns the number of outstanding leases of the cache at `index`, in all processes, or 0 beyond
 * the end.
 *
 * Does not block. May be NULL: caches.
 */
size_t dstore_caches_leases(const dstore_caches *caches,
                            size_t index);

/**
 * Returns the size limit of the cache at `index` in bytes. Returns 0 if it has no limit, and
 * beyond the end.
 *
 * Does not block. May be NULL: caches.
 */
uint64_t dstore_caches_limit(const dstore_caches *caches,
                             size_t index);

/**
 * Frees a list; no-op if NULL.
 *
 * Does not block.
 */
void dstore_caches_free(dstore_caches *caches);

/**
 * Checks whether the engine answers, limited by `timeout_ms` (0 means no timeout) and `cancel`. If
 * the engine was upgraded or replaced since the last call, its API version is used from now on.
 *
 * Blocks, for one round trip to the engine. May be NULL: cancel.
 */
DSTORE_MUST_USE
dstore_status dstore_store_ping(const dstore_store *store,
                                uint64_t timeout_ms,
                                const dstore_cancel *cancel,
                                dstore_error **error);

/**
 * Collects the state of the engine, how this store uses it, and a list of problems, limited by
 * `timeout_ms` (0 means no timeout) and `cancel`. If the engine does not answer, returns an error.
 * What is only slow or missing is reported by dstore_health_trouble(). Free the object with
 * dstore_health_free().
 *
 * Blocks, for some engine calls; the first time on an engine, also for a probe of how caches can
 * be cloned. May be NULL: cancel.
 */
DSTORE_MUST_USE
dstore_status dstore_store_health(const dstore_store *store,
                                  uint64_t timeout_ms,
                                  const dstore_cancel *cancel,
                                  dstore_health **health,
                                  dstore_error **error);

/**
 * Returns the engine's product name: "Docker", "Podman", or what it reports. Borrowed from
 * `health`. Returns NULL if `health` is NULL.
 *
 * Does not block. May be NULL: health.
 */
const char *dstore_health_engine(const dstore_health *health);

/**
 * Returns the engine's version, such as "28.5.2". Borrowed from `health`. Returns NULL if `health`
 * is NULL.
 *
 * Does not block. May be NULL: health.
 */
const char *dstore_health_engine_version(const dstore_health *health);

/**
 * Returns the version of the Engine API in use, such as "1.47". Borrowed from `health`. Returns
 * NULL if `health` is NULL.
 *
 * Does not block. May be NULL: health.
 */
const char *dstore_health_api_version(const dstore_health *health);

/**
 * Returns the newest version of the Engine API that the engine supports, such as "1.51". Borrowed
 * from `health`. Returns NULL if `health` is NULL.
 *
 * Does not block. May be NULL: health.
 */
const char *dstore_health_newest_api_version(const dstore_health *health);

/**
 * Returns the address at which the engine was reached. Borrowed from `health`. Returns NULL if
 * `health` is NULL.
 *
 * Does not block. May be NULL: health.
 */
const char *dstore_health_address(const dstore_health *health);

/**
 * Returns where the engine stores images: its storage driver, such as "overlay2", or "containerd
 * (overlayfs)". Borrowed from `health`. Returns NULL if `health` is NULL.
 *
 * Does not block. May be NULL: health.
 */
const char *dstore_health_image_store(const dstore_health *health);

/**
 * Returns how caches are cloned. Returns DSTORE_STRATEGY_AUTOMATIC if they cannot be cloned, and
 * if `health` is NULL.
 *
 * Does not block. May be NULL: health.
 */
dstore_strategy dstore_health_strategy(const dstore_health *health);

/**
 * Returns why caches are cloned this way, or cannot be cloned. Borrowed from `health`. Returns
 * NULL if `health` is NULL.
 *
 * Does not block. May be NULL: health.
 */
const char *dstore_health_strategy_reason(const dstore_health *health);

/**
 * Returns what sets up the network of steps without a network, the runtime or the engine, and why.
 * Borrowed from `health`. Returns NULL if `health` is NULL.
 *
 * Does not block. May be NULL: health.
 */
const char *dstore_health_network(const dstore_health *health);

/**
 * Returns by how many milliseconds the engine's clock is ahead of the local clock; negative if it
 * is behind. Returns INT64_MIN if it is unknown, and if `health` is NULL.
 *
 * Does not block. May be NULL: health.
 */
int64_t dstore_health_clock_ahead_ms(const dstore_health *health);

/**
 * Returns the free space on the file system of the store's root, in percent, or -1 if `health` is
 * NULL.
 *
 * Does not block. May be NULL: health.
 */
double dstore_health_free_root(const dstore_health *health);

/**
 * Returns the free space on the file system of the engine's data, in percent. Returns -1 if that
 * is not on the local machine or not accessible, and if `health` is NULL.
 *
 * Does not block. May be NULL: health.
 */
double dstore_health_free_engine(const dstore_health *health);

/**
 * Returns the number of problems, or 0 if `health` is NULL.
 *
 * Does not block. May be NULL: health.
 */
size_t dstore_health_troubles(const dstore_health *health);

/**
 * Returns the problem at `index`, counted from 0, as one human-readable line. Borrowed from
 * `health`. Returns NULL if `index` is beyond the end.
 *
 * Does not block. May be NULL: health.
 */
const char *dstore_health_trouble(const dstore_health *health,
                                  size_t index);

/**
 * Returns what to do about the problem at `index`. Borrowed from `health`. Returns NULL if `index`
 * is beyond the end.
 *
 * Does not block. May be NULL: health.
 */
const char *dstore_health_advice(const dstore_health *health,
                                 size_t index);

/**
 * Frees the object; no-op if NULL.
 *
 * Does not block.
 */
void dstore_health_free(dstore_health *health);

/**
 * Returns the free space, in percent. `*root` is the free space on the file system of the store's
 * root. `*engine` is the free space on the file system of the engine's data, or -1 if that is not
 * on the local machine or not accessible. `*percent` is the lower of the two. The percentages are
 * those of df(1), reversed: the available space as a share of used plus available space. Space
 * reserved for the superuser is not counted.
 *
 * Blocks, for one engine call. May be NULL: percent, root, engine.
 */
dstore_status dstore_store_df(const dstore_store *store,
                              double *percent,
                              double *root,
                              double *engine,
                              dstore_error **error);

/**
 * Like dstore_store_df(), limited by `timeout_ms` (0 means no timeout) and `cancel`.
 *
 * Blocks. May be NULL: cancel, percent, root, engine.
 */
DSTORE_MUST_USE
dstore_status dstore_store_df_within(const dstore_store *store,
                                     uint64_t timeout_ms,
                                     const dstore_cancel *cancel,
                                     double *percent,
                                     double *root,
                                     double *engine,
                                     dstore_error **error);

/**
 * Sets `*value` to the value of a counter. `counter` is a dstore_counter.
 *
 * Does not block.
 */
dstore_status dstore_store_count(const dstore_store *store,
                                 int32_t counter,
                                 uint64_t *value,
                                 dstore_error **error);

/**
 * Removes what terminated processes have left behind, as opening does, and counts it. It removes
 * containers of steps and copies, tags of steps, leases, and other volumes that no cache needs.
 * What a running process holds is kept.
 *
 * Blocks. May be NULL: containers, images, volumes.
 */
dstore_status dstore_store_purge(const dstore_store *store,
                                 uint64_t *containers,
                                 uint64_t *images,
                                 uint64_t *volumes,
                                 dstore_error **error);

/**
 * Like dstore_store_purge(), limited by `timeout_ms` (0 means no timeout) and `cancel`. What is
 * not removed in time is left for the next purge or open.
 *
 * Blocks. May be NULL: cancel, containers, images, volumes.
 */
DSTORE_MUST_USE
dstore_status dstore_store_purge_within(const dstore_store *store,
                                        uint64_t timeout_ms,
                                        const dstore_cancel *cancel,
                                        uint64_t *containers,
                                        uint64_t *images,
                                        uint64_t *volumes,
                                        dstore_error **error);

/**
 * Waits until everything queued for removal (from freed steps, released leases and deleted caches)
 * is gone from the engine. `timeout_ms` 0 means no timeout. May also be called after
 * dstore_store_close().
 *
 * Blocks. May be NULL: cancel.
 */
dstore_status dstore_store_complete_deletes(const dstore_store *store,
                                            uint64_t timeout_ms,
                                            const dstore_cancel *cancel,
                                            dstore_error **error);

/**
 * Destroys the root at `root` (any bytes): removes everything of it from every engine that it was
 * used with, and from the disk. That is its results, caches, logs, leftovers of steps, the
 * caller's own files in its state directory, and the directory itself. Tags added by
 * dstore_store_tag() are kept. If `dry_run` is true, nothing is removed. `*remains` lists the
 * root's objects and, for each that could not be removed, the reason. In that case the root is
 * kept as well, and the next call continues, as it does after a call that was interrupted or
 * killed.
 *
 * Returns DSTORE_BUSY while a store is open there, in any process; DSTORE_NOT_FOUND if nothing
 * exists there; DSTORE_INVALID_ARGUMENT if it is not a store's root. Returns DSTORE_UNREACHABLE,
 * and removes nothing, if an engine that the root was used with cannot be reached. If `abandon` is
 * true, the root is destroyed anyway; what is on that engine can be found later by the root's
 * identity. `options` gives the address of an engine whose address has changed. `timeout_ms` 0
 * means no timeout. Free the list with dstore_remains_free().
 *
 * Blocks. May be NULL: options, cancel.
 */
DSTORE_MUST_USE
dstore_status dstore_destroy(const char *root,
                             const dstore_options *options,
                             bool dry_run,
                             bool abandon,
                             uint64_t timeout_ms,
                             const dstore_cancel *cancel,
                             dstore_remains **remains,
                             dstore_error **error);

/**
 * Lists the objects that roots have on an engine, by the identities that the objects carry. If
 * `identity` is not NULL, lists only the objects of that root. Removes nothing. The engine does
 * not know whether a root still exists; the list says where the root was, and a person must
 * decide. `timeout_ms` 0 means no timeout. Free the list with dstore_remains_free().
 *
 * Blocks. May be NULL: options, identity, cancel.
 */
DSTORE_MUST_USE
dstore_status dstore_find_remains(const dstore_options *options,
                                  const char *identity,
                                  uint64_t timeout_ms,
                                  const dstore_cancel *cancel,
                                  dstore_remains **remains,
                                  dstore_error **error);

/**
 * Removes from an engine what is left of the root with this identity, whose directory no longer
 * exists. Call dstore_find_remains() first. Returns DSTORE_BUSY while one of its containers is
 * running, and DSTORE_CONFLICT if the root still exists at its path on the local machine. A root
 * that exists elsewhere loses its results and caches. `timeout_ms` 0 means no timeout. Free the
 * list with dstore_remains_free().
 *
 * Blocks. May be NULL: options, cancel.
 */
DSTORE_MUST_USE
dstore_status dstore_destroy_remains(const dstore_options *options,
                                     const char *identity,
                                     uint64_t timeout_ms,
                                     const dstore_cancel *cancel,
                                     dstore_remains **remains,
                                     dstore_error **error);

/**
 * Returns the number of objects in the list, or 0 if `remains` is NULL.
 *
 * Does not block. May be NULL: remains.
 */
size_t dstore_remains_count(const dstore_remains *remains);

/**
 * Returns the kind of the object at `index`, counted from 0: a dstore_remnant, or 0 beyond the
 * end.
 *
 * Does not block. May be NULL: remains.
 */
int32_t dstore_remains_kind(const dstore_remains *remains,
                            size_t index);

/**
 * Returns the name of the object at `index` on its engine, or its path. Borrowed from `remains`.
 * Returns NULL if `index` is beyond the end.
 *
 * Does not block. May be NULL: remains.
 */
const char *dstore_remains_name(const dstore_remains *remains,
                                size_t index);

/**
 * Returns the identity of the root that the object at `index` belongs to. Borrowed from `remains`.
 * Returns NULL if `index` is beyond the end.
 *
 * Does not block. May be NULL: remains.
 */
const char *dstore_remains_identity(const dstore_remains *remains,
                                    size_t index);

/**
 * Returns the path at which that root claimed its names. Borrowed from `remains`. Returns NULL if
 * it is unknown, and beyond the end.
 *
 * Does not block. May be NULL: remains.
 */
const char *dstore_remains_root(const dstore_remains *remains,
                                size_t index);

/**
 * Returns the address of the engine that has the object at `index`, or "" for a file. Borrowed
 * from `remains`. Returns NULL if `index` is beyond the end.
 *
 * Does not block. May be NULL: remains.
 */
const char *dstore_remains_engine(const dstore_remains *remains,
                                  size_t index);

/**
 * Returns whether the object at `index` was removed, or false beyond the end.
 *
 * Does not block. May be NULL: remains.
 */
bool dstore_remains_removed(const dstore_remains *remains,
                            size_t index);

/**
 * Returns why the object at `index` could not be removed. Borrowed from `remains`. Returns NULL if
 * there was no such failure, and beyond the end.
 *
 * Does not block. May be NULL: remains.
 */
const char *dstore_remains_kept(const dstore_remains *remains,
                                size_t index);

/**
 * Frees a list; no-op if NULL.
 *
 * Does not block.
 */
void dstore_remains_free(dstore_remains *remains);

/**
 * Starts collecting the library's log, for all stores of the process: lines up to `level`, a
 * dstore_log_level. DSTORE_LOG_OFF stops collecting. Until this is called, nothing is collected.
 * Returns DSTORE_CONFLICT if the process's own Rust code has installed a logger, which then
 * receives the lines.
 *
 * Does not block.
 */
dstore_status dstore_log_collect(int32_t level,
                                 dstore_error **error);

/**
 * Passes the lines that were collected and not fetched yet to `callback`, oldest first, on the
 * calling thread. If there are none, waits up to `timeout_ms` for the first; 0 does not wait. A
 * dedicated thread can write the log by calling this in a loop. If lines are not fetched, only the
 * newest few thousand are kept.
 *
 * Blocks, for `timeout_ms` at most. May be NULL: user_data.
 */
dstore_status dstore_log_fetch(uint64_t timeout_ms,
                               dstore_log_callback callback,
                               void *user_data,
                               dstore_error **error);

/**
 * Collects the disk usage: a row for each result, cache and log, the leftovers of terminated
 * processes, and sums that count shared layers once. Limited by `timeout_ms` (0 means no timeout)
 * and `cancel`. Free the object with dstore_usage_free().
 *
 * Blocks, for three lists from the engine. May be NULL: cancel.
 */
DSTORE_MUST_USE
dstore_status dstore_store_usage(const dstore_store *store,
                                 uint64_t timeout_ms,
                                 const dstore_cancel *cancel,
                                 dstore_usage **usage,
                                 dstore_error **error);

/**
 * Returns the size of all results in bytes. Layers that results share are counted once, and layers
 * of untagged bases are included. Returns 0 if `usage` is NULL.
 *
 * Does not block. May be NULL: usage.
 */
uint64_t dstore_usage_results_bytes(const dstore_usage *usage);

/**
 * Returns the size of all caches in bytes, as far as it is known, or 0 if `usage` is NULL.
 *
 * Does not block. May be NULL: usage.
 */
uint64_t dstore_usage_caches_bytes(const dstore_usage *usage);

/**
 * Returns the size of all logs in bytes, or 0 if `usage` is NULL.
 *
 * Does not block. May be NULL: usage.
 */
uint64_t dstore_usage_logs_bytes(const dstore_usage *usage);

/**
 * Returns the number of results for which it is unknown what they share with others; each of them
 * is counted in full. Returns 0 if `usage` is NULL.
 *
 * Does not block. May be NULL: usage.
 */
uint64_t dstore_usage_results_unknown(const dstore_usage *usage);

/**
 * Returns the number of caches whose size is unknown; they are not in the sum. Returns 0 if
 * `usage` is NULL.
 *
 * Does not block. May be NULL: usage.
 */
uint64_t dstore_usage_caches_unknown(const dstore_usage *usage);

/**
 * Returns a human-readable text that says how the sums were computed. Borrowed from `usage`.
 * Returns NULL if `usage` is NULL.
 *
 * Does not block. May be NULL: usage.
 */
const char *dstore_usage_how(const dstore_usage *usage);

/**
 * Returns the number of containers that terminated processes have left behind, or 0 if `usage` is
 * NULL.
 *
 * Does not block. May be NULL: usage.
 */
uint64_t dstore_usage_left_containers(const dstore_usage *usage);

/**
 * Returns the number of images that only steps of terminated processes hold, or 0 if `usage` is
 * NULL.
 *
 * Does not block. May be NULL: usage.
 */
uint64_t dstore_usage_left_images(const dstore_usage *usage);

/**
 * Returns the number of volumes that terminated processes have left behind and no cache names, or
 * 0 if `usage` is NULL.
 *
 * Does not block. May be NULL: usage.
 */
uint64_t dstore_usage_left_volumes(const dstore_usage *usage);

/**
 * Returns the number of results, or 0 if `usage` is NULL.
 *
 * Does not block. May be NULL: usage.
 */
size_t dstore_usage_results(const dstore_usage *usage);

/**
 * Returns the id of the result at `index`, counted from 0. Results are sorted by id. Borrowed from
 * `usage`. Returns NULL if `index` is beyond the end.
 *
 * Does not block. May be NULL: usage.
 */
const char *dstore_usage_result_id(const dstore_usage *usage,
                                   size_t index);

/**
 * Returns the engine's id of the image of the result at `index`. Borrowed from `usage`. Returns
 * NULL if `index` is beyond the end.
 *
 * Does not block. May be NULL: usage.
 */
const char *dstore_usage_result_image(const dstore_usage *usage,
                                      size_t index);

/**
 * Returns the id of the result that the result at `index` was built on, whether that still exists
 * or not. Borrowed from `usage`. Returns NULL if it was built on nothing or the base is unknown,
 * and beyond the end.
 *
 * Does not block. May be NULL: usage.
 */
const char *dstore_usage_result_base(const dstore_usage *usage,
                                     size_t index);

/**
 * Returns the size of the result at `index` in bytes, without its base, or 0 beyond the end.
 *
 * Does not block. May be NULL: usage.
 */
uint64_t dstore_usage_result_own_bytes(const dstore_usage *usage,
                                       size_t index);

/**
 * Returns the size of the result at `index` in bytes, including layers that it shares with other
 * images, or 0 beyond the end.
 *
 * Does not block. May be NULL: usage.
 */
uint64_t dstore_usage_result_bytes(const dstore_usage *usage,
                                   size_t index);

/**
 * Returns when the image of the result at `index` was created, in seconds since 1970, or 0 beyond
 * the end.
 *
 * Does not block. May be NULL: usage.
 */
int64_t dstore_usage_result_created(const dstore_usage *usage,
                                    size_t index);

/**
 * Returns when the result at `index` was last used, in seconds since 1970. A use is a commit, a
 * lookup or begin that found it, a begin on top of it, or a copy out of it. If no use is recorded,
 * returns when its image was created. Returns 0 beyond the end.
 *
 * Does not block. May be NULL: usage.
 */
int64_t dstore_usage_result_last_use(const dstore_usage *usage,
                                     size_t index);

/**
 * Returns how many milliseconds it took to build the result at `index`. Returns -1 if it is
 * unknown, and beyond the end.
 *
 * Does not block. May be NULL: usage.
 */
int64_t dstore_usage_result_build_ms(const dstore_usage *usage,
                                     size_t index);

/**
 * Returns whether the result at `index` is pinned, or false beyond the end.
 *
 * Does not block. May be NULL: usage.
 */
bool dstore_usage_result_pinned(const dstore_usage *usage,
                                size_t index);

/**
 * Returns whether the id of the result at `index` was being built, by this process or another, or
 * false beyond the end.
 *
 * Does not block. May be NULL: usage.
 */
bool dstore_usage_result_building(const dstore_usage *usage,
                                  size_t index);

/**
 * Returns whether a step in progress was built on the result at `index`, or false beyond the end.
 *
 * Does not block. May be NULL: usage.
 */
bool dstore_usage_result_held(const dstore_usage *usage,
                              size_t index);

/**
 * Returns the size of the log of the result at `index` in bytes, or 0 beyond the end.
 *
 * Does not block. May be NULL: usage.
 */
uint64_t dstore_usage_result_log_bytes(const dstore_usage *usage,
                                       size_t index);

/**
 * Returns all caches, sorted by name, for the functions that take a dstore_caches. Their sizes are
 * known only if they have been counted before. Borrowed from `usage`: do not free it. Returns NULL
 * if `usage` is NULL.
 *
 * Does not block. May be NULL: usage.
 */
const dstore_caches *dstore_usage_caches(const dstore_usage *usage);

/**
 * Returns whether the cache at `index` of dstore_usage_caches() is pinned, or false beyond the
 * end.
 *
 * Does not block. May be NULL: usage.
 */
bool dstore_usage_cache_pinned(const dstore_usage *usage,
                               size_t index);

/**
 * Returns the number of logs, or 0 if `usage` is NULL.
 *
 * Does not block. May be NULL: usage.
 */
size_t dstore_usage_logs(const dstore_usage *usage);

/**
 * Returns the id of the build whose log is at `index`, counted from 0. Logs are sorted by id.
 * Borrowed from `usage`. Returns NULL if `index` is beyond the end.
 *
 * Does not block. May be NULL: usage.
 */
const char *dstore_usage_log_id(const dstore_usage *usage,
                                size_t index);

/**
 * Returns the size of the log at `index` in bytes, or 0 beyond the end.
 *
 * Does not block. May be NULL: usage.
 */
uint64_t dstore_usage_log_bytes(const dstore_usage *usage,
                                size_t index);

/**
 * Returns when the log at `index` was last written, in seconds since 1970, or 0 beyond the end.
 *
 * Does not block. May be NULL: usage.
 */
int64_t dstore_usage_log_written(const dstore_usage *usage,
                                 size_t index);

/**
 * Returns whether the result of the log at `index` exists, or false beyond the end.
 *
 * Does not block. May be NULL: usage.
 */
bool dstore_usage_log_has_result(const dstore_usage *usage,
                                 size_t index);

/**
 * Frees the object; no-op if NULL.
 *
 * Does not block.
 */
void dstore_usage_free(dstore_usage *usage);

/**
 * Creates a policy without limits. Free it with dstore_policy_free(). Returns NULL only on an
 * internal error.
 *
 * Does not block.
 */
DSTORE_MUST_USE
dstore_policy *dstore_policy_new(void);

/**
 * Sets the maximum size, in bytes, of all items of the kinds that may be removed, as counted by a
 * dstore_usage. The prune counts caches whose size is unknown: as files, or otherwise by asking
 * the engine, which may take seconds.
 *
 * Does not block.
 */
dstore_status dstore_policy_most_bytes(dstore_policy *policy,
                                       uint64_t bytes,
                                       dstore_error **error);

/**
 * Sets the minimum free space on the engine's disk, in bytes. The disk must be on the local
 * machine and accessible; otherwise the prune returns DSTORE_UNSUPPORTED.
 *
 * Does not block.
 */
dstore_status dstore_policy_least_free_bytes(dstore_policy *policy,
                                             uint64_t bytes,
                                             dstore_error **error);

/**
 * Sets the minimum free space on the engine's disk, in percent as reported by dstore_store_df()
 * and computed by df(1). Returns DSTORE_INVALID_ARGUMENT if `percent` is not a number from 0 to
 * 100.
 *
 * Does not block.
 */
dstore_status dstore_policy_least_free_percent(dstore_policy *policy,
                                               double percent,
                                               dstore_error **error);

/**
 * Removes items that have not been used for this many milliseconds, however much space is free. A
 * result may then be removed while results that were built on it are kept because they are in use;
 * their layers are kept.
 *
 * Does not block.
 */
dstore_status dstore_policy_unused_for(dstore_policy *policy,
                                       uint64_t milliseconds,
                                       dstore_error **error);

/**
 * Sets the minimum number of results to keep.
 *
 * Does not block.
 */
dstore_status dstore_policy_keep_results(dstore_policy *policy,
                                         size_t number,
                                         dstore_error **error);

/**
 * Keeps results that were used within this many milliseconds. The default is one minute if another
 * store has the root open, or if this store has reported a result itself; otherwise none. A caller
 * that was told that a result exists has this long to begin a step on it.
 *
 * Does not block.
 */
dstore_status dstore_policy_spare(dstore_policy *policy,
                                  uint64_t milliseconds,
                                  dstore_error **error);

/**
 * Sets whether results may be removed, with their logs. The default is true.
 *
 * Does not block.
 */
dstore_status dstore_policy_results(dstore_policy *policy,
                                    bool may,
                                    dstore_error **error);

/**
 * Sets whether caches may be removed. The default is true.
 *
 * Does not block.
 */
dstore_status dstore_policy_caches(dstore_policy *policy,
                                   bool may,
                                   dstore_error **error);

/**
 * Sets whether logs may be removed alone: those of failed builds, and of results that are kept.
 * The default is false.
 *
 * Does not block.
 */
dstore_status dstore_policy_logs(dstore_policy *policy,
                                 bool may,
                                 dstore_error **error);

/**
 * Sets whether the prune only reports what it would remove. The default is false.
 *
 * Does not block.
 */
dstore_status dstore_policy_dry_run(dstore_policy *policy,
                                    bool dry_run,
                                    dstore_error **error);

/**
 * Frees a policy; no-op if NULL.
 *
 * Does not block.
 */
void dstore_policy_free(dstore_policy *policy);

/**
 * Reduces the store to the limits of `policy`: removes results, caches and logs until the limits
 * are met. Limited by `timeout_ms` (0 means no timeout) and `cancel`. Any number of processes may
 * prune concurrently, while others build. The following are kept: what is being built, the base of
 * a step in progress, what is leased or pinned, and results that a caller has just been told about
 * (dstore_policy_spare()).
 *
 * `each` is called with every row as it happens, and stops the prune if it does not return 0. What
 * was removed by then stays removed. Each item is tried once. If an item cannot be removed, that
 * is not an error but a row. Free the report with dstore_pruned_free().
 *
 * Blocks. May be NULL: cancel, each, user_data.
 */
DSTORE_MUST_USE
dstore_status dstore_store_prune(const dstore_store *store,
                                 const dstore_policy *policy,
                                 uint64_t timeout_ms,
                                 const dstore_cancel *cancel,
                                 dstore_prune_callback each,
                                 void *user_data,
                                 dstore_pruned **pruned,
                                 dstore_error **error);

/**
 * Returns the number of rows, or 0 if `pruned` is NULL.
 *
 * Does not block. May be NULL: pruned.
 */
size_t dstore_pruned_count(const dstore_pruned *pruned);

/**
 * Returns the kind of the item in the row at `index`, counted from 0: a dstore_item, or 0 beyond
 * the end.
 *
 * Does not block. May be NULL: pruned.
 */
int32_t dstore_pruned_item(const dstore_pruned *pruned,
                           size_t index);

/**
 * Returns the name of the item in the row at `index`: `*length` bytes, followed by a NUL. Borrowed
 * from `pruned`. Returns NULL if `index` is beyond the end.
 *
 * Does not block. May be NULL: pruned, length.
 */
const char *dstore_pruned_name(const dstore_pruned *pruned,
                               size_t index,
                               size_t *length);

/**
 * Returns how many bytes the removal of the item in the row at `index` frees, as counted by a
 * dstore_usage. For a result, this is what no other result holds. Returns 0 beyond the end.
 *
 * Does not block. May be NULL: pruned.
 */
uint64_t dstore_pruned_bytes(const dstore_pruned *pruned,
                             size_t index);

/**
 * Returns when the item in the row at `index` was last used, in seconds since 1970, or 0 beyond
 * the end.
 *
 * Does not block. May be NULL: pruned.
 */
int64_t dstore_pruned_last_use(const dstore_pruned *pruned,
                               size_t index);

/**
 * Returns what the prune did with the item in the row at `index`: a dstore_fate, or 0 beyond the
 * end.
 *
 * Does not block. May be NULL: pruned.
 */
int32_t dstore_pruned_fate(const dstore_pruned *pruned,
                           size_t index);

/**
 * Returns why the item in the row at `index` was kept, or "" if it was removed. Borrowed from
 * `pruned`. Returns NULL if `index` is beyond the end.
 *
 * Does not block. May be NULL: pruned.
 */
const char *dstore_pruned_why(const dstore_pruned *pruned,
                              size_t index);

/**
 * Returns by how many bytes the free space on the engine's disk has grown, whatever caused it, or
 * 0 if it has shrunk. Returns -1 if that disk is not accessible, in a dry run, and if `pruned` is
 * NULL.
 *
 * Does not block. May be NULL: pruned.
 */
int64_t dstore_pruned_freed(const dstore_pruned *pruned);

/**
 * Returns the size, in bytes, of what is kept of the kinds that may be removed, as counted by a
 * dstore_usage. Returns 0 if `pruned` is NULL.
 *
 * Does not block. May be NULL: pruned.
 */
uint64_t dstore_pruned_kept(const dstore_pruned *pruned);

/**
 * Returns whether all limits of the policy are met or, in a dry run, would be met. Returns false
 * if `pruned` is NULL.
 *
 * Does not block. May be NULL: pruned.
 */
bool dstore_pruned_reached(const dstore_pruned *pruned);

/**
 * Frees the report; no-op if NULL.
 *
 * Does not block.
 */
void dstore_pruned_free(dstore_pruned *pruned);

/**
 * Pins the result `id`, whether it exists or not: from now on no prune of any process removes it.
 * Limited by `timeout_ms` (0 means no timeout) and `cancel`. `*pinned` is set to false if it was
 * already pinned. A delete removes the result anyway, and the pin is kept.
 *
 * Blocks, while a prune is removing the result. May be NULL: cancel, pinned.
 */
DSTORE_MUST_USE
dstore_status dstore_store_pin(const dstore_store *store,
                               const char *id,
                               uint64_t timeout_ms,
                               const dstore_cancel *cancel,
                               bool *pinned,
                               dstore_error **error);

/**
 * Removes the pin of the result `id`. If there is none, returns DSTORE_OK and sets `*unpinned` to
 * false.
 *
 * Does not block. May be NULL: unpinned.
 */
DSTORE_MUST_USE
dstore_status dstore_store_unpin(const dstore_store *store,
                                 const char *id,
                                 bool *unpinned,
                                 dstore_error **error);

/**
 * Like dstore_store_pin(), for the cache `name` (any non-empty byte string).
 *
 * Blocks, while another call uses the cache. May be NULL: cancel, pinned.
 */
DSTORE_MUST_USE
dstore_status dstore_store_pin_cache(const dstore_store *store,
                                     const char *name,
                                     uint64_t timeout_ms,
                                     const dstore_cancel *cancel,
                                     bool *pinned,
                                     dstore_error **error);

/**
 * Like dstore_store_unpin(), for the cache `name`.
 *
 * Does not block. May be NULL: unpinned.
 */
DSTORE_MUST_USE
dstore_status dstore_store_unpin_cache(const dstore_store *store,
                                       const char *name,
                                       bool *unpinned,
                                       dstore_error **error);

/**
 * Lists all pins: results sorted by id, then caches sorted by name, whether they exist or not.
 * Pins are stored in the root, for all engines that it is used with. Free the list with
 * dstore_pins_free().
 *
 * Does not block.
 */
DSTORE_MUST_USE
dstore_status dstore_store_pins(const dstore_store *store,
                                dstore_pins **pins,
                                dstore_error **error);

/**
 * Sets `*went` to how the result `id` was removed, if it once existed and no longer does. `*when`
 * is set to the time of the removal, in seconds since 1970, or 0 if it is unknown. Remembered for
 * thirty days.
 *
 * Does not block. May be NULL: when.
 */
DSTORE_MUST_USE
dstore_status dstore_store_went(const dstore_store *store,
                                const char *id,
                                dstore_went *went,
                                int64_t *when,
                                dstore_error **error);

/**
 * Does what dstore_store_went() does, and asks the engine if the store has no record of how the
 * result `id` went. So it also reports a result that another program removed on the engine.
 *
 * Blocks. May be NULL: cancel, when.
 */
DSTORE_MUST_USE
dstore_status dstore_store_why_gone(const dstore_store *store,
                                    const char *id,
                                    uint64_t timeout_ms,
                                    const dstore_cancel *cancel,
                                    dstore_went *went,
                                    int64_t *when,
                                    dstore_error **error);

/**
 * How many pins are in the list; 0 for NULL.
 * Returns the number of pins in the list, or 0 if `pins` is NULL.
 *
 * Does not block. May be NULL: pins.
 */
size_t dstore_pins_count(const dstore_pins *pins);

/**
 * Returns the kind of what is pinned at `index`, counted from 0: DSTORE_ITEM_RESULT or
 * DSTORE_ITEM_CACHE, as a number, or 0 beyond the end.
 *
 * Does not block. May be NULL: pins.
 */
int32_t dstore_pins_item(const dstore_pins *pins,
                         size_t index);

/**
 * Returns the name of what is pinned at `index`: `*length` bytes, followed by a NUL. Borrowed from
 * `pins`. Returns NULL if `index` is beyond the end.
 *
 * Does not block. May be NULL: pins, length.
 */
const char *dstore_pins_name(const dstore_pins *pins,
                             size_t index,
                             size_t *length);

/**
 * Returns when the pin at `index` was set, in seconds since 1970, or 0 beyond the end.
 *
 * Does not block. May be NULL: pins.
 */
int64_t dstore_pins_since(const dstore_pins *pins,
                          size_t index);

/**
 * Frees a list; no-op if NULL.
 *
 * Does not block.
 */
void dstore_pins_free(dstore_pins *pins);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* DOCKER_STORE_H */
