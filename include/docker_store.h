/*
 * docker_store.h - a build store in Docker: results are images, caches are volumes that are lent
 * as private writable copies, and logs are plain files.
 *
 * Generated from src/capi by cbindgen: change it there, then `make header`.
 *
 * What holds for every call, unless its own comment says otherwise:
 *
 * ERRORS. What can fail returns a dstore_status, and takes a `dstore_error **` last. That may be
 * NULL; if it is not, it is set to NULL on success, and on failure to an error that says more, to
 * be freed with dstore_error_free(). Answers are written on success alone; but where an answer is
 * an object to be freed, it is NULL after a failure.
 *
 * NULL. Arguments are not NULL, short of those named after "May be NULL". One that is all the same
 * is answered with DSTORE_INVALID_ARGUMENT, and so is text that is not UTF-8, and a number that
 * should stand for a name and does not.
 *
 * OWNERSHIP. Objects are made by the calls whose comments name a ..._free(), and freed by that one,
 * once; given NULL it does nothing. What an object was made from may be freed before it. Text that
 * is said to be borrowed lives as long as the object it came from. What is handed in is copied, and
 * need live no longer than the call.
 *
 * THREADS. A store, a cancel, an error and a list may be used by any number of threads at once.
 * So may any other object by calls that take it as const. Without the const, a call has it for
 * itself, and another that comes in between is told DSTORE_BUSY. Freeing an object must not meet any
 * other call that is given it.
 *
 * CALLBACKS run during the call that was given them, on the thread that made it, and with no lock
 * of the library's held: they may make any calls, but on the step whose call they are in, which is
 * DSTORE_BUSY. They return 0 to go on; anything else ends the call with DSTORE_CALLBACK. They must
 * not throw, longjmp or end the thread. `user_data` is for them alone.
 *
 * TEXT is UTF-8 and ends with a zero byte. Names and paths that are said to be "any bytes" need not
 * be UTF-8.
 *
 * WAITING. A call that blocks ends by the engine's answer, its timeout or its dstore_cancel, and
 * never by a signal. Those without a timeout give up on an engine that does not answer a short
 * question for a minute.
 *
 * THE PROCESS. The library prints nothing but a report of a fault of its own, or of memory that ran
 * out, which ends the process. It installs no signal handler, raises no SIGPIPE, changes nothing
 * that is the whole process's (short of dstore_log_collect()), and starts no threads but to remove
 * what is no longer needed. Its descriptors are 3 or higher, also where the host has closed its own
 * streams, and none outlives an exec. In a child that is forked without exec every call of a store, a step or
 * a lease of its parent's answers DSTORE_CLOSED, and a free does nothing.
 */


#ifndef DOCKER_STORE_H
#define DOCKER_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Stands before calls whose answer must not go unseen: a compiler that can warns of that. */
#ifndef DSTORE_MUST_USE
#if defined(__GNUC__) || defined(__clang__)
#define DSTORE_MUST_USE __attribute__((warn_unused_result))
#else
#define DSTORE_MUST_USE
#endif
#endif

/* The version of this header. The library that runs says its own with dstore_version(). */
#define DSTORE_VERSION_MAJOR 0
#define DSTORE_VERSION_MINOR 1
#define DSTORE_VERSION_PATCH 0
#define DSTORE_VERSION_NUMBER \
    (DSTORE_VERSION_MAJOR * 1000000 + DSTORE_VERSION_MINOR * 1000 + DSTORE_VERSION_PATCH)
#define DSTORE_VERSION_STRING "0.1.0"


/**
 * How a call went. The numbers never change, and later versions may add some: take one that you do
 * not know for a failure.
 */
enum dstore_status
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * It did what was asked.
     */
    DSTORE_OK = 0,
    /**
     * An argument that the library or the engine cannot take. Nothing has changed.
     */
    DSTORE_INVALID_ARGUMENT = 1,
    /**
     * What was named does not exist: a base, an image, a path in a container.
     */
    DSTORE_NOT_FOUND = 2,
    /**
     * Something is not in the state that this needs: a step that has failed, or whatever the engine
     * says so of (HTTP 409).
     */
    DSTORE_CONFLICT = 3,
    /**
     * The engine is doing it already, such as a removal that another call began.
     */
    DSTORE_IN_PROGRESS = 4,
    /**
     * Somebody else is using it: try again later.
     */
    DSTORE_BUSY = 5,
    /**
     * dstore_cancel_trigger() was called.
     */
    DSTORE_CANCELLED = 6,
    /**
     * A timeout passed. What was asked may or may not have happened.
     */
    DSTORE_TIMED_OUT = 7,
    /**
     * No engine answers at the address.
     */
    DSTORE_UNREACHABLE = 8,
    /**
     * Something answers, but it is no engine that this library can use: not an engine, or too old.
     */
    DSTORE_UNSUPPORTED = 9,
    /**
     * The engine failed (HTTP 5xx, or an error in the middle of a stream), or its answer makes no
     * sense or has no end.
     */
    DSTORE_ENGINE = 10,
    /**
     * A connection or a stream ended in the middle.
     */
    DSTORE_CUT_SHORT = 11,
    /**
     * This machine's file system or operating system refused.
     */
    DSTORE_IO = 12,
    /**
     * The command of a step ended with a status other than zero: see dstore_error_exit_code().
     */
    DSTORE_COMMAND_FAILED = 13,
    /**
     * The kernel killed the command of a step because its memory ran out.
     */
    DSTORE_OUT_OF_MEMORY = 14,
    /**
     * A callback returned something other than zero.
     */
    DSTORE_CALLBACK = 15,
    /**
     * The store, step or lease was closed, committed, aborted or released before.
     */
    DSTORE_CLOSED = 16,
    /**
     * A file of the store's own, or of docker's configuration, makes no sense.
     */
    DSTORE_CORRUPT = 17,
    /**
     * A fault of the library's own. The handle that was in use can only be freed from now on.
     */
    DSTORE_INTERNAL = 18,
    /**
     * The engine was cut off in the call that decides, and does not tell what came of it: the result
     * may or may not be there. The next look, or the next begin of the same id, finds the truth.
     */
    DSTORE_OUTCOME_UNKNOWN = 19,
    /**
     * The command of a step did not end by itself: somebody killed, stopped or removed its container
     * from outside, or the engine went down. That says nothing about the command: try again.
     */
    DSTORE_KILLED = 20,
    /**
     * The command of a step was never started: its program is not there, or cannot be executed.
     * dstore_error_exit_code() is what a shell would give, 127 and 126.
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
     * The result was there before, or another build of the same id made it meanwhile.
     */
    DSTORE_HIT = 1,
    /**
     * This call built it.
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
 * What became of a lease that was released.
 */
enum dstore_released
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * It is now the newest generation of the cache.
     */
    DSTORE_RELEASE_WON = 1,
    /**
     * The cache is no longer the generation that was cloned: another release came first, or the
     * cache was deleted.
     */
    DSTORE_RELEASE_LOST = 2,
    /**
     * Nothing in it had changed, so the cache stays as it is.
     */
    DSTORE_RELEASE_UNCHANGED = 3,
    /**
     * Others still hold this shared lease; the last of them publishes it.
     */
    DSTORE_RELEASE_SHARED = 4,
    /**
     * With it the cache would hold more than its limit: it is given up, and the cache stays as it is.
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
     * Overlay where the engine can, found out by trying; else copy.
     */
    DSTORE_STRATEGY_AUTOMATIC = 0,
    /**
     * A lease is a new layer over the layers of the generation: constant in time, Linux engines
     * only.
     */
    DSTORE_STRATEGY_OVERLAY = 1,
    /**
     * A lease is a copy of the generation's files: any engine.
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
 * How a result that is not there any more has gone.
 */
enum dstore_went
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * Nobody knows of one that was there, or it is there still.
     */
    DSTORE_WENT_UNKNOWN = 0,
    /**
     * Somebody deleted it.
     */
    DSTORE_WENT_DELETED = 1,
    /**
     * A prune removed it.
     */
    DSTORE_WENT_PRUNED = 2,
    /**
     * Somebody removed it on the engine, past the store: when is not known, but when that was
     * noticed.
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
 * Which of its outputs a command wrote to.
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
 * How leases of one cache that are out at the same time relate.
 */
enum dstore_cache_mode
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * Each lease is a copy of its own; of those cloned from one generation, the first changed one
     * that is released wins.
     */
    DSTORE_CACHE_PRIVATE = 0,
    /**
     * One holder at a time, in all processes: others wait, and each sees what the one before
     * released. A private lease may still win in between.
     */
    DSTORE_CACHE_LOCKED = 1,
    /**
     * Those who hold a lease at the same time, in all processes, hold the same one, mounted by all
     * their containers at once. The last release publishes it. Waits for a locked lease, and the
     * other way round.
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
 * What a store counts from the moment it is opened, for this handle alone.
 */
enum dstore_counter
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * Builds that found their result there.
     */
    DSTORE_COUNT_RESULT_HITS = 1,
    /**
     * Builds that did not.
     */
    DSTORE_COUNT_RESULT_MISSES = 2,
    /**
     * Results that were committed.
     */
    DSTORE_COUNT_RESULTS_COMMITTED = 3,
    /**
     * Leases of a cache that had something in it.
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
     * Bytes that clones copied, as far as this process saw them pass.
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
     * Releases discarded because another had won since the clone.
     */
    DSTORE_COUNT_RELEASES_LOST = 12,
    /**
     * Releases of a lease in which nothing had changed.
     */
    DSTORE_COUNT_RELEASES_UNCHANGED = 13,
    /**
     * Volumes and containers removed after the call that gave them up had returned.
     */
    DSTORE_COUNT_DEFERRED_DELETES = 14,
    /**
     * Releases given up because the cache would hold more than its limit.
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
 * The form of a result's file. Both are one tar stream, without compression.
 */
enum dstore_image_format
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * A docker archive, as `docker save` writes it.
     */
    DSTORE_IMAGE_DOCKER = 1,
    /**
     * An OCI image layout. It has a manifest.json beside its index, so that whoever takes docker
     * archives takes it, too.
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
 * How much a line of the log matters.
 */
enum dstore_log_level
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * None at all.
     */
    DSTORE_LOG_OFF = 0,
    /**
     * Faults of the library's own.
     */
    DSTORE_LOG_ERROR = 1,
    /**
     * What went wrong without making a call fail: something that was not removed.
     */
    DSTORE_LOG_WARNING = 2,
    /**
     * What was done.
     */
    DSTORE_LOG_INFO = 3,
    /**
     * How.
     */
    DSTORE_LOG_DEBUG = 4,
    /**
     * All of it.
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
 * What kind of thing is left of a root.
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
     * A name of an image, or an image without one.
     */
    DSTORE_REMNANT_IMAGE = 2,
    /**
     * A volume: of a cache, a lease, a secret, or the claim on the root's names.
     */
    DSTORE_REMNANT_VOLUME = 3,
    /**
     * A file or folder of the root.
     */
    DSTORE_REMNANT_FILE = 4,
    /**
     * All that an engine has which cannot be asked.
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
 * What a store keeps, one of it.
 */
