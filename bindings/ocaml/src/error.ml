type status =
  | Invalid_argument
  | Not_found
  | Conflict
  | In_progress
  | Busy
  | Cancelled
  | Timed_out
  | Unreachable
  | Unsupported
  | Engine
  | Cut_short
  | Io
  | Command_failed
  | Out_of_memory
  | Callback
  | Closed
  | Corrupt
  | Internal
  | Outcome_unknown
  | Killed
  | Not_started
  | Unknown of int

type t = { status : status; message : string; http_status : int option; os_errno : int option; exit_code : int option }

exception E of t

(* The numbers of enum dstore_status, which never change. *)
let status_of_code = function
  | 1 -> Invalid_argument
  | 2 -> Not_found
  | 3 -> Conflict
  | 4 -> In_progress
  | 5 -> Busy
  | 6 -> Cancelled
  | 7 -> Timed_out
  | 8 -> Unreachable
  | 9 -> Unsupported
  | 10 -> Engine
  | 11 -> Cut_short
  | 12 -> Io
  | 13 -> Command_failed
  | 14 -> Out_of_memory
  | 15 -> Callback
  | 16 -> Closed
  | 17 -> Corrupt
  | 18 -> Internal
  | 19 -> Outcome_unknown
  | 20 -> Killed
  | 21 -> Not_started
  | other -> Unknown other

let status_name = function
  | Invalid_argument -> "invalid argument"
  | Not_found -> "not found"
  | Conflict -> "conflict"
  | In_progress -> "in progress"
  | Busy -> "busy"
  | Cancelled -> "cancelled"
  | Timed_out -> "timed out"
  | Unreachable -> "unreachable"
  | Unsupported -> "unsupported"
  | Engine -> "engine"
  | Cut_short -> "cut short"
  | Io -> "I/O"
  | Command_failed -> "command failed"
  | Out_of_memory -> "out of memory"
  | Callback -> "callback"
  | Closed -> "closed"
  | Corrupt -> "corrupt"
  | Internal -> "internal"
  | Outcome_unknown -> "outcome unknown"
  | Killed -> "killed from outside"
  | Not_started -> "command not started"
  | Unknown code -> Printf.sprintf "unknown status %d" code

let to_string error = error.message
let pp ppf error = Format.pp_print_string ppf error.message
let some n = if n < 0 then None else Some n

let of_raw { Raw.code; message; http_status; os_errno; exit_code } =
  {
    status = status_of_code code;
    message;
    http_status = some http_status;
    os_errno = some os_errno;
    exit_code = some exit_code;
  }

let check answer = Result.map_error of_raw answer

let () =
  Printexc.register_printer @@ function
  | E { status; message; _ } -> Some (Printf.sprintf "Docker_store.Error.E (%s: %s)" (status_name status) message)
  | _ -> None
