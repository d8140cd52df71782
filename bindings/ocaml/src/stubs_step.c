/* Steps: begin, run, commit, abort, and sources. */

#include "stubs.h"

/* None if the result already exists. */
CAMLprim value ocaml_dstore_begin(value v_store, value v_base, value v_id, value v_limits, value v_follow)
{
    CAMLparam5(v_store, v_base, v_id, v_limits, v_follow);
    CAMLlocal5(v_call, v_step, v_begun, v_heard, v_raised);
    struct listener log = {.closure = &v_heard, .raised = &v_raised};
    struct call *call;
    struct cell *store, *step;
    const char *base, *id;
    struct limits limits;

    v_begun = Val_none;
    v_call = call_begin();
    call = call_of(v_call);
    store = call_enter(call, v_store);
    base = call_optional_text(call, "base", v_base);
    id = call_text(call, "id", v_id);
    limits = call_limits(call, v_limits);
    if (call_ready(call)) {
        v_step = handle_alloc(&step_kind, store);
        step = handle_cell(v_step);
        dstore_follow_callback callback = Is_block(v_follow) ? tell_followed : NULL;
        if (callback)
            v_heard = Field(v_follow, 0);
        caml_release_runtime_system();
        call->status = dstore_store_begin_following(store->object.store, base, id, limits.timeout_ms, limits.cancel, callback,
                                                    &log, &step->object.step, &call->error);
        caml_acquire_runtime_system();
        if (step->object.step) {
            v_begun = caml_alloc_small(1, 0);
            Field(v_begun, 0) = v_step;
        } else {
            cell_end(step);
        }
    }
    CAMLreturn(call_end_heard(v_call, v_begun, &log, NULL));
}

CAMLprim value ocaml_dstore_step_write_log(value v_step, value v_bytes)
{
    CAMLparam2(v_step, v_bytes);
    CAMLlocal1(v_call);
    struct call *call;
    struct cell *step;
    const char *bytes;
    size_t length;

    v_call = call_begin();
    call = call_of(v_call);
    step = call_enter(call, v_step);
    bytes = call_bytes(call, v_bytes, &length);
    if (call_ready(call)) {
        caml_release_runtime_system();
        call->status = dstore_step_write_log(step->object.step, bytes, length, &call->error);
        caml_acquire_runtime_system();
    }
    CAMLreturn(call_end_unit(v_call));
}

CAMLprim value ocaml_dstore_step_run(value v_step, value v_command, value v_output)
{
    CAMLparam3(v_step, v_command, v_output);
    CAMLlocal3(v_call, v_heard, v_raised);
    struct listener output = {.closure = &v_heard, .raised = &v_raised};
    struct call *call;
    struct cell *step, *command;
    int64_t exit_code = -1;

    v_call = call_begin();
    call = call_of(v_call);
    step = call_enter(call, v_step);
    command = call_enter(call, v_command);
    if (call_ready(call)) {
        /* Without a callback, do not enter OCaml for each piece. */
        dstore_output_callback callback = Is_block(v_output) ? tell_output : NULL;
        if (callback)
            v_heard = Field(v_output, 0);
        caml_release_runtime_system();
        call->status = dstore_step_run(step->object.step, command->object.command, callback, &output, &exit_code,
                                       &call->error);
        caml_acquire_runtime_system();
    }
    CAMLreturn(call_end_heard(v_call, Val_long(exit_code), &output, NULL));
}

CAMLprim value ocaml_dstore_step_was_started(value v_step)
{
    struct cell *step = handle_cell(v_step);
    bool started;

    if (!cell_enter(step))
        return Val_false;
    started = dstore_step_was_started(step->object.step);
    cell_leave(step);
    return Val_bool(started);
}

CAMLprim value ocaml_dstore_step_limit(value v_step, value v_limits)
{
    CAMLparam2(v_step, v_limits);
    CAMLlocal1(v_call);
    struct call *call;
    struct cell *step;
    struct limits limits;

    v_call = call_begin();
    call = call_of(v_call);
    step = call_enter(call, v_step);
    limits = call_limits(call, v_limits);
    if (call_ready(call))
        call->status = dstore_step_limit(step->object.step, limits.timeout_ms, limits.cancel, &call->error);
    CAMLreturn(call_end_unit(v_call));
}

/* Commits or aborts a step, within the limits that it was begun with, or within these. */
struct end {
    dstore_status (*as_begun)(dstore_step *step, dstore_error **error);
    dstore_status (*within)(dstore_step *step, uint64_t timeout_ms, const dstore_cancel *cancel, dstore_error **error);
};

/* Ends a step, unless another thread is in a call on it. */
static value end_step(value v_step, value v_limits, struct end end)
{
    CAMLparam2(v_step, v_limits);
    CAMLlocal1(v_call);
    struct call *call;
    struct cell *step;
    struct limits limits;

    v_call = call_begin();
    call = call_of(v_call);
    step = call_enter(call, v_step);
    limits = call_limits(call, v_limits);
    if (call_ready(call)) {
        caml_release_runtime_system();
        call->status = limits.timeout_ms || limits.cancel
                           ? end.within(step->object.step, limits.timeout_ms, limits.cancel, &call->error)
                           : end.as_begun(step->object.step, &call->error);
        if (call->status != DSTORE_BUSY)
            cell_end(step);
        caml_acquire_runtime_system();
    }
    CAMLreturn(call_end_unit(v_call));
}

CAMLprim value ocaml_dstore_step_commit(value v_step, value v_limits)
{
    return end_step(v_step, v_limits, (struct end){dstore_step_commit, dstore_step_commit_within});
}