enum dstore_item
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * A result; its name is its id.
     */
    DSTORE_ITEM_RESULT = 1,
    /**
     * A cache.
     */
    DSTORE_ITEM_CACHE = 2,
    /**
     * The log of the builds of an id, which is its name.
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
 * What became of something that a prune looked at.
 */
enum dstore_fate
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * It was removed; in a dry run, it would be.
     */
    DSTORE_FATE_REMOVED = 1,
    /**
     * Somebody else removed it meanwhile.
     */
    DSTORE_FATE_GONE = 2,
    /**
     * It must stay: the row says why.
     */
    DSTORE_FATE_SPARED = 3,
    /**
     * It could not be removed: the row says why.
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
 * A list of caches, as they were at one moment. It does not change, so any number of threads may
 * read it.
 */
typedef struct dstore_caches dstore_caches;

/**
 * A switch that ends the calls and steps it was given to, from any thread. Once on, it stays on.
 * All its calls may be made from any thread at any time, short of a free.
 */
typedef struct dstore_cancel dstore_cancel;

/**
 * A command and its surroundings. Whatever is set here ends with the command: the result keeps its
 * base's configuration. May be run any number of times, by any number of threads at once. A setter
 * that fails is remembered: dstore_step_run() then fails with the same error, so a setter's own
 * status need not be looked at.
 */
typedef struct dstore_command dstore_command;

/**
 * Why a call failed. It does not change, so any number of threads may read it, and any thread may
 * free it.
 */
typedef struct dstore_error dstore_error;

/**
 * What was found out about the engine at one moment. It does not change, so any number of threads
 * may read it.
 */
typedef struct dstore_health dstore_health;

/**
 * A file or a folder of this machine, and what of it is taken, how. By default all of it, owned by
 * root, with the modes and times that it has here. Sockets are passed over, as by "docker build"; pipes and
 * devices are copied as such. Links inside a folder stay links, and names that share a file (hard
 * links) share one in the step, too. Extended attributes are not copied, and holes are filled with
 * zeros. May be used any number of times, by any number of threads at once. A setter that fails is
 * remembered: the calls that use the object then fail with the same error.
 */
typedef struct dstore_host_files dstore_host_files;

/**
 * What a result says to whoever runs it, set over what its base says; what is not set stays. May be
 * used for any number of steps, by any number of threads at once. A setter that fails is remembered:
 * dstore_step_configure() then fails with the same error, so a setter's own status need not be
 * looked at.
 */
typedef struct dstore_image_config dstore_image_config;

/**
 * A copy of a cache, lent until it is released or discarded. Any number of threads at once may ask
 * and mount it; it is released or discarded by one thread, with none of the others in between.
 */
typedef struct dstore_lease dstore_lease;

/**
 * How to open a store. Every setting has a default that suits most, and NULL in place of options
 * stands for all of them. Used by one thread at a time to set. A setter that fails is remembered:
 * dstore_store_open() then fails with the same error, so a setter's own status need not be looked
 * at.
 */
typedef struct dstore_options dstore_options;

/**
 * A list of pins, as they were at one moment. It does not change, so any number of threads may read
 * it.
 */
typedef struct dstore_pins dstore_pins;

/**
 * What a prune is to bring a store to. One that asks for nothing removes nothing. First goes what
 * was unused for too long; then, while there is too much or too little is free, what was used the
 * longest ago, and among equals what was built in the shortest time. A result goes after those that
 * were built on it. Used by one thread at a time to set. A setter that fails is remembered:
 * dstore_store_prune() then fails with the same error.
 */
typedef struct dstore_policy dstore_policy;

/**
 * What a prune did: a row for each thing that it looked at, first what had to stay, then what was
 * tried, in that order. It does not change, so any number of threads may read it.
 */
typedef struct dstore_pruned dstore_pruned;

/**
 * What there is, or was, of roots: a list that does not change, so any number of threads may read it.
 */
typedef struct dstore_remains dstore_remains;

/**
 * A list of results, as they were at one moment. It does not change, so any number of threads may
 * read it.
 */
typedef struct dstore_results dstore_results;

/**
 * A build in progress, until it is committed or aborted. Used by one thread at a time, which may
 * change from call to call; a call in the middle of another, from a callback or a second thread,
 * returns DSTORE_BUSY. A call that fails leaves a step that can only be aborted: further ones return
 * DSTORE_CONFLICT. But DSTORE_INVALID_ARGUMENT and DSTORE_BUSY leave it as it was.
 */
typedef struct dstore_step dstore_step;

/**
 * An open store. All its calls may be made from any number of threads at once, short of a free;
 * and any number of processes may have the same root open. A child process that is forked without
 * `exec` is answered DSTORE_CLOSED, and may open a store of its own.
 */
typedef struct dstore_store dstore_store;

/**
 * What takes the space of a store, as it was at one moment. It does not change, so any number of
 * threads may read it.
 */
typedef struct dstore_usage dstore_usage;

/**
 * Takes the next `length` bytes of a stream; never none. Returns 0 to go on; anything else ends
 * the call.
 */
typedef int32_t (*dstore_write_callback)(void *user_data,
                                         const char *bytes,
                                         size_t length);

/**
 * Takes a piece of the log of a build that somebody else makes, `length` bytes as they were written:
 * not cut at lines, never none, and not ended by a zero. `attempt` counts from 1: where it is higher
 * than before, the build before ended without a result, and this is from the start of another one's
 * log. Returns 0 to go on; anything else ends the wait.
 */
typedef int32_t (*dstore_follow_callback)(void *user_data,
                                          uint32_t attempt,
                                          const char *bytes,
                                          size_t length);

/**
 * Does the work of a build with `step`, which is the library's: not to be freed, committed,
 * aborted or kept. Returns 0 for the result to be recorded; anything else aborts the step.
 */
typedef int32_t (*dstore_work_callback)(void *user_data,
                                        dstore_step *step);

/**
 * Takes a piece of what a command wrote, `length` bytes as they came: not cut at lines, never
 * none, and not ended by a zero. `channel` is a dstore_channel. Returns 0 to go on; anything else
 * ends the command.
 */
typedef int32_t (*dstore_output_callback)(void *user_data,
                                          int32_t channel,
                                          const char *bytes,
                                          size_t length);

/**
 * Gives the next bytes of a stream: puts at most `capacity` of them into `buffer`, and how many
 * into `*length`, which is 0 as it comes; 0 is the end of the stream. Returns 0 to go on; anything
 * else ends the call.
 */
typedef int32_t (*dstore_read_callback)(void *user_data,
                                        char *buffer,
                                        size_t capacity,
                                        size_t *length);

/**
 * Hears how far a long call has come. `status` says what is being done in the engine's words
 * ("Downloading"), `item` to which layer ("" for all); `current` of `total` bytes are done, and
 * `total` is 0 where nobody knows. Returns 0 to go on; anything else ends the call.
 */
typedef int32_t (*dstore_progress_callback)(void *user_data,
                                            const char *status,
                                            const char *item,
                                            uint64_t current,
                                            uint64_t total);

/**
 * Takes a line of the library's log: `length` bytes of UTF-8, and a zero after them. `level` is a
 * dstore_log_level. Returns 0 to go on; anything else ends the call, and the lines that are left
 * stay for the next one.
 */
typedef int32_t (*dstore_log_callback)(void *user_data,
                                       int32_t level,
                                       const char *line,
                                       size_t length);

/**
 * Takes a row of what a prune does, as it comes: `item` is a dstore_item, `name` has `length` bytes
 * and a zero after them, `bytes` go with it, it was used last at `last_use` (seconds since 1970),
 * `fate` is a dstore_fate, and `why` says why it stayed ("" for what went). Returns 0 to go on;
 * anything else ends the prune.
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
 * The version of the library that runs, as DSTORE_VERSION_STRING was when it was built. A constant
 * that nobody frees.
 *
 * Does not block.
 */
const char *dstore_version(void);

/**
 * The version of the library that runs, as DSTORE_VERSION_NUMBER was when it was built: 1002003 is
 * 1.2.3.
 *
 * Does not block.
 */
uint32_t dstore_version_number(void);

/**
 * A status in a word or two, for a person: "not found". A constant that nobody frees; never NULL,
 * whatever the number.
 *
 * Does not block.
 */
const char *dstore_status_name(int32_t status);

/**
 * The status that the failed call returned; DSTORE_OK for NULL.
 *
 * Does not block. May be NULL: error.
 */
dstore_status dstore_error_status(const dstore_error *error);

/**
 * One line for a person: what was being done, to what, and what the engine or the system answered.
 * UTF-8. Borrowed from `error`; NULL for NULL.
 *
 * Does not block. May be NULL: error.
 */
const char *dstore_error_message(const dstore_error *error);

/**
 * The HTTP status that the engine answered with; 0 where it did not.
 *
 * Does not block. May be NULL: error.
 */
int32_t dstore_error_http_status(const dstore_error *error);

/**
 * The operating system's error number, an `errno`; 0 where there was none.
 *
 * Does not block. May be NULL: error.
 */
int32_t dstore_error_os_errno(const dstore_error *error);

/**
 * The exit status of the command, for DSTORE_COMMAND_FAILED and DSTORE_OUT_OF_MEMORY; else -1.
 *
 * Does not block. May be NULL: error.
 */
int64_t dstore_error_exit_code(const dstore_error *error);

/**
 * Frees an error. NULL is fine.
 *
 * Does not block.
 */
void dstore_error_free(dstore_error *error);

/**
 * Frees a string that a call gave. NULL is fine.
 *
 * Does not block.
 */
void dstore_string_free(char *string);

/**
 * A new switch, which is off. Free it with dstore_cancel_free(). NULL only where the library
 * itself is at fault.
 *
 * Does not block.
 */
DSTORE_MUST_USE
dstore_cancel *dstore_cancel_new(void);

/**
 * Turns the switch on: calls that wait wake at once, clean up, and return DSTORE_CANCELLED. May be
 * called from a signal handler: takes no lock, allocates nothing, and keeps `errno`.
 *
 * Does not block. May be NULL: cancel.
 */
void dstore_cancel_trigger(const dstore_cancel *cancel);

/**
 * Whether the switch is on. May be called from a signal handler, as dstore_cancel_trigger().
 *
 * Does not block. May be NULL: cancel.
 */
bool dstore_cancel_is_triggered(const dstore_cancel *cancel);

/**
 * Frees a switch. NULL is fine. What it was given to goes on, and can no longer be cancelled by
 * it.
 *
 * Does not block.
 */
void dstore_cancel_free(dstore_cancel *cancel);

/**
 * New options, all at their defaults. Free them with dstore_options_free(). NULL only where the
 * library itself is at fault.
 *
 * Does not block.
 */
DSTORE_MUST_USE
dstore_options *dstore_options_new(void);

/**
 * The engine's address: "unix:///var/run/docker.sock", "tcp://host:2376" or "ssh://user@host". By
 * default `DOCKER_HOST`, else the current docker context, else that socket. Whether tcp is with TLS,
 * and with which certificates, the context says, or `DOCKER_TLS_VERIFY` and `DOCKER_CERT_PATH`.
 *
 * Does not block.
 */
dstore_status dstore_options_engine(dstore_options *options,
                                    const char *address,
                                    dstore_error **error);

