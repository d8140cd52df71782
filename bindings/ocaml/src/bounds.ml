type result_usage = {
  id : string;
  image : string;
  base : string option;
  own_bytes : int;
  bytes : int;
  created : float;
  last_use : float;
  build_seconds : float option;
  log_bytes : int;
  pinned : bool;
  building : bool;
  held : bool;
}

type log_usage = { log : string; log_length : int; written : float; has_result : bool }
type leftovers = { containers : int; images : int; volumes : int }

type totals = {
  results : int;
  caches : int;
  logs : int;
  results_unknown : int;
  caches_unknown : int;
  how : string;
}

type item = Result of string | Cache of string | Log of string
type fate = Removed | Gone | Spared | Failed
type row = { item : item; bytes : int; last_use : float; fate : fate; why : string }
type report = { rows : row list; freed : int option; kept : int; reached : bool }
type pin = { pinned : item; since : float }
type went = Deleted | Pruned | Vanished

let unknown what code = failwith (Printf.sprintf "Docker_store: the library told of an unknown %s, %d" what code)

(* enum dstore_item *)
let item_of code name =
  match code with
  | 1 -> Result name
  | 2 -> Cache name
  | 3 -> Log name
  | other -> unknown "item" other

(* enum dstore_fate *)
let fate_of = function
  | 1 -> Removed
  | 2 -> Gone
  | 3 -> Spared
  | 4 -> Failed
  | other -> unknown "fate" other

(* enum dstore_went *)
let went_of = function
  | 0 -> None
  | 1 -> Some Deleted
  | 2 -> Some Pruned
  | 3 -> Some Vanished
  | other -> unknown "way to go" other
