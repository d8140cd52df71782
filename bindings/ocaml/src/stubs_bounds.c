/* Disk usage, prunes, pins. */

#include "stubs.h"

static value text_or_empty(const char *text)
{
    return caml_copy_string(text ? text : "");
}

/* ---------------------------------------------------------------- usage */

/* An array of records: id, image, base ("": none), own bytes, bytes, created, last use, milliseconds of the build, bytes of the log,
 * and whether it is pinned, being built, held. */
static value results_array(const dstore_usage *usage)
{
    CAMLparam0();
    CAMLlocal2(array, row);
    size_t n, count = dstore_usage_results(usage);

    array = caml_alloc(count, 0);
    for (n = 0; n < count; n++) {
        row = caml_alloc(12, 0);
        Store_field(row, 0, text_or_empty(dstore_usage_result_id(usage, n)));
        Store_field(row, 1, text_or_empty(dstore_usage_result_image(usage, n)));
        Store_field(row, 2, text_or_empty(dstore_usage_result_base(usage, n)));
        Store_field(row, 3, Val_long(dstore_usage_result_own_bytes(usage, n)));
        Store_field(row, 4, Val_long(dstore_usage_result_bytes(usage, n)));
        Store_field(row, 5, Val_long(dstore_usage_result_created(usage, n)));
        Store_field(row, 6, Val_long(dstore_usage_result_last_use(usage, n)));
        Store_field(row, 7, Val_long(dstore_usage_result_build_ms(usage, n)));
        Store_field(row, 8, Val_long(dstore_usage_result_log_bytes(usage, n)));
        Store_field(row, 9, Val_bool(dstore_usage_result_pinned(usage, n)));
        Store_field(row, 10, Val_bool(dstore_usage_result_building(usage, n)));
        Store_field(row, 11, Val_bool(dstore_usage_result_held(usage, n)));
        Store_field(array, n, row);
    }
    CAMLreturn(array);
}

/* An array of records: id, bytes, written, whether there is a result. */
static value logs_array(const dstore_usage *usage)
{
    CAMLparam0();
    CAMLlocal2(array, row);
    size_t n, count = dstore_usage_logs(usage);

    array = caml_alloc(count, 0);
    for (n = 0; n < count; n++) {
        row = caml_alloc(4, 0);
        Store_field(row, 0, text_or_empty(dstore_usage_log_id(usage, n)));
        Store_field(row, 1, Val_long(dstore_usage_log_bytes(usage, n)));
        Store_field(row, 2, Val_long(dstore_usage_log_written(usage, n)));
        Store_field(row, 3, Val_bool(dstore_usage_log_has_result(usage, n)));
        Store_field(array, n, row);
    }
    CAMLreturn(array);
}

static value pinned_array(const dstore_usage *usage)
{
    size_t n, count = dstore_caches_count(dstore_usage_caches(usage));
    value array = count ? caml_alloc(count, 0) : Atom(0);
    for (n = 0; n < count; n++)
        Field(array, n) = Val_bool(dstore_usage_cache_pinned(usage, n));
    return array;
}

/* A record: results, caches, which of these are pinned, logs, numbers, and how the sums were computed. */
static value record_of(const dstore_usage *usage)
{
    CAMLparam0();
    CAMLlocal2(record, numbers);
    uint64_t all[] = {
        dstore_usage_results_bytes(usage),   dstore_usage_caches_bytes(usage),   dstore_usage_logs_bytes(usage),
        dstore_usage_results_unknown(usage), dstore_usage_caches_unknown(usage), dstore_usage_left_containers(usage),
        dstore_usage_left_images(usage),     dstore_usage_left_volumes(usage),
    };
    size_t n;

    numbers = caml_alloc(sizeof all / sizeof *all, 0);
    for (n = 0; n < sizeof all / sizeof *all; n++)
        Field(numbers, n) = Val_long(all[n]);
    record = caml_alloc(6, 0);
    Store_field(record, 0, results_array(usage));
    Store_field(record, 1, caches_array(dstore_usage_caches(usage)));
    Store_field(record, 2, pinned_array(usage));
    Store_field(record, 3, logs_array(usage));
    Store_field(record, 4, numbers);
    Store_field(record, 5, text_or_empty(dstore_usage_how(usage)));
    CAMLreturn(record);
}

CAMLprim value ocaml_dstore_usage(value v_store, value v_limits)
{
    CAMLparam2(v_store, v_limits);
    CAMLlocal3(v_call, v_usage, v_record);
    struct call *call;
    struct cell *store, *usage;
    struct limits limits;

    v_call = call_begin();
    v_usage = handle_alloc(&usage_kind, NULL);
    call = call_of(v_call);
    usage = handle_cell(v_usage);
    store = call_enter(call, v_store);
    limits = call_limits(call, v_limits);
    if (call_ready(call)) {
        caml_release_runtime_system();
        call->status = dstore_store_usage(store->object.store, limits.timeout_ms, limits.cancel, &usage->object.usage, &call->error);
        caml_acquire_runtime_system();
    }
    v_record = record_of(handle_cell(v_usage)->object.usage);
    cell_end(handle_cell(v_usage));
    CAMLreturn(call_end(v_call, v_record));
}

