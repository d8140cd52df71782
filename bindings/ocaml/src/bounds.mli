(** The disk usage of a store, and its reduction. See {!Docker_store.usage} and {!Docker_store.prune}. *)

(** {1 Usage} *)

type result_usage = {
  id : string;
  image : string;  (** The engine's id of its image. *)
  base : string option;
      (** The result that it was built on, whether that still exists or not; [None] if it was built on nothing or the
          base is unknown. *)
  own_bytes : int;  (** Its size without its base. *)
  bytes : int;  (** Its size, including layers that it shares with other images. *)
  created : float;  (** When its image was created, in seconds since 1970. *)
  last_use : float;  (** When it was last committed, found, built on or copied out of. *)
  build_seconds : float option;  (** How long it took to build, if it is known. *)
  log_bytes : int;
  pinned : bool;
  building : bool;  (** Whether this id was being built, by this process or another. *)
  held : bool;  (** Whether a step in progress was built on it. *)
}

type log_usage = { log : string;  (** The id of the build. *) log_length : int; written : float; has_result : bool }

type leftovers = { containers : int; images : int; volumes : int }
(** Objects that terminated processes have left behind, and that a purge removes. *)

type totals = {
  results : int;
      (** The size of all results. Layers that results share are counted once, and layers of untagged bases are
          included. *)
  caches : int;  (** The size of all caches, as far as it is known. *)
  logs : int;
  results_unknown : int;
      (** The number of results for which it is unknown what they share; each of them is counted in full. *)
  caches_unknown : int;  (** The number of caches whose size is unknown; they are not in the sum. *)
  how : string;  (** A human-readable text that says how the sums were computed. *)
}

(** {1 Prunes} *)

type item = Result of string | Cache of string | Log of string

(** What a prune did with an item. *)
type fate =
  | Removed  (** In a dry run, it would be removed. *)
  | Gone  (** Another caller or process removed it in the meantime. *)
  | Spared  (** It must be kept. *)
  | Failed  (** It could not be removed. *)

type row = {
  item : item;
  bytes : int;  (** The space that its removal frees. *)
  last_use : float;
  fate : fate;
  why : string;  (** Why it was kept, or [""]. *)
}

type report = {
  rows : row list;  (** Items that must be kept come first, then the items that it tried to remove, in that order. *)
  freed : int option;
      (** By how many bytes the free space on the engine's disk has grown; [None] if that disk is not accessible, and in
          a dry run. *)
  kept : int;  (** The size of what is kept, of the kinds that may be removed. *)
  reached : bool;  (** Whether all limits are met or, in a dry run, would be. *)
}

(** {1 Pins} *)

type pin = { pinned : item; since : float }

(** How a result that no longer exists was removed. *)
type went = Deleted | Pruned | Vanished  (** [Vanished]: removed from the engine by something other than a store. *)

(**/**)

val item_of : int -> string -> item
val fate_of : int -> fate
val went_of : int -> went option
