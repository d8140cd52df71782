(** A switch that ends the calls and steps it was given to, from any thread, and at once. Once on, it stays on. *)

type t

val create : unit -> t

val trigger : t -> unit
(** Turns it on: calls that wait wake, and give [Cancelled]. *)

val is_triggered : t -> bool

val on_signal : t -> int -> unit
(** [on_signal t Sys.sigint]: from now on that signal triggers it, at the moment in which it comes, whatever OCaml is doing: a
    handler of [Sys.signal] waits until a call that blocks has returned. It takes the place of such a handler, and the other way
    round; of several switches the last one is triggered. Raises [Invalid_argument] for what is no signal, or cannot be caught. *)

(**/**)

val raw : t -> Raw.cancel
