/* Commands: command.ml creates one for each run, setting by setting. */

#include "stubs.h"

CAMLprim value ocaml_dstore_command_new(value unit)
{
    CAMLparam1(unit);
    CAMLlocal2(v_call, v_command);
    struct call *call;

    v_call = call_begin();
    v_command = handle_alloc(&command_kind, NULL);
    call = call_of(v_call);
    call->status = dstore_command_new(NULL, 0, &handle_cell(v_command)->object.command, &call->error);
    CAMLreturn(call_end(v_call, v_command));
}

/* A setter whose value is one text. */
static value set_text(value v_command, const char *name, value v_text,
                      dstore_status (*set)(dstore_command *command, const char *text, dstore_error **error))
{
    CAMLparam2(v_command, v_text);
    CAMLlocal1(v_call);
    struct call *call;
    const char *text;

    v_call = call_begin();
    call = call_of(v_call);
    text = call_text(call, name, v_text);
    if (call_ready(call))
        call->status = set(handle_cell(v_command)->object.command, text, &call->error);
    CAMLreturn(call_end_unit(v_call));
}

#define TEXT_SETTER(setter, name)                                                                                      \
    CAMLprim value ocaml_dstore_command_##setter(value v_command, value v_text)                                        \
    {                                                                                                                  \
        return set_text(v_command, name, v_text, dstore_command_##setter);                                             \
    }

TEXT_SETTER(arg, "word")
TEXT_SETTER(cwd, "path")
TEXT_SETTER(user, "user")
TEXT_SETTER(hostname, "name")
TEXT_SETTER(network, "name")
TEXT_SETTER(stdin_file, "path")

/* A setter whose value is a number. */
#define NUMBER_SETTER(setter, type, of_value)                                                                          \
    CAMLprim value ocaml_dstore_command_##setter(value v_command, value v_number)                                      \
    {                                                                                                                  \
        CAMLparam1(v_command);                                                                                         \
        CAMLlocal1(v_call);                                                                                            \
        type number = of_value(v_number);                                                                              \
        v_call = call_begin();                                                                                         \
        call_of(v_call)->status = dstore_command_##setter(handle_cell(v_command)->object.command, number,              \
                                                          &call_of(v_call)->error);                                    \
        CAMLreturn(call_end_unit(v_call));                                                                             \
    }

NUMBER_SETTER(nano_cpus, int64_t, Long_val)
NUMBER_SETTER(memory, int64_t, Long_val)
NUMBER_SETTER(timeout, uint64_t, Long_val)
NUMBER_SETTER(allow_failure, bool, Bool_val)

CAMLprim value ocaml_dstore_command_image_entrypoint(value v_command)
{
    CAMLparam1(v_command);
    CAMLlocal1(v_call);

    v_call = call_begin();
    call_of(v_call)->status =
        dstore_command_image_entrypoint(handle_cell(v_command)->object.command, &call_of(v_call)->error);
    CAMLreturn(call_end_unit(v_call));
}

CAMLprim value ocaml_dstore_command_entrypoint(value v_command, value v_words)
{
    CAMLparam2(v_command, v_words);
    CAMLlocal1(v_call);
    struct call *call;
    const char **words;

    v_call = call_begin();
    call = call_of(v_call);
    words = call_texts(call, "argv", v_words);
    if (call_ready(call))
        call->status = dstore_command_entrypoint(handle_cell(v_command)->object.command, words, Wosize_val(v_words),
                                                 &call->error);
    CAMLreturn(call_end_unit(v_call));
}

CAMLprim value ocaml_dstore_command_env(value v_command, value v_name, value v_value)
{
    CAMLparam3(v_command, v_name, v_value);
    CAMLlocal1(v_call);
    struct call *call;
    const char *name, *text;

    v_call = call_begin();
    call = call_of(v_call);
    name = call_text(call, "name", v_name);
    text = call_text(call, "value", v_value);
    if (call_ready(call))
        call->status = dstore_command_env(handle_cell(v_command)->object.command, name, text, &call->error);
    CAMLreturn(call_end_unit(v_call));
}

/* ---------------------------------------------------------------- mounts */

CAMLprim value ocaml_dstore_command_lease(value v_command, value v_lease, value v_target)
{
    CAMLparam3(v_command, v_lease, v_target);
    CAMLlocal1(v_call);
    struct call *call;
    struct cell *lease;
    const char *target;

    v_call = call_begin();
    call = call_of(v_call);
    lease = call_enter(call, v_lease);
    target = call_text(call, "target", v_target);
    if (call_ready(call))
        call->status = dstore_command_lease(handle_cell(v_command)->object.command, lease->object.lease, target,
                                            &call->error);
    CAMLreturn(call_end_unit(v_call));
}

static value mount(value v_command, value v_source, value v_target, value v_read_only,
                   dstore_status (*set)(dstore_command *command, const char *source, const char *target,
                                        bool read_only, dstore_error **error))
{
    CAMLparam4(v_command, v_source, v_target, v_read_only);
    CAMLlocal1(v_call);
    struct call *call;
    const char *source, *target;

    v_call = call_begin();
    call = call_of(v_call);
    source = call_text(call, "source", v_source);
    target = call_text(call, "target", v_target);
    if (call_ready(call))
        call->status = set(handle_cell(v_command)->object.command, source, target, Bool_val(v_read_only), &call->error);
    CAMLreturn(call_end_unit(v_call));
}

CAMLprim value ocaml_dstore_command_volume(value v_command, value v_name, value v_target, value v_read_only)
{
    return mount(v_command, v_name, v_target, v_read_only, dstore_command_volume);
}

CAMLprim value ocaml_dstore_command_bind(value v_command, value v_source, value v_target, value v_read_only)
{
    return mount(v_command, v_source, v_target, v_read_only, dstore_command_bind);
}

/* ---------------------------------------------------------------- contents */

CAMLprim value ocaml_dstore_command_secret(value v_command, value v_target, value v_content, value v_owner,
                                           value v_mode)
{
    CAMLparam5(v_command, v_target, v_content, v_owner, v_mode);
    CAMLlocal1(v_call);
    struct call *call;
    const char *target, *content;
    size_t length;

    v_call = call_begin();
    call = call_of(v_call);
    target = call_text(call, "target", v_target);
    content = call_bytes(call, v_content, &length);
    if (call_ready(call))
        call->status = dstore_command_secret(handle_cell(v_command)->object.command, target, content, length,
                                             Long_val(Field(v_owner, 0)), Long_val(Field(v_owner, 1)),
                                             Long_val(v_mode), &call->error);
    CAMLreturn(call_end_unit(v_call));
}

CAMLprim value ocaml_dstore_command_stdin(value v_command, value v_content)
{
    CAMLparam2(v_command, v_content);
    CAMLlocal1(v_call);
    struct call *call;
    const char *content;
    size_t length;

    v_call = call_begin();
    call = call_of(v_call);
    content = call_bytes(call, v_content, &length);
    if (call_ready(call))
        call->status = dstore_command_stdin(handle_cell(v_command)->object.command, content, length, &call->error);
    CAMLreturn(call_end_unit(v_call));
}
