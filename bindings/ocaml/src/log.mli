(** The library's own log: warnings of what could not be removed, and the like. Not the logs of builds, which are files:
    see {!Docker_store.log_file}. *)

type level =
  | Error  (** Faults of the library's own. *)
  | Warning  (** What went wrong without making a call fail: something that was not removed. *)
  | Info  (** What was done. *)
  | Debug  (** How. *)
  | Trace  (** All of it. *)

val collect : level option -> (unit, Error.t) result
(** Has the library collect lines of up to that level, for all stores of the process; [None] ends that. Unless this is
    called, nothing is collected. *)

val fetch : ?timeout:float -> (level -> string -> unit) -> (unit, Error.t) result
(** Gives the lines that were collected and not fetched yet, oldest first. If there are none, waits [timeout] seconds
    for the first; by default it does not wait. *)
