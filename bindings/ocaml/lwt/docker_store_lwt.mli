(** [docker-store] without blocking the event loop.

    It is complete by itself: all that a program needs of {!Docker_store} is here, too, and that whole module under the name
    {!Blocking}, for programs that have a [Docker_store] of their own, as OBuilder has. The calls are those of {!Blocking}, on
    the same stores, leases and commands, so that both ways can be mixed.
    Each blocks a thread of this library's own while it lasts. There is no limit on how many, for calls may wait for
    each other; limit how many builds run at once by your own means.

    {b Cancelling} the promise of a call that asks the engine something (all but the end of a step) ends the call. The promise is resolved when the call has returned, and not before: with [Lwt.Canceled] where
    the call was cut off, else with what it had done by then.

    {b Callbacks} run in the thread of the event loop, one at a time and in order, before the promise is resolved. The
    call waits for the promise of each. What one fails with ends the call, whose promise then fails with the same.

    An event loop must run for calls with callbacks to end. *)

open Docker_store

module Blocking = Docker_store
(** All of [docker-store]; its records and variants have their names there. *)

module Error = Docker_store.Error
module Cancel = Docker_store.Cancel
module Command = Docker_store.Command
module Image_config = Docker_store.Image_config
module Bounds = Docker_store.Bounds

type 'a answer = ('a, Error.t) result Lwt.t

