(** A build store in Docker, for build tools.

    - {b Results} are images, one for each id.
    - {b Caches} are volumes, lent to a step as a private writable copy and taken back as the next version.
    - {b Logs} and your tool's own state are plain files under one root directory.

    Nothing half-made is ever recorded, whatever is killed when. Any number of threads, domains and processes may use
    one root at once.

    {[
      open Docker_store

      let ( let* ) = Result.bind

      let build store =
        with_lease store "compiler" @@ fun ccache ->
        with_step store ~base:"base" ~id:"app" @@ fun step ->
        let make = Command.make ~mounts:[ Command.lease ccache "/root/.ccache" ] [ "make"; "-C"; "/src" ] in
        let* _exit_code = Step.run step make ~output:(fun _ text -> print_string text) in
        Ok ()

      let () = ignore (get (with_store "/var/cache/mytool" build))
    ]}

    {1 What holds for every call}

    {b Errors} are values, {!Error.t}. Exceptions are for misuse alone: [Invalid_argument] for a number that makes no
    sense.

    {b Callbacks} run during the call that was given them, on the thread that made it. What one raises ends that call,
    which then raises the same, backtrace and all. They may make other calls, but not on the step that they are in.

    {b Blocking} calls let other OCaml threads run meanwhile. No signal ends them: OCaml's signal handlers run when the
    call has returned. To end one, give it a timeout (in seconds) or a {!Cancel.t}: it returns within two seconds of
    that, whatever the engine does. With Lwt, use [docker-store-lwt].

    {b Closing} a store, ending a step or releasing a lease while another thread is in a call on it is safe: that call
    ends, or fails with [Closed]. What is left to the GC is given up in the background, which never blocks the GC.

    {b Fork} without exec: the child must use none of these objects. *)

module Error = Error
module Cancel = Cancel
module Command = Command
module Image_config = Image_config
module Host_files = Host_files
module Step = Step
module Lease = Lease
module Log = Log

type t
(** An open store. All its calls may be made by any number of threads at once. *)

val version : string
(** The version of the library that runs. *)

val id : name:string -> string list -> string
(** [id ~name parts] makes the id of a result of all that goes into it: of its name and of [parts], such as the id of its
    base, its commands and the digests of the files that it takes. The parts are any bytes, and where a part ends counts. The
    same name and parts give the same id in every version, from OCaml, C and Rust; others give another one, as far as
    SHA-256 tells. It is what is readable of the name (a-z, 0-9 and [-], at most 40 characters), [-] and 64 hex digits,
    which any store takes.
    @raise Error.E where the name has a zero byte in it. *)

