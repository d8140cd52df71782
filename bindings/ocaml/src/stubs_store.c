/* Stores and cancels. */

#include "stubs.h"

#include <math.h>
#include <signal.h>

/* ---------------------------------------------------------------- cancels */

CAMLprim value ocaml_dstore_cancel_new(value unit)
{
    value handle = handle_alloc(&cancel_kind, NULL);
    (void)unit;
    handle_cell(handle)->object.cancel = dstore_cancel_new();
    return handle;
}

CAMLprim value ocaml_dstore_cancel_trigger(value cancel)
{
    dstore_cancel_trigger(handle_cell(cancel)->object.cancel);
    return Val_unit;
}

CAMLprim value ocaml_dstore_cancel_is_triggered(value cancel)
{
    return Val_bool(dstore_cancel_is_triggered(handle_cell(cancel)->object.cancel));
}

/* Defined by the runtime; its headers declare it only for the runtime itself. */
extern int caml_convert_signal_number(int signal);

static _Atomic(const dstore_cancel *) at_signal[NSIG];

/* Not an OCaml handler, which would wait for OCaml code to run. The library allows this call in a signal handler. */
static void trigger_at(int signal)
{
    dstore_cancel_trigger(atomic_load(&at_signal[signal]));
}

CAMLprim value ocaml_dstore_cancel_on_signal(value cancel, value signal)
{
    struct cell *cell = handle_cell(cancel);
    int number = caml_convert_signal_number(Int_val(signal));
    struct sigaction action = {.sa_handler = trigger_at, .sa_flags = SA_ONSTACK | SA_RESTART};
    if (number <= 0 || number >= NSIG)
        caml_invalid_argument("Cancel.on_signal: not a signal");
    /* Never released: it is unknown when the last handler that uses the cancel has run. */
    if (cell_enter(cell))
        atomic_store(&at_signal[number], cell->object.cancel);
    sigemptyset(&action.sa_mask);
    if (sigaction(number, &action, NULL) != 0)
        caml_invalid_argument("Cancel.on_signal: that signal cannot be caught");
    return Val_unit;
}

/* ---------------------------------------------------------------- open and close */

void set_options(struct call *call, dstore_options *options, value settings)
{
    const char *engine = call_optional_text(call, "engine", Field(settings, 0));
    const char *name = call_optional_text(call, "name", Field(settings, 1));
    if (engine)
        dstore_options_engine(options, engine, NULL);
    if (name)
        dstore_options_name(options, name, NULL);
    dstore_options_strategy(options, Int_val(Field(settings, 2)), NULL);
    dstore_options_direct(options, Bool_val(Field(settings, 3)), NULL);
    dstore_options_sync(options, Bool_val(Field(settings, 4)), NULL);
    if (Long_val(Field(settings, 5)) > 0)
        dstore_options_connect_timeout(options, Long_val(Field(settings, 5)), NULL);
    if (Is_block(Field(settings, 6)))
        dstore_options_group(options, (uint32_t)Long_val(Field(Field(settings, 6), 0)), NULL);
    if (Is_block(Field(settings, 7)))
        dstore_options_log_limit(options, (uint64_t)Long_val(Field(Field(settings, 7), 0)),
                                 Bool_val(Field(settings, 8)), NULL);
    dstore_options_engine_network(options, Bool_val(Field(settings, 9)), NULL);
}

CAMLprim value ocaml_dstore_open(value v_root, value v_settings, value v_limits)
{
    CAMLparam3(v_root, v_settings, v_limits);
    CAMLlocal3(v_call, v_options, v_store);
    struct call *call;
    const char *root;
    const dstore_options *options;
    struct cell *store;
    struct limits limits;

    v_call = call_begin();
    v_options = handle_alloc(&options_kind, NULL);
    v_store = handle_alloc(&store_kind, NULL);
    handle_cell(v_options)->object.options = dstore_options_new();
    call = call_of(v_call);
    store = handle_cell(v_store);
    options = handle_cell(v_options)->object.options;
    root = call_text(call, "root", v_root);
    set_options(call, handle_cell(v_options)->object.options, v_settings);
    limits = call_limits(call, v_limits);
    if (call_ready(call)) {
        caml_release_runtime_system();
        call->status = dstore_store_open_within(root, options, limits.timeout_ms, limits.cancel, &store->object.store, &call->error);
        caml_acquire_runtime_system();
    }
    cell_end(handle_cell(v_options));
    CAMLreturn(call_end(v_call, v_store));
}