/* ---------------------------------------------------------------- prunes */

/* An array of records: item, name, bytes, last use, fate, why. */
static value rows_array(const dstore_pruned *pruned)
{
    CAMLparam0();
    CAMLlocal2(array, row);
    size_t n, count = dstore_pruned_count(pruned);

    array = caml_alloc(count, 0);
    for (n = 0; n < count; n++) {
        size_t length = 0;
        const char *name = dstore_pruned_name(pruned, n, &length);
        row = caml_alloc(6, 0);
        Store_field(row, 0, Val_int(dstore_pruned_item(pruned, n)));
        Store_field(row, 1, caml_alloc_initialized_string(length, name));
        Store_field(row, 2, Val_long(dstore_pruned_bytes(pruned, n)));
        Store_field(row, 3, Val_long(dstore_pruned_last_use(pruned, n)));
        Store_field(row, 4, Val_int(dstore_pruned_fate(pruned, n)));
        Store_field(row, 5, text_or_empty(dstore_pruned_why(pruned, n)));
        Store_field(array, n, row);
    }
    CAMLreturn(array);
}

/* A policy: an array of numbers, where -1 means not set, and the percentage. The first error of a setter is remembered.
 * */
static dstore_policy *policy_of(value v_policy)
{
    dstore_policy *policy = dstore_policy_new();
    value numbers = Field(v_policy, 0);
    double percent = Double_val(Field(v_policy, 1));
    if (Long_val(Field(numbers, 0)) >= 0)
        (void)dstore_policy_most_bytes(policy, Long_val(Field(numbers, 0)), NULL);
    if (Long_val(Field(numbers, 1)) >= 0)
        (void)dstore_policy_least_free_bytes(policy, Long_val(Field(numbers, 1)), NULL);
    if (percent >= 0)
        (void)dstore_policy_least_free_percent(policy, percent, NULL);
    if (Long_val(Field(numbers, 2)) >= 0)
        (void)dstore_policy_unused_for(policy, Long_val(Field(numbers, 2)), NULL);
    if (Long_val(Field(numbers, 3)) >= 0)
        (void)dstore_policy_spare(policy, Long_val(Field(numbers, 3)), NULL);
    (void)dstore_policy_keep_results(policy, Long_val(Field(numbers, 4)), NULL);
    (void)dstore_policy_results(policy, Long_val(Field(numbers, 5)), NULL);
    (void)dstore_policy_caches(policy, Long_val(Field(numbers, 6)), NULL);
    (void)dstore_policy_logs(policy, Long_val(Field(numbers, 7)), NULL);
    (void)dstore_policy_dry_run(policy, Long_val(Field(numbers, 8)), NULL);
    return policy;
}

/* A record: rows, freed, kept, reached. */
CAMLprim value ocaml_dstore_prune(value v_store, value v_policy, value v_limits, value v_each)
{
    CAMLparam4(v_store, v_policy, v_limits, v_each);
    CAMLlocal4(v_call, v_made, v_pruned, v_record);
    CAMLlocal2(v_closure, v_raised);
    struct call *call;
    struct cell *store, *policy, *pruned;
    struct limits limits;
    struct listener listener = {&v_closure, &v_raised, false};
    const dstore_pruned *told;

    v_call = call_begin();
    v_made = handle_alloc(&policy_kind, NULL);
    v_pruned = handle_alloc(&pruned_kind, NULL);
    call = call_of(v_call);
    policy = handle_cell(v_made);
    pruned = handle_cell(v_pruned);
    policy->object.policy = policy_of(v_policy);
    store = call_enter(call, v_store);
    limits = call_limits(call, v_limits);
    v_closure = v_each;
    if (call_ready(call)) {
        caml_release_runtime_system();
        call->status = dstore_store_prune(store->object.store, policy->object.policy, limits.timeout_ms, limits.cancel, tell_pruned,
                                          &listener, &pruned->object.pruned, &call->error);
        caml_acquire_runtime_system();
    }
    told = handle_cell(v_pruned)->object.pruned;
    v_record = caml_alloc(4, 0);
    Store_field(v_record, 0, rows_array(told));
    Store_field(v_record, 1, Val_long(dstore_pruned_freed(told)));
    Store_field(v_record, 2, Val_long(dstore_pruned_kept(told)));
    Store_field(v_record, 3, Val_bool(dstore_pruned_reached(told)));
    cell_end(handle_cell(v_made));
    cell_end(handle_cell(v_pruned));
    CAMLreturn(call_end_heard(v_call, v_record, &listener, NULL));
}