/**
 * The word in front of every name on the engine, of a-z and 0-9; "obuilder" by default, so that
 * OBuilder finds the results.
 *
 * Does not block.
 */
dstore_status dstore_options_name(dstore_options *options,
                                  const char *word,
                                  dstore_error **error);

/**
 * How caches are cloned: a dstore_strategy, DSTORE_STRATEGY_AUTOMATIC by default.
 *
 * Does not block.
 */
dstore_status dstore_options_strategy(dstore_options *options,
                                      int32_t strategy,
                                      dstore_error **error);

/**
 * Whether the files of the engine's volumes may be used directly where this process can reach
 * them; true by default. Otherwise everything goes through the engine's archive calls, which are
 * slower and keep less of each file: whole seconds, and no extended attributes but capabilities.
 *
 * Does not block.
 */
dstore_status dstore_options_direct(dstore_options *options,
                                    bool direct,
                                    dstore_error **error);

/**
 * Whether the engine itself is to set up the network of steps that have none; false by default.
 *
 * Docker runs a program of its own for that in each container, which takes a third of the time of a
 * small step. Otherwise the container's runtime does it, where that was tried and behaves: a network
 * namespace with `lo` alone, up, and an `/etc/hosts` that names `localhost` and the container. That
 * file cannot be written to then; in the engine's own way it can, and what is written is lost with
 * the container.
 *
 * Does not block.
 */
dstore_status dstore_options_engine_network(dstore_options *options,
                                            bool engine,
                                            dstore_error **error);

/**
 * Whether the files of a released lease are synced to disk before it becomes the cache's next
 * generation; false by default. A killed process loses nothing either way, and after a power failure
 * a cache is whole either way. With it, the cache is then what was released last. Without it, it is
 * the newest generation that was certainly on disk: what was released in the last five seconds, and
 * for as long as the disk was still busy with it, is dropped, with a warning in the log.
 *
 * Only where this process reaches the engine's volumes as files: docs/conventions.md has the rest.
 *
 * Does not block.
 */
dstore_status dstore_options_sync(dstore_options *options,
                                  bool sync,
                                  dstore_error **error);

/**
 * A group whose members may use the root as its owner may; by default nobody else may. The library's
 * own files are then that group's, and so are logs and the caller's state. Asked for once, by the
 * root's owner, who must be in the group; members open it with the same.
 *
 * Does not block.
 */
dstore_status dstore_options_group(dstore_options *options,
                                   uint32_t gid,
                                   dstore_error **error);

/**
 * The most bytes that the log of a step may have; by default as many as the disk has. At the limit
 * the step fails (DSTORE_IO), or with `drop` the rest is counted and dropped, and the log's last
 * line says how much that was; an output callback gets all of it. The same holds at the limit that
 * the process has for its files, RLIMIT_FSIZE, and no SIGXFSZ is raised.
 *
 * Does not block.
 */
dstore_status dstore_options_log_limit(dstore_options *options,
                                       uint64_t bytes,
                                       bool drop,
                                       dstore_error **error);

/**
 * How long opening may take to reach the engine, in milliseconds and not 0; 30 seconds by default.
 *
 * Does not block.
 */
dstore_status dstore_options_connect_timeout(dstore_options *options,
                                             uint64_t timeout_ms,
                                             dstore_error **error);

/**
 * Frees options. NULL is fine. A store that was opened with them goes on.
 *
 * Does not block.
 */
void dstore_options_free(dstore_options *options);

/**
 * Opens the store at `root`, a directory of this machine (any bytes), which is made if its parent
 * exists; and removes what dead processes left behind. Free the store with dstore_store_free().
 *
 * Blocks, for a handful of engine calls and the removal of leftovers. May be NULL: options.
 */
DSTORE_MUST_USE
dstore_status dstore_store_open(const char *root,
                                const dstore_options *options,
                                dstore_store **store,
                                dstore_error **error);

/**
 * dstore_store_open() for as long as `timeout_ms` (0 is none) and `cancel` allow. Told to end, it
 * leaves nothing open, and another open goes on with what was left.
 * Free what it gives with dstore_store_free().
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
 * Closes the store, and waits for removals under way, and for at most two seconds for layers of caches
 * that are being merged and for released files to reach the disk. Calls on it, its steps and its leases that are
 * under way go on. Those that come after this return DSTORE_CLOSED, short of those that ask the
 * engine nothing. What steps and leases hold is removed when they are freed, and
 * dstore_store_complete_deletes() waits for that. The handle itself is still to be freed.
 *
 * Removals are waited for ten seconds at most: an engine that takes longer goes on with them, and the
 * next open of this root looks for what is left.
 *
 * Blocks.
 */
dstore_status dstore_store_close(const dstore_store *store,
                                 dstore_error **error);

/**
 * dstore_store_close() for as long as `timeout_ms` (0 is none) and `cancel` allow. Where that ends
 * it the store is closed all the same, and removals are still under way.
 *
 * Blocks. May be NULL: cancel.
 */
DSTORE_MUST_USE
dstore_status dstore_store_close_within(const dstore_store *store,
                                        uint64_t timeout_ms,
                                        const dstore_cancel *cancel,
                                        dstore_error **error);

/**
 * Frees a store, and closes it without waiting if nobody has closed it. NULL is fine.
 *
 * Does not block.
 */
void dstore_store_free(dstore_store *store);

/**
 * The root directory, without symbolic links. Borrowed from `store`; NULL for NULL.
 *
 * Does not block. May be NULL: store.
 */
const char *dstore_store_root(const dstore_store *store);

/**
 * What every name of this store on the engine begins with. Borrowed from `store`; NULL for NULL.
 *
 * Does not block. May be NULL: store.
 */
const char *dstore_store_prefix(const dstore_store *store);

/**
 * A directory for the caller's own files. Borrowed from `store`; NULL for NULL.
 *
 * Does not block. May be NULL: store.
 */
const char *dstore_store_state_dir(const dstore_store *store);

/**
 * A directory that is empty and that nobody may enter. Borrowed from `store`; NULL for NULL.
 *
 * Does not block. May be NULL: store.
 */
const char *dstore_store_empty_dir(const dstore_store *store);

/**
 * The address of the engine. Borrowed from `store`; NULL for NULL.
 *
 * Does not block. May be NULL: store.
 */
const char *dstore_store_engine(const dstore_store *store);

/**
 * The version of the Engine API that is spoken: "1.41". Borrowed from `store`; NULL for NULL.
 *
 * Does not block. May be NULL: store.
 */
const char *dstore_store_api_version(const dstore_store *store);

/**
 * The path of the log of the build of `id`, whether it exists yet or not. It grows while the build
 * runs, and another try makes a new file. Free it with dstore_string_free().
 *
 * Does not block.
 */
DSTORE_MUST_USE
dstore_status dstore_store_log_file(const dstore_store *store,
                                    const char *id,
                                    char **path,
                                    dstore_error **error);

/**
 * Whether `id` has been built. A broken connection is an error, never false.
 *
 * Blocks, for one round trip to the engine.
 */
DSTORE_MUST_USE
dstore_status dstore_store_result(const dstore_store *store,
                                  const char *id,
                                  bool *present,
                                  dstore_error **error);

/**
 * dstore_store_result() for as long as `timeout_ms` (0 is none) and `cancel` allow.
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
 * Removes the result `id` and its log. That there is none is no error, and `deleted` then false.
 * Other names of the same image stay, and so do the results that were built on it. DSTORE_BUSY
 * while `id` is being built, or where a container of somebody else's is made of it.
 *
 * Blocks. May be NULL: deleted.
 */
dstore_status dstore_store_delete(const dstore_store *store,
                                  const char *id,
                                  bool *deleted,
                                  dstore_error **error);

/**
 * dstore_store_delete() for as long as `timeout_ms` (0 is none) and `cancel` allow. Told to end,
 * it may have deleted all the same.
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
 * Lists all results, by id. Free the list with dstore_results_free().
 *
 * Blocks, for one round trip to the engine.
 */
DSTORE_MUST_USE
dstore_status dstore_store_results(const dstore_store *store,
                                   dstore_results **results,
                                   dstore_error **error);

/**
 * dstore_store_results() for as long as `timeout_ms` (0 is none) and `cancel` allow.
 * Free what it gives with dstore_results_free().
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
 * How many results are in the list; 0 for NULL.
 *
 * Does not block. May be NULL: results.
 */
size_t dstore_results_count(const dstore_results *results);

/**
 * The id of the result at `index`, from 0 on. Borrowed from `results`; NULL beyond the end.
 *
 * Does not block. May be NULL: results.
 */
const char *dstore_results_id(const dstore_results *results,
                              size_t index);

/**
 * When the image of the result at `index` was made, in seconds since 1970; 0 beyond the end.
 *
 * Does not block. May be NULL: results.
 */
int64_t dstore_results_created(const dstore_results *results,
                               size_t index);

/**
 * The size of the result at `index` in bytes, counting layers that it shares with others; 0 beyond
 * the end.
 *
 * Does not block. May be NULL: results.
 */
uint64_t dstore_results_size(const dstore_results *results,
                             size_t index);

/**
 * Frees a list. NULL is fine.
 *
 * Does not block.
 */
void dstore_results_free(dstore_results *results);

/**
 * Writes the file or directory at `path` of the result `id` as a tar stream, whose first entry is
 * the last component of `path`, to `write`; `bytes` is how many that were. `timeout_ms` 0 is none.
 * DSTORE_NOT_FOUND where there is no such result or no such path in it.
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
 * dstore_store_copy_out() to the file `tar` of this machine (any bytes), which must not be a pipe.
 * It is written beside its name, and put there when it is whole: until then, and after a failure, what
 * was there stays. A link is followed.
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
 * Makes the id of a result of all that goes into it: of its `name` and of `count` parts, such as the
 * id of its base, its commands and the digests of the files that it takes. The same name and parts
 * give the same id in every version, from C, OCaml and Rust; others give another one, as far as
 * SHA-256 tells. Where a part ends counts: "ab", "c" is not "a", "bc". How many bytes each part has
 * is in `lengths`; NULL if all of them end with a zero byte.
 *
 * An id is what is readable of the name (a-z, 0-9 and -, at most 40 characters), - and 64 hex
 * digits. Any store takes it. Free it with dstore_string_free().
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
 * Begins to build `id` on the result `base`, or on nothing where that is NULL. If `id` has been
 * built, there is nothing to do: `*step` is then NULL, and the status DSTORE_OK. Waits while
 * anybody else, in this process or another, builds the same id. `timeout_ms` (0 is none), counted
 * from now, and `cancel` hold for this call and for all of the step. DSTORE_NOT_FOUND for a base
 * that has not been built. Free the step with dstore_step_free().
 *
 * A step without a base begins by what its first call brings: dstore_step_import(), dstore_step_pull(),
 * dstore_step_load(), dstore_step_use_image(); or with no files at all. Nothing can be run in that but what
 * was copied in, and if nothing was, a commit records a result without any files.
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
 * dstore_store_begin(); and while that waits for another build of the same id, gives `log` what that
 * one writes to its log, as it is written: all of it, from its start, and whole when this answers that
 * the result is there. Nothing where nobody is waited for. The log of a build that fails or is killed
 * comes to its end; then that of another one, as a further attempt, or this call answers with a step.
 * DSTORE_CANCELLED and DSTORE_TIMED_OUT come at once, and so does DSTORE_CALLBACK, where `log` does not
 * return 0. Free the step with dstore_step_free().
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
 * Whether somebody, in this process or another, builds `id` now. For who follows its log: what was
 * written before the end is there to be read after it.
 *
 * Does not block.
 */
