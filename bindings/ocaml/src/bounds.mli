(** What takes the space of a store, and what is to become of it. See {!Docker_store.usage} and {!Docker_store.prune}. *)

(** {1 Usage} *)

type result_usage = {
  id : string;
  image : string;  (** The engine's id of its image. *)
  base : string option;
      (** The result that it was built on, whether that is still there or not; [None] for nothing, or where nobody knows. *)
  own_bytes : int;  (** What it holds beside what its base holds. *)
  bytes : int;  (** All of it, counting layers that it shares with others. *)
  created : float;  (** When its image was made, in seconds since 1970. *)
  last_use : float;  (** When it was committed, found, begun with or copied out of last. *)
  build_seconds : float option;  (** How long it took to build, where that was recorded. *)
  log_bytes : int;
  pinned : bool;
  building : bool;  (** Somebody builds this id now. *)
  held : bool;  (** A step under way is built on it. *)
}

type log_usage = { log : string;  (** Of which id. *) log_length : int; written : float; has_result : bool }

type leftovers = { containers : int; images : int; volumes : int }
(** What dead processes left, and a purge removes. *)

type totals = {
  results : int;  (** Layers that results share counted once, also those of bases that have lost their name. *)
  caches : int;  (** As far as that is known. *)
  logs : int;
  results_unknown : int;  (** Results of which nobody knows what they share: each is counted as a whole. *)
  caches_unknown : int;  (** Caches whose bytes nobody has counted yet: they are not in the sum. *)
  how : string;  (** How the sums were found, in words. *)
}

(** {1 Prunes} *)

type item = Result of string | Cache of string | Log of string

(** What became of something that a prune looked at. *)
type fate =
  | Removed  (** In a dry run: it would be. *)
  | Gone  (** Somebody else removed it meanwhile. *)
  | Spared  (** It must stay. *)
  | Failed  (** It could not be removed. *)

type row = {
  item : item;
  bytes : int;  (** What goes with it. *)
  last_use : float;
  fate : fate;
  why : string;  (** Why it stayed. *)
}

type report = {
  rows : row list;  (** First what had to stay, then what was tried, in that order. *)
  freed : int option;
      (** By how many bytes the engine's disk has more free than before; [None] where it is not in sight, and in a dry run. *)
  kept : int;  (** Bytes kept now of the kinds that may go. *)
  reached : bool;  (** Whether all that was asked for is reached. *)
}

(** {1 Pins} *)

type pin = { pinned : item; since : float }

(** How a result that is not there any more has gone. *)
type went = Deleted | Pruned | Vanished  (** Removed on the engine, past the store. *)

(**/**)

val item_of : int -> string -> item
val fate_of : int -> fate
val went_of : int -> went option
