type level = Error | Warning | Info | Debug | Trace

(* enum dstore_log_level *)
let code = function
  | None -> 0
  | Some Error -> 1
  | Some Warning -> 2
  | Some Info -> 3
  | Some Debug -> 4
  | Some Trace -> 5

let level = function
  | 1 -> Error
  | 2 -> Warning
  | 3 -> Info
  | 4 -> Debug
  | _ -> Trace

let collect up_to = Error.check (Raw.log_collect (code up_to))

let fetch ?timeout f =
  let hear event = f (level (Raw.event_number event)) (Raw.event_bytes event) in
  Guard.call hear (Raw.log_fetch (Limits.milliseconds timeout))
