(* Seconds, as OCaml has them, into the library's milliseconds, of which 0 is no limit. *)

let milliseconds = function
  | None -> 0
  | Some seconds when seconds > 0. ->
    (* A wait is at least as long as asked for, and one of years has no end. *)
    if seconds > 1e12 then 0 else int_of_float (ceil (seconds *. 1000.))
  | Some seconds -> invalid_arg (Printf.sprintf "Docker_store: a timeout of %g seconds" seconds)

let make ?timeout ?cancel () = { Raw.timeout_ms = milliseconds timeout; cancel = Option.map Cancel.raw cancel }
