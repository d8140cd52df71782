/* Destroying a root, and finding what is left of one. */

#include "stubs.h"

/* An array of records: kind, name, identity, optional root, engine, removed, optional reason why it was kept. */
static value array_of(const dstore_remains *remains)
{
    CAMLparam0();
    CAMLlocal4(array, thing, text, some);
    size_t n, count = dstore_remains_count(remains);

    array = caml_alloc(count, 0);
    for (n = 0; n < count; n++) {
        const char *optional[] = {dstore_remains_root(remains, n), dstore_remains_kept(remains, n)};
        const mlsize_t places[] = {3, 6};
        int i;
        thing = caml_alloc(7, 0);
        Store_field(thing, 0, Val_int(dstore_remains_kind(remains, n)));
        text = caml_copy_string(dstore_remains_name(remains, n));
        Store_field(thing, 1, text);
        text = caml_copy_string(dstore_remains_identity(remains, n));
        Store_field(thing, 2, text);
        text = caml_copy_string(dstore_remains_engine(remains, n));
        Store_field(thing, 4, text);
        Store_field(thing, 5, Val_bool(dstore_remains_removed(remains, n)));
        for (i = 0; i < 2; i++) {
            some = Val_none;
            if (optional[i]) {
                text = caml_copy_string(optional[i]);
                some = caml_alloc_small(1, 0);
                Field(some, 0) = text;
            }
            Store_field(thing, places[i], some);
        }
        Store_field(array, n, thing);
    }
    CAMLreturn(array);
}

/* The operation: only to list the objects of a root or an identity, or to remove them. */
enum wanted { DESTROY, FIND, DESTROY_REMAINS };

/* `what` is a root, an identity or none. `how` is two flags: dry run and abandon. */
static value remains_of(enum wanted wanted, value v_what, value v_settings, value v_how, value v_limits)
{
    CAMLparam4(v_what, v_settings, v_how, v_limits);
    CAMLlocal4(v_call, v_options, v_remains, v_array);
    struct call *call;
    const char *what;
    const dstore_options *options;
    struct cell *remains;
    struct limits limits;
    bool dry_run = Bool_val(Field(v_how, 0)), abandon = Bool_val(Field(v_how, 1));

    v_call = call_begin();
    v_options = handle_alloc(&options_kind, NULL);
    v_remains = handle_alloc(&remains_kind, NULL);
    handle_cell(v_options)->object.options = dstore_options_new();
    call = call_of(v_call);
    remains = handle_cell(v_remains);
    options = handle_cell(v_options)->object.options;
    what = call_optional_text(call, wanted == DESTROY ? "root" : "identity", v_what);
    set_options(call, handle_cell(v_options)->object.options, v_settings);
    limits = call_limits(call, v_limits);
    if (call_ready(call)) {
        dstore_remains **place = &remains->object.remains;
        caml_release_runtime_system();
        switch (wanted) {
        case DESTROY:
            call->status = dstore_destroy(what, options, dry_run, abandon, limits.timeout_ms, limits.cancel, place,
                                          &call->error);
            break;
        case FIND:
            call->status = dstore_find_remains(options, what, limits.timeout_ms, limits.cancel, place, &call->error);
            break;
        case DESTROY_REMAINS:
            call->status = dstore_destroy_remains(options, what, limits.timeout_ms, limits.cancel, place,
                                                  &call->error);
            break;
        }
        caml_acquire_runtime_system();
    }
    cell_end(handle_cell(v_options));
    v_array = array_of(handle_cell(v_remains)->object.remains);
    cell_end(handle_cell(v_remains));
    CAMLreturn(call_end(v_call, v_array));
}

CAMLprim value ocaml_dstore_destroy(value v_root, value v_settings, value v_how, value v_limits)
{
    return remains_of(DESTROY, v_root, v_settings, v_how, v_limits);
}

CAMLprim value ocaml_dstore_find_remains(value v_identity, value v_settings, value v_how, value v_limits)
{
    return remains_of(FIND, v_identity, v_settings, v_how, v_limits);
}

CAMLprim value ocaml_dstore_destroy_remains(value v_identity, value v_settings, value v_how, value v_limits)
{
    return remains_of(DESTROY_REMAINS, v_identity, v_settings, v_how, v_limits);
}