DSTORE_MUST_USE
dstore_status dstore_store_building(const dstore_store *store,
                                    const char *id,
                                    bool *building,
                                    dstore_error **error);

/**
 * dstore_store_begin(); then, unless it is a hit, `work`; and then dstore_step_commit(), or
 * dstore_step_abort() where `work` does not return 0. `outcome` is a dstore_outcome.
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
 * The id that a commit will record. Borrowed from `step`; NULL for NULL.
 *
 * Does not block. May be NULL: step.
 */
const char *dstore_step_id(const dstore_step *step);

/**
 * From now on `timeout_ms` (0 is none; counted from this call) and `cancel` hold for the step, in
 * place of those that it was begun with.
 *
 * Does not block. May be NULL: cancel.
 */
dstore_status dstore_step_limit(dstore_step *step,
                                uint64_t timeout_ms,
                                const dstore_cancel *cancel,
                                dstore_error **error);

/**
 * Writes `length` bytes to the step's log, between what its commands write.
 *
 * Does not block, short of the disk. May be NULL: bytes, if there are none.
 */
dstore_status dstore_step_write_log(dstore_step *step,
                                    const char *bytes,
                                    size_t length,
                                    dstore_error **error);

/**
 * Runs `command` on what the step has come to, until it ends. Its output goes to the log as it
 * comes, and each piece to `output` after that. `exit_code` is the command's exit status: 0 to
 * 255, and 128 + the signal's number where a signal ended it. Other than 0 is
 * DSTORE_COMMAND_FAILED, unless the command allows it.
 *
 * A program that is not there, or cannot be executed, is DSTORE_NOT_STARTED; if the command allows
 * failures, the exit code is 127 or 126, as a shell has it, and dstore_step_was_started() tells it from a
 * command's own. A step that was begun with nothing has no programs but those that were copied in.
 *
 * DSTORE_CANCELLED, DSTORE_TIMED_OUT and DSTORE_CALLBACK end the command, and its container is
 * gone.
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
 * Whether the last command for which dstore_step_run() returned DSTORE_OK was started at all. Before any,
 * and for NULL, it is false.
 *
 * Does not block. May be NULL: step.
 */
bool dstore_step_was_started(const dstore_step *step);

/**
 * Records the result, and ends the step. The result appears with the last engine call, at once and
 * whole: whatever happens before leaves none. After an error there is no result, and the step has
 * been aborted (unless it was DSTORE_BUSY), so that a new one may begin; after
 * DSTORE_OUTCOME_UNKNOWN there may be one, and that new one finds it. The handle is still to be freed.
 *
 * Blocks.
 */
DSTORE_MUST_USE
dstore_status dstore_step_commit(dstore_step *step,
                                 dstore_error **error);

/**
 * dstore_step_commit() for as long as `timeout_ms` (0 is none) and `cancel` allow. They hold in
 * place of those that the step was begun with.
 *
 * Blocks. May be NULL: cancel.
 */
DSTORE_MUST_USE
dstore_status dstore_step_commit_within(dstore_step *step,
                                        uint64_t timeout_ms,
                                        const dstore_cancel *cancel,
                                        dstore_error **error);

/**
 * Ends the step without a result, and removes its container and its tag. The log stays. The handle
 * is still to be freed. A step that was told to end is given a second and a half for that: what then
 * is still there is removed in the background, and the answer is DSTORE_CANCELLED or
 * DSTORE_TIMED_OUT.
 *
 * Blocks.
 */
dstore_status dstore_step_abort(dstore_step *step,
                                dstore_error **error);

/**
 * dstore_step_abort() for as long as `timeout_ms` (0 is none) and `cancel` allow. They hold in
 * place of those that the step was begun with. What is not removed in time is removed in the
 * background, and the id can be built again after that.
 *
 * Blocks. May be NULL: cancel.
 */
DSTORE_MUST_USE
dstore_status dstore_step_abort_within(dstore_step *step,
                                       uint64_t timeout_ms,
                                       const dstore_cancel *cancel,
                                       dstore_error **error);

/**
 * Frees a step. NULL is fine. One that is neither committed nor aborted is aborted in the
 * background: dstore_store_complete_deletes() waits for that.
 *
 * Does not block.
 */
void dstore_step_free(dstore_step *step);

/**
 * Begins with the files in a tar stream that `read` gives: a base that needs no registry. Only for
 * a step without a base, and first. What the stream must be, dstore_step_copy_in() says; an archive of
 * `docker save`, which is an image and no root file system, is DSTORE_INVALID_ARGUMENT.
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
 * dstore_step_import() from the file `tar` of this machine (any bytes). One that is silent, as a pipe
 * may be, is waited for no longer than the step's limits allow.
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
 * Begins with an image that the engine pulls from its registry, such as "debian:bookworm". Only
 * for a step without a base, and first. `user` and `password` are for a registry that asks for
 * them; the user `<token>` has an identity token for a password. `server` is the registry's
 * address, as in the reference.
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
 * dstore_step_pull() of the image for machines of `platform`: "os/arch" or "os/arch/variant", such as
 * "linux/arm64" or "linux/arm/v7". Only for a step without a base, and first. An image that has not
 * got it is DSTORE_NOT_FOUND. Commands of the step run only if the engine's machine can run that
 * platform's programs.
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
 * Begins with an image that the engine has already. Only for a step without a base, and first.
 *
 * Blocks.
 */
DSTORE_MUST_USE
dstore_status dstore_step_use_image(dstore_step *step,
                                    const char *reference,
                                    dstore_error **error);

/**
 * Unpacks a tar stream that `read` gives below `path`, an absolute path in the step, which is made
 * where it is missing. Owners, modes and times are those in the stream.
 *
 * The stream must come to the end of an archive: a block of 512 zeros where an entry would begin (there
 * should be two; one is taken, and what follows is nobody's concern). One that ends before, or has
 * no bytes at all, is DSTORE_CUT_SHORT. It may be packed by gzip, and is then looked at in the same
 * way; and by what else the engine takes (bzip2 and xz; zstd from Docker 23 on), of which only the
 * packing's own end is looked for, by the engine. While `read` itself blocks, no limit and no cancel
 * ends the call; dstore_step_copy_in_file() waits for a silent pipe as limits allow.
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
 * dstore_step_copy_in() from the file `tar` of this machine (any bytes). One that is silent, as a pipe
 * may be, is waited for no longer than the step's limits allow.
 *
 * Blocks.
 */
DSTORE_MUST_USE
dstore_status dstore_step_copy_in_file(dstore_step *step,
                                       const char *path,
                                       const char *tar,
                                       dstore_error **error);

/**
 * Writes the file or directory at `path`, an absolute path in the step, as a tar stream, whose
 * first entry is the last component of `path`, to `write`; `bytes` is how many that were.
 * DSTORE_NOT_FOUND where there is no such path: the step then goes on.
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
 * dstore_step_copy_out() to the file `tar` of this machine (any bytes), which must not be a pipe. It
 * is written beside its name, and put there when it is whole: until then, and after a failure, what
 * was there stays. A link is followed.
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
 * The file or folder at `path` of this machine (any bytes), which is looked at when it is used. If
 * it is a link, what the link leads to is taken. Free it with dstore_host_files_free().
 *
 * Does not block.
 */
DSTORE_MUST_USE
dstore_status dstore_host_files_new(const char *path,
                                    dstore_host_files **files,
                                    dstore_error **error);

/**
 * Leaves out what `pattern` fits, as a line of a .dockerignore would: relative to the folder, * and ?
 * for anything within a name, ** for any folders, and ! before it for what is taken in again. The
 * last line that fits decides. What is in a folder that is left out is taken in again only by a
 * line that begins with the folder's name. Patterns do not hold for a single file.
 *
 * Does not block.
 */
dstore_status dstore_host_files_exclude(dstore_host_files *files,
                                        const char *pattern,
                                        dstore_error **error);

/**
 * Takes in again what `pattern` fits: dstore_host_files_exclude() with a ! before it.
 *
 * Does not block.
 */
dstore_status dstore_host_files_include(dstore_host_files *files,
                                        const char *pattern,
                                        dstore_error **error);

/**
 * Adds all lines of a .dockerignore, of which `text` is the text, without its comments.
 *
 * Does not block.
 */
dstore_status dstore_host_files_dockerignore(dstore_host_files *files,
                                             const char *text,
                                             dstore_error **error);

/**
 * What it is called in the step: one name (any bytes). By default a file keeps its name, and what is
 * in a folder is put directly below the path that it is copied to; a folder with a name is put
 * there itself.
 *
 * Does not block.
 */
dstore_status dstore_host_files_name(dstore_host_files *files,
                                     const char *name,
                                     dstore_error **error);

/**
 * Who owns all of it in the step. By default root, 0 and 0.
 *
 * Does not block.
 */
dstore_status dstore_host_files_owner(dstore_host_files *files,
                                      uint32_t uid,
                                      uint32_t gid,
                                      dstore_error **error);

/**
 * Keeps the owners that the files have here, by their numbers.
 *
 * Does not block.
 */
dstore_status dstore_host_files_keep_owners(dstore_host_files *files,
                                            dstore_error **error);

/**
 * When all of it was last changed, in `seconds` since 1970: then the same files are the same bytes
 * each time, and have the same digest. By default the times are kept.
 *
 * Does not block.
 */
dstore_status dstore_host_files_fixed_times(dstore_host_files *files,
                                            int64_t seconds,
                                            dstore_error **error);

/**
 * The digest of what dstore_step_copy_in_host() would send now, without sending it: 64 hex digits of a
 * SHA-256, for dstore_id(). It covers names, kinds, modes, owners, times, contents and links, and not
 * where the folder is, how its file system orders names or which parts of a file are holes. `timeout_ms`: 0
 * is none. What cannot be read, or is changed while it is read, is DSTORE_IO. Free the digest with
 * dstore_string_free().
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
 * Copies `files` of this machine below `path`, an absolute path in the step, which is made where it
 * is missing: what is in a folder, or a single file under its name. They are read as they are sent,
 * and nothing is kept. `digest` is that of what was sent, as by dstore_host_files_digest(); free it with
 * dstore_string_free(). What cannot be read, or is changed while it is read, is DSTORE_IO.
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
 * Frees it. NULL is fine.
 *
 * Does not block.
 */
void dstore_host_files_free(dstore_host_files *files);

/**
 * A new configuration, in which nothing is set. Free it with dstore_image_config_free(). NULL only
 * where the library itself is at fault.
 *
 * Does not block.
 */
DSTORE_MUST_USE
dstore_image_config *dstore_image_config_new(void);

/**
 * The words in front of whatever is run; none takes the base's away. The command of the base stays:
 * set that, too.
 *
 * Does not block. May be NULL: argv, if argc is 0.
 */
