(** The library's own log: for example, warnings about what could not be removed. The logs of builds are files: see
    {!Docker_store.log_file}. *)

type level =
  | Error  (** Internal errors of the library. *)
  | Warning  (** Problems that did not make a call fail: for example, something could not be removed. *)
  | Info  (** What was done. *)
  | Debug  (** How it was done. *)
  | Trace  (** Everything. *)

val collect : level option -> (unit, Error.t) result
(** Starts collecting lines up to this level, for all stores of the process; [None] stops collecting. Until this is
    called, nothing is collected. *)

val fetch : ?timeout:float -> (level -> string -> unit) -> (unit, Error.t) result
(** Passes the lines that were collected and not fetched yet to the function, oldest first. If there are none, waits up
    to [timeout] seconds for the first; by default it does not wait. *)