val get : ('a, Error.t) result -> 'a
(** The value.
    @raise Error.E where there is none. *)

val get_lwt : 'a answer -> 'a Lwt.t
(** The same of a promise, which fails with [Error.E]. *)

(** {1 Steps} *)

module Step : sig
  (** See {!Docker_store.Step}. *)

  type t

  val id : t -> string

  val cancel : t -> unit
  (** Ends what the step is doing: that gives [Cancelled], and the step can only be aborted. *)

  val run : ?output:(Step.channel -> string -> unit Lwt.t) -> t -> Command.t -> int answer
  val was_started : t -> bool
  val write_log : t -> string -> unit answer
  val commit : t -> unit answer
  val abort : t -> unit answer

  val import : ?progress:(Step.progress -> unit Lwt.t) -> t -> (bytes -> int -> int -> int Lwt.t) -> unit answer
  (** The stream is read as by [Lwt_io.read_into]. *)

  val import_file : ?progress:(Step.progress -> unit Lwt.t) -> t -> string -> unit answer
  val pull : ?progress:(Step.progress -> unit Lwt.t) -> ?login:Step.login -> ?platform:string -> t -> string -> unit answer
  val load : ?progress:(Step.progress -> unit Lwt.t) -> t -> (bytes -> int -> int -> int Lwt.t) -> unit answer
  val load_file : ?progress:(Step.progress -> unit Lwt.t) -> t -> string -> unit answer

  val configure : t -> Image_config.t -> (unit, Error.t) result
  (** Does not wait for anything. *)

  val use_image : t -> string -> unit answer
  val copy_in : t -> string -> (bytes -> int -> int -> int Lwt.t) -> unit answer
  val copy_in_file : t -> string -> string -> unit answer
  val copy_in_host : t -> string -> Host_files.t -> string answer
  val copy_out : t -> string -> (string -> unit Lwt.t) -> int answer
  val copy_out_file : t -> string -> string -> int answer
end

(** {1 Leases} *)

module Lease : sig
  (** See {!Docker_store.Lease}. *)

  type t = Lease.t

  val volume : t -> string
  val generation : t -> int

  val release : ?timeout:float -> t -> Lease.released answer
  (** Cancelled, it leaves the lease open. *)

  val discard : t -> unit answer
end

(** {1 Stores} *)

type t = Docker_store.t

val open_store :
  ?engine:string ->
  ?name:string ->
  ?strategy:strategy ->
  ?direct:bool ->
  ?sync:bool ->
  ?group:int ->
  ?log_limit:int * [ `Fail | `Drop ] ->
  ?engine_network:bool ->
  ?connect_timeout:float ->
  ?timeout:float ->
  string ->
  t answer

val close : ?timeout:float -> t -> unit answer

val with_store :
  ?engine:string ->
  ?name:string ->
  ?strategy:strategy ->
  ?direct:bool ->
  ?sync:bool ->
  ?group:int ->
  ?log_limit:int * [ `Fail | `Drop ] ->
  ?engine_network:bool ->
  ?connect_timeout:float ->
  string ->
  (t -> 'a answer) ->
  'a answer

val with_step :
  ?base:string ->
  ?timeout:float ->
  ?follow:(attempt:int -> string -> unit Lwt.t) ->
  t ->
  id:string ->
  (Step.t -> unit answer) ->
  outcome answer

val begin_step :
  ?base:string ->
  ?timeout:float ->
  ?follow:(attempt:int -> string -> unit Lwt.t) ->
  t ->
  id:string ->
  Step.t option answer

val result : ?timeout:float -> t -> string -> bool answer
val results : ?timeout:float -> t -> result_info list answer
val delete : ?timeout:float -> t -> string -> bool answer
val copy_out : ?timeout:float -> t -> id:string -> string -> (string -> unit Lwt.t) -> int answer
val copy_out_file : ?timeout:float -> t -> id:string -> string -> string -> int answer

(** {1 Publishing, and giving a root up} *)

val tag : ?timeout:float -> t -> id:string -> string -> string option answer

val push :
  ?progress:(Docker_store.Step.progress -> unit Lwt.t) ->
  ?login:Docker_store.Step.login ->
  ?timeout:float ->
  t ->
  id:string ->
  string ->
  string option answer

val save : ?name:string -> ?timeout:float -> t -> id:string -> image_format -> (string -> unit Lwt.t) -> int answer
val save_file : ?name:string -> ?timeout:float -> t -> id:string -> image_format -> string -> int answer

val load :
  ?progress:(Docker_store.Step.progress -> unit Lwt.t) ->
  ?timeout:float ->
  t ->
  id:string ->
  (bytes -> int -> int -> int Lwt.t) ->
  outcome answer

val load_file :
  ?progress:(Docker_store.Step.progress -> unit Lwt.t) -> ?timeout:float -> t -> id:string -> string -> outcome answer

val destroy :
  ?engine:string ->
  ?connect_timeout:float ->
  ?dry_run:bool ->
  ?abandon:bool ->
  ?timeout:float ->
  string ->
  remnant list answer

val find_remains :
  ?engine:string -> ?connect_timeout:float -> ?identity:string -> ?timeout:float -> unit -> remnant list answer

val destroy_remains : ?engine:string -> ?connect_timeout:float -> ?timeout:float -> string -> remnant list answer
val lease : ?owner:int * int -> ?mode:mode -> ?timeout:float -> t -> string -> Lease.t answer
val with_lease : ?owner:int * int -> ?mode:mode -> ?timeout:float -> t -> string -> (Lease.t -> 'a answer) -> 'a answer
val caches : ?timeout:float -> t -> cache_info list answer
val strategy : ?timeout:float -> t -> (strategy * string) answer
val delete_cache : ?timeout:float -> t -> string -> bool answer
val df : ?timeout:float -> t -> free answer
val ping : ?timeout:float -> t -> unit answer
val health : ?timeout:float -> t -> health answer
val purge : ?timeout:float -> t -> purged answer
val complete_deletes : ?timeout:float -> t -> unit answer

(** {1 Bounds} *)

val usage : ?timeout:float -> t -> usage answer

val prune :
  ?most_bytes:int ->
  ?least_free:int ->
  ?least_free_percent:float ->
  ?unused_for:float ->
  ?keep_results:int ->
  ?spare:float ->
  ?results:bool ->
  ?caches:bool ->
  ?logs:bool ->
  ?dry_run:bool ->
  ?each:(Bounds.row -> unit Lwt.t) ->
  ?timeout:float ->
  t ->
  Bounds.report answer

val pin : ?timeout:float -> t -> string -> bool answer
val pin_cache : ?timeout:float -> t -> string -> bool answer
val why_gone : ?timeout:float -> t -> string -> (Bounds.went * float) option answer

(** {1 What does not block} *)

val version : string
val id : name:string -> string list -> string
val root : t -> string
val prefix : t -> string
val state_dir : t -> string
val empty_dir : t -> string
val engine : t -> string
val api_version : t -> string
val log_file : t -> string -> (string, Error.t) result
val building : t -> string -> (bool, Error.t) result
val stats : t -> (stats, Error.t) result
val limit_cache : t -> string -> int option -> (unit, Error.t) result
val unpin : t -> string -> (bool, Error.t) result
val unpin_cache : t -> string -> (bool, Error.t) result
val pins : t -> (Bounds.pin list, Error.t) result
val went : t -> string -> ((Bounds.went * float) option, Error.t) result

(** {1 The library's log} *)

module Log : sig
  val follow : Log.level -> (Log.level -> string -> unit Lwt.t) -> unit answer
  (** Gives the lines of the library's own log (see {!Docker_store.Log}) as they come, for all stores of the process,
      until the promise is cancelled. *)
end

(** {1 OBuilder} *)

module Obuilder = Obuilder