dstore_status dstore_image_config_entrypoint(dstore_image_config *config,
                                             const char *const *argv,
                                             size_t argc,
                                             dstore_error **error);

/**
 * What is run where nothing else is asked for; no words take the base's away.
 *
 * Does not block. May be NULL: argv, if argc is 0.
 */
dstore_status dstore_image_config_command(dstore_image_config *config,
                                          const char *const *argv,
                                          size_t argc,
                                          dstore_error **error);

/**
 * An environment variable. NULL for a value takes the base's away.
 *
 * Does not block. May be NULL: value.
 */
dstore_status dstore_image_config_env(dstore_image_config *config,
                                      const char *name,
                                      const char *value,
                                      dstore_error **error);

/**
 * A label. NULL for a value takes the base's away.
 *
 * Does not block. May be NULL: value.
 */
dstore_status dstore_image_config_label(dstore_image_config *config,
                                        const char *name,
                                        const char *value,
                                        dstore_error **error);

/**
 * The user: a name or a number, or either with ":" and a group. "" is nobody in particular, which is
 * root.
 *
 * Does not block.
 */
dstore_status dstore_image_config_user(dstore_image_config *config,
                                       const char *user,
                                       dstore_error **error);

/**
 * The working directory, an absolute path.
 *
 * Does not block.
 */
dstore_status dstore_image_config_directory(dstore_image_config *config,
                                            const char *path,
                                            dstore_error **error);

/**
 * A port that is listened at: "80", "80/tcp" or "53/udp". With `exposed` false the base's is taken
 * away.
 *
 * Does not block.
 */
dstore_status dstore_image_config_port(dstore_image_config *config,
                                       const char *port,
                                       bool exposed,
                                       dstore_error **error);

/**
 * A place for which an engine makes a volume in each container, an absolute path. With `declared`
 * false the base's is taken away.
 *
 * Does not block.
 */
dstore_status dstore_image_config_volume(dstore_image_config *config,
                                         const char *path,
                                         bool declared,
                                         dstore_error **error);

/**
 * The signal that asks it to end: "SIGTERM", "TERM" or "15". "" is as if none were set.
 *
 * Does not block.
 */
dstore_status dstore_image_config_stop_signal(dstore_image_config *config,
                                              const char *signal,
                                              dstore_error **error);

/**
 * How an engine finds out whether a container is well: by a command that ends with 0. No words take
 * the base's check away. A time or `retries` of 0 is the engine's own default: how long from one to the
 * next, how long one may take, for how long after the start failures do not count, and after how many
 * in a row it is not well. Podman keeps no health check: a commit there fails.
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
 * dstore_image_config_health_check() by a line for the image's shell. NULL for one says that none is
 * made, whatever the base says.
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
 * Frees a configuration. NULL is fine.
 *
 * Does not block.
 */
void dstore_image_config_free(dstore_image_config *config);

/**
 * Sets what the step's result says to whoever runs it. Commands of the step still run as its base
 * says. May be called at any time before the commit, and again: later settings stand over earlier ones.
 * The commit is DSTORE_UNSUPPORTED where the engine cannot be given exactly this.
 *
 * Does not block.
 */
DSTORE_MUST_USE
dstore_status dstore_step_configure(dstore_step *step,
                                    const dstore_image_config *config,
                                    dstore_error **error);

/**
 * Gives the result `id` the further name `name`, "[HOST[:PORT]/]PATH[:TAG]", taking it from whatever
 * image had it: `moved_from` is the id of that one, to be freed with dstore_string_free(), or NULL if
 * there was none. The name is the caller's: it stays when the result is deleted, and the image with it.
 * One that objects of a store have is DSTORE_INVALID_ARGUMENT. `timeout_ms` 0 is none.
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
 * Pushes the result `id` to a registry under `name`, which says which one:
 * "registry.example:5000/team/app:1.0". It is given that name on the engine, too, as by
 * dstore_store_tag(). The engine sends it, and is who must reach and believe the registry. `user`,
 * `password` and `server` are as for dstore_step_pull(). `digest` is what the registry knows it by, to
 * be freed with dstore_string_free(); NULL where the engine does not tell. `timeout_ms` 0 is none.
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
 * Writes the result `id` as a file that every engine loads, as does dstore_store_load(), to `write`;
 * `bytes` is how many that were. `format` is a dstore_image_format. `name` is what who loads it will
 * call the image; without one it has none. The same image gives the same bytes, whatever engine has it.
 * `timeout_ms` 0 is none.
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
 * dstore_store_save() to the file `file` of this machine (any bytes), which must not be a pipe. It is
 * written beside its name, and put there when it is whole: until then, and after a failure, what was
 * there stays. A link is followed.
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
 * Records the image in a file that `read` gives as the result `id`, unless that is there: then `built`
 * is false, and nothing is read. The file is a docker archive or an OCI layout, which gzip may have
 * packed; names in it are passed over. One that is cut short or lacks a part is DSTORE_CUT_SHORT; one of
 * several images, or none, DSTORE_INVALID_ARGUMENT. While `read` itself blocks, no limit and no cancel
 * ends the call. `timeout_ms` 0 is none.
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
 * dstore_store_load() from the file `file` of this machine (any bytes). One that is silent, as a pipe
 * may be, is waited for no longer than the limits allow.
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
 * Begins with the image in a file that `read` gives, as for dstore_store_load(). Only for a step without
 * a base, and first. A commit of it that did nothing else records just that image.
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
 * dstore_step_load() from the file `file` of this machine (any bytes). One that is silent, as a pipe may
 * be, is waited for no longer than the step's limits allow.
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
 * A command of `argc` words: the program, looked up in the container's PATH, and its arguments. No
 * shell is involved. Free it with dstore_command_free().
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
 * Puts `argc` words before the arguments, in place of the image's own entrypoint.
 *
 * Does not block. May be NULL: argv, if argc is 0.
 */
dstore_status dstore_command_entrypoint(dstore_command *command,
                                        const char *const *argv,
                                        size_t argc,
                                        dstore_error **error);

/**
 * Puts the image's own entrypoint before the arguments, as `docker run` would.
 *
 * Does not block.
 */
dstore_status dstore_command_image_entrypoint(dstore_command *command,
                                              dstore_error **error);

/**
 * The working directory, made where it is missing. By default the image's.
 *
 * Does not block.
 */
dstore_status dstore_command_cwd(dstore_command *command,
                                 const char *path,
                                 dstore_error **error);

/**
 * Sets an environment variable over the image's own.
 *
 * Does not block.
 */
dstore_status dstore_command_env(dstore_command *command,
                                 const char *name,
                                 const char *value,
                                 dstore_error **error);

/**
 * The user: a name or a number, or either with ":" and a group. By default the image's.
 *
 * Does not block.
 */
dstore_status dstore_command_user(dstore_command *command,
                                  const char *user,
                                  dstore_error **error);

/**
 * The host name that the command sees. By default "docker-store" in a container without a network, and
 * what the engine makes up in others.
 *
 * Does not block.
 */
dstore_status dstore_command_hostname(dstore_command *command,
                                      const char *name,
                                      dstore_error **error);

/**
 * The network, by the engine's name for it: "host", "bridge", ... By default "none": the safe
 * choice, and the fast one (it saves a tenth of a second): `lo` alone, and an `/etc/hosts` that cannot be
 * written to; see dstore_options_engine_network().
 *
 * Does not block.
 */
dstore_status dstore_command_network(dstore_command *command,
                                     const char *name,
                                     dstore_error **error);

/**
 * How many processors' time it may use, in billionths: 1.5 processors are 1500000000.
 *
 * Does not block.
 */
dstore_status dstore_command_nano_cpus(dstore_command *command,
                                       int64_t nano_cpus,
                                       dstore_error **error);

/**
 * How many bytes of memory it may use, swap included. Beyond that the kernel kills it:
 * DSTORE_OUT_OF_MEMORY.
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
 * Mounts the engine's volume `name`, which must exist, at `target`, an absolute path. Nothing of the
 * image is copied into it.
 *
 * Does not block.
 */
dstore_status dstore_command_volume(dstore_command *command,
                                    const char *name,
                                    const char *target,
                                    bool read_only,
                                    dstore_error **error);

/**
 * Mounts `source`, an absolute path on the engine's machine, at `target`, an absolute path.
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
 * content, owned by `uid` and `gid`, and of a mode up to 0777. The content is copied, and is never
 * in the result, the log, the environment or what the engine shows of the container.
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
 * What the command reads on its standard input: `length` bytes, which are copied. By default
 * nothing.
 *
 * Does not block. May be NULL: content, if there is none.
 */
dstore_status dstore_command_stdin(dstore_command *command,
                                   const char *content,
                                   size_t length,
                                   dstore_error **error);

/**
 * A file of this machine (any bytes) that the command reads on its standard input, opened when the
 * command is run. It may be a pipe: one that is silent holds up neither the end of the command nor a
 * cancel.
 *
 * Does not block.
 */
dstore_status dstore_command_stdin_file(dstore_command *command,
                                        const char *path,
                                        dstore_error **error);

/**
 * Ends the command after so many milliseconds, more than 0: DSTORE_TIMED_OUT.
 *
 * Does not block.
 */
dstore_status dstore_command_timeout(dstore_command *command,
                                     uint64_t timeout_ms,
                                     dstore_error **error);

/**
 * Whether an exit status other than zero is an answer, not an error. By default it is an error,
 * and the step can then only be aborted. A program that cannot be started is then an answer, too:
 * dstore_step_was_started() tells.
 *
 * Does not block.
 */
dstore_status dstore_command_allow_failure(dstore_command *command,
                                           bool allow,
                                           dstore_error **error);

/**
 * Frees a command. NULL is fine. A run that is under way goes on.
 *
 * Does not block.
 */
void dstore_command_free(dstore_command *command);

/**
 * Lends a writable copy of the newest generation of the cache `name`, which is any bytes but none.
 * A cache that does not exist is created, empty. The copy's root directory belongs to `uid` and
 * `gid`; `mode` is a dstore_cache_mode; `timeout_ms` (0 is none) and `cancel` hold for the waiting
 * and the copying. Free the lease with dstore_lease_free().
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
 * The name of the engine's volume, which dstore_command_lease() mounts. Borrowed from `lease`;
 * NULL for NULL.
 *
 * Does not block. May be NULL: lease.
 */
const char *dstore_lease_volume(const dstore_lease *lease);

/**
 * The generation that it was cloned from; 0 is a cache that nobody has released yet.
 *
 * Does not block. May be NULL: lease.
 */
uint64_t dstore_lease_generation(const dstore_lease *lease);

/**
 * Gives the lease back: if the cache is still at the generation that was cloned, and anything was
 * changed, the lease becomes the next generation, atomically. `released`, a dstore_released, is
 * what became of it. DSTORE_BUSY while any container, running or not, still mounts it; after that,
 * as after any error but DSTORE_CLOSED, it can be released again. The handle is still to be freed.
 *
 * Blocks, for as long as it takes to look for changes: where leases are copies, that is a look at
 * every file. May be NULL: released.
 */
dstore_status dstore_lease_release(dstore_lease *lease,
                                   dstore_released *released,
                                   dstore_error **error);

