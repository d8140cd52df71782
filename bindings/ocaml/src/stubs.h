/* Shared by the stubs: handles for library objects (stubs_handle.c), the frame of one call (stubs_call.c), and
 * callbacks (stubs_callback.c).
 *
 * Every stub decodes, calls and encodes. A call that may block is made without the runtime lock, and uses only C memory
 * by then, because OCaml values may move. Two facts determine the rest:
 *
 * - Releasing and acquiring the runtime lock may raise an exception of a signal handler. So everything that must be
 *   freed is always in a custom block, and the GC frees it if a stub does not complete.
 * - An OCaml exception must not unwind through Rust frames. So a callback never raises (see stubs_callback.c). */

#ifndef DOCKER_STORE_STUBS_H
#define DOCKER_STORE_STUBS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define CAML_NAME_SPACE
#include <caml/alloc.h>
#include <caml/callback.h>
#include <caml/custom.h>
#include <caml/fail.h>
#include <caml/memory.h>
#include <caml/mlvalues.h>
#include <caml/signals.h>
#include <caml/threads.h>

#include <docker_store.h>

/* ---------------------------------------------------------------- objects of the library */

union object {
    void *any;
    dstore_store *store;
    dstore_step *step;
    dstore_lease *lease;
    dstore_cancel *cancel;
    dstore_options *options;
    dstore_command *command;
    dstore_results *results;
    dstore_caches *caches;
    dstore_health *health;
    dstore_image_config *image_config;
    dstore_remains *remains;
    dstore_usage *usage;
    dstore_policy *policy;
    dstore_pruned *pruned;
    dstore_pins *pins;
    dstore_host_files *host_files;
    dstore_host_folder *host_folder;
};

struct kind {
    const char *ended; /* The message of a call on an object that has ended. */
    void (*free)(union object object);
    mlsize_t mem, max; /* How much one object speeds up the GC: see caml_alloc_custom. */
};

/* A library object held by OCaml. It has two reference counts. `users` keeps the object alive: one for being open, one
 * for each call in progress, and one for each object created from it. `refs` keeps the cell alive: one for the custom
 * block, one for all users. So closing an object in one thread never frees it while another thread is in a call on it.
 * */
struct cell {
    const struct kind *kind;
    struct cell *parent;
    union object object;
    atomic_uint users;
    atomic_uint refs;
    atomic_bool open;
};

extern const struct kind store_kind, step_kind, lease_kind, cancel_kind, options_kind, command_kind, results_kind,
    caches_kind, health_kind, image_config_kind, remains_kind, usage_kind, policy_kind, pruned_kind, pins_kind,
    host_files_kind, host_folder_kind;

/* Allocates a handle whose object is created later, from `parent` if it is not NULL. The caller is in a call on
 * `parent`. */
value handle_alloc(const struct kind *kind, struct cell *parent);
struct cell *handle_cell(value handle);

/* Begins a call on an object. Returns false if the object has ended. */
bool cell_enter(struct cell *cell);
void cell_leave(struct cell *cell);
/* Ends or discards the object. The last call on it frees it. */
void cell_end(struct cell *cell);

/* ---------------------------------------------------------------- one call */

#define CALL_COPIES 8
#define CALL_CELLS 4

/* What a call needs while OCaml's heap is not accessible. */
struct call {
    dstore_status status;
    dstore_error *error;
    char *text; /* A string that the library returned. */
    /* If the call must not be made: the status says why, and these are the message. */
    bool refused, no_memory;
    const char *about, *why;
    void *copies[CALL_COPIES];
    unsigned copied;
    struct cell *cells[CALL_CELLS];
    unsigned entered;
};

value call_begin(void);
struct call *call_of(value call);

/* Each of these records a failure in the call and then returns NULL. Make the call only if call_ready(). */
struct cell *call_enter(struct call *call, value handle);
const char *call_text(struct call *call, const char *name, value text);
const char *call_optional_text(struct call *call, const char *name, value option);
const char **call_texts(struct call *call, const char *name, value array);
/* The same for any bytes. `lengths` holds the number of bytes of each. */
const char **call_parts(struct call *call, value array, size_t **lengths);
const char *call_bytes(struct call *call, value bytes, size_t *length);
bool call_ready(const struct call *call);

/* Keeps a string that a call returned, to be freed with the rest. May be NULL. */
void call_keep_text(struct call *call, char *text);

/* The limits of a call: a record of milliseconds and an optional cancel. */
struct limits {
    uint64_t timeout_ms;
    const dstore_cancel *cancel;
};
struct limits call_limits(struct call *call, value limits);

/* Sets the options of a store from a record. The setters' statuses are ignored: the call that uses the options fails
 * with the same status. */
void set_options(struct call *call, dstore_options *options, value settings);

/* Ends a call. Returns `Ok ok`, or `Error` with the reason. */
value call_end(value call, value ok);
/* Ends a call that returns unit. */
value call_end_unit(value call);

/* The rows of a list of caches. */
value caches_array(const dstore_caches *caches);

/* A yes-or-no query about a result or a cache. `name` is the library's name for the text. */
typedef dstore_status store_question(const dstore_store *store, const char *text, uint64_t timeout_ms,
                                     const dstore_cancel *cancel, bool *answer, dstore_error **error);
value store_answers(value store, const char *name, value text, value limits, store_question *ask);

/* The same for a query that does not block. */
typedef dstore_status store_quick_question(const dstore_store *store, const char *text, bool *answer,
                                           dstore_error **error);
value store_answers_at_once(value store, const char *name, value text, store_quick_question *ask);

/* ---------------------------------------------------------------- callbacks */

/* The OCaml function that a call calls back: `event -> bool`, where false stops the call. It catches exceptions (see
 * guard.ml), so `raised` is for exceptions that are raised before it can. */
struct listener {
    value *closure;
    value *raised;
    bool has_raised;
};

/* One event passed to a callback, valid while it runs. OCaml decodes it itself. */
struct event {
    int32_t number;
    const char *bytes;
    size_t length;
    const char *texts[2];
    uint64_t amounts[2];
    char *buffer;
    size_t capacity, filled;
};

int32_t tell_output(void *listener, int32_t channel, const char *bytes, size_t length);
int32_t tell_followed(void *listener, uint32_t attempt, const char *bytes, size_t length);
int32_t tell_written(void *listener, const char *bytes, size_t length);
int32_t tell_wanted(void *listener, char *buffer, size_t capacity, size_t *length);
int32_t tell_progress(void *listener, const char *status, const char *item, uint64_t current, uint64_t total);
int32_t tell_pruned(void *listener, int32_t item, const char *name, size_t length, uint64_t bytes, int64_t last_use, int32_t fate,
                    const char *why);
int32_t tell_line(void *listener, int32_t level, const char *line, size_t length);

/* Ends a call that had callbacks, and raises an exception that one of them could not catch. */
value call_end_heard(value call, value ok, const struct listener *first, const struct listener *second);

#endif
