/* The frame of one call. It is a separate custom block, so that its copies, its error and its counts are released even
 * if an asynchronous exception ends the stub. */

#include "stubs.h"

#define Call_val(v) (*(struct call **)Data_custom_val(v))

static void clear(struct call *call)
{
    while (call->copied > 0)
        free(call->copies[--call->copied]);
    while (call->entered > 0)
        cell_leave(call->cells[--call->entered]);
    dstore_error_free(call->error);
    dstore_string_free(call->text);
    call->error = NULL;
    call->text = NULL;
}

static void finalize(value v)
{
    struct call *call = Call_val(v);
    if (call) {
        clear(call);
        free(call);
    }
}

static struct custom_operations call_operations = {
    .identifier = "docker-store.call",
    .finalize = finalize,
    .compare = custom_compare_default,
    .compare_ext = custom_compare_ext_default,
    .hash = custom_hash_default,
    .serialize = custom_serialize_default,
    .deserialize = custom_deserialize_default,
    .fixed_length = custom_fixed_length_default,
};

value call_begin(void)
{
    value v = caml_alloc_custom(&call_operations, sizeof(struct call *), 0, 1);
    Call_val(v) = NULL;
    Call_val(v) = calloc(1, sizeof(struct call));
    if (!Call_val(v))
        caml_raise_out_of_memory();
    return v;
}

struct call *call_of(value v)
{
    return Call_val(v);
}

bool call_ready(const struct call *call)
{
    return !call->refused && !call->no_memory;
}

void call_keep_text(struct call *call, char *text)
{
    call->text = text;
}

/* Only the first error is reported. */
static void refuse(struct call *call, dstore_status status, const char *about, const char *why)
{
    if (call->refused)
        return;
    call->refused = true;
    call->status = status;
    call->about = about;
    call->why = why;
}

struct cell *call_enter(struct call *call, value handle)
{
    struct cell *cell = handle_cell(handle);
    if (!cell_enter(cell)) {
        refuse(call, DSTORE_CLOSED, NULL, cell->kind->ended);
        return NULL;
    }
    call->cells[call->entered++] = cell;
    return cell;
}

/* Allocates memory that the call frees. */
static void *keep(struct call *call, size_t size)
{
    void *copy = malloc(size);
    if (copy)
        call->copies[call->copied++] = copy;
    else
        call->no_memory = true;
    return copy;
}

const char *call_bytes(struct call *call, value bytes, size_t *length)
{
    size_t size = caml_string_length(bytes);
    char *copy = keep(call, size + 1);
    *length = size;
    return copy ? memcpy(copy, String_val(bytes), size + 1) : NULL;
}

const char *call_text(struct call *call, const char *name, value text)
{
    size_t length;
    if (!caml_string_is_c_safe(text)) {
        refuse(call, DSTORE_INVALID_ARGUMENT, name, "contains a NUL");
        return NULL;
    }
    return call_bytes(call, text, &length);
}

const char *call_optional_text(struct call *call, const char *name, value option)
{
    return Is_block(option) ? call_text(call, name, Field(option, 0)) : NULL;
}

/* One block: the pointers, followed by the words. */
const char **call_texts(struct call *call, const char *name, value array)
{
    size_t count = Wosize_val(array), size = (count + 1) * sizeof(char *), n;
    const char **words;
    char *place;
    for (n = 0; n < count; n++) {
        if (!caml_string_is_c_safe(Field(array, n))) {
            refuse(call, DSTORE_INVALID_ARGUMENT, name, "has a word that contains a NUL");
            return NULL;
        }
        size += caml_string_length(Field(array, n)) + 1;
    }
    words = keep(call, size);
    if (!words)
        return NULL;
    place = (char *)(words + count + 1);
    for (n = 0; n < count; n++) {
        size_t length = caml_string_length(Field(array, n)) + 1;
        words[n] = memcpy(place, String_val(Field(array, n)), length);
        place += length;
    }
    words[count] = NULL;
    return words;
}

const char **call_parts(struct call *call, value array, size_t **lengths)
{
    size_t count = Wosize_val(array), size = (count + 1) * sizeof(char *), n;
    const char **parts;
    char *place;
    for (n = 0; n < count; n++)
        size += caml_string_length(Field(array, n));
    parts = keep(call, size);
    *lengths = keep(call, (count + 1) * sizeof **lengths);
    if (!parts || !*lengths)
        return NULL;
    place = (char *)(parts + count + 1);
    for (n = 0; n < count; n++) {
        (*lengths)[n] = caml_string_length(Field(array, n));
        parts[n] = memcpy(place, String_val(Field(array, n)), (*lengths)[n]);
        place += (*lengths)[n];
    }
    return parts;
}

struct limits call_limits(struct call *call, value v)
{
    struct limits limits = {Long_val(Field(v, 0)), NULL};
    if (Is_block(Field(v, 1))) {
        struct cell *cell = call_enter(call, Field(Field(v, 1), 0));
        if (cell)
            limits.cancel = cell->object.cancel;
    }
    return limits;
}

/* ---------------------------------------------------------------- the return value */

static value refusal(const struct call *call)
{
    if (!call->about)
        return caml_copy_string(call->why);
    return caml_alloc_sprintf("the argument %s %s", call->about, call->why);
}

/* The record that error.ml converts to an Error.t: status, message, and numbers, where -1 means none. */
static value raw_error(const struct call *call)
{
    CAMLparam0();
    CAMLlocal2(message, raw);
    int32_t http = dstore_error_http_status(call->error), number = dstore_error_os_errno(call->error);
    if (call->refused)
        message = refusal(call);
    else
        message = caml_copy_string(call->error ? dstore_error_message(call->error)
                                               : dstore_status_name(call->status));
    raw = caml_alloc_small(5, 0);
    Field(raw, 0) = Val_int(call->status);
    Field(raw, 1) = message;
    Field(raw, 2) = Val_int(http == 0 ? -1 : http);
    Field(raw, 3) = Val_int(number == 0 ? -1 : number);
    Field(raw, 4) = Val_long(dstore_error_exit_code(call->error));
    CAMLreturn(raw);
}

value call_end(value v_call, value ok)
{
    CAMLparam2(v_call, ok);
    CAMLlocal2(content, answer);
    bool good;
    if (Call_val(v_call)->no_memory)
        caml_raise_out_of_memory();
    good = !Call_val(v_call)->refused && Call_val(v_call)->status == DSTORE_OK;
    content = good ? ok : raw_error(Call_val(v_call));
    clear(Call_val(v_call));
    answer = caml_alloc_small(1, good ? 0 : 1);
    Field(answer, 0) = content;
    CAMLreturn(answer);
}

value call_end_unit(value v_call)
{
    return call_end(v_call, Val_unit);
}