/**
 * dstore_lease_release() for as long as `timeout_ms` (0 is none) and `cancel` allow. A lease that
 * could not be released in time is open still.
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
 * Gives the lease back without keeping anything of it. The handle is still to be freed.
 *
 * Does not block.
 */
dstore_status dstore_lease_discard(dstore_lease *lease,
                                   dstore_error **error);

/**
 * Frees a lease. NULL is fine. One that is neither released nor discarded is discarded in the
 * background.
 *
 * Does not block.
 */
void dstore_lease_free(dstore_lease *lease);

/**
 * How caches are cloned, and `reason`, why so, for people. Free that with dstore_string_free(). Finds
 * out what works on this engine if nobody has yet. DSTORE_UNSUPPORTED where an option asks for a
 * strategy that does not work here.
 *
 * Blocks.
 */
DSTORE_MUST_USE
dstore_status dstore_store_strategy(const dstore_store *store,
                                    dstore_strategy *strategy,
                                    char **reason,
                                    dstore_error **error);

/**
 * dstore_store_strategy() for as long as `timeout_ms` (0 is none) and `cancel` allow.
 * Free what it gives with dstore_string_free().
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
 * Removes the cache `name` (any bytes but none). Leases in flight go on, and their releases are
 * discarded. That there is none is no error, and `deleted` then false. DSTORE_BUSY where a
 * container that is not of this store mounts it.
 *
 * Blocks. May be NULL: deleted.
 */
dstore_status dstore_store_delete_cache(const dstore_store *store,
                                        const char *name,
                                        bool *deleted,
                                        dstore_error **error);

/**
 * dstore_store_delete_cache() for as long as `timeout_ms` (0 is none) and `cancel` allow. Told to
 * end, it may have deleted all the same.
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
 * Gives the cache `name` (any bytes but none) a limit of its own, in bytes, or takes it away (0);
 * for all processes, from now on, also where the cache is not there yet. What is released and would make the cache hold more is given
 * up (DSTORE_RELEASE_TOO_LARGE, which is counted), and the cache stays as it was. Bytes are those of
 * its layers, so a file that is written anew in each of them counts in each until they are merged,
 * which then is done in the background. Only where this process reaches the engine's volumes as
 * files; elsewhere a release says in the log that it has not looked.
 *
 * Does not block.
 */
DSTORE_MUST_USE
dstore_status dstore_store_limit_cache(const dstore_store *store,
                                       const char *name,
                                       uint64_t bytes,
                                       dstore_error **error);

/**
 * Lists all caches, by name. Free the list with dstore_caches_free().
 *
 * Blocks.
 */
DSTORE_MUST_USE
dstore_status dstore_store_caches(const dstore_store *store,
                                  dstore_caches **caches,
                                  dstore_error **error);

/**
 * dstore_store_caches() for as long as `timeout_ms` (0 is none) and `cancel` allow.
 * Free what it gives with dstore_caches_free().
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
 * How many caches are in the list; 0 for NULL.
 *
 * Does not block. May be NULL: caches.
 */
size_t dstore_caches_count(const dstore_caches *caches);

/**
 * The name of the cache at `index`, from 0 on: `*length` bytes, and a zero after them. Borrowed
 * from `caches`; NULL beyond the end.
 *
 * Does not block. May be NULL: caches, length.
 */
const char *dstore_caches_name(const dstore_caches *caches,
                               size_t index,
                               size_t *length);

/**
 * The generation that a lease of the cache at `index` would be cloned from; 0 where none was
 * released yet, and beyond the end.
 *
 * Does not block. May be NULL: caches.
 */
uint64_t dstore_caches_generation(const dstore_caches *caches,
                                  size_t index);

/**
 * What the newest generation of the cache at `index` is made of: overlay layers, or one whole
 * copy. DSTORE_STRATEGY_AUTOMATIC beyond the end.
 *
 * Does not block. May be NULL: caches.
 */
dstore_strategy dstore_caches_strategy(const dstore_caches *caches,
                                       size_t index);

/**
 * How many volumes the newest generation of the cache at `index` is made of; 0 beyond the end.
 *
 * Does not block. May be NULL: caches.
 */
size_t dstore_caches_layers(const dstore_caches *caches,
                            size_t index);

/**
 * How many bytes the cache at `index` has on disk; -1 where that is not known, and beyond the end.
 *
 * Does not block. May be NULL: caches.
 */
int64_t dstore_caches_bytes(const dstore_caches *caches,
                            size_t index);

/**
 * When the cache at `index` was made, in seconds since 1970; 0 beyond the end.
 *
 * Does not block. May be NULL: caches.
 */
int64_t dstore_caches_created(const dstore_caches *caches,
                              size_t index);

/**
 * When the cache at `index` was last lent or released, in seconds since 1970; 0 beyond the end.
 *
 * Does not block. May be NULL: caches.
 */
int64_t dstore_caches_last_use(const dstore_caches *caches,
                               size_t index);

/**
 * How many leases of the cache at `index` are out, in all processes; 0 beyond the end.
 *
 * Does not block. May be NULL: caches.
 */
size_t dstore_caches_leases(const dstore_caches *caches,
                            size_t index);

/**
 * The most bytes that the cache at `index` may hold; 0 where it has no limit, and beyond the end.
 *
 * Does not block. May be NULL: caches.
 */
uint64_t dstore_caches_limit(const dstore_caches *caches,
                             size_t index);

/**
 * Frees a list. NULL is fine.
 *
 * Does not block.
 */
void dstore_caches_free(dstore_caches *caches);

/**
 * Asks whether the engine answers, for as long as `timeout_ms` (0 is none) and `cancel` allow. One
 * that was upgraded or replaced since the last call is spoken to in its own version from now on.
 *
 * Blocks, for one round trip to the engine. May be NULL: cancel.
 */
DSTORE_MUST_USE
dstore_status dstore_store_ping(const dstore_store *store,
                                uint64_t timeout_ms,
                                const dstore_cancel *cancel,
                                dstore_error **error);

/**
 * Finds out how the engine is, how the store gets along with it, and what is not as well as it
 * could be, for as long as `timeout_ms` (0 is none) and `cancel` allow. An engine that does not
 * answer is an error; what is merely slow or missing is told by dstore_health_trouble(). Free what
 * it gives with dstore_health_free().
 *
 * Blocks, for some engine calls; the first time on an engine, for a trial of how caches can be
 * cloned. May be NULL: cancel.
 */
DSTORE_MUST_USE
dstore_status dstore_store_health(const dstore_store *store,
                                  uint64_t timeout_ms,
                                  const dstore_cancel *cancel,
                                  dstore_health **health,
                                  dstore_error **error);

/**
 * What answers: "Docker", "Podman", or what else it calls itself. Borrowed from `health`; NULL for
 * NULL.
 *
 * Does not block. May be NULL: health.
 */
const char *dstore_health_engine(const dstore_health *health);

/**
 * The engine's version: "28.5.2". Borrowed from `health`; NULL for NULL.
 *
 * Does not block. May be NULL: health.
 */
const char *dstore_health_engine_version(const dstore_health *health);

/**
 * The version of the Engine API that is spoken with it now: "1.47". Borrowed from `health`; NULL
 * for NULL.
 *
 * Does not block. May be NULL: health.
 */
const char *dstore_health_api_version(const dstore_health *health);

/**
 * The newest version of the Engine API that the engine speaks: "1.51". Borrowed from `health`; NULL
 * for NULL.
 *
 * Does not block. May be NULL: health.
 */
const char *dstore_health_newest_api_version(const dstore_health *health);

/**
 * The address at which it was reached. Borrowed from `health`; NULL for NULL.
 *
 * Does not block. May be NULL: health.
 */
const char *dstore_health_address(const dstore_health *health);

/**
 * Where the engine keeps images: its storage driver, "overlay2"; or "containerd (overlayfs)".
 * Borrowed from `health`; NULL for NULL.
 *
 * Does not block. May be NULL: health.
 */
const char *dstore_health_image_store(const dstore_health *health);

/**
 * How caches are cloned. DSTORE_STRATEGY_AUTOMATIC where they cannot be, and for NULL.
 *
 * Does not block. May be NULL: health.
 */
dstore_strategy dstore_health_strategy(const dstore_health *health);

/**
 * Why they are cloned so, or cannot be. Borrowed from `health`; NULL for NULL.
 *
 * Does not block. May be NULL: health.
 */
const char *dstore_health_strategy_reason(const dstore_health *health);

/**
 * Who sets up the network of steps that have none, the runtime or the engine, and why. Borrowed from
 * `health`; NULL for NULL.
 *
 * Does not block. May be NULL: health.
 */
const char *dstore_health_network(const dstore_health *health);

/**
 * By how many milliseconds the engine's clock is ahead of this machine's; negative where it is
 * behind. INT64_MIN where that is not known, and for NULL.
 *
 * Does not block. May be NULL: health.
 */
int64_t dstore_health_clock_ahead_ms(const dstore_health *health);

/**
 * How much is free on the file system of the store's root, in percent; -1 for NULL.
 *
 * Does not block. May be NULL: health.
 */
double dstore_health_free_root(const dstore_health *health);

/**
 * How much is free on the file system of the engine's data, in percent; -1 where that is not on
 * this machine or not to be seen, and for NULL.
 *
 * Does not block. May be NULL: health.
 */
double dstore_health_free_engine(const dstore_health *health);

/**
 * How many things are not as well as they could be; 0 for NULL.
 *
 * Does not block. May be NULL: health.
 */
size_t dstore_health_troubles(const dstore_health *health);

/**
 * What is not well, at `index` from 0 on: one line for a person. Borrowed from `health`; NULL beyond
 * the end.
 *
 * Does not block. May be NULL: health.
 */
const char *dstore_health_trouble(const dstore_health *health,
                                  size_t index);

/**
 * What to do about the trouble at `index`. Borrowed from `health`; NULL beyond the end.
 *
 * Does not block. May be NULL: health.
 */
const char *dstore_health_advice(const dstore_health *health,
                                 size_t index);

/**
 * Frees what was found. NULL is fine.
 *
 * Does not block.
 */
void dstore_health_free(dstore_health *health);

/**
 * How much space is free, in percent. `percent` is the scarcer of the other two: `root` is the
 * file system of the store's root, `engine` that of the engine's data, or -1 where that is not on
 * this machine or not to be seen. The percentages are those of df(1), from the other end: what is
 * available of what is used and available. What only root may use is not counted.
 *
 * Blocks, for one engine call. May be NULL: percent, root, engine.
 */
dstore_status dstore_store_df(const dstore_store *store,
                              double *percent,
                              double *root,
                              double *engine,
                              dstore_error **error);

/**
 * dstore_store_df() for as long as `timeout_ms` (0 is none) and `cancel` allow.
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
 * What a counter stands at: `counter` is a dstore_counter.
 *
 * Does not block.
 */
dstore_status dstore_store_count(const dstore_store *store,
                                 int32_t counter,
                                 uint64_t *value,
                                 dstore_error **error);

/**
 * Removes what dead processes left, as opening does, and counts it: containers of steps and
 * copies, tags of steps, leases and other volumes that no cache needs. What a live process holds
 * stays.
 *
 * Blocks. May be NULL: containers, images, volumes.
 */
