(* Runs the docker client like OBuilder's Docker sandbox, with the same names. *)

open Lwt.Infix

type config = { network : string }
type t = { prefix : string; config : config }

let create config = Lwt.return { prefix = !Docker.prefix; config }

let image t id = Printf.sprintf "%s-image-%s" t.prefix id
let tmp_image t id = Printf.sprintf "%s-image-tmp-%s" t.prefix id
let container t id = Printf.sprintf "%s-container-%s" t.prefix id

(* The output of both channels is written to [log]. *)
let docker ?(log = ignore) arguments =
  let process = new Lwt_process.process_full ("", Array.of_list ("docker" :: arguments)) in
  let copy channel =
    let rec go () =
      Lwt_io.read ~count:4096 channel >>= function
      | "" -> Lwt.return_unit
      | text ->
        log text;
        go ()
    in
    go ()
  in
  Lwt.join [ copy process#stdout; copy process#stderr; Lwt_io.close process#stdin ] >>= fun () ->
  process#close >|= function
  | Unix.WEXITED 0 -> Ok ()
  | _ -> Error (`Msg (Printf.sprintf "docker %s failed" (List.hd arguments)))

let must ?log arguments =
  docker ?log arguments >>= function
  | Ok () -> Lwt.return_unit
  | Error (`Msg message) -> Lwt.fail_with message

let read arguments =
  let text = Buffer.create 100 in
  must ~log:(Buffer.add_string text) arguments >|= fun () -> String.trim (Buffer.contents text)

(* A commit keeps the base's entrypoint and command. *)
let commit t id =
  let of_base field =
    read [ "inspect"; "--type=image"; Printf.sprintf "--format={{json .Config.%s }}" field; "--"; tmp_image t id ]
  in
  of_base "Entrypoint" >>= fun entrypoint ->
  of_base "Cmd" >>= fun cmd ->
  let change what value = if value = "null" then [] else [ Printf.sprintf "--change=%s %s" what value ] in
  must (("commit" :: change "CMD" cmd) @ change "ENTRYPOINT" entrypoint @ [ "--"; container t id; image t id ])

let remove t id = must [ "rm"; "--force"; "--"; container t id ]

(* Runs a script in a container, and commits the result. [mounts] are volumes and their mount points. *)
let run t ?cancelled ?(user = 0, 0) ?(mounts = []) ~log ~id script =
  let mount (source, target) = [ "--mount"; Printf.sprintf "type=volume,src=%s,dst=%s" source target ] in
  let uid, gid = user in
  let options =
    [ "--hostname"; "builder"; "--workdir"; "/"; "--entrypoint"; "/bin/sh"; "--user"; Printf.sprintf "%d:%d" uid gid ]
    @ List.concat_map mount mounts @ [ "--network"; t.config.network ]
  in
  let ran = docker ~log (("run" :: "--name" :: container t id :: options) @ [ tmp_image t id; "-c"; script ]) in
  (* Like OBuilder: a cancel stops the container, which is then not removed. *)
  Option.iter
    (fun cancelled ->
      Lwt.on_success cancelled (fun () ->
          if Lwt.is_sleeping ran then Lwt.async (fun () -> docker [ "kill"; container t id ] >|= ignore)))
    cancelled;
  let is_cancelled () = Option.fold ~none:false ~some:(fun cancelled -> not (Lwt.is_sleeping cancelled)) cancelled in
  ran >>= function
  | Error _ when is_cancelled () -> Lwt.return_error `Cancelled
  | Ok () -> commit t id >>= fun () -> remove t id >|= Result.ok
  | Error _ as failed -> remove t id >|= fun () -> failed
