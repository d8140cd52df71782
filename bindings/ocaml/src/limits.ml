(* Converts OCaml's seconds into the library's milliseconds, where 0 means no limit. *)

let milliseconds = function
  | None -> 0
  | Some seconds when seconds > 0. ->
    (* A wait is at least as long as requested, and one of several years has no limit. *)
    if seconds > 1e12 then 0 else int_of_float (ceil (seconds *. 1000.))
  | Some seconds -> invalid_arg (Printf.sprintf "Docker_store: a timeout of %g seconds" seconds)

let make ?timeout ?cancel () = { Raw.timeout_ms = milliseconds timeout; cancel = Option.map Cancel.raw cancel }