dstore_status dstore_store_purge(const dstore_store *store,
                                 uint64_t *containers,
                                 uint64_t *images,
                                 uint64_t *volumes,
                                 dstore_error **error);

/**
 * dstore_store_purge() for as long as `timeout_ms` (0 is none) and `cancel` allow. What was not
 * removed in time is left to the next.
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
 * Waits until everything that was given up (freed steps, released leases, deleted caches) has left
 * the engine. `timeout_ms` 0 is none. Also after dstore_store_close().
 *
 * Blocks. May be NULL: cancel.
 */
dstore_status dstore_store_complete_deletes(const dstore_store *store,
                                            uint64_t timeout_ms,
                                            const dstore_cancel *cancel,
                                            dstore_error **error);

/**
 * Gives up the root at `root` (any bytes): removes everything of it from every engine that it was used
 * with, and from the disk: results, caches, logs, what steps left, the caller's own files in its state
 * directory, and the directory. Names that dstore_store_tag() gave stay. With `dry_run` nothing is removed.
 * What could not be removed is in `remains` with its reason: then the root stays, too, and the next call
 * goes on, as it does after one that was cut off or killed.
 *
 * DSTORE_BUSY while a store is open there, in any process; DSTORE_NOT_FOUND where nothing is there;
 * DSTORE_INVALID_ARGUMENT for what is no store's root. DSTORE_UNREACHABLE where an engine cannot be asked
 * that the root was used with: nothing was removed then. With `abandon` what is there is given up, too; it
 * can be found later by the root's identity. `options` say where an engine is that has another address
 * now. `timeout_ms` 0 is none. Free what it gives with dstore_remains_free().
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
 * What roots have on an engine, by the identities that the objects carry; that of `identity` alone, if it
 * is not NULL. Nothing is removed. Whether a root is still there, the engine does not know: where it was
 * is told, and people know the rest. `timeout_ms` 0 is none. Free what it gives with
 * dstore_remains_free().
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
 * Removes from an engine what is left there of a root whose directory is gone, by its identity: look with
 * dstore_find_remains() first. DSTORE_BUSY while a container of it runs; DSTORE_CONFLICT where the root is on
 * this machine, where it was. A root that is elsewhere loses its results and caches. `timeout_ms` 0 is
 * none. Free what it gives with dstore_remains_free().
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
 * How many things are in the list; 0 for NULL.
 *
 * Does not block. May be NULL: remains.
 */
size_t dstore_remains_count(const dstore_remains *remains);

/**
 * What the thing at `index` is, from 0 on: a dstore_remnant; 0 beyond the end.
 *
 * Does not block. May be NULL: remains.
 */
int32_t dstore_remains_kind(const dstore_remains *remains,
                            size_t index);

/**
 * The name of the thing at `index` on its engine, or its path. Borrowed from `remains`; NULL beyond the
 * end.
 *
 * Does not block. May be NULL: remains.
 */
const char *dstore_remains_name(const dstore_remains *remains,
                                size_t index);

/**
 * The identity of the root that the thing at `index` is of. Borrowed from `remains`; NULL beyond the end.
 *
 * Does not block. May be NULL: remains.
 */
const char *dstore_remains_identity(const dstore_remains *remains,
                                    size_t index);

/**
 * Where that root was when it claimed its names. Borrowed from `remains`; NULL where that is not known,
 * and beyond the end.
 *
 * Does not block. May be NULL: remains.
 */
const char *dstore_remains_root(const dstore_remains *remains,
                                size_t index);

/**
 * The address of the engine that has the thing at `index`; "" for a file. Borrowed from `remains`; NULL
 * beyond the end.
 *
 * Does not block. May be NULL: remains.
 */
const char *dstore_remains_engine(const dstore_remains *remains,
                                  size_t index);

/**
 * Whether the thing at `index` was removed; false beyond the end.
 *
 * Does not block. May be NULL: remains.
 */
bool dstore_remains_removed(const dstore_remains *remains,
                            size_t index);

/**
 * Why the thing at `index` is there still that was to go. Borrowed from `remains`; NULL where it is not,
 * and beyond the end.
 *
 * Does not block. May be NULL: remains.
 */
const char *dstore_remains_kept(const dstore_remains *remains,
                                size_t index);

/**
 * Frees a list. NULL is fine.
 *
 * Does not block.
 */
void dstore_remains_free(dstore_remains *remains);

/**
 * Has the library collect its log from now on, for all stores of the process: lines of up to
 * `level`, a dstore_log_level; DSTORE_LOG_OFF ends that. Unless this is called, nothing is
 * collected. DSTORE_CONFLICT in a process whose own Rust code has set a logger: that gets the
 * lines then.
 *
 * Does not block.
 */
dstore_status dstore_log_collect(int32_t level,
                                 dstore_error **error);

/**
 * Gives `callback` the lines that were collected and not fetched yet, oldest first, on this
 * thread. If there are none, waits `timeout_ms` for the first; 0 does not wait. A thread of the
 * caller's that does nothing else may so be the one that writes the log. Of lines that nobody
 * fetches, the newest few thousand are kept.
 *
 * Blocks, for `timeout_ms` at most. May be NULL: user_data.
 */
dstore_status dstore_log_fetch(uint64_t timeout_ms,
                               dstore_log_callback callback,
                               void *user_data,
                               dstore_error **error);

/**
 * Finds out what takes the space: a row for each result, cache and log, what dead processes left,
 * and sums that count shared layers once; for as long as `timeout_ms` (0 is none) and `cancel`
 * allow. Free what it gives with dstore_usage_free().
 *
 * Blocks, for three listings of the engine's. May be NULL: cancel.
 */
DSTORE_MUST_USE
dstore_status dstore_store_usage(const dstore_store *store,
                                 uint64_t timeout_ms,
                                 const dstore_cancel *cancel,
                                 dstore_usage **usage,
                                 dstore_error **error);

/**
 * How many bytes all results hold, layers that they share counted once, also those of bases that
 * have lost their name; 0 for NULL.
 *
 * Does not block. May be NULL: usage.
 */
uint64_t dstore_usage_results_bytes(const dstore_usage *usage);

/**
 * How many bytes all caches hold, as far as that is known; 0 for NULL.
 *
 * Does not block. May be NULL: usage.
 */
uint64_t dstore_usage_caches_bytes(const dstore_usage *usage);

/**
 * How many bytes all logs hold; 0 for NULL.
 *
 * Does not block. May be NULL: usage.
 */
uint64_t dstore_usage_logs_bytes(const dstore_usage *usage);

/**
 * Of how many results nobody knows what they share with others: each is counted as a whole; 0 for
 * NULL.
 *
 * Does not block. May be NULL: usage.
 */
uint64_t dstore_usage_results_unknown(const dstore_usage *usage);

/**
 * The bytes of how many caches nobody has counted yet: they are not in the sum; 0 for NULL.
 *
 * Does not block. May be NULL: usage.
 */
uint64_t dstore_usage_caches_unknown(const dstore_usage *usage);

/**
 * How the sums were found, in words for a person. Borrowed from `usage`; NULL for NULL.
 *
 * Does not block. May be NULL: usage.
 */
const char *dstore_usage_how(const dstore_usage *usage);

/**
 * How many containers dead processes left; 0 for NULL.
 *
 * Does not block. May be NULL: usage.
 */
uint64_t dstore_usage_left_containers(const dstore_usage *usage);

/**
 * How many images only dead steps hold; 0 for NULL.
 *
 * Does not block. May be NULL: usage.
 */
uint64_t dstore_usage_left_images(const dstore_usage *usage);

/**
 * How many volumes dead processes left that no cache names; 0 for NULL.
 *
 * Does not block. May be NULL: usage.
 */
uint64_t dstore_usage_left_volumes(const dstore_usage *usage);

/**
 * How many results there are; 0 for NULL.
 *
 * Does not block. May be NULL: usage.
 */
size_t dstore_usage_results(const dstore_usage *usage);

/**
 * The id of the result at `index`, from 0 on; they are in the order of their ids. Borrowed from
 * `usage`; NULL beyond the end.
 *
 * Does not block. May be NULL: usage.
 */
const char *dstore_usage_result_id(const dstore_usage *usage,
                                   size_t index);

/**
 * The engine's id of the image that the result at `index` is. Borrowed from `usage`; NULL beyond
 * the end.
 *
 * Does not block. May be NULL: usage.
 */
const char *dstore_usage_result_image(const dstore_usage *usage,
                                      size_t index);

/**
 * The id of the result that the one at `index` was built on, whether that is still there or not.
 * Borrowed from `usage`; NULL where it was built on nothing or nobody knows, and beyond the end.
 *
 * Does not block. May be NULL: usage.
 */
const char *dstore_usage_result_base(const dstore_usage *usage,
                                     size_t index);

/**
 * How many bytes the result at `index` holds beside what its base holds; 0 beyond the end.
 *
 * Does not block. May be NULL: usage.
 */
uint64_t dstore_usage_result_own_bytes(const dstore_usage *usage,
                                       size_t index);

/**
 * How many bytes the result at `index` has, counting layers that it shares with others; 0 beyond
 * the end.
 *
 * Does not block. May be NULL: usage.
 */
uint64_t dstore_usage_result_bytes(const dstore_usage *usage,
                                   size_t index);

/**
 * When the image of the result at `index` was made, in seconds since 1970; 0 beyond the end.
 *
 * Does not block. May be NULL: usage.
 */
int64_t dstore_usage_result_created(const dstore_usage *usage,
                                    size_t index);

/**
 * When the result at `index` was used last, in seconds since 1970: committed, found by a look or a
 * build, begun with, or copied out of. Where there is no record of that, when its image was made;
 * 0 beyond the end.
 *
 * Does not block. May be NULL: usage.
 */
int64_t dstore_usage_result_last_use(const dstore_usage *usage,
                                     size_t index);

/**
 * How many milliseconds it took to build the result at `index`; -1 where nobody knows, and beyond
 * the end.
 *
 * Does not block. May be NULL: usage.
 */
int64_t dstore_usage_result_build_ms(const dstore_usage *usage,
                                     size_t index);

/**
 * Whether the result at `index` is pinned; false beyond the end.
 *
 * Does not block. May be NULL: usage.
 */
bool dstore_usage_result_pinned(const dstore_usage *usage,
                                size_t index);

/**
 * Whether somebody builds the id of the result at `index` now; false beyond the end.
 *
 * Does not block. May be NULL: usage.
 */
bool dstore_usage_result_building(const dstore_usage *usage,
                                  size_t index);

/**
 * Whether a step under way is built on the result at `index`; false beyond the end.
 *
 * Does not block. May be NULL: usage.
 */
bool dstore_usage_result_held(const dstore_usage *usage,
                              size_t index);

/**
 * How many bytes the log of the result at `index` has; 0 beyond the end.
 *
 * Does not block. May be NULL: usage.
 */
uint64_t dstore_usage_result_log_bytes(const dstore_usage *usage,
                                       size_t index);

/**
 * All caches, by name, for the calls on a dstore_caches; bytes are known only where somebody has
 * counted them before. Borrowed from `usage`: not to be freed. NULL for NULL.
 *
 * Does not block. May be NULL: usage.
 */
const dstore_caches *dstore_usage_caches(const dstore_usage *usage);

