(** [docker-store] without blocking the event loop.

    This module is complete by itself: everything that a program needs of {!Docker_store} is also here. The whole module
    is also available as {!Blocking}, for programs that have a [Docker_store] of their own, as OBuilder has. The
    functions mirror {!Blocking} and use the same stores, leases and commands, so both can be mixed. Each call occupies
    one thread of this library until it returns. The number of threads is unlimited, because calls may wait for each
    other. Limit the number of concurrent builds yourself.

    {b Cancelling} the promise of a call that queries the engine (except the end of a step) stops the call. The promise
    is resolved only when the call has returned: with [Lwt.Canceled] if the call was interrupted, otherwise with its
    result.

    {b Callbacks} run in the thread of the event loop, one at a time and in order, before the promise is resolved. The
    call waits for the promise of each callback. If that promise fails, the call stops, and its own promise fails with
    the same exception.

    An event loop must be running for calls with callbacks to return. *)

open Docker_store

module Blocking = Docker_store
(** All of [docker-store]. Its records and variants are defined there. *)

module Error = Docker_store.Error
module Cancel = Docker_store.Cancel
module Command = Docker_store.Command
module Image_config = Docker_store.Image_config
module Bounds = Docker_store.Bounds

type 'a answer = ('a, Error.t) result Lwt.t

val get : ('a, Error.t) result -> 'a
(** Returns the value.
    @raise Error.E if there is none. *)

val get_lwt : 'a answer -> 'a Lwt.t
(** Like {!get}, for a promise, which fails with [Error.E]. *)

(** {1 Steps} *)

module Step : sig
  (** See {!Docker_store.Step}. *)

  type t

  val id : t -> string

  val cancel : t -> unit
  (** Stops the step's current call, which returns [Cancelled]; the step can then only be aborted. *)

  val run : ?output:(Step.channel -> string -> unit Lwt.t) -> t -> Command.t -> int answer
  val was_started : t -> bool
  val write_log : t -> string -> unit answer
  val commit : t -> unit answer
  val abort : t -> unit answer

  val import : ?progress:(Step.progress -> unit Lwt.t) -> t -> (bytes -> int -> int -> int Lwt.t) -> unit answer
  (** The stream is read with a function like [Lwt_io.read_into]. *)

  val import_file : ?progress:(Step.progress -> unit Lwt.t) -> t -> string -> unit answer
  val pull : ?progress:(Step.progress -> unit Lwt.t) -> ?login:Step.login -> ?platform:string -> t -> string -> unit answer
  val load : ?progress:(Step.progress -> unit Lwt.t) -> t -> (bytes -> int -> int -> int Lwt.t) -> unit answer
  val load_file : ?progress:(Step.progress -> unit Lwt.t) -> t -> string -> unit answer

  val configure : t -> Image_config.t -> (unit, Error.t) result
  (** Does not block. *)

  val use_image : t -> string -> unit answer
  val copy_in : t -> string -> (bytes -> int -> int -> int Lwt.t) -> unit answer
  val copy_in_file : t -> string -> string -> unit answer
  val copy_in_host : t -> string -> Host_files.t -> string answer
  val copy_out : t -> string -> (string -> unit Lwt.t) -> int answer
  val copy_out_file : t -> string -> string -> int answer
  val copy_out_host : t -> string -> Host_folder.t -> int answer
end

(** {1 Leases} *)

module Lease : sig
  (** See {!Docker_store.Lease}. *)

  type t = Lease.t

  val volume : t -> string
  val generation : t -> int

  val release : ?timeout:float -> t -> Lease.released answer
  (** If it is cancelled, the lease stays open. *)

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
val copy_out_host : ?timeout:float -> t -> id:string -> string -> Host_folder.t -> int answer

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
  (** Passes the lines of the library's own log (see {!Docker_store.Log}) to the function as they arrive, for all stores
      of the process, until the promise is cancelled. *)
end

(** {1 OBuilder} *)

module Obuilder = Obuilder