val get : ('a, Error.t) result -> 'a
(** The value.
    @raise Error.E where there is none. *)

(** {1 Open and close} *)

(** How caches are cloned. *)
type strategy =
  | Overlay  (** A lease is a new layer over the layers of the generation: constant in time, Linux engines only. *)
  | Copy  (** A lease is a copy of the generation's files: any engine. *)

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
  ?cancel:Cancel.t ->
  string ->
  (t, Error.t) result
(** [open_store root] opens the store at the directory [root], which is made if its parent exists, and removes what dead
    processes left behind.

    @param engine
      The engine's address, such as ["unix:///var/run/docker.sock"]. By default [DOCKER_HOST], else the current docker
      context, else that socket.
    @param name
      The word in front of every name on the engine: ["obuilder"] by default, so that OBuilder finds the results.
    @param strategy By default overlay where the engine can, found out by trying; else copy.
    @param direct
      Whether the files of the engine's volumes may be used directly where this process can reach them; by default they
      may. Otherwise all goes through the engine's archive calls, which are slower and keep less of each file.
    @param sync
      Whether the files of a released lease are synced to disk before it becomes the next generation; by default not.
      A killed process loses nothing either way. After a power failure a cache is what was released last with it, and
      without it the newest generation that was certainly on disk, about five seconds before; see the conventions.
    @param group
      A group whose members may use the root as its owner may; by default nobody else may. Asked for once, by the root's
      owner, who must be in the group; members open it with the same.
    @param log_limit
      The most bytes that the log of a step may have, and what then: the step fails, or the rest is counted and dropped,
      and the log's last line says how much that was. By default as many as the disk has.
    @param engine_network
      Whether the engine itself is to set up the network of steps that have none; by default the container's runtime
      does, where that was tried and behaves: a third less time for a small step. [/etc/hosts] cannot be written to
      then.
    @param connect_timeout How many seconds opening may take to reach the engine; 30 by default.
    @param timeout How many seconds all of it may take. *)

val close : ?timeout:float -> ?cancel:Cancel.t -> t -> (unit, Error.t) result
(** Waits for removals under way, and for at most two seconds for caches (merges, and released files on their way to
    the disk), and ends the session: calls of the engine, by the store, its steps and its leases,
    give [Closed] from then on. What steps and leases still hold is given up as they end; {!complete_deletes} waits for
    that even then. To close once more does nothing. *)

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
  (t -> ('a, Error.t) result) ->
  ('a, Error.t) result
(** [with_store root f] opens the store, and closes it when [f] has returned or raised. *)

val root : t -> string
(** The root directory, without symbolic links. *)

val prefix : t -> string
(** What every name of this store on the engine begins with. *)

val state_dir : t -> string
(** A directory for the caller's own files. *)

val empty_dir : t -> string
(** A directory that is empty and that nobody may enter. *)

val engine : t -> string
(** The address of the engine. *)

val api_version : t -> string
(** The version of the Engine API that is spoken, such as ["1.41"]. *)

(** {1 Building} *)

type outcome =
  | Hit  (** The result was there before, or another build of the same id made it meanwhile. *)
  | Built  (** This call built it. *)

val with_step :
  ?base:string ->
  ?timeout:float ->
  ?cancel:Cancel.t ->
  ?follow:(attempt:int -> string -> unit) ->
  t ->
  id:string ->
  (Step.t -> (unit, Error.t) result) ->
  (outcome, Error.t) result
(** [with_step store ?base ~id f] does the work [f] on the result [base], or on nothing, and records it as [id]; unless
    [id] has been built. If [f] fails or raises, nothing is recorded. Waits while anybody else, in this process or
    another, builds the same id. [timeout] (in seconds) and [cancel] hold for all of it.

    [follow] is given what the build that is waited for writes to its log, as it is written: all of it, from its start,
    and whole where that makes the result; nothing where nobody is waited for. [attempt] counts from 1. Where it is
    higher than before, the build before ended without a result, and this is from the start of another one's log. *)

val begin_step :
  ?base:string ->
  ?timeout:float ->
  ?cancel:Cancel.t ->
  ?follow:(attempt:int -> string -> unit) ->
  t ->
  id:string ->
  (Step.t option, Error.t) result
(** The same without [f], for who cannot do the work in one function: [None] is a hit. Then [Step.commit] or
    [Step.abort]. *)

val log_file : t -> string -> (string, Error.t) result
(** The path of the log of the build of an id, whether it exists yet or not. It grows while the build runs, and another
    try makes a new file. *)

val building : t -> string -> (bool, Error.t) result
(** Whether somebody, in this process or another, builds an id now. Does not block. *)

(** {1 Results} *)

val result : ?timeout:float -> ?cancel:Cancel.t -> t -> string -> (bool, Error.t) result
(** Whether an id has been built: one round trip to the engine. A broken connection is an error, never [false]. *)

type result_info = {
  id : string;
  created : float;  (** When its image was made, in seconds since 1970. *)
  size : int;  (** In bytes, counting layers that it shares with others. *)
}

val results : ?timeout:float -> ?cancel:Cancel.t -> t -> (result_info list, Error.t) result
(** All results, by id. *)

val delete : ?timeout:float -> ?cancel:Cancel.t -> t -> string -> (bool, Error.t) result
(** Removes a result and its log; [false] where there was none. [Busy] while it is being built, or where a container of
    somebody else's is made of it. *)

val copy_out :
  ?timeout:float -> ?cancel:Cancel.t -> t -> id:string -> string -> (string -> unit) -> (int, Error.t) result
(** [copy_out store ~id path write] writes the file or directory at [path] of the result [id] as a tar stream, whose
    first entry is the last component of [path], and gives how many bytes that were. *)

val copy_out_file : ?timeout:float -> ?cancel:Cancel.t -> t -> id:string -> string -> string -> (int, Error.t) result
(** [copy_out_file store ~id path tar]: the same to a file of this machine, which is removed if not all can be written.
*)

(** {1 Publishing a result} *)

val tag : ?timeout:float -> ?cancel:Cancel.t -> t -> id:string -> string -> (string option, Error.t) result
(** [tag store ~id name] gives the result [id] the further name [name], ["[HOST[:PORT]/]PATH[:TAG]"], taking it from
    whatever image had it: the id of that one, if there was another. The name is the caller's: it stays when the result
    is deleted. One that objects of a store have is [Invalid_argument]. *)

val push :
  ?progress:(Step.progress -> unit) ->
  ?login:Step.login ->
  ?timeout:float ->
  ?cancel:Cancel.t ->
  t ->
  id:string ->
  string ->
  (string option, Error.t) result
(** [push store ~id name] pushes the result [id] to the registry that [name] says, under which it is given that name on
    the engine, too; and gives the digest that the registry knows it by, where the engine tells. The engine sends it, and
    is who must reach and believe the registry. *)

(** The form of a result's file. *)
type image_format =
  | Docker_archive  (** As [docker save] writes it. *)
  | Oci_layout  (** An OCI image layout, with a [manifest.json] for who takes docker archives. *)

val save :
  ?name:string ->
  ?timeout:float ->
  ?cancel:Cancel.t ->
  t ->
  id:string ->
  image_format ->
  (string -> unit) ->
  (int, Error.t) result
(** [save store ~id format write] writes the result [id] as a file that every engine loads, and gives how many bytes that
    were. [name] is what who loads it will call the image. The same image gives the same bytes, whatever engine has it. *)

val save_file :
  ?name:string -> ?timeout:float -> ?cancel:Cancel.t -> t -> id:string -> image_format -> string -> (int, Error.t) result
(** The same to a file of this machine, which is removed if not all can be written. *)

val load :
  ?progress:(Step.progress -> unit) ->
  ?timeout:float ->
  ?cancel:Cancel.t ->
  t ->
  id:string ->
  (bytes -> int -> int -> int) ->
  (outcome, Error.t) result
(** [load store ~id input] records the image in a docker archive or an OCI layout, read as by [Stdlib.input], as the result
    [id]; unless that is there, in which case nothing is read. Names in the file are passed over. One that is cut short or
    lacks a part is [Cut_short]. *)

val load_file :
  ?progress:(Step.progress -> unit) ->
  ?timeout:float ->
  ?cancel:Cancel.t ->
  t ->
  id:string ->
  string ->
  (outcome, Error.t) result
(** The same from a file of this machine. *)

(** {1 Giving a root up} *)

type remnant_kind =
  | Container  (** Of a step or a copy. *)
  | Image  (** A name of an image, or an image without one. *)
  | Volume  (** Of a cache, a lease, a secret, or the claim on the root's names. *)
  | File  (** A file or folder of the root. *)
  | Engine  (** All that an engine has which cannot be asked. *)

type fate =
  | Found  (** Nothing was to be removed. *)
  | Removed
  | Kept of string  (** It is there still, for this reason. *)

(** One thing of a root. *)
type remnant = {
  kind : remnant_kind;
  name : string;  (** On the engine, or its path. *)
  identity : string;  (** Of the root that it is of. *)
  root : string option;  (** Where that was when it claimed its names, where that is known. *)
  engine : string;  (** The address of the engine that has it; [""] for a file. *)
  fate : fate;
}

val destroy :
  ?engine:string ->
  ?connect_timeout:float ->
  ?dry_run:bool ->
  ?abandon:bool ->
  ?timeout:float ->
  ?cancel:Cancel.t ->
  string ->
  (remnant list, Error.t) result
(** [destroy root] removes everything of a root from every engine that it was used with, and from the disk, the caller's
    own files in its state directory, too; with [dry_run] it only looks. What cannot be removed is told with its reason:
    then the root stays, too, and the next call goes on. [Busy] while a store is open there, in any process;
    [Unreachable] where an engine cannot be asked that the root was used with, and nothing was removed, unless it is to be
    [abandon]ed. [engine] is where one is that has another address now. *)

val find_remains :
  ?engine:string ->
  ?connect_timeout:float ->
  ?identity:string ->
  ?timeout:float ->
  ?cancel:Cancel.t ->
  unit ->
  (remnant list, Error.t) result
(** What roots have on an engine, by the identities that the objects carry. Nothing is removed. *)

val destroy_remains :
  ?engine:string ->
  ?connect_timeout:float ->
  ?timeout:float ->
  ?cancel:Cancel.t ->
  string ->
  (remnant list, Error.t) result
(** Removes what is left of a root whose directory is gone, by its identity. [Busy] while a container of it runs;
    [Conflict] where the root is on this machine, where it was. *)

(** {1 Caches} *)

(** How leases of one cache that are out at the same time relate. *)
type mode =
  | Private
      (** Each is a copy of its own; of those cloned from one generation, the first changed one that is released wins.
      *)
  | Locked  (** One holder at a time, in all processes. *)
  | Shared
      (** Those who hold a lease at the same time, in all processes, hold the same one; the last release publishes it.
      *)

val lease :
  ?owner:int * int -> ?mode:mode -> ?timeout:float -> ?cancel:Cancel.t -> t -> string -> (Lease.t, Error.t) result
(** [lease store name] lends a writable copy of the newest generation of the cache [name], which is any bytes but none
    and no zero byte. A cache that does not exist is created, empty. The copy's root directory belongs to [owner], a
    user and a group; by default 0 and 0. [mode] is [Private] by default. *)

val with_lease :
  ?owner:int * int ->
  ?mode:mode ->
  ?timeout:float ->
  ?cancel:Cancel.t ->
  t ->
  string ->
  (Lease.t -> ('a, Error.t) result) ->
  ('a, Error.t) result
(** [with_lease store name f] lends a copy to [f], and releases it when [f] has returned [Ok]; when it has failed or
    raised, the copy is discarded. *)

type cache_info = {
  name : string;
  generation : int;  (** That a lease would be cloned from; 0 where none was released yet. *)
  strategy : strategy option;  (** What the newest generation is made of; [None] for one that has nothing in it. *)
  layers : int;  (** How many volumes. *)
  bytes : int option;  (** How many bytes it has on disk, where that is known. *)
  created : float;  (** In seconds since 1970. *)
  last_use : float;  (** When it was last lent or released. *)
  leases : int;  (** How many are out, in all processes. *)
  limit : int option;  (** The most bytes that it may hold. *)
}

val caches : ?timeout:float -> ?cancel:Cancel.t -> t -> (cache_info list, Error.t) result
(** All caches, by name. *)

val strategy : ?timeout:float -> ?cancel:Cancel.t -> t -> (strategy * string, Error.t) result
(** How caches are cloned, and why so, for people. Found out on this engine if nobody has yet. *)

val delete_cache : ?timeout:float -> ?cancel:Cancel.t -> t -> string -> (bool, Error.t) result
(** Removes a cache; [false] where there was none. Leases in flight go on, and their releases are discarded. [Busy]
    where a container that is not of this store mounts it. *)

val limit_cache : t -> string -> int option -> (unit, Error.t) result
(** [limit_cache store name bytes] gives a cache a limit of its own, or takes it away; for all processes, also where the
    cache is not there yet. What is released and would make it hold more is given up ([Lease.Too_large], which is
    counted), and the cache stays as it was. Only where this process reaches the engine's volumes as files. *)

(** {1 Bounds} *)

module Bounds = Bounds

type usage = {
  results : Bounds.result_usage list;  (** By id. *)
  caches : (cache_info * bool) list;  (** By name, and whether each is pinned; bytes where somebody has counted them. *)
  logs : Bounds.log_usage list;  (** By id. *)
  leftovers : Bounds.leftovers;
  totals : Bounds.totals;
}

val usage : ?timeout:float -> ?cancel:Cancel.t -> t -> (usage, Error.t) result
(** What takes the space. Three listings of the engine's, whatever it has. *)

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
  ?each:(Bounds.row -> unit) ->
  ?timeout:float ->
  ?cancel:Cancel.t ->
  t ->
  (Bounds.report, Error.t) result
(** Brings the store to its bounds. First goes what was [unused_for] too long; then, while there is more than [most_bytes]
    or less free on the engine's disk than [least_free] bytes or [least_free_percent], what was used the longest ago, and
    among equals what was built in the shortest time. A result goes after those that were built on it, and so many stay as
    [keep_results] says. What is being built stays, and the base of a step under way, what is leased or pinned, and results
    that were used within [spare] seconds: a minute by default, while others have the root open or this store has told of
    a result itself.

    [results] and [caches] may go, [logs] by themselves only where that is asked for. [each] hears of every row as it
    comes; what it raises ends the prune, and is raised again. Each thing is tried once. *)

val pin : ?timeout:float -> ?cancel:Cancel.t -> t -> string -> (bool, Error.t) result
(** Pins a result, whether it is there or not: no prune of any process removes it. [false]: it was pinned before. *)

val unpin : t -> string -> (bool, Error.t) result
(** [false]: it was not pinned. *)

val pin_cache : ?timeout:float -> ?cancel:Cancel.t -> t -> string -> (bool, Error.t) result
val unpin_cache : t -> string -> (bool, Error.t) result

val pins : t -> (Bounds.pin list, Error.t) result
(** Results by id, then caches by name. *)

val went : t -> string -> ((Bounds.went * float) option, Error.t) result
(** How a result has gone, and when, if it was there once and is not any more; remembered for thirty days. *)

val why_gone : ?timeout:float -> ?cancel:Cancel.t -> t -> string -> ((Bounds.went * float) option, Error.t) result
(** Does what {!went} does, and asks the engine if the store has no record of how the result went. So it also reports a
    result that another program removed on the engine. *)

(** {1 Upkeep} *)

type free = {
  percent : float;  (** The scarcer of the other two. *)
  root_percent : float;  (** Of the file system of the root. *)
  engine_percent : float option;  (** Of that of the engine's data, where it is on this machine. *)
}

val df : ?timeout:float -> ?cancel:Cancel.t -> t -> (free, Error.t) result
(** How much space is free, in percent as df(1) has it: what is available of what is used and available. *)

val ping : ?timeout:float -> ?cancel:Cancel.t -> t -> (unit, Error.t) result
(** Asks whether the engine answers: one round trip. One that was upgraded or replaced since the last call is spoken to in
    its own version from now on. *)

type trouble = {
  what : string;  (** What is not as well as it could be, in one line for a person. *)
  advice : string;  (** What to do about it. *)
}

type health = {
  engine : string;  (** ["Docker"], ["Podman"], or what else it calls itself. *)
  engine_version : string;
  api_version : string;  (** That is spoken with it now. *)
  newest_api_version : string;  (** That it speaks. *)
  address : string;
  image_store : string;  (** Its storage driver, or ["containerd (overlayfs)"]. *)
  strategy : strategy option;  (** How caches are cloned; [None] where they cannot be. *)
  strategy_reason : string;
  network : string;  (** Who sets up the network of steps that have none, and why. *)
  clock_ahead : float option;
      (** By how many seconds the engine's clock is ahead of this machine's, where that is known. *)
  free : free;
  troubles : trouble list;
}

val health : ?timeout:float -> ?cancel:Cancel.t -> t -> (health, Error.t) result
(** How the engine is, how the store gets along with it, and what is not as well as it could be. An engine that does not
    answer is an error; what is merely slow or missing is among the troubles. *)

type stats = {
  result_hits : int;  (** Builds that found their result there. *)
  result_misses : int;
  results_committed : int;
  cache_hits : int;  (** Leases of a cache that had something in it. *)
  cache_misses : int;
  clones_overlay : int;
  clones_copy : int;
  bytes_copied : int;
  clone_seconds : float;
  release_seconds : float;
  releases_won : int;
  releases_lost : int;
  releases_unchanged : int;
  deferred_deletes : int;  (** Volumes and containers removed after the call that gave them up had returned. *)
  releases_too_large : int;  (** Releases given up because the cache would hold more than its limit. *)
}
(** What a store counts from the moment it is opened, for this handle alone. *)

val stats : t -> (stats, Error.t) result

type purged = { containers : int; images : int; volumes : int }

val purge : ?timeout:float -> ?cancel:Cancel.t -> t -> (purged, Error.t) result
(** Removes what dead processes left, as opening does. What a live process holds stays. *)

val complete_deletes : ?timeout:float -> ?cancel:Cancel.t -> t -> (unit, Error.t) result
(** Waits until everything that was given up (steps, leases, deleted caches) has left the engine. *)
