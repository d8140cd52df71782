/* Results: lookup, list, deletion. */

#include "stubs.h"

value store_answers(value v_store, const char *name, value v_text, value v_limits, store_question *ask)
{
    CAMLparam3(v_store, v_text, v_limits);
    CAMLlocal1(v_call);
    struct call *call;
    struct cell *store;
    struct limits limits;
    const char *text;
    bool answer = false;

    v_call = call_begin();
    call = call_of(v_call);
    store = call_enter(call, v_store);
    text = call_text(call, name, v_text);
    limits = call_limits(call, v_limits);
    if (call_ready(call)) {
        caml_release_runtime_system();
        call->status = ask(store->object.store, text, limits.timeout_ms, limits.cancel, &answer, &call->error);
        caml_acquire_runtime_system();
    }
    CAMLreturn(call_end(v_call, Val_bool(answer)));
}

value store_answers_at_once(value v_store, const char *name, value v_text, store_quick_question *ask)
{
    CAMLparam2(v_store, v_text);
    CAMLlocal1(v_call);
    struct call *call;
    struct cell *store;
    const char *text;
    bool answer = false;

    v_call = call_begin();
    call = call_of(v_call);
    store = call_enter(call, v_store);
    text = call_text(call, name, v_text);
    if (call_ready(call))
        call->status = ask(store->object.store, text, &answer, &call->error);
    CAMLreturn(call_end(v_call, Val_bool(answer)));
}

CAMLprim value ocaml_dstore_result(value v_store, value v_id, value v_limits)
{
    return store_answers(v_store, "id", v_id, v_limits, dstore_store_result_within);
}

CAMLprim value ocaml_dstore_building(value v_store, value v_id)
{
    return store_answers_at_once(v_store, "id", v_id, dstore_store_building);
}

CAMLprim value ocaml_dstore_delete(value v_store, value v_id, value v_limits)
{
    return store_answers(v_store, "id", v_id, v_limits, dstore_store_delete_within);
}

/* An array of records: id, created, size. */
static value array_of(const dstore_results *results)
{
    CAMLparam0();
    CAMLlocal3(array, result, text);
    size_t n, count = dstore_results_count(results);

    array = caml_alloc(count, 0);
    for (n = 0; n < count; n++) {
        text = caml_copy_string(dstore_results_id(results, n));
        result = caml_alloc_small(3, 0);
        Field(result, 0) = text;
        Field(result, 1) = Val_long(dstore_results_created(results, n));
        Field(result, 2) = Val_long(dstore_results_size(results, n));
        Store_field(array, n, result);
    }
    CAMLreturn(array);
}

CAMLprim value ocaml_dstore_results(value v_store, value v_limits)
{
    CAMLparam2(v_store, v_limits);
    CAMLlocal3(v_call, v_results, v_array);
    struct call *call;
    struct cell *store, *results;
    struct limits limits;

    v_call = call_begin();
    v_results = handle_alloc(&results_kind, NULL);
    call = call_of(v_call);
    results = handle_cell(v_results);
    store = call_enter(call, v_store);
    limits = call_limits(call, v_limits);
    if (call_ready(call)) {
        caml_release_runtime_system();
        call->status = dstore_store_results_within(store->object.store, limits.timeout_ms, limits.cancel, &results->object.results, &call->error);
        caml_acquire_runtime_system();
    }
    v_array = array_of(handle_cell(v_results)->object.results);
    cell_end(handle_cell(v_results));
    CAMLreturn(call_end(v_call, v_array));
}
