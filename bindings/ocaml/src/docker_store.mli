(** A build store in Docker, for build tools.

    - {b Results} are images, one for each id.
    - {b Caches} are volumes. A step leases a writable copy, and its release becomes the cache's next version.
    - {b Logs} and your tool's own state are plain files under one root directory.

    A partial result is never recorded, no matter when a process is killed. Any number of threads, domains and processes
    may use one root concurrently.

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

    {1 Rules for every call}

    {b Errors} are values, {!Error.t}. Exceptions signal programming errors only: [Invalid_argument] is raised for a
    number out of range.

    {b Callbacks} run on the calling thread, before the call returns. If a callback raises, the call stops and re-raises
    the exception with its backtrace. A callback may make other calls, except on the step whose call is running it.

    {b Blocking} calls let other OCaml threads run. Signals do not interrupt them: OCaml's signal handlers run when the
    call has returned. To stop a call, give it a timeout (in seconds) or a {!Cancel.t}: it returns within two seconds of
    that, whatever the engine does. With Lwt, use [docker-store-lwt].

    {b Closing} a store, ending a step or releasing a lease while another thread is in a call on it is safe: that call
    completes, or fails with [Closed]. Values that are garbage-collected are released in the background, without
    blocking the GC.

    {b Fork} without exec: in the child, every call on a store, step or lease of the parent returns [Closed]. The child
    may open a store of its own. *)

module Error = Error
module Cancel = Cancel
module Command = Command
module Image_config = Image_config
module Host_files = Host_files
module Host_folder = Host_folder
module Step = Step
module Lease = Lease
module Log = Log

type t
(** An open store. Thread-safe. *)

val version : string
(** The version of the library in use. *)

val id : name:string -> string list -> string
(** [id ~name parts] derives the id of a result from everything that goes into it: from its name and from [parts], such
    as the id of its base, its commands and the digests of the files that it uses. The parts are any bytes, and
    boundaries between parts count. The same name and parts give the same id in every version, from OCaml, C, Python and
    Rust. Different ones give a different id, as far as SHA-256 can tell. An id consists of the readable characters of
    the name (a-z, 0-9 and [-], up to 40), a [-] and 64 hex digits. Every store accepts it.
    @raise Error.E if the name contains a NUL. *)

