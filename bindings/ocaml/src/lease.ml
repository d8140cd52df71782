type t = { raw : Raw.lease; volume : string; generation : int }
type released = Won | Lost | Unchanged | Shared | Too_large

let of_raw raw = { raw; volume = Raw.lease_volume raw; generation = Raw.lease_generation raw }
let raw t = t.raw
let volume t = t.volume
let generation t = t.generation

(* enum dstore_released *)
let released_of_code = function
  | 1 -> Won
  | 2 -> Lost
  | 3 -> Unchanged
  | 4 -> Shared
  | 5 -> Too_large
  | other -> failwith (Printf.sprintf "Docker_store: the library released a lease in an unknown way, %d" other)

let release ?timeout ?cancel t =
  Result.map released_of_code (Error.check (Raw.lease_release t.raw (Limits.make ?timeout ?cancel ())))

let discard t = Error.check (Raw.lease_discard t.raw)
