(** A writable copy of a cache, lent until it is released or discarded. One that is left to the GC is discarded.

    Any number of threads may mount it at once. It is released or discarded by one, with none of the others in between:
    whoever comes then gets [Busy]. *)

type t

val volume : t -> string
(** The name of the engine's volume. {!Command.lease} mounts it. *)

val generation : t -> int
(** The generation that it was cloned from; 0 is a cache that nobody has released yet. *)

type released =
  | Won  (** It is now the newest generation of the cache. *)
  | Lost
      (** The cache is no longer the generation that was cloned: another release came first, or the cache was deleted.
      *)
  | Unchanged  (** Nothing in it had changed, so the cache stays as it is. *)
  | Shared  (** Others still hold this shared lease; the last of them publishes it. *)
  | Too_large  (** With it the cache would hold more than its limit: it is given up, and the cache stays as it is. *)

val release : ?timeout:float -> ?cancel:Cancel.t -> t -> (released, Error.t) result
(** Gives the lease back: if the cache is still at the generation that was cloned, and anything was changed, the lease
    becomes the next generation, atomically. [Busy] while any container mounts it: then, as after most errors, it can be
    released again. Blocks, for [timeout] seconds at most, and until [cancel] is triggered. *)

val discard : t -> (unit, Error.t) result
(** Gives the lease back without keeping anything of it. Does not block. *)

(**/**)

val of_raw : Raw.lease -> t
val raw : t -> Raw.lease
