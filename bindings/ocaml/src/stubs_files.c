/* Copying files into a step, and out of a step or a result: tar streams, or local tar files. */

#include "stubs.h"

CAMLprim value ocaml_dstore_step_copy_in(value v_step, value v_path, value v_read)
{
    CAMLparam3(v_step, v_path, v_read);
    CAMLlocal2(v_call, v_raised);
    struct listener read = {.closure = &v_read, .raised = &v_raised};
    struct call *call;
    struct cell *step;
    const char *path;

    v_call = call_begin();
    call = call_of(v_call);
    step = call_enter(call, v_step);
    path = call_text(call, "path", v_path);
    if (call_ready(call)) {
        caml_release_runtime_system();
        call->status = dstore_step_copy_in(step->object.step, path, tell_wanted, &read, &call->error);
        caml_acquire_runtime_system();
    }
    CAMLreturn(call_end_heard(v_call, Val_unit, &read, NULL));
}

CAMLprim value ocaml_dstore_step_copy_in_file(value v_step, value v_path, value v_tar)
{
    CAMLparam3(v_step, v_path, v_tar);
    CAMLlocal1(v_call);
    struct call *call;
    struct cell *step;
    const char *path, *tar;

    v_call = call_begin();
    call = call_of(v_call);
    step = call_enter(call, v_step);
    path = call_text(call, "path", v_path);
    tar = call_text(call, "tar", v_tar);
    if (call_ready(call)) {
        caml_release_runtime_system();
        call->status = dstore_step_copy_in_file(step->object.step, path, tar, &call->error);
        caml_acquire_runtime_system();
    }
    CAMLreturn(call_end_unit(v_call));
}

CAMLprim value ocaml_dstore_step_copy_out(value v_step, value v_path, value v_write)
{
    CAMLparam3(v_step, v_path, v_write);
    CAMLlocal2(v_call, v_raised);
    struct listener write = {.closure = &v_write, .raised = &v_raised};
    struct call *call;
    struct cell *step;
    const char *path;
    uint64_t bytes = 0;

    v_call = call_begin();
    call = call_of(v_call);
    step = call_enter(call, v_step);
    path = call_text(call, "path", v_path);
    if (call_ready(call)) {
        caml_release_runtime_system();
        call->status = dstore_step_copy_out(step->object.step, path, tell_written, &write, &bytes, &call->error);
        caml_acquire_runtime_system();
    }
    CAMLreturn(call_end_heard(v_call, Val_long(bytes), &write, NULL));
}

CAMLprim value ocaml_dstore_step_copy_out_file(value v_step, value v_path, value v_tar)
{
    CAMLparam3(v_step, v_path, v_tar);
    CAMLlocal1(v_call);
    struct call *call;
    struct cell *step;
    const char *path, *tar;
    uint64_t bytes = 0;

    v_call = call_begin();
    call = call_of(v_call);
    step = call_enter(call, v_step);
    path = call_text(call, "path", v_path);
    tar = call_text(call, "tar", v_tar);
    if (call_ready(call)) {
        caml_release_runtime_system();
        call->status = dstore_step_copy_out_file(step->object.step, path, tar, &bytes, &call->error);
        caml_acquire_runtime_system();
    }
    CAMLreturn(call_end(v_call, Val_long(bytes)));
}

CAMLprim value ocaml_dstore_copy_out(value v_store, value v_id, value v_path, value v_limits, value v_write)
{
    CAMLparam5(v_store, v_id, v_path, v_limits, v_write);
    CAMLlocal2(v_call, v_raised);
    struct listener write = {.closure = &v_write, .raised = &v_raised};
    struct call *call;
    struct cell *store;
    const char *id, *path;
    struct limits limits;
    uint64_t bytes = 0;

    v_call = call_begin();
    call = call_of(v_call);
    store = call_enter(call, v_store);
    id = call_text(call, "id", v_id);
    path = call_text(call, "path", v_path);
    limits = call_limits(call, v_limits);
    if (call_ready(call)) {
        caml_release_runtime_system();
        call->status = dstore_store_copy_out(store->object.store, id, path, limits.timeout_ms, limits.cancel,
                                             tell_written, &write, &bytes, &call->error);
        caml_acquire_runtime_system();
    }
    CAMLreturn(call_end_heard(v_call, Val_long(bytes), &write, NULL));
}

CAMLprim value ocaml_dstore_copy_out_file(value v_store, value v_id, value v_path, value v_limits, value v_tar)
{
    CAMLparam5(v_store, v_id, v_path, v_limits, v_tar);
    CAMLlocal1(v_call);
    struct call *call;
    struct cell *store;
    const char *id, *path, *tar;
    struct limits limits;
    uint64_t bytes = 0;

    v_call = call_begin();
    call = call_of(v_call);
    store = call_enter(call, v_store);
    id = call_text(call, "id", v_id);
    path = call_text(call, "path", v_path);
    tar = call_text(call, "tar", v_tar);
    limits = call_limits(call, v_limits);
    if (call_ready(call)) {
        caml_release_runtime_system();
        call->status = dstore_store_copy_out_file(store->object.store, id, path, limits.timeout_ms, limits.cancel,
                                                  tar, &bytes, &call->error);
        caml_acquire_runtime_system();
    }
    CAMLreturn(call_end(v_call, Val_long(bytes)));
}