/**
 * Whether the cache at `index` of dstore_usage_caches() is pinned; false beyond the end.
 *
 * Does not block. May be NULL: usage.
 */
bool dstore_usage_cache_pinned(const dstore_usage *usage,
                               size_t index);

/**
 * How many logs there are; 0 for NULL.
 *
 * Does not block. May be NULL: usage.
 */
size_t dstore_usage_logs(const dstore_usage *usage);

/**
 * Of which build the log at `index` is, from 0 on; they are in the order of their ids. Borrowed
 * from `usage`; NULL beyond the end.
 *
 * Does not block. May be NULL: usage.
 */
const char *dstore_usage_log_id(const dstore_usage *usage,
                                size_t index);

/**
 * How many bytes the log at `index` has; 0 beyond the end.
 *
 * Does not block. May be NULL: usage.
 */
uint64_t dstore_usage_log_bytes(const dstore_usage *usage,
                                size_t index);

/**
 * When the log at `index` was written last, in seconds since 1970; 0 beyond the end.
 *
 * Does not block. May be NULL: usage.
 */
int64_t dstore_usage_log_written(const dstore_usage *usage,
                                 size_t index);

/**
 * Whether there is a result of the log at `index`; false beyond the end.
 *
 * Does not block. May be NULL: usage.
 */
bool dstore_usage_log_has_result(const dstore_usage *usage,
                                 size_t index);

/**
 * Frees what was found. NULL is fine.
 *
 * Does not block.
 */
void dstore_usage_free(dstore_usage *usage);

/**
 * A new policy, which asks for nothing. Free it with dstore_policy_free(). NULL only where the
 * library itself is at fault.
 *
 * Does not block.
 */
DSTORE_MUST_USE
dstore_policy *dstore_policy_new(void);

/**
 * The most bytes that are to stay, of all kinds that may go together, as a dstore_usage counts
 * them. Caches that nobody has counted yet are counted by the prune: as files, or else by asking
 * the engine, which may take it seconds.
 *
 * Does not block.
 */
dstore_status dstore_policy_most_bytes(dstore_policy *policy,
                                       uint64_t bytes,
                                       dstore_error **error);

/**
 * The least bytes that are to be free on the engine's disk, which must be of this machine and in
 * sight: else the prune answers DSTORE_UNSUPPORTED.
 *
 * Does not block.
 */
dstore_status dstore_policy_least_free_bytes(dstore_policy *policy,
                                             uint64_t bytes,
                                             dstore_error **error);

/**
 * The least that is to be free on the engine's disk, in percent as dstore_store_df() and
 * df(1) say it. DSTORE_INVALID_ARGUMENT for what is no number from 0 to 100.
 *
 * Does not block.
 */
dstore_status dstore_policy_least_free_percent(dstore_policy *policy,
                                               double percent,
                                               dstore_error **error);

/**
 * What nobody used for so many milliseconds goes, however much room there is. A result goes alone
 * then, if only those that were built on it are used: their layers stay.
 *
 * Does not block.
 */
dstore_status dstore_policy_unused_for(dstore_policy *policy,
                                       uint64_t milliseconds,
                                       dstore_error **error);

/**
 * So many results stay at least.
 *
 * Does not block.
 */
dstore_status dstore_policy_keep_results(dstore_policy *policy,
                                         size_t number,
                                         dstore_error **error);

/**
 * Results that were used within so many milliseconds stay. By default a minute, while anybody but
 * this store has the root open or where this store has told of a result itself; else none. Whoever
 * was told that a result is there has so long to begin something on it.
 *
 * Does not block.
 */
dstore_status dstore_policy_spare(dstore_policy *policy,
                                  uint64_t milliseconds,
                                  dstore_error **error);

/**
 * Whether results may go, with their logs; true by default.
 *
 * Does not block.
 */
dstore_status dstore_policy_results(dstore_policy *policy,
                                    bool may,
                                    dstore_error **error);

/**
 * Whether caches may go; true by default.
 *
 * Does not block.
 */
dstore_status dstore_policy_caches(dstore_policy *policy,
                                   bool may,
                                   dstore_error **error);

/**
 * Whether logs may go by themselves: those of builds that failed, and of results that stay; false
 * by default.
 *
 * Does not block.
 */
dstore_status dstore_policy_logs(dstore_policy *policy,
                                 bool may,
                                 dstore_error **error);

/**
 * Whether to tell only what would go; false by default.
 *
 * Does not block.
 */
dstore_status dstore_policy_dry_run(dstore_policy *policy,
                                    bool dry_run,
                                    dstore_error **error);

/**
 * Frees a policy. NULL is fine.
 *
 * Does not block.
 */
void dstore_policy_free(dstore_policy *policy);

/**
 * Brings the store to the bounds of `policy`: removes results, caches and logs until they hold, for
 * as long as `timeout_ms` (0 is none) and `cancel` allow. Any number of processes may do so at once,
 * while others build. What is being built stays, and the base of a step under way, what is leased or
 * pinned, and results that somebody was told of just now (dstore_policy_spare()).
 *
 * `each` is called with every row as it comes, and ends the prune by another answer than 0. What was
 * removed by then is gone. Each thing is tried once; that one could not be removed is no error, but
 * a row. Free what it gives with dstore_pruned_free().
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
 * How many rows there are; 0 for NULL.
 *
 * Does not block. May be NULL: pruned.
 */
size_t dstore_pruned_count(const dstore_pruned *pruned);

/**
 * What the row at `index` is about, from 0 on: a dstore_item; 0 beyond the end.
 *
 * Does not block. May be NULL: pruned.
 */
int32_t dstore_pruned_item(const dstore_pruned *pruned,
                           size_t index);

/**
 * The name of what the row at `index` is about: `*length` bytes, and a zero after them. Borrowed from
 * `pruned`; NULL beyond the end.
 *
 * Does not block. May be NULL: pruned, length.
 */
const char *dstore_pruned_name(const dstore_pruned *pruned,
                               size_t index,
                               size_t *length);

/**
 * How many bytes go with what the row at `index` is about, as a dstore_usage counts them: of a
 * result what no other holds; 0 beyond the end.
 *
 * Does not block. May be NULL: pruned.
 */
uint64_t dstore_pruned_bytes(const dstore_pruned *pruned,
                             size_t index);

/**
 * When what the row at `index` is about was used last, in seconds since 1970; 0 beyond the end.
 *
 * Does not block. May be NULL: pruned.
 */
int64_t dstore_pruned_last_use(const dstore_pruned *pruned,
                               size_t index);

/**
 * What became of what the row at `index` is about: a dstore_fate; 0 beyond the end.
 *
 * Does not block. May be NULL: pruned.
 */
int32_t dstore_pruned_fate(const dstore_pruned *pruned,
                           size_t index);

/**
 * Why what the row at `index` is about stayed; "" for what went. Borrowed from `pruned`; NULL
 * beyond the end.
 *
 * Does not block. May be NULL: pruned.
 */
const char *dstore_pruned_why(const dstore_pruned *pruned,
                              size_t index);

/**
 * By how many bytes the engine's disk has more free than before, whoever did that; 0 where it has
 * less, and -1 where that disk is not in sight, in a dry run, and for NULL.
 *
 * Does not block. May be NULL: pruned.
 */
int64_t dstore_pruned_freed(const dstore_pruned *pruned);

/**
 * How many bytes are kept now of the kinds that may go, as a dstore_usage counts them; 0 for NULL.
 *
 * Does not block. May be NULL: pruned.
 */
uint64_t dstore_pruned_kept(const dstore_pruned *pruned);

/**
 * Whether all that was asked for is reached; in a dry run, would be. false for NULL.
 *
 * Does not block. May be NULL: pruned.
 */
bool dstore_pruned_reached(const dstore_pruned *pruned);

/**
 * Frees what a prune told. NULL is fine.
 *
 * Does not block.
 */
void dstore_pruned_free(dstore_pruned *pruned);

/**
 * Pins the result `id`, whether it is there or not, for as long as `timeout_ms` (0 is none) and
 * `cancel` allow: no prune of any process removes it from now on. `pinned` is false where it was
 * pinned before. A delete removes it all the same, and the pin stays.
 *
 * Blocks, while a prune is just removing it. May be NULL: cancel, pinned.
 */
DSTORE_MUST_USE
dstore_status dstore_store_pin(const dstore_store *store,
                               const char *id,
                               uint64_t timeout_ms,
                               const dstore_cancel *cancel,
                               bool *pinned,
                               dstore_error **error);

/**
 * Takes the pin of the result `id` away. That there is none is no error, and `unpinned` then false.
 *
 * Does not block. May be NULL: unpinned.
 */
DSTORE_MUST_USE
dstore_status dstore_store_unpin(const dstore_store *store,
                                 const char *id,
                                 bool *unpinned,
                                 dstore_error **error);

/**
 * dstore_store_pin() of the cache `name` (any bytes but none).
 *
 * Blocks, while somebody else works on the cache. May be NULL: cancel, pinned.
 */
DSTORE_MUST_USE
dstore_status dstore_store_pin_cache(const dstore_store *store,
                                     const char *name,
                                     uint64_t timeout_ms,
                                     const dstore_cancel *cancel,
                                     bool *pinned,
                                     dstore_error **error);

/**
 * dstore_store_unpin() of the cache `name`.
 *
 * Does not block. May be NULL: unpinned.
 */
DSTORE_MUST_USE
dstore_status dstore_store_unpin_cache(const dstore_store *store,
                                       const char *name,
                                       bool *unpinned,
                                       dstore_error **error);

/**
 * Lists what is pinned: results by id, then caches by name, whether they are there or not. Kept in
 * the root, for all engines that it is used with. Free the list with dstore_pins_free().
 *
 * Does not block.
 */
DSTORE_MUST_USE
dstore_status dstore_store_pins(const dstore_store *store,
                                dstore_pins **pins,
                                dstore_error **error);

/**
 * How the result `id` has gone, if it was there once and is not any more, and when, in seconds since
 * 1970 (0 where that is not known). Remembered for thirty days.
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
 * How many pins are in the list; 0 for NULL.
 *
 * Does not block. May be NULL: pins.
 */
size_t dstore_pins_count(const dstore_pins *pins);

/**
 * What is pinned at `index`, from 0 on: DSTORE_ITEM_RESULT or DSTORE_ITEM_CACHE, as a number; 0
 * beyond the end.
 *
 * Does not block. May be NULL: pins.
 */
int32_t dstore_pins_item(const dstore_pins *pins,
                         size_t index);

/**
 * The name of what is pinned at `index`: `*length` bytes, and a zero after them. Borrowed from
 * `pins`; NULL beyond the end.
 *
 * Does not block. May be NULL: pins, length.
 */
const char *dstore_pins_name(const dstore_pins *pins,
                             size_t index,
                             size_t *length);

/**
 * Since when the one at `index` is pinned, in seconds since 1970; 0 beyond the end.
 *
 * Does not block. May be NULL: pins.
 */
int64_t dstore_pins_since(const dstore_pins *pins,
                          size_t index);

/**
 * Frees a list. NULL is fine.
 *
 * Does not block.
 */
void dstore_pins_free(dstore_pins *pins);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* DOCKER_STORE_H */
