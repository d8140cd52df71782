/* Image settings of a result, and publishing it: a tag, a registry, a file; and loading one from a file. */

#include "stubs.h"

/* ---------------------------------------------------------------- configurations */

CAMLprim value ocaml_dstore_image_config_new(value unit)
{
    value handle = handle_alloc(&image_config_kind, NULL);
    (void)unit;
    handle_cell(handle)->object.image_config = dstore_image_config_new();
    return handle;
}

static dstore_image_config *config_of(value v_config)
{
    return handle_cell(v_config)->object.image_config;
}

static value set_words(value v_config, value v_words,
                       dstore_status (*set)(dstore_image_config *config, const char *const *argv, size_t argc,
                                            dstore_error **error))
{
    CAMLparam2(v_config, v_words);
    CAMLlocal1(v_call);
    struct call *call;
    const char **words;

    v_call = call_begin();
    call = call_of(v_call);
    words = call_texts(call, "argv", v_words);
    if (call_ready(call))
        call->status = set(config_of(v_config), words, Wosize_val(v_words), &call->error);
    CAMLreturn(call_end_unit(v_call));
}

CAMLprim value ocaml_dstore_image_config_entrypoint(value v_config, value v_words)
{
    return set_words(v_config, v_words, dstore_image_config_entrypoint);
}

CAMLprim value ocaml_dstore_image_config_command(value v_config, value v_words)
{
    return set_words(v_config, v_words, dstore_image_config_command);
}

/* A name, and an optional value. */
static value set_pair(value v_config, value v_name, value v_value,
                      dstore_status (*set)(dstore_image_config *config, const char *name, const char *text,
                                           dstore_error **error))
{
    CAMLparam3(v_config, v_name, v_value);
    CAMLlocal1(v_call);
    struct call *call;
    const char *name, *text;

    v_call = call_begin();
    call = call_of(v_call);
    name = call_text(call, "name", v_name);
    text = call_optional_text(call, "value", v_value);
    if (call_ready(call))
        call->status = set(config_of(v_config), name, text, &call->error);
    CAMLreturn(call_end_unit(v_call));
}

CAMLprim value ocaml_dstore_image_config_env(value v_config, value v_name, value v_value)
{
    return set_pair(v_config, v_name, v_value, dstore_image_config_env);
}

CAMLprim value ocaml_dstore_image_config_label(value v_config, value v_name, value v_value)
{
    return set_pair(v_config, v_name, v_value, dstore_image_config_label);
}

static value set_text(value v_config, value v_text,
                      dstore_status (*set)(dstore_image_config *config, const char *text, dstore_error **error))
{
    CAMLparam2(v_config, v_text);
    CAMLlocal1(v_call);
    struct call *call;
    const char *text;

    v_call = call_begin();
    call = call_of(v_call);
    text = call_text(call, "text", v_text);
    if (call_ready(call))
        call->status = set(config_of(v_config), text, &call->error);
    CAMLreturn(call_end_unit(v_call));
}

CAMLprim value ocaml_dstore_image_config_user(value v_config, value v_user)
{
    return set_text(v_config, v_user, dstore_image_config_user);
}

CAMLprim value ocaml_dstore_image_config_directory(value v_config, value v_path)
{
    return set_text(v_config, v_path, dstore_image_config_directory);
}

CAMLprim value ocaml_dstore_image_config_stop_signal(value v_config, value v_signal)
{
    return set_text(v_config, v_signal, dstore_image_config_stop_signal);
}

/* What to declare, or to remove. */
static value set_there(value v_config, value v_text, value v_there,
                       dstore_status (*set)(dstore_image_config *config, const char *text, bool there,
                                            dstore_error **error))
{
    CAMLparam3(v_config, v_text, v_there);
    CAMLlocal1(v_call);
    struct call *call;
    const char *text;

    v_call = call_begin();
    call = call_of(v_call);
    text = call_text(call, "text", v_text);
    if (call_ready(call))
        call->status = set(config_of(v_config), text, Bool_val(v_there), &call->error);
    CAMLreturn(call_end_unit(v_call));
}

CAMLprim value ocaml_dstore_image_config_port(value v_config, value v_port, value v_exposed)
{
    return set_there(v_config, v_port, v_exposed, dstore_image_config_port);
}

CAMLprim value ocaml_dstore_image_config_volume(value v_config, value v_path, value v_declared)
{
    return set_there(v_config, v_path, v_declared, dstore_image_config_volume);
}