CAMLprim value ocaml_dstore_step_abort(value v_step, value v_limits)
{
    return end_step(v_step, v_limits, (struct end){dstore_step_abort, dstore_step_abort_within});
}

/* ---------------------------------------------------------------- sources */

typedef dstore_status begin_with_stream(dstore_step *step, dstore_read_callback read, void *read_data,
                                        dstore_progress_callback progress, void *progress_data, dstore_error **error);

static value step_from_stream(value v_step, value v_read, value v_progress, begin_with_stream *begin)
{
    CAMLparam3(v_step, v_read, v_progress);
    CAMLlocal4(v_call, v_heard, v_raised, v_raised_too);
    struct listener read = {.closure = &v_read, .raised = &v_raised};
    struct listener progress = {.closure = &v_heard, .raised = &v_raised_too};
    struct call *call;
    struct cell *step;

    v_call = call_begin();
    call = call_of(v_call);
    step = call_enter(call, v_step);
    if (call_ready(call)) {
        dstore_progress_callback callback = Is_block(v_progress) ? tell_progress : NULL;
        if (callback)
            v_heard = Field(v_progress, 0);
        caml_release_runtime_system();
        call->status = begin(step->object.step, tell_wanted, &read, callback, &progress, &call->error);
        caml_acquire_runtime_system();
    }
    CAMLreturn(call_end_heard(v_call, Val_unit, &read, &progress));
}

typedef dstore_status begin_with_file(dstore_step *step, const char *file, dstore_progress_callback progress,
                                      void *progress_data, dstore_error **error);

static value step_from_file(value v_step, const char *name, value v_file, value v_progress, begin_with_file *begin)
{
    CAMLparam3(v_step, v_file, v_progress);
    CAMLlocal3(v_call, v_heard, v_raised);
    struct listener progress = {.closure = &v_heard, .raised = &v_raised};
    struct call *call;
    struct cell *step;
    const char *file;

    v_call = call_begin();
    call = call_of(v_call);
    step = call_enter(call, v_step);
    file = call_text(call, name, v_file);
    if (call_ready(call)) {
        dstore_progress_callback callback = Is_block(v_progress) ? tell_progress : NULL;
        if (callback)
            v_heard = Field(v_progress, 0);
        caml_release_runtime_system();
        call->status = begin(step->object.step, file, callback, &progress, &call->error);
        caml_acquire_runtime_system();
    }
    CAMLreturn(call_end_heard(v_call, Val_unit, &progress, NULL));
}

CAMLprim value ocaml_dstore_step_import(value v_step, value v_read, value v_progress)
{
    return step_from_stream(v_step, v_read, v_progress, dstore_step_import);
}

CAMLprim value ocaml_dstore_step_import_file(value v_step, value v_tar, value v_progress)
{
    return step_from_file(v_step, "tar", v_tar, v_progress, dstore_step_import_file);
}

CAMLprim value ocaml_dstore_step_load(value v_step, value v_read, value v_progress)
{
    return step_from_stream(v_step, v_read, v_progress, dstore_step_load);
}

CAMLprim value ocaml_dstore_step_load_file(value v_step, value v_file, value v_progress)
{
    return step_from_file(v_step, "file", v_file, v_progress, dstore_step_load_file);
}

/* The login is a user, a password and an optional server. */
CAMLprim value ocaml_dstore_step_pull(value v_step, value v_reference, value v_platform, value v_login, value v_progress)
{
    CAMLparam5(v_step, v_reference, v_platform, v_login, v_progress);
    CAMLlocal3(v_call, v_heard, v_raised);
    struct listener progress = {.closure = &v_heard, .raised = &v_raised};
    struct call *call;
    struct cell *step;
    const char *reference, *platform, *user = NULL, *password = NULL, *server = NULL;

    v_call = call_begin();
    call = call_of(v_call);
    step = call_enter(call, v_step);
    reference = call_text(call, "reference", v_reference);
    platform = call_optional_text(call, "platform", v_platform);
    if (Is_block(v_login)) {
        user = call_text(call, "user", Field(Field(v_login, 0), 0));
        password = call_text(call, "password", Field(Field(v_login, 0), 1));
        server = call_optional_text(call, "server", Field(Field(v_login, 0), 2));
    }
    if (call_ready(call)) {
        dstore_progress_callback callback = Is_block(v_progress) ? tell_progress : NULL;
        if (callback)
            v_heard = Field(v_progress, 0);
        caml_release_runtime_system();
        call->status = platform ? dstore_step_pull_platform(step->object.step, reference, platform, user, password,
                                                            server, callback, &progress, &call->error)
                                : dstore_step_pull(step->object.step, reference, user, password, server, callback,
                                                   &progress, &call->error);
        caml_acquire_runtime_system();
    }
    CAMLreturn(call_end_heard(v_call, Val_unit, &progress, NULL));
}

CAMLprim value ocaml_dstore_step_use_image(value v_step, value v_reference)
{
    CAMLparam2(v_step, v_reference);
    CAMLlocal1(v_call);
    struct call *call;
    struct cell *step;
    const char *reference;

    v_call = call_begin();
    call = call_of(v_call);
    step = call_enter(call, v_step);
    reference = call_text(call, "reference", v_reference);
    if (call_ready(call)) {
        caml_release_runtime_system();
        call->status = dstore_step_use_image(step->object.step, reference, &call->error);
        caml_acquire_runtime_system();
    }
    CAMLreturn(call_end_unit(v_call));
}
