(** A writable copy of a cache, valid until it is released or discarded. A lease that is garbage-collected is discarded.

    Any number of threads may mount it concurrently. Releasing or discarding it requires exclusive use; a conflicting
    call returns [Busy]. *)

type t

val volume : t -> string
(** Returns the name of the engine's volume, which {!Command.lease} mounts. *)

val generation : t -> int
(** Returns the generation that the lease was cloned from. 0 means that the cache has never been released. *)

type released =
  | Won  (** The lease is now the newest generation of the cache. *)
  | Lost
      (** The lease was discarded: another release came first, the cache was deleted, or something other than this store
          removed the lease's volume. *)
  | Unchanged  (** Nothing in the lease had changed. The cache is unchanged. *)
  | Shared
      (** Other holders still use this shared lease. It is published when the last of them releases or discards it. *)
  | Too_large  (** The cache would exceed its limit. The lease was discarded, and the cache is unchanged. *)

val release : ?timeout:float -> ?cancel:Cancel.t -> t -> (released, Error.t) result
(** Releases the lease. If its files have changed and the cache is still at the generation that was cloned, the lease
    atomically becomes the next generation. Returns [Busy] while a container, running or not, mounts it. After any error
    except [Closed], the lease stays open and can be released again. Blocks for up to [timeout] seconds, or until
    [cancel] is triggered. With the copy strategy this examines every file, or every byte if only the engine can access
    the volume. *)

val discard : t -> (unit, Error.t) result
(** Discards the lease: nothing of it is kept. Does not block. *)

(**/**)

val of_raw : Raw.lease -> t
val raw : t -> Raw.lease
