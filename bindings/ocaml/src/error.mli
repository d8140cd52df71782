(** Why a call failed. *)

(** What a caller can act on. Later versions of the library may know further ones. *)
type status =
  | Invalid_argument  (** An argument that the library or the engine cannot take. Nothing was sent or changed. *)
  | Not_found  (** What was named does not exist: a base, an image, a path in a container. *)
  | Conflict  (** The engine refused because of the state that something is in (HTTP 409). *)
  | In_progress  (** The engine is doing it already, such as a removal that another call began. *)
  | Busy  (** Somebody else is using it: try again later. *)
  | Cancelled  (** Its {!Cancel.t} was triggered. *)
  | Timed_out  (** A timeout passed. What was asked may or may not have happened. *)
  | Unreachable  (** No engine answers at the address. *)
  | Unsupported  (** Something answers, but no engine that this library can use. *)
  | Engine  (** The engine failed (HTTP 5xx, or an error in the middle of a stream), or its answer makes no sense. *)
  | Cut_short  (** A connection or a stream ended in the middle. *)
  | Io  (** This machine's file system or operating system refused. *)
  | Command_failed  (** The command of a step ended with a status other than zero: see [exit_code]. *)
  | Out_of_memory  (** The kernel killed the command of a step because its memory ran out. *)
  | Callback  (** A callback ended the call. It raised, so the call raises the same, and this is never seen. *)
  | Closed  (** The store, step or lease was closed, committed, aborted or released before. *)
  | Corrupt  (** A file that the store wrote itself cannot be read back. *)
  | Internal  (** A fault of the library's own. *)
  | Outcome_unknown
      (** The engine was cut off in the call that decides: the result may or may not be there. The next look tells. *)
  | Killed  (** Somebody ended the step's container from outside, or the engine went down: try again. *)
  | Not_started
      (** The command of a step was never started: its program is not there, or cannot be executed. [exit_code] is what a
          shell would give, 127 and 126. *)
  | Unknown of int  (** One that these bindings do not know. *)

type t = {
  status : status;
  message : string;  (** One line: what was being done, to what, and what the engine or the system answered. *)
  http_status : int option;  (** What the engine answered with. *)
  os_errno : int option;  (** The operating system's number of the error. *)
  exit_code : int option;  (** The command's, for [Command_failed], [Out_of_memory] and [Not_started]. *)
}

exception E of t
(** Raised by {!Docker_store.get} alone. *)

val status_name : status -> string
(** A word or two for a person, such as ["not found"]. *)

val to_string : t -> string
(** The message. *)

val pp : Format.formatter -> t -> unit

(**/**)

val of_raw : Raw.error -> t
val check : 'a Raw.answer -> ('a, t) result
