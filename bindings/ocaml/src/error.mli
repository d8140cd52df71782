(** Why a call failed. *)

(** What a caller can act on. Later versions of the library may add new ones. *)
type status =
  | Invalid_argument  (** The library or the engine does not accept an argument. Nothing has changed. *)
  | Not_found  (** The named object does not exist: for example, a base, an image, or a path in a container. *)
  | Conflict
      (** An object is in the wrong state for this call: for example, the step has failed, or the engine answered HTTP
          409. *)
  | In_progress  (** The engine is already doing it: for example, another call has started the same removal. *)
  | Busy  (** Another call or process is using the object. Try again later. *)
  | Cancelled  (** Its {!Cancel.t} was triggered. *)
  | Timed_out  (** A timeout expired. The operation may or may not have been carried out. *)
  | Unreachable  (** No engine answers at the address. *)
  | Unsupported
      (** The server at the address is not an engine that this library can use (not a Docker engine, or too old), or
          what was requested is not possible with this engine. *)
  | Engine  (** The engine failed (HTTP 5xx, or an error inside a stream), or its response is invalid or endless. *)
  | Cut_short  (** A connection or a stream ended before it was complete. *)
  | Io  (** The local file system or operating system reported an error. *)
  | Command_failed  (** The command of a step exited with a non-zero status. See [exit_code]. *)
  | Out_of_memory  (** The kernel killed the command of a step because its memory ran out. *)
  | Callback
      (** A callback stopped the call. Never returned to OCaml code: the call re-raises the callback's exception
          instead. *)
  | Closed  (** The store, step or lease has already been closed, committed, aborted, released or discarded. *)
  | Corrupt  (** A file of the store or of Docker's client configuration is invalid. *)
  | Internal  (** An internal error: a bug in the library. *)
  | Outcome_unknown
      (** The connection to the engine was lost during the deciding request, and the engine does not report the outcome.
          The result may or may not exist. Look the result up, or begin the same id again, to find out. *)
  | Killed
      (** The command of a step did not exit by itself: its container was killed, stopped or removed from outside, or
          the engine went down. Try again. *)
  | Not_started
      (** The command of a step was never started: its program does not exist or cannot be executed. [exit_code] is what
          a shell would report: 127 or 126. *)
  | Unknown of int  (** A status that these bindings do not know. Treat it as a failure. *)

type t = {
  status : status;
  message : string;
      (** One human-readable line: the operation, its object, and what the engine or the system reported. *)
  http_status : int option;  (** The HTTP status of the engine's response, if there was one. *)
  os_errno : int option;  (** The operating system's error number, if there was one. *)
  exit_code : int option;
      (** The exit status of the command, for [Command_failed], [Out_of_memory] and [Not_started]. *)
}

exception E of t
(** Raised only by {!Docker_store.get} and {!Docker_store.id}. *)

val status_name : status -> string
(** Returns a short human-readable name, such as ["not found"]. *)

val to_string : t -> string
(** Returns the message. *)

val pp : Format.formatter -> t -> unit

(**/**)

val of_raw : Raw.error -> t
val check : 'a Raw.answer -> ('a, t) result