val get : ('a, Error.t) result -> 'a
(** Returns the value.
    @raise Error.E if there is none. *)

(** {1 Open and close} *)

(** How caches are cloned. *)
type strategy =
  | Overlay  (** A lease is a new layer over the layers of the generation. Takes constant time; Linux engines only. *)
  | Copy  (** A lease is a copy of the generation's files. Works on any engine. *)

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
(** [open_store root] opens the store at the local directory [root]. Creates the directory if its parent exists. Removes
    what terminated processes have left behind.

    @param engine The engine's address, such as ["unix:///var/run/docker.sock"]. The default is [DOCKER_HOST], otherwise
      the current Docker context, otherwise that socket.
    @param name The word that every name on the engine starts with: 1 to 32 characters from a-z and 0-9. The default is
      ["obuilder"], so that OBuilder finds the results.
    @param strategy How caches are cloned. The default is overlay if a probe shows that the engine supports it;
      otherwise copy.
    @param direct Whether the library accesses the files of the engine's volumes directly, if this process can. The
      default is [true]. Otherwise all access goes through the engine's archive calls, which are slower and keep less of
      each file.
    @param sync Whether the files of a released lease are synced to disk before it becomes the next generation. The
      default is [false]. Either way, nothing is lost if a process is killed. After a power failure, a cache is the last
      released generation with sync, and the newest generation that was certainly on disk, about five seconds old,
      without it; see the conventions.
    @param group A group whose members may use the root as its owner may. By default no other user may. Set it the first
      time as the root's owner, who must be in the group; members then open the root with the same group.
    @param log_limit The maximum size of a step's log in bytes, and what happens when it is reached: the step fails, or
      further output is counted and dropped, and the log's last line reports how much. By default only the disk limits
      it.
    @param engine_network Whether the engine itself sets up the network of steps that have no network. The default is
      [false]: the container's runtime does it, if a probe showed that this works, which saves a third of the time of a
      small step. Commands then cannot write to [/etc/hosts].
    @param connect_timeout How many seconds opening may take to reach the engine. The default is 30.
    @param timeout How many seconds the whole call may take. *)

val close : ?timeout:float -> ?cancel:Cancel.t -> t -> (unit, Error.t) result
(** Closes the store and waits for pending removals, for up to ten seconds. Also waits, for up to two seconds, for cache
    layers that are being merged and for released files to reach the disk.

    Calls already running on the store, its steps and its leases continue. Later calls return [Closed], except getters,
    {!log_file}, {!stats}, {!complete_deletes}, {!Step.limit} and {!Lease.discard}. {!Step.abort} cleans up and still
    returns [Closed]. What open steps and leases hold on the engine is removed when they end or are garbage-collected;
    {!complete_deletes} waits for that. Closing a store again is a no-op. *)

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
(** Returns the root directory, with symbolic links resolved. *)

val prefix : t -> string
(** Returns the prefix of every name that this store uses on the engine. *)

val state_dir : t -> string
(** Returns a directory for the caller's own files. *)

val empty_dir : t -> string
(** Returns an empty directory without access permissions. *)

val engine : t -> string
(** Returns the address of the engine. *)

val api_version : t -> string
(** Returns the version of the Engine API in use, such as ["1.41"]. *)

(** {1 Building} *)

type outcome =
  | Hit  (** The result already existed, or another build of the same id created it in the meantime. *)
  | Built  (** This call built the result. *)

val with_step :
  ?base:string ->
  ?timeout:float ->
  ?cancel:Cancel.t ->
  ?follow:(attempt:int -> string -> unit) ->
  t ->
  id:string ->
  (Step.t -> (unit, Error.t) result) ->
  (outcome, Error.t) result
(** [with_step store ?base ~id f] builds [id] on the result [base], or on nothing, by calling [f], unless [id] has
    already been built. If [f] fails or raises, nothing is recorded. Waits while another thread or process builds the
    same id. [timeout] (in seconds) and [cancel] apply to the whole call.

    While it waits for another build, [follow] receives what that build writes to its log, as it is written. The log is
    passed from its start, and is complete if that build creates the result. If there is no build to wait for, [follow]
    is not called. [attempt] counts from 1. If it is higher than before, the previous build ended without a result, and
    this is the start of the next build's log. *)

val begin_step :
  ?base:string ->
  ?timeout:float ->
  ?cancel:Cancel.t ->
  ?follow:(attempt:int -> string -> unit) ->
  t ->
  id:string ->
  (Step.t option, Error.t) result
(** Like {!with_step}, for work that does not fit in one function. Returns [None] if the result already exists.
    Otherwise call {!Step.commit} or {!Step.abort} when done. *)

val log_file : t -> string -> (string, Error.t) result
(** Returns the path of the log of the build of an id, whether the file exists yet or not. The file grows while the
    build runs; another attempt creates a new file. *)

val building : t -> string -> (bool, Error.t) result
(** Returns whether an id is being built, by this process or another. Use it to follow a log: once it is [false],
    everything the build wrote can be read from the log file. Does not block. *)

(** {1 Results} *)

val result : ?timeout:float -> ?cancel:Cancel.t -> t -> string -> (bool, Error.t) result
(** Returns whether an id has been built. Needs one round trip to the engine. A broken connection is an error, never
    [false]. *)

type result_info = {
  id : string;
  created : float;  (** When its image was created, in seconds since 1970. *)
  size : int;  (** In bytes, including layers that it shares with other images. *)
}

val results : ?timeout:float -> ?cancel:Cancel.t -> t -> (result_info list, Error.t) result
(** Lists all results, sorted by id. *)

val delete : ?timeout:float -> ?cancel:Cancel.t -> t -> string -> (bool, Error.t) result
(** Removes a result and its log. Returns [false] if it does not exist. Other tags of the image, and results built on
    it, are kept. Returns [Busy] while it is being built, or if a container outside this store was created from it. *)

val copy_out :
  ?timeout:float -> ?cancel:Cancel.t -> t -> id:string -> string -> (string -> unit) -> (int, Error.t) result
(** [copy_out store ~id path write] passes the file or directory at [path] in the result [id] to [write], as a tar
    stream. Its first entry is named after the last component of [path]. Returns the number of bytes written. Returns
    [Not_found] if the result or the path does not exist. *)

val copy_out_file : ?timeout:float -> ?cancel:Cancel.t -> t -> id:string -> string -> string -> (int, Error.t) result
(** [copy_out_file store ~id path tar] is like {!copy_out}, but writes to the local file [tar], which must not be a
    pipe. The bytes are written to a temporary file next to it, which is renamed to [tar] when it is complete. Until
    then, and after a failure, an existing file is unchanged. *)

val copy_out_host :
  ?timeout:float -> ?cancel:Cancel.t -> t -> id:string -> string -> Host_folder.t -> (int, Error.t) result
(** [copy_out_host store ~id path folder] unpacks the file or directory at [path] in the result [id] into a local
    directory, as {!Step.copy_out_host} does. Returns [Not_found] if the result or the path does not exist. *)

(** {1 Publishing a result} *)

val tag : ?timeout:float -> ?cancel:Cancel.t -> t -> id:string -> string -> (string option, Error.t) result
(** [tag store ~id name] adds the tag [name], ["[HOST[:PORT]/]PATH[:TAG]"], to the result [id], and removes it from any
    other image. Returns the id of the image that had the tag, if any. The tag belongs to the caller: when the result is
    deleted, the tag and its image are kept. Returns [Invalid_argument] if [name] is one that objects of a store use. *)

val push :
  ?progress:(Step.progress -> unit) ->
  ?login:Step.login ->
  ?timeout:float ->
  ?cancel:Cancel.t ->
  t ->
  id:string ->
  string ->
  (string option, Error.t) result
(** [push store ~id name] pushes the result [id] to a registry under [name], which includes the registry. The result
    also gets this tag on the engine, as with {!tag}. The engine sends the image, so the engine must be able to reach
    the registry and trust it. Returns the digest by which the registry knows the image, if the engine reports it. *)

(** The format of a result's file. Both formats are one uncompressed tar stream. *)
type image_format =
  | Docker_archive  (** As written by [docker save]. *)
  | Oci_layout  (** An OCI image layout, with a [manifest.json] for programs that read Docker archives. *)

val save :
  ?name:string ->
  ?timeout:float ->
  ?cancel:Cancel.t ->
  t ->
  id:string ->
  image_format ->
  (string -> unit) ->
  (int, Error.t) result
(** [save store ~id format write] passes the result [id] to [write] as an image file that every engine and {!load} can
    load. Returns the number of bytes written. [name] is the name that the image gets when it is loaded; by default it
    has none. The same image gives the same bytes on every engine. *)

val save_file :
  ?name:string -> ?timeout:float -> ?cancel:Cancel.t -> t -> id:string -> image_format -> string -> (int, Error.t) result
(** Like {!save}, but writes to a local file, which must not be a pipe. Until the file is complete, and after a failure,
    an existing file is unchanged. *)

val load :
  ?progress:(Step.progress -> unit) ->
  ?timeout:float ->
  ?cancel:Cancel.t ->
  t ->
  id:string ->
  (bytes -> int -> int -> int) ->
  (outcome, Error.t) result
(** [load store ~id input] records the image in a Docker archive or an OCI layout, read with a function like
    [Stdlib.input], as the result [id]. If that result already exists, returns [Hit] and reads nothing. The file may be
    compressed with gzip; image names in it are ignored. Returns [Cut_short] if the file is truncated or incomplete, and
    [Invalid_argument] if it contains no image or several. *)

val load_file :
  ?progress:(Step.progress -> unit) ->
  ?timeout:float ->
  ?cancel:Cancel.t ->
  t ->
  id:string ->
  string ->
  (outcome, Error.t) result
(** Like {!load}, but reads a local file. *)

(** {1 Giving a root up} *)

type remnant_kind =
  | Container  (** A container of a step or a copy. *)
  | Image  (** A tag of an image, or an untagged image. *)
  | Volume  (** A volume of a cache, a lease or a secret, or the volume that claims the root's names. *)
  | File  (** A file or directory of the root. *)
  | Engine  (** Everything on an engine that cannot be reached. *)

type fate =
  | Found  (** The call was not asked to remove anything. *)
  | Removed
  | Kept of string  (** It could not be removed, for this reason. *)

(** One object of a root. *)
type remnant = {
  kind : remnant_kind;
  name : string;  (** Its name on the engine, or its path. *)
  identity : string;  (** The identity of the root that it belongs to. *)
  root : string option;  (** The path at which that root claimed its names, if it is known. *)
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
(** [destroy root] destroys the root: removes everything of it from every engine that it was used with, and from the
    disk, including the caller's own files in its state directory. Tags added by {!tag} are kept. With [dry_run],
    nothing is removed. The list gives the reason for each object that could not be removed; the root is then kept as
    well, and the next call continues. Returns [Busy] while a store is open there, in any process; [Not_found] if
    nothing exists there; [Invalid_argument] if it is not a store's root. Returns [Unreachable], and removes nothing, if
    an engine that the root was used with cannot be reached, unless [abandon] is [true]. [engine] is the address of an
    engine whose address has changed. *)

val find_remains :
  ?engine:string ->
  ?connect_timeout:float ->
  ?identity:string ->
  ?timeout:float ->
  ?cancel:Cancel.t ->
  unit ->
  (remnant list, Error.t) result
(** Lists the objects that roots have on an engine, by the identities that the objects carry; with [identity], only
    those of that root. Removes nothing. *)

val destroy_remains :
  ?engine:string ->
  ?connect_timeout:float ->
  ?timeout:float ->
  ?cancel:Cancel.t ->
  string ->
  (remnant list, Error.t) result
(** Removes from an engine what is left of the root with this identity, whose directory no longer exists. Returns [Busy]
    while one of its containers is running, and [Conflict] if the root still exists at its path on the local machine. *)

(** {1 Caches} *)

(** How concurrent leases of one cache relate. *)
type mode =
  | Private
      (** Each lease is a separate copy. Among leases cloned from the same generation, the first release that contains
          changes wins. *)
  | Locked  (** One holder at a time, across all processes. *)
  | Shared
      (** Concurrent holders, in any process, share one lease. When the last holder releases or discards it, it is
          published if any holder released it. Shared and locked leases of a cache wait for each other. *)

val lease :
  ?owner:int * int -> ?mode:mode -> ?timeout:float -> ?cancel:Cancel.t -> t -> string -> (Lease.t, Error.t) result
(** [lease store name] leases a writable copy of the newest generation of the cache [name], any non-empty byte string
    without NUL. A cache that does not exist is created, empty. The copy's root directory is owned by [owner], a user
    and a group; the default is 0 and 0. The default [mode] is [Private]. *)

val with_lease :
  ?owner:int * int ->
  ?mode:mode ->
  ?timeout:float ->
  ?cancel:Cancel.t ->
  t ->
  string ->
  (Lease.t -> ('a, Error.t) result) ->
  ('a, Error.t) result
(** [with_lease store name f] leases a copy and passes it to [f]. Releases it if [f] returns [Ok]; discards it if [f]
    fails or raises. *)

type cache_info = {
  name : string;
  generation : int;  (** The generation that a lease would be cloned from; 0 if the cache has never been released. *)
  strategy : strategy option;  (** What the newest generation consists of; [None] if the cache is empty. *)
  layers : int;  (** The number of its volumes. *)
  bytes : int option;  (** Its disk usage in bytes, if it is known. *)
  created : float;  (** When it was created, in seconds since 1970. *)
  last_use : float;  (** When it was last leased or released. *)
  leases : int;  (** The number of outstanding leases, in all processes. *)
  limit : int option;  (** The size limit in bytes. *)
}

val caches : ?timeout:float -> ?cancel:Cancel.t -> t -> (cache_info list, Error.t) result
(** Lists all caches, sorted by name. *)

val strategy : ?timeout:float -> ?cancel:Cancel.t -> t -> (strategy * string, Error.t) result
(** Returns how caches are cloned, and a human-readable explanation. If this engine has not been probed yet, probes it.
    Returns [Unsupported] if an option requests a strategy that does not work on this engine. *)

val delete_cache : ?timeout:float -> ?cancel:Cancel.t -> t -> string -> (bool, Error.t) result
(** Deletes a cache. Returns [false] if it does not exist. Outstanding leases continue, and their releases are
    discarded. Returns [Busy] if a container outside this store mounts it. *)

val limit_cache : t -> string -> int option -> (unit, Error.t) result
(** [limit_cache store name bytes] sets the size limit of a cache in bytes, or removes it. The limit applies to all
    processes, and may be set before the cache exists. A release that would make the cache exceed the limit gives
    [Lease.Too_large] and is counted; the lease is discarded and the cache is unchanged. Has an effect only if this
    process can access the engine's volumes directly. *)

(** {1 Bounds} *)

module Bounds = Bounds

type usage = {
  results : Bounds.result_usage list;  (** Sorted by id. *)
  caches : (cache_info * bool) list;
      (** Sorted by name, and whether each is pinned. Sizes are known only if they have been counted before. *)
  logs : Bounds.log_usage list;  (** Sorted by id. *)
  leftovers : Bounds.leftovers;
  totals : Bounds.totals;
}

val usage : ?timeout:float -> ?cancel:Cancel.t -> t -> (usage, Error.t) result
(** Collects the disk usage. Needs three lists from the engine. *)

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
(** Reduces the store to the given limits. First, items that were [unused_for] too long (in seconds) are removed. Then,
    while the size exceeds [most_bytes], or less than [least_free] bytes or [least_free_percent] is free on the engine's
    disk, the least recently used items are removed; among equals, the one that was fastest to build. A result is
    removed after the results that were built on it, and at least [keep_results] results are kept. The following are
    also kept: what is being built, the base of a step in progress, what is leased or pinned, and results that were used
    within [spare] seconds. The default of [spare] is one minute if another store has the root open, or if this store
    has reported a result itself; otherwise none.

    By default [results] and [caches] may be removed, and [logs] alone are not. [each] is called with every row as it
    happens; if it raises, the prune stops and re-raises the exception. Each item is tried once. *)

val pin : ?timeout:float -> ?cancel:Cancel.t -> t -> string -> (bool, Error.t) result
(** Pins a result, whether it exists or not: no prune of any process removes it. Returns [false] if it was already
    pinned. *)

val unpin : t -> string -> (bool, Error.t) result
(** Removes a pin. Returns [false] if there was none. *)

val pin_cache : ?timeout:float -> ?cancel:Cancel.t -> t -> string -> (bool, Error.t) result
val unpin_cache : t -> string -> (bool, Error.t) result

val pins : t -> (Bounds.pin list, Error.t) result
(** Lists all pins: results sorted by id, then caches sorted by name. *)

val went : t -> string -> ((Bounds.went * float) option, Error.t) result
(** Returns how a result was removed, and when, if it once existed and no longer does. Remembered for thirty days. *)

val why_gone : ?timeout:float -> ?cancel:Cancel.t -> t -> string -> ((Bounds.went * float) option, Error.t) result
(** Does what {!went} does, and asks the engine if the store has no record of how the result went. So it also reports a
    result that another program removed on the engine. *)

(** {1 Upkeep} *)

type free = {
  percent : float;  (** The lower of the other two. *)
  root_percent : float;  (** Free space on the file system of the root. *)
  engine_percent : float option;
      (** Free space on the file system of the engine's data, if it is on the local machine and accessible. *)
}

val df : ?timeout:float -> ?cancel:Cancel.t -> t -> (free, Error.t) result
(** Returns the free space in percent, like df(1) reversed: the available space as a share of used plus available space.
    Space reserved for the superuser is not counted. *)

val ping : ?timeout:float -> ?cancel:Cancel.t -> t -> (unit, Error.t) result
(** Checks whether the engine answers, in one round trip. If the engine was upgraded or replaced since the last call,
    its API version is used from now on. *)

type trouble = {
  what : string;  (** The problem, as one human-readable line. *)
  advice : string;  (** What to do about it. *)
}

type health = {
  engine : string;  (** ["Docker"], ["Podman"], or what it reports. *)
  engine_version : string;
  api_version : string;  (** The version of the Engine API in use. *)
  newest_api_version : string;  (** The newest version that the engine supports. *)
  address : string;
  image_store : string;  (** Its storage driver, or ["containerd (overlayfs)"]. *)
  strategy : strategy option;  (** How caches are cloned; [None] if they cannot be cloned. *)
  strategy_reason : string;
  network : string;  (** What sets up the network of steps without a network, and why. *)
  clock_ahead : float option;
      (** By how many seconds the engine's clock is ahead of the local clock, if it is known. *)
  free : free;
  troubles : trouble list;
}

val health : ?timeout:float -> ?cancel:Cancel.t -> t -> (health, Error.t) result
(** Collects the state of the engine, how this store uses it, and a list of problems. If the engine does not answer,
    returns an error. What is only slow or missing is among the problems. *)

type stats = {
  result_hits : int;  (** Builds whose result already existed. *)
  result_misses : int;
  results_committed : int;
  cache_hits : int;  (** Leases of a cache that had contents. *)
  cache_misses : int;
  clones_overlay : int;
  clones_copy : int;
  bytes_copied : int;
  clone_seconds : float;
  release_seconds : float;
  releases_won : int;
  releases_lost : int;
  releases_unchanged : int;
  deferred_deletes : int;
      (** Volumes and containers removed in the background, after the call that queued them had returned. *)
  releases_too_large : int;  (** Releases discarded because the cache would exceed its limit. *)
}
(** What a store counts from when it is opened. Each handle has its own counters. *)

val stats : t -> (stats, Error.t) result

type purged = { containers : int; images : int; volumes : int }

val purge : ?timeout:float -> ?cancel:Cancel.t -> t -> (purged, Error.t) result
(** Removes what terminated processes have left behind, as opening does. What a running process holds is kept. *)

val complete_deletes : ?timeout:float -> ?cancel:Cancel.t -> t -> (unit, Error.t) result
(** Waits until everything queued for removal (from steps, leases and deleted caches) is gone from the engine. *)
