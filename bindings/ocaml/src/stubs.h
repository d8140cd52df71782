/* What the stubs share: objects of the library as OCaml holds them (stubs_handle.c), the frame of one call
 * (stubs_call.c), and callbacks (stubs_callback.c).
 *
 * Every stub decodes, calls and encodes. A call that may block is made without the runtime lock, and by then all
 * that it needs is C's: OCaml values may move. Two facts shape the rest:
 *
 * - Letting go of the runtime lock, and taking it back, may raise what a signal handler raises. So whatever must be
 *   freed is at all times in a custom block, and the GC frees it where a stub does not come to its end.
 * - An OCaml exception must not jump over Rust's frames. So a callback never raises (see stubs_callback.c). */

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
};

struct kind {
    const char *ended; /* What a call on one that has ended is told. */
    void (*free)(union object object);
    mlsize_t mem, max; /* How much one hurries the GC along: see caml_alloc_custom. */
};

/* An object that OCaml holds. It has two counts. `users` keeps the object: one for being open, one for each call
 * that is in it, one for each object made from it. `refs` keeps the cell: one for the custom block, one for all
 * users. So whoever closes an object, in whatever thread, never pulls it away from under a call. */
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
    host_files_kind;

/* A handle whose object is still to be made, from `parent` if that is not NULL: the caller is in `parent`. */
value handle_alloc(const struct kind *kind, struct cell *parent);
struct cell *handle_cell(value handle);

/* Begins a call in an object; false if it has ended. */
bool cell_enter(struct cell *cell);
void cell_leave(struct cell *cell);
/* The object has ended, or is given up: the last who is in it frees it. */
void cell_end(struct cell *cell);

/* ---------------------------------------------------------------- one call */

#define CALL_COPIES 8
#define CALL_CELLS 4

/* What a call needs while OCaml's heap is out of reach. */
struct call {
    dstore_status status;
    dstore_error *error;
    char *text; /* An answer of the library's. */
    /* Where the call is not to be made at all: the status says why, and these, in words. */
    bool refused, no_memory;
    const char *about, *why;
    void *copies[CALL_COPIES];
    unsigned copied;
    struct cell *cells[CALL_CELLS];
    unsigned entered;
};

value call_begin(void);
struct call *call_of(value call);

/* Each of these notes a failure in the call, and then returns NULL. The call is to be made if call_ready(). */
struct cell *call_enter(struct call *call, value handle);
const char *call_text(struct call *call, const char *name, value text);
const char *call_optional_text(struct call *call, const char *name, value option);
const char **call_texts(struct call *call, const char *name, value array);
/* The same of any bytes: how many each has is in `lengths`. */
const char **call_parts(struct call *call, value array, size_t **lengths);
const char *call_bytes(struct call *call, value bytes, size_t *length);
bool call_ready(const struct call *call);

/* A string that a call gave, to be freed with the rest. May be NULL. */
void call_keep_text(struct call *call, char *text);

/* The limits of a wait: a record of milliseconds and of a cancel or none. */
struct limits {
    uint64_t timeout_ms;
    const dstore_cancel *cancel;
};
struct limits call_limits(struct call *call, value limits);

/* How to open a store, in a record. A setter's status need not be looked at: what uses the options fails with the same error. */
void set_options(struct call *call, dstore_options *options, value settings);

/* Ends a call: `Ok ok`, or `Error` and why. */
value call_end(value call, value ok);
/* Ends a call that has nothing to answer. */
value call_end_unit(value call);

/* The rows of a list of caches. */
value caches_array(const dstore_caches *caches);

/* What a store answers of a result or a cache: yes or no. `name` is what the library calls the text. */
typedef dstore_status store_question(const dstore_store *store, const char *text, uint64_t timeout_ms,
                                     const dstore_cancel *cancel, bool *answer, dstore_error **error);
value store_answers(value store, const char *name, value text, value limits, store_question *ask);

/* The same of a question that does not block. */
typedef dstore_status store_quick_question(const dstore_store *store, const char *text, bool *answer,
                                           dstore_error **error);
value store_answers_at_once(value store, const char *name, value text, store_quick_question *ask);

/* ---------------------------------------------------------------- callbacks */

/* The OCaml function that hears what a call has to say: `event -> bool`, where false ends the call. It catches what
 * it raises (see guard.ml), so `raised` is for what is raised before it can. */
struct listener {
    value *closure;
    value *raised;
    bool has_raised;
};

/* One thing that a callback was told, for as long as it runs; OCaml takes it apart itself. */
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

/* Ends a call that had listeners, and raises what one of them could not catch. */
value call_end_heard(value call, value ok, const struct listener *first, const struct listener *second);

#endif
