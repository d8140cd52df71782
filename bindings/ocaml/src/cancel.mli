(** A cancellation token. Triggering it, from any thread, stops every call and step that it was passed to. It cannot be
    reset. Thread-safe. *)

type t

val create : unit -> t

val trigger : t -> unit
(** Triggers the token: calls that are waiting wake up, clean up and return [Cancelled]. *)

val is_triggered : t -> bool

val on_signal : t -> int -> unit
(** [on_signal t Sys.sigint] makes the signal trigger the token as soon as it arrives, whatever OCaml is doing. (A
    handler of [Sys.signal] waits until a blocking call has returned.) It replaces such a handler, and is replaced by
    one that is set later. If several tokens are set for a signal, the last one is triggered.
    @raise Invalid_argument if the number is not a signal, or the signal cannot be caught. *)

(**/**)

val raw : t -> Raw.cancel
