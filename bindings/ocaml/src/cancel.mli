(** A switch that ends the calls and steps it was given to, from any thread, and at once. Once on, it stays on. *)

type t

val create : unit -> t

val trigger : t -> unit
(** Turns it on: calls that wait wake, and give [Cancelled]. *)

val is_triggered : t -> bool

(**/**)

val raw : t -> Raw.cancel
