/* Callbacks from the library into OCaml. The library calls them on the calling thread, without the runtime lock.
 *
 * Nothing between acquiring and releasing the runtime lock may raise, because an exception would unwind through Rust
 * frames: nothing is allocated (OCaml decodes the event, within its own try), the OCaml function is called by the _exn
 * variant, and the lock is released without processing pending signals, whose handlers run later in OCaml. */

#include "stubs.h"

/* An event as an OCaml integer: its address is even. */
#define Val_event(event) ((value)(event) | 1)
#define Event_val(v) ((struct event *)((v) & ~(value)1))

static int32_t tell(struct listener *listener, struct event *event)
{
    value answer;
    int32_t stop;
    caml_acquire_runtime_system();
    answer = caml_callback_exn(*listener->closure, Val_event(event));
    stop = answer != Val_true;
    if (Is_exception_result(answer)) {
        *listener->raised = Extract_exception(answer);
        listener->has_raised = true;
    }
    caml_enter_blocking_section_no_pending();
    return stop;
}

int32_t tell_output(void *listener, int32_t channel, const char *bytes, size_t length)
{
    struct event event = {.number = channel, .bytes = bytes, .length = length};
    return tell(listener, &event);
}

int32_t tell_followed(void *listener, uint32_t attempt, const char *bytes, size_t length)
{
    struct event event = {.number = (int32_t)attempt, .bytes = bytes, .length = length};
    return tell(listener, &event);
}

int32_t tell_written(void *listener, const char *bytes, size_t length)
{
    struct event event = {.bytes = bytes, .length = length};
    return tell(listener, &event);
}

int32_t tell_wanted(void *listener, char *buffer, size_t capacity, size_t *length)
{
    struct event event = {.buffer = buffer, .capacity = capacity};
    int32_t stop = tell(listener, &event);
    *length = event.filled;
    return stop;
}

int32_t tell_progress(void *listener, const char *status, const char *item, uint64_t current, uint64_t total)
{
    struct event event = {.texts = {status, item}, .amounts = {current, total}};
    return tell(listener, &event);
}

/* The number is the fate, with the item in the lowest four bits. */
int32_t tell_pruned(void *listener, int32_t item, const char *name, size_t length, uint64_t bytes, int64_t last_use, int32_t fate,
                    const char *why)
{
    struct event event = {
        .number = fate * 16 + item, .bytes = name, .length = length, .texts = {why, ""}, .amounts = {bytes, (uint64_t)last_use}};
    return tell(listener, &event);
}

int32_t tell_line(void *listener, int32_t level, const char *line, size_t length)
{
    struct event event = {.number = level, .bytes = line, .length = length};
    return tell(listener, &event);
}

value call_end_heard(value call, value ok, const struct listener *first, const struct listener *second)
{
    CAMLparam1(call);
    CAMLlocal1(raised);
    const struct listener *listeners[] = {first, second};
    size_t n;
    ok = call_end(call, ok);
    for (n = 0; n < 2; n++)
        if (listeners[n] && listeners[n]->has_raised) {
            raised = *listeners[n]->raised;
            caml_raise(raised);
        }
    CAMLreturn(ok);
}

/* ---------------------------------------------------------------- accessors of an event */

CAMLprim value ocaml_dstore_event_number(value event)
{
    return Val_int(Event_val(event)->number);
}

CAMLprim value ocaml_dstore_event_bytes(value event)
{
    return caml_alloc_initialized_string(Event_val(event)->length, Event_val(event)->bytes);
}

CAMLprim value ocaml_dstore_event_text(value event, value n)
{
    return caml_copy_string(Event_val(event)->texts[Int_val(n)]);
}

CAMLprim value ocaml_dstore_event_amount(value event, value n)
{
    return Val_long(Event_val(event)->amounts[Int_val(n)]);
}

CAMLprim value ocaml_dstore_event_capacity(value event)
{
    return Val_long(Event_val(event)->capacity);
}

/* Supplies the first `length` bytes of `bytes`. */
CAMLprim value ocaml_dstore_event_fill(value event, value bytes, value length)
{
    size_t filled = Long_val(length);
    if (filled > Event_val(event)->capacity || filled > caml_string_length(bytes))
        caml_invalid_argument("Docker_store: the read function returned more bytes than requested");
    memcpy(Event_val(event)->buffer, Bytes_val(bytes), filled);
    Event_val(event)->filled = filled;
    return Val_unit;
}
