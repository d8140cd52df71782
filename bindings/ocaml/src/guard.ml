(* Exceptions of callbacks. They must not unwind through the library's frames. The exception is stored, the library is
   told to stop, and when its call has returned and freed its memory, the exception is raised again. *)

type t = { mutable raised : (exn * Printexc.raw_backtrace) option }

let create () = { raised = None }

(* [f] as a callback. *)
let hear t f event =
  match f event with
  | () -> true
  | exception e ->
    t.raised <- Some (e, Printexc.get_raw_backtrace ());
    false

(* The result of the call, or the stored exception. *)
let finish t answer =
  match t.raised with
  | Some (e, backtrace) -> Printexc.raise_with_backtrace e backtrace
  | None -> Error.check answer

(* Calls with one callback. *)
let call f make =
  let t = create () in
  finish t (make (hear t f))

let call_optional f make =
  let t = create () in
  finish t (make (Option.map (hear t) f))

(* ---------------------------------------------------------------- the kinds of callbacks *)

let write f event = f (Raw.event_bytes event)

(* [input] is like [Stdlib.input]: 0 means the end. *)
let read input =
  let buffer = lazy (Bytes.create 65536) in
  fun event ->
    let buffer = Lazy.force buffer in
    let n = input buffer 0 (min (Bytes.length buffer) (Raw.event_capacity event)) in
    Raw.event_fill event buffer n
