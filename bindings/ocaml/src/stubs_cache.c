/* Caches and leases. */

#include "stubs.h"

/* The request: user, group, mode. */
CAMLprim value ocaml_dstore_lease(value v_store, value v_name, value v_request, value v_limits)
{
    CAMLparam4(v_store, v_name, v_request, v_limits);
    CAMLlocal2(v_call, v_lease);
    struct call *call;
    struct cell *store, *lease;
    const char *name;
    struct limits limits;
    uint32_t uid, gid;
    int32_t mode;

    v_lease = Val_unit;
    v_call = call_begin();
    call = call_of(v_call);
    store = call_enter(call, v_store);
    name = call_text(call, "name", v_name);
    limits = call_limits(call, v_limits);
    uid = Long_val(Field(v_request, 0));
    gid = Long_val(Field(v_request, 1));
    mode = Int_val(Field(v_request, 2));
    if (call_ready(call)) {
        v_lease = handle_alloc(&lease_kind, store);
        lease = handle_cell(v_lease);
        caml_release_runtime_system();
        call->status = dstore_store_cache(store->object.store, name, uid, gid, mode, limits.timeout_ms, limits.cancel,
                                          &lease->object.lease, &call->error);
        caml_acquire_runtime_system();
        if (!lease->object.lease)
            cell_end(lease);
    }
    CAMLreturn(call_end(v_call, v_lease));
}

/* For a new lease: its name does not change. */
CAMLprim value ocaml_dstore_lease_volume(value v_lease)
{
    return caml_copy_string(dstore_lease_volume(handle_cell(v_lease)->object.lease));
}

CAMLprim value ocaml_dstore_lease_generation(value v_lease)
{
    return Val_long(dstore_lease_generation(handle_cell(v_lease)->object.lease));
}

/* After most errors a lease can be released again. */
static bool has_ended(dstore_status status)
{
    return status == DSTORE_OK || status == DSTORE_CLOSED;
}

CAMLprim value ocaml_dstore_lease_release(value v_lease, value v_limits)
{
    CAMLparam2(v_lease, v_limits);
    CAMLlocal1(v_call);
    struct call *call;
    struct cell *lease;
    struct limits limits;
    dstore_released released = 0;

    v_call = call_begin();
    call = call_of(v_call);
    lease = call_enter(call, v_lease);
    limits = call_limits(call, v_limits);
    if (call_ready(call)) {
        caml_release_runtime_system();
        call->status = dstore_lease_release_within(lease->object.lease, limits.timeout_ms, limits.cancel, &released,
                                                   &call->error);
        if (has_ended(call->status))
            cell_end(lease);
        caml_acquire_runtime_system();
    }
    CAMLreturn(call_end(v_call, Val_int(released)));
}

CAMLprim value ocaml_dstore_lease_discard(value v_lease)
{
    CAMLparam1(v_lease);
    CAMLlocal1(v_call);
    struct call *call;
    struct cell *lease;

    v_call = call_begin();
    call = call_of(v_call);
    lease = call_enter(call, v_lease);
    if (call_ready(call)) {
        call->status = dstore_lease_discard(lease->object.lease, &call->error);
        if (has_ended(call->status))
            cell_end(lease);
    }
    CAMLreturn(call_end_unit(v_call));
}

/* ---------------------------------------------------------------- caches */

/* A pair: how caches are cloned, and why. */
CAMLprim value ocaml_dstore_strategy(value v_store, value v_limits)
{
    CAMLparam2(v_store, v_limits);
    CAMLlocal3(v_call, v_reason, v_pair);
    struct call *call;
    struct cell *store;
    struct limits limits;
    dstore_strategy strategy = DSTORE_STRATEGY_AUTOMATIC;
    char *reason = NULL;

    v_call = call_begin();
    call = call_of(v_call);
    store = call_enter(call, v_store);
    limits = call_limits(call, v_limits);
    if (call_ready(call)) {
        caml_release_runtime_system();
        call->status = dstore_store_strategy_within(store->object.store, limits.timeout_ms, limits.cancel, &strategy, &reason, &call->error);
        call_keep_text(call, reason);
        caml_acquire_runtime_system();
    }
    v_reason = caml_copy_string(reason ? reason : "");
    v_pair = caml_alloc_small(2, 0);
    Field(v_pair, 0) = Val_int(strategy);
    Field(v_pair, 1) = v_reason;
    CAMLreturn(call_end(v_call, v_pair));
}

CAMLprim value ocaml_dstore_delete_cache(value v_store, value v_name, value v_limits)
{
    return store_answers(v_store, "name", v_name, v_limits, dstore_store_delete_cache_within);
}

/* An array of records: name, generation, strategy, layers, bytes, created, last_use, leases, limit (0: none). */
value caches_array(const dstore_caches *caches)
{
    CAMLparam0();
    CAMLlocal3(array, cache, name);
    size_t n, count = dstore_caches_count(caches);

    array = caml_alloc(count, 0);
    for (n = 0; n < count; n++) {
        size_t length = 0;
        const char *bytes = dstore_caches_name(caches, n, &length);
        name = caml_alloc_initialized_string(length, bytes);
        cache = caml_alloc_small(9, 0);
        Field(cache, 0) = name;
        Field(cache, 1) = Val_long(dstore_caches_generation(caches, n));
        Field(cache, 2) = Val_int(dstore_caches_strategy(caches, n));
        Field(cache, 3) = Val_long(dstore_caches_layers(caches, n));
        Field(cache, 4) = Val_long(dstore_caches_bytes(caches, n));
        Field(cache, 5) = Val_long(dstore_caches_created(caches, n));
        Field(cache, 6) = Val_long(dstore_caches_last_use(caches, n));
        Field(cache, 7) = Val_long(dstore_caches_leases(caches, n));
        Field(cache, 8) = Val_long(dstore_caches_limit(caches, n));
        Store_field(array, n, cache);
    }
    CAMLreturn(array);
}

CAMLprim value ocaml_dstore_caches(value v_store, value v_limits)
{
    CAMLparam2(v_store, v_limits);
    CAMLlocal3(v_call, v_caches, v_array);
    struct call *call;
    struct cell *store, *caches;
    struct limits limits;

    v_call = call_begin();
    v_caches = handle_alloc(&caches_kind, NULL);
    call = call_of(v_call);
    caches = handle_cell(v_caches);
    store = call_enter(call, v_store);
    limits = call_limits(call, v_limits);
    if (call_ready(call)) {
        caml_release_runtime_system();
        call->status = dstore_store_caches_within(store->object.store, limits.timeout_ms, limits.cancel, &caches->object.caches, &call->error);
        caml_acquire_runtime_system();
    }
    v_array = caches_array(handle_cell(v_caches)->object.caches);
    cell_end(handle_cell(v_caches));
    CAMLreturn(call_end(v_call, v_array));
}