/* The handle stays open, because removals may still be waited for. */
CAMLprim value ocaml_dstore_close(value v_store, value v_limits)
{
    CAMLparam2(v_store, v_limits);
    CAMLlocal1(v_call);
    struct call *call;
    struct cell *store;
    struct limits limits;

    v_call = call_begin();
    call = call_of(v_call);
    store = call_enter(call, v_store);
    limits = call_limits(call, v_limits);
    if (call_ready(call)) {
        caml_release_runtime_system();
        call->status = dstore_store_close_within(store->object.store, limits.timeout_ms, limits.cancel, &call->error);
        caml_acquire_runtime_system();
    }
    CAMLreturn(call_end_unit(v_call));
}

/* ---------------------------------------------------------------- getters of a store */

/* Constant strings: root, prefix, state_dir, empty_dir, engine, api_version. */
CAMLprim value ocaml_dstore_names(value v_store)
{
    CAMLparam1(v_store);
    CAMLlocal2(names, text);
    const dstore_store *store = handle_cell(v_store)->object.store;
    const char *(*const getters[])(const dstore_store *) = {dstore_store_root,      dstore_store_prefix,
                                                           dstore_store_state_dir, dstore_store_empty_dir,
                                                           dstore_store_engine,    dstore_store_api_version};
    size_t n, count = sizeof getters / sizeof *getters;

    names = caml_alloc_tuple(count);
    for (n = 0; n < count; n++) {
        text = caml_copy_string(getters[n](store));
        Store_field(names, n, text);
    }
    CAMLreturn(names);
}

CAMLprim value ocaml_dstore_log_file(value v_store, value v_id)
{
    CAMLparam2(v_store, v_id);
    CAMLlocal2(v_call, v_path);
    struct call *call;
    struct cell *store;
    const char *id;
    char *path = NULL;

    v_path = Val_unit;
    v_call = call_begin();
    call = call_of(v_call);
    store = call_enter(call, v_store);
    id = call_text(call, "id", v_id);
    if (call_ready(call)) {
        call->status = dstore_store_log_file(store->object.store, id, &path, &call->error);
        call_keep_text(call, path);
    }
    if (path)
        v_path = caml_copy_string(path);
    CAMLreturn(call_end(v_call, v_path));
}

/* ---------------------------------------------------------------- upkeep */

CAMLprim value ocaml_dstore_df(value v_store, value v_limits)
{
    CAMLparam2(v_store, v_limits);
    CAMLlocal2(v_call, v_free);
    struct call *call;
    struct cell *store;
    struct limits limits;
    double free[3] = {-1, -1, -1};
    size_t n;

    v_call = call_begin();
    call = call_of(v_call);
    store = call_enter(call, v_store);
    limits = call_limits(call, v_limits);
    if (call_ready(call)) {
        caml_release_runtime_system();
        call->status = dstore_store_df_within(store->object.store, limits.timeout_ms, limits.cancel, &free[0], &free[1], &free[2], &call->error);
        caml_acquire_runtime_system();
    }
    v_free = caml_alloc_float_array(3);
    for (n = 0; n < 3; n++)
        Store_double_flat_field(v_free, n, free[n]);
    CAMLreturn(call_end(v_call, v_free));
}

CAMLprim value ocaml_dstore_ping(value v_store, value v_limits)
{
    CAMLparam2(v_store, v_limits);
    CAMLlocal1(v_call);
    struct call *call;
    struct cell *store;
    struct limits limits;

    v_call = call_begin();
    call = call_of(v_call);
    store = call_enter(call, v_store);
    limits = call_limits(call, v_limits);
    if (call_ready(call)) {
        caml_release_runtime_system();
        call->status = dstore_store_ping(store->object.store, limits.timeout_ms, limits.cancel, &call->error);
        caml_acquire_runtime_system();
    }
    CAMLreturn(call_end_unit(v_call));
}

static value text_of(const char *text)
{
    return caml_copy_string(text ? text : "");
}

/* An array of pairs: a problem, and what to do about it. */
static value troubles_of(const dstore_health *health)
{
    CAMLparam0();
    CAMLlocal3(array, what, advice);
    CAMLlocal1(pair);
    size_t n, count = dstore_health_troubles(health);

    array = caml_alloc(count, 0);
    for (n = 0; n < count; n++) {
        what = text_of(dstore_health_trouble(health, n));
        advice = text_of(dstore_health_advice(health, n));
        pair = caml_alloc_small(2, 0);
        Field(pair, 0) = what;
        Field(pair, 1) = advice;
        Store_field(array, n, pair);
    }
    CAMLreturn(array);
}

