type t = { path : string; owner : [ `There | `Ids of int * int ] option; keep_modes : bool }

let make ?owner ?(keep_modes = false) path = { path; owner; keep_modes }

let with_raw t f =
  let ( let* ) = Result.bind in
  let* raw = Raw.host_folder_new t.path in
  let* () =
    match t.owner with
    | None -> Ok ()
    | Some `There -> Raw.host_folder_owner raw None
    | Some (`Ids (user, group)) -> Raw.host_folder_owner raw (Some (user, group))
  in
  let* () = if t.keep_modes then Raw.host_folder_keep_modes raw else Ok () in
  f raw