/* The times are three numbers of milliseconds, followed by the number of failures. */
CAMLprim value ocaml_dstore_image_config_health_check(value v_config, value v_words, value v_times)
{
    CAMLparam3(v_config, v_words, v_times);
    CAMLlocal1(v_call);
    struct call *call;
    const char **words;

    v_call = call_begin();
    call = call_of(v_call);
    words = call_texts(call, "argv", v_words);
    if (call_ready(call))
        call->status = dstore_image_config_health_check(
            config_of(v_config), words, Wosize_val(v_words), Long_val(Field(v_times, 0)), Long_val(Field(v_times, 1)),
            Long_val(Field(v_times, 2)), (uint32_t)Long_val(Field(v_times, 3)), &call->error);
    CAMLreturn(call_end_unit(v_call));
}

CAMLprim value ocaml_dstore_image_config_health_shell(value v_config, value v_line, value v_times)
{
    CAMLparam3(v_config, v_line, v_times);
    CAMLlocal1(v_call);
    struct call *call;
    const char *line;

    v_call = call_begin();
    call = call_of(v_call);
    line = call_optional_text(call, "line", v_line);
    if (call_ready(call))
        call->status = dstore_image_config_health_shell(
            config_of(v_config), line, Long_val(Field(v_times, 0)), Long_val(Field(v_times, 1)),
            Long_val(Field(v_times, 2)), (uint32_t)Long_val(Field(v_times, 3)), &call->error);
    CAMLreturn(call_end_unit(v_call));
}

CAMLprim value ocaml_dstore_step_configure(value v_step, value v_config)
{
    CAMLparam2(v_step, v_config);
    CAMLlocal1(v_call);
    struct call *call;
    struct cell *step;

    v_call = call_begin();
    call = call_of(v_call);
    step = call_enter(call, v_step);
    if (call_ready(call))
        call->status = dstore_step_configure(step->object.step, config_of(v_config), &call->error);
    CAMLreturn(call_end_unit(v_call));
}

/* ---------------------------------------------------------------- a tag, a registry */

/* A string of the library, or none if it returned none. */
static value optional(const char *text)
{
    CAMLparam0();
    CAMLlocal2(v_text, v_some);
    if (!text)
        CAMLreturn(Val_none);
    v_text = caml_copy_string(text);
    v_some = caml_alloc_small(1, 0);
    Field(v_some, 0) = v_text;
    CAMLreturn(v_some);
}

CAMLprim value ocaml_dstore_tag(value v_store, value v_id, value v_name, value v_limits)
{
    CAMLparam4(v_store, v_id, v_name, v_limits);
    CAMLlocal2(v_call, v_from);
    struct call *call;
    struct cell *store;
    struct limits limits;
    const char *id, *name;

    v_call = call_begin();
    call = call_of(v_call);
    store = call_enter(call, v_store);
    id = call_text(call, "id", v_id);
    name = call_text(call, "name", v_name);
    limits = call_limits(call, v_limits);
    if (call_ready(call)) {
        caml_release_runtime_system();
        call->status = dstore_store_tag(store->object.store, id, name, limits.timeout_ms, limits.cancel, &call->text,
                                        &call->error);
        caml_acquire_runtime_system();
    }
    v_from = optional(call_of(v_call)->text);
    CAMLreturn(call_end(v_call, v_from));
}

/* How: an optional login, and limits. */
CAMLprim value ocaml_dstore_push(value v_store, value v_id, value v_name, value v_how, value v_progress)
{
    CAMLparam5(v_store, v_id, v_name, v_how, v_progress);
    CAMLlocal5(v_call, v_heard, v_raised, v_digest, v_login);
    struct listener progress = {.closure = &v_heard, .raised = &v_raised};
    struct call *call;
    struct cell *store;
    struct limits limits;
    const char *id, *name, *user = NULL, *password = NULL, *server = NULL;

    v_call = call_begin();
    call = call_of(v_call);
    store = call_enter(call, v_store);
    id = call_text(call, "id", v_id);
    name = call_text(call, "name", v_name);
    v_login = Field(v_how, 0);
    if (Is_block(v_login)) {
        user = call_text(call, "user", Field(Field(v_login, 0), 0));
        password = call_text(call, "password", Field(Field(v_login, 0), 1));
        server = call_optional_text(call, "server", Field(Field(v_login, 0), 2));
    }
    limits = call_limits(call, Field(v_how, 1));
    if (call_ready(call)) {
        dstore_progress_callback callback = Is_block(v_progress) ? tell_progress : NULL;
        if (callback)
            v_heard = Field(v_progress, 0);
        caml_release_runtime_system();
        call->status = dstore_store_push(store->object.store, id, name, user, password, server, callback, &progress,
                                         limits.timeout_ms, limits.cancel, &call->text, &call->error);
        caml_acquire_runtime_system();
    }
    v_digest = optional(call_of(v_call)->text);
    CAMLreturn(call_end_heard(v_call, v_digest, &progress, NULL));
}