/* ---------------------------------------------------------------- pins, limits, and removed results */

CAMLprim value ocaml_dstore_pin(value v_store, value v_id, value v_limits)
{
    return store_answers(v_store, "id", v_id, v_limits, dstore_store_pin);
}

CAMLprim value ocaml_dstore_pin_cache(value v_store, value v_name, value v_limits)
{
    return store_answers(v_store, "name", v_name, v_limits, dstore_store_pin_cache);
}

CAMLprim value ocaml_dstore_unpin(value v_store, value v_id)
{
    return store_answers_at_once(v_store, "id", v_id, dstore_store_unpin);
}

CAMLprim value ocaml_dstore_unpin_cache(value v_store, value v_name)
{
    return store_answers_at_once(v_store, "name", v_name, dstore_store_unpin_cache);
}

/* An array of records: item, name, since. */
CAMLprim value ocaml_dstore_pins(value v_store)
{
    CAMLparam1(v_store);
    CAMLlocal4(v_call, v_pins, v_array, v_row);
    struct call *call;
    struct cell *store, *pins;
    size_t n, count;

    v_call = call_begin();
    v_pins = handle_alloc(&pins_kind, NULL);
    call = call_of(v_call);
    pins = handle_cell(v_pins);
    store = call_enter(call, v_store);
    if (call_ready(call))
        call->status = dstore_store_pins(store->object.store, &pins->object.pins, &call->error);
    count = dstore_pins_count(pins->object.pins);
    v_array = caml_alloc(count, 0);
    for (n = 0; n < count; n++) {
        size_t length = 0;
        const char *name = dstore_pins_name(pins->object.pins, n, &length);
        v_row = caml_alloc(3, 0);
        Store_field(v_row, 0, Val_int(dstore_pins_item(pins->object.pins, n)));
        Store_field(v_row, 1, caml_alloc_initialized_string(length, name));
        Store_field(v_row, 2, Val_long(dstore_pins_since(pins->object.pins, n)));
        Store_field(v_array, n, v_row);
    }
    cell_end(handle_cell(v_pins));
    CAMLreturn(call_end(v_call, v_array));
}

/* Ends the call with a pair: how a result went, and when. */
static value end_with_pair(value v_call, dstore_went went, int64_t when)
{
    CAMLparam1(v_call);
    CAMLlocal1(v_pair);

    v_pair = caml_alloc_small(2, 0);
    Field(v_pair, 0) = Val_int(went);
    Field(v_pair, 1) = Val_long(when);
    CAMLreturn(call_end(v_call, v_pair));
}

CAMLprim value ocaml_dstore_went(value v_store, value v_id)
{
    CAMLparam2(v_store, v_id);
    CAMLlocal1(v_call);
    struct call *call;
    struct cell *store;
    const char *id;
    dstore_went went = DSTORE_WENT_UNKNOWN;
    int64_t when = 0;

    v_call = call_begin();
    call = call_of(v_call);
    store = call_enter(call, v_store);
    id = call_text(call, "id", v_id);
    if (call_ready(call))
        call->status = dstore_store_went(store->object.store, id, &went, &when, &call->error);
    CAMLreturn(end_with_pair(v_call, went, when));
}

CAMLprim value ocaml_dstore_why_gone(value v_store, value v_id, value v_limits)
{
    CAMLparam3(v_store, v_id, v_limits);
    CAMLlocal1(v_call);
    struct call *call;
    struct cell *store;
    struct limits limits;
    const char *id;
    dstore_went went = DSTORE_WENT_UNKNOWN;
    int64_t when = 0;

    v_call = call_begin();
    call = call_of(v_call);
    store = call_enter(call, v_store);
    id = call_text(call, "id", v_id);
    limits = call_limits(call, v_limits);
    if (call_ready(call)) {
        caml_release_runtime_system();
        call->status = dstore_store_why_gone(store->object.store, id, limits.timeout_ms, limits.cancel, &went, &when, &call->error);
        caml_acquire_runtime_system();
    }
    CAMLreturn(end_with_pair(v_call, went, when));
}

CAMLprim value ocaml_dstore_limit_cache(value v_store, value v_name, value v_bytes)
{
    CAMLparam3(v_store, v_name, v_bytes);
    CAMLlocal1(v_call);
    struct call *call;
    struct cell *store;
    const char *name;

    v_call = call_begin();
    call = call_of(v_call);
    store = call_enter(call, v_store);
    name = call_text(call, "name", v_name);
    if (call_ready(call))
        call->status = dstore_store_limit_cache(store->object.store, name, Long_val(v_bytes), &call->error);
    CAMLreturn(call_end_unit(v_call));
}