/* A record: strings, the strategy, the clock in seconds (NaN: unknown), free space, problems. */
static value record_of(const dstore_health *health)
{
    CAMLparam0();
    CAMLlocal1(record);
    int64_t ahead = dstore_health_clock_ahead_ms(health);

    record = caml_alloc(13, 0);
    Store_field(record, 0, text_of(dstore_health_engine(health)));
    Store_field(record, 1, text_of(dstore_health_engine_version(health)));
    Store_field(record, 2, text_of(dstore_health_api_version(health)));
    Store_field(record, 3, text_of(dstore_health_newest_api_version(health)));
    Store_field(record, 4, text_of(dstore_health_address(health)));
    Store_field(record, 5, text_of(dstore_health_image_store(health)));
    Store_field(record, 6, Val_int(dstore_health_strategy(health)));
    Store_field(record, 7, text_of(dstore_health_strategy_reason(health)));
    Store_field(record, 8, caml_copy_double(ahead == INT64_MIN ? NAN : (double)ahead / 1000));
    Store_field(record, 9, caml_copy_double(dstore_health_free_root(health)));
    Store_field(record, 10, caml_copy_double(dstore_health_free_engine(health)));
    Store_field(record, 11, troubles_of(health));
    Store_field(record, 12, text_of(dstore_health_network(health)));
    CAMLreturn(record);
}

CAMLprim value ocaml_dstore_health(value v_store, value v_limits)
{
    CAMLparam2(v_store, v_limits);
    CAMLlocal3(v_call, v_health, v_record);
    struct call *call;
    struct cell *store, *health;
    struct limits limits;

    v_call = call_begin();
    v_health = handle_alloc(&health_kind, NULL);
    call = call_of(v_call);
    health = handle_cell(v_health);
    store = call_enter(call, v_store);
    limits = call_limits(call, v_limits);
    if (call_ready(call)) {
        caml_release_runtime_system();
        call->status = dstore_store_health(store->object.store, limits.timeout_ms, limits.cancel, &health->object.health, &call->error);
        caml_acquire_runtime_system();
    }
    v_record = record_of(handle_cell(v_health)->object.health);
    cell_end(handle_cell(v_health));
    CAMLreturn(call_end(v_call, v_record));
}

CAMLprim value ocaml_dstore_count(value v_store, value v_counter)
{
    CAMLparam2(v_store, v_counter);
    CAMLlocal1(v_call);
    struct call *call;
    struct cell *store;
    uint64_t count = 0;

    v_call = call_begin();
    call = call_of(v_call);
    store = call_enter(call, v_store);
    if (call_ready(call))
        call->status = dstore_store_count(store->object.store, Int_val(v_counter), &count, &call->error);
    CAMLreturn(call_end(v_call, Val_long(count)));
}

CAMLprim value ocaml_dstore_purge(value v_store, value v_limits)
{
    CAMLparam2(v_store, v_limits);
    CAMLlocal2(v_call, v_purged);
    struct call *call;
    struct cell *store;
    struct limits limits;
    uint64_t containers = 0, images = 0, volumes = 0;

    v_call = call_begin();
    call = call_of(v_call);
    store = call_enter(call, v_store);
    limits = call_limits(call, v_limits);
    if (call_ready(call)) {
        caml_release_runtime_system();
        call->status = dstore_store_purge_within(store->object.store, limits.timeout_ms, limits.cancel, &containers, &images, &volumes, &call->error);
        caml_acquire_runtime_system();
    }
    v_purged = caml_alloc_small(3, 0);
    Field(v_purged, 0) = Val_long(containers);
    Field(v_purged, 1) = Val_long(images);
    Field(v_purged, 2) = Val_long(volumes);
    CAMLreturn(call_end(v_call, v_purged));
}

CAMLprim value ocaml_dstore_complete_deletes(value v_store, value v_limits)
{
    CAMLparam2(v_store, v_limits);
    CAMLlocal1(v_call);
    struct call *call;
    struct cell *store;
    struct limits limits;

    v_call = call_begin();
    call = call_of(v_call);
    store = call_enter(call, v_store);
    limits = call_limits(call, v_limits);
    if (call_ready(call)) {
        caml_release_runtime_system();
        call->status =
            dstore_store_complete_deletes(store->object.store, limits.timeout_ms, limits.cancel, &call->error);
        caml_acquire_runtime_system();
    }
    CAMLreturn(call_end_unit(v_call));
}

CAMLprim value ocaml_dstore_id(value v_name, value v_parts)
{
    CAMLparam2(v_name, v_parts);
    CAMLlocal2(v_call, v_id);
    struct call *call;
    const char *name, **parts;
    size_t *lengths;
    char *id = NULL;

    v_id = Val_unit;
    v_call = call_begin();
    call = call_of(v_call);
    name = call_text(call, "name", v_name);
    parts = call_parts(call, v_parts, &lengths);
    if (call_ready(call)) {
        call->status = dstore_id(name, parts, lengths, Wosize_val(v_parts), &id, &call->error);
        call_keep_text(call, id);
    }
    if (id)
        v_id = caml_copy_string(id);
    CAMLreturn(call_end(v_call, v_id));
}

CAMLprim value ocaml_dstore_version(value unit)
{
    (void)unit;
    return caml_copy_string(dstore_version());
}
