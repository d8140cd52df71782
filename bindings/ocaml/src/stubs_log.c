/* The library's own log, which is fetched on request. */

#include "stubs.h"

CAMLprim value ocaml_dstore_log_collect(value v_level)
{
    CAMLparam1(v_level);
    CAMLlocal1(v_call);

    v_call = call_begin();
    call_of(v_call)->status = dstore_log_collect(Int_val(v_level), &call_of(v_call)->error);
    CAMLreturn(call_end_unit(v_call));
}

CAMLprim value ocaml_dstore_log_fetch(value v_timeout_ms, value v_hear)
{
    CAMLparam2(v_timeout_ms, v_hear);
    CAMLlocal2(v_call, v_raised);
    struct listener lines = {.closure = &v_hear, .raised = &v_raised};
    uint64_t timeout_ms = Long_val(v_timeout_ms);
    struct call *call;

    v_call = call_begin();
    call = call_of(v_call);
    caml_release_runtime_system();
    call->status = dstore_log_fetch(timeout_ms, tell_line, &lines, &call->error);
    caml_acquire_runtime_system();
    CAMLreturn(call_end_heard(v_call, Val_unit, &lines, NULL));
}
