/* Local files: host_files.ml creates an object for each use, setting by setting. */

#include "stubs.h"

CAMLprim value ocaml_dstore_host_files_new(value v_path)
{
    CAMLparam1(v_path);
    CAMLlocal2(v_call, v_files);
    struct call *call;
    const char *path;

    v_call = call_begin();
    v_files = handle_alloc(&host_files_kind, NULL);
    call = call_of(v_call);
    path = call_text(call, "path", v_path);
    if (call_ready(call))
        call->status = dstore_host_files_new(path, &handle_cell(v_files)->object.host_files, &call->error);
    CAMLreturn(call_end(v_call, v_files));
}

static value set_text(value v_files, const char *name, value v_text,
                      dstore_status (*set)(dstore_host_files *files, const char *text, dstore_error **error))
{
    CAMLparam2(v_files, v_text);
    CAMLlocal1(v_call);
    struct call *call;
    const char *text;

    v_call = call_begin();
    call = call_of(v_call);
    text = call_text(call, name, v_text);
    if (call_ready(call))
        call->status = set(handle_cell(v_files)->object.host_files, text, &call->error);
    CAMLreturn(call_end_unit(v_call));
}

CAMLprim value ocaml_dstore_host_files_exclude(value v_files, value v_pattern)
{
    return set_text(v_files, "pattern", v_pattern, dstore_host_files_exclude);
}

CAMLprim value ocaml_dstore_host_files_dockerignore(value v_files, value v_text)
{
    return set_text(v_files, "text", v_text, dstore_host_files_dockerignore);
}

CAMLprim value ocaml_dstore_host_files_name(value v_files, value v_name)
{
    return set_text(v_files, "name", v_name, dstore_host_files_name);
}

/* A numeric user and group; without them, the files' own. */
CAMLprim value ocaml_dstore_host_files_owner(value v_files, value v_owner)
{
    CAMLparam2(v_files, v_owner);
    CAMLlocal1(v_call);
    struct call *call;
    dstore_host_files *files;

    v_call = call_begin();
    call = call_of(v_call);
    files = handle_cell(v_files)->object.host_files;
    if (Is_block(v_owner))
        call->status = dstore_host_files_owner(files, Int_val(Field(Field(v_owner, 0), 0)),
                                               Int_val(Field(Field(v_owner, 0), 1)), &call->error);
    else
        call->status = dstore_host_files_keep_owners(files, &call->error);
    CAMLreturn(call_end_unit(v_call));
}

CAMLprim value ocaml_dstore_host_files_fixed_times(value v_files, value v_seconds)
{
    CAMLparam2(v_files, v_seconds);
    CAMLlocal1(v_call);
    struct call *call;

    v_call = call_begin();
    call = call_of(v_call);
    call->status =
        dstore_host_files_fixed_times(handle_cell(v_files)->object.host_files, Long_val(v_seconds), &call->error);
    CAMLreturn(call_end_unit(v_call));
}

CAMLprim value ocaml_dstore_host_files_digest(value v_files, value v_limits)
{
    CAMLparam2(v_files, v_limits);
    CAMLlocal2(v_call, v_digest);
    struct call *call;
    struct cell *files;
    struct limits limits;
    char *digest = NULL;

    v_digest = Val_unit;
    v_call = call_begin();
    call = call_of(v_call);
    files = call_enter(call, v_files);
    limits = call_limits(call, v_limits);
    if (call_ready(call)) {
        caml_release_runtime_system();
        call->status =
            dstore_host_files_digest(files->object.host_files, limits.timeout_ms, limits.cancel, &digest, &call->error);
        call_keep_text(call, digest);
        caml_acquire_runtime_system();
    }
    if (digest)
        v_digest = caml_copy_string(digest);
    CAMLreturn(call_end(v_call, v_digest));
}

CAMLprim value ocaml_dstore_step_copy_in_host(value v_step, value v_path, value v_files)
{
    CAMLparam3(v_step, v_path, v_files);
    CAMLlocal2(v_call, v_digest);
    struct call *call;
    struct cell *step, *files;
    const char *path;
    char *digest = NULL;

    v_digest = Val_unit;
    v_call = call_begin();
    call = call_of(v_call);
    step = call_enter(call, v_step);
    files = call_enter(call, v_files);
    path = call_text(call, "path", v_path);
    if (call_ready(call)) {
        caml_release_runtime_system();
        call->status =
            dstore_step_copy_in_host(step->object.step, path, files->object.host_files, &digest, &call->error);
        call_keep_text(call, digest);
        caml_acquire_runtime_system();
    }
    if (digest)
        v_digest = caml_copy_string(digest);
    CAMLreturn(call_end(v_call, v_digest));
}
