/* Local directories that files are unpacked into: host_folder.ml creates an object for each use, setting by setting. */

#include "stubs.h"

CAMLprim value ocaml_dstore_host_folder_new(value v_path)
{
    CAMLparam1(v_path);
    CAMLlocal2(v_call, v_folder);
    struct call *call;
    const char *path;

    v_call = call_begin();
    v_folder = handle_alloc(&host_folder_kind, NULL);
    call = call_of(v_call);
    path = call_text(call, "path", v_path);
    if (call_ready(call))
        call->status = dstore_host_folder_new(path, &handle_cell(v_folder)->object.host_folder, &call->error);
    CAMLreturn(call_end(v_call, v_folder));
}

/* A numeric user and group; without them, those in the container. */
CAMLprim value ocaml_dstore_host_folder_owner(value v_folder, value v_owner)
{
    CAMLparam2(v_folder, v_owner);
    CAMLlocal1(v_call);
    struct call *call;
    dstore_host_folder *folder;

    v_call = call_begin();
    call = call_of(v_call);
    folder = handle_cell(v_folder)->object.host_folder;
    if (Is_block(v_owner))
        call->status = dstore_host_folder_owner(folder, Int_val(Field(Field(v_owner, 0), 0)),
                                                Int_val(Field(Field(v_owner, 0), 1)), &call->error);
    else
        call->status = dstore_host_folder_keep_owners(folder, &call->error);
    CAMLreturn(call_end_unit(v_call));
}

CAMLprim value ocaml_dstore_host_folder_keep_modes(value v_folder)
{
    CAMLparam1(v_folder);
    CAMLlocal1(v_call);
    struct call *call;

    v_call = call_begin();
    call = call_of(v_call);
    call->status = dstore_host_folder_keep_modes(handle_cell(v_folder)->object.host_folder, &call->error);
    CAMLreturn(call_end_unit(v_call));
}

CAMLprim value ocaml_dstore_step_copy_out_host(value v_step, value v_path, value v_folder)
{
    CAMLparam3(v_step, v_path, v_folder);
    CAMLlocal1(v_call);
    struct call *call;
    struct cell *step, *folder;
    const char *path;
    uint64_t bytes = 0;

    v_call = call_begin();
    call = call_of(v_call);
    step = call_enter(call, v_step);
    folder = call_enter(call, v_folder);
    path = call_text(call, "path", v_path);
    if (call_ready(call)) {
        caml_release_runtime_system();
        call->status =
            dstore_step_copy_out_host(step->object.step, path, folder->object.host_folder, &bytes, &call->error);
        caml_acquire_runtime_system();
    }
    CAMLreturn(call_end(v_call, Val_long(bytes)));
}

CAMLprim value ocaml_dstore_copy_out_host(value v_store, value v_id, value v_path, value v_limits, value v_folder)
{
    CAMLparam5(v_store, v_id, v_path, v_limits, v_folder);
    CAMLlocal1(v_call);
    struct call *call;
    struct cell *store, *folder;
    const char *id, *path;
    struct limits limits;
    uint64_t bytes = 0;

    v_call = call_begin();
    call = call_of(v_call);
    store = call_enter(call, v_store);
    folder = call_enter(call, v_folder);
    id = call_text(call, "id", v_id);
    path = call_text(call, "path", v_path);
    limits = call_limits(call, v_limits);
    if (call_ready(call)) {
        caml_release_runtime_system();
        call->status = dstore_store_copy_out_host(store->object.store, id, path, limits.timeout_ms, limits.cancel,
                                                  folder->object.host_folder, &bytes, &call->error);
        caml_acquire_runtime_system();
    }
    CAMLreturn(call_end(v_call, Val_long(bytes)));
}