/* ---------------------------------------------------------------- files */

/* The format: its number, and an optional name. */
CAMLprim value ocaml_dstore_save(value v_store, value v_id, value v_form, value v_limits, value v_write)
{
    CAMLparam5(v_store, v_id, v_form, v_limits, v_write);
    CAMLlocal2(v_call, v_raised);
    struct listener write = {.closure = &v_write, .raised = &v_raised};
    struct call *call;
    struct cell *store;
    const char *id, *name;
    struct limits limits;
    int32_t format = Int_val(Field(v_form, 0));
    uint64_t bytes = 0;

    v_call = call_begin();
    call = call_of(v_call);
    store = call_enter(call, v_store);
    id = call_text(call, "id", v_id);
    name = call_optional_text(call, "name", Field(v_form, 1));
    limits = call_limits(call, v_limits);
    if (call_ready(call)) {
        caml_release_runtime_system();
        call->status = dstore_store_save(store->object.store, id, format, name, limits.timeout_ms, limits.cancel,
                                         tell_written, &write, &bytes, &call->error);
        caml_acquire_runtime_system();
    }
    CAMLreturn(call_end_heard(v_call, Val_long(bytes), &write, NULL));
}

CAMLprim value ocaml_dstore_save_file(value v_store, value v_id, value v_form, value v_limits, value v_file)
{
    CAMLparam5(v_store, v_id, v_form, v_limits, v_file);
    CAMLlocal1(v_call);
    struct call *call;
    struct cell *store;
    const char *id, *name, *file;
    struct limits limits;
    int32_t format = Int_val(Field(v_form, 0));
    uint64_t bytes = 0;

    v_call = call_begin();
    call = call_of(v_call);
    store = call_enter(call, v_store);
    id = call_text(call, "id", v_id);
    name = call_optional_text(call, "name", Field(v_form, 1));
    file = call_text(call, "file", v_file);
    limits = call_limits(call, v_limits);
    if (call_ready(call)) {
        caml_release_runtime_system();
        call->status = dstore_store_save_file(store->object.store, id, format, name, limits.timeout_ms, limits.cancel,
                                              file, &bytes, &call->error);
        caml_acquire_runtime_system();
    }
    CAMLreturn(call_end(v_call, Val_long(bytes)));
}

CAMLprim value ocaml_dstore_load(value v_store, value v_id, value v_read, value v_progress, value v_limits)
{
    CAMLparam5(v_store, v_id, v_read, v_progress, v_limits);
    CAMLlocal4(v_call, v_heard, v_raised, v_raised_too);
    struct listener read = {.closure = &v_read, .raised = &v_raised};
    struct listener progress = {.closure = &v_heard, .raised = &v_raised_too};
    struct call *call;
    struct cell *store;
    const char *id;
    struct limits limits;
    bool built = false;

    v_call = call_begin();
    call = call_of(v_call);
    store = call_enter(call, v_store);
    id = call_text(call, "id", v_id);
    limits = call_limits(call, v_limits);
    if (call_ready(call)) {
        dstore_progress_callback callback = Is_block(v_progress) ? tell_progress : NULL;
        if (callback)
            v_heard = Field(v_progress, 0);
        caml_release_runtime_system();
        call->status = dstore_store_load(store->object.store, id, tell_wanted, &read, callback, &progress,
                                         limits.timeout_ms, limits.cancel, &built, &call->error);
        caml_acquire_runtime_system();
    }
    CAMLreturn(call_end_heard(v_call, Val_bool(built), &read, &progress));
}

CAMLprim value ocaml_dstore_load_file(value v_store, value v_id, value v_file, value v_progress, value v_limits)
{
    CAMLparam5(v_store, v_id, v_file, v_progress, v_limits);
    CAMLlocal3(v_call, v_heard, v_raised);
    struct listener progress = {.closure = &v_heard, .raised = &v_raised};
    struct call *call;
    struct cell *store;
    const char *id, *file;
    struct limits limits;
    bool built = false;

    v_call = call_begin();
    call = call_of(v_call);
    store = call_enter(call, v_store);
    id = call_text(call, "id", v_id);
    file = call_text(call, "file", v_file);
    limits = call_limits(call, v_limits);
    if (call_ready(call)) {
        dstore_progress_callback callback = Is_block(v_progress) ? tell_progress : NULL;
        if (callback)
            v_heard = Field(v_progress, 0);
        caml_release_runtime_system();
        call->status = dstore_store_load_file(store->object.store, id, file, callback, &progress, limits.timeout_ms,
                                              limits.cancel, &built, &call->error);
        caml_acquire_runtime_system();
    }
    CAMLreturn(call_end_heard(v_call, Val_bool(built), &progress, NULL));
}
