(* A small parallel builder with Lwt: a diamond of steps, two of which run at once; each result is built once, whoever asks
   for it first. The lines of all logs are shown as they come. Ctrl-C ends it, and leaves nothing half-made.

   parallel ROOT BASE.tar *)

open Docker_store
open Docker_store_lwt
open Lwt.Infix

let ( >>=? ) = Lwt_result.bind

type step = { id : string; on : string; script : string; after : string list }

(* Needs what it is built on, and what stands in [after]. *)
let steps =
  [
    { id = "tools"; on = "base"; script = "echo tools >>/made"; after = [] };
    { id = "left"; on = "tools"; script = "for i in 1 2 3; do echo left $i; sleep 0.2; done"; after = [] };
    { id = "right"; on = "tools"; script = "for i in 1 2 3; do echo right $i; sleep 0.2; done"; after = [] };
    { id = "all"; on = "left"; script = "cat /made"; after = [ "right" ] };
  ]

let show id _channel text = Lwt_io.printf "%-6s| %s\n" id (String.concat ("\n" ^ String.make 6 ' ' ^ "| ") (String.split_on_char '\n' (String.trim text)))

let run store { id; on; script; _ } =
  with_step store ~base:on ~id @@ fun step ->
  let command = Command.make [ "/bin/sh"; "-c"; script ] in
  Step.run step command ~output:(show id) >>=? fun _exit_code -> Lwt_result.return ()

(* One promise for each id. The library, too, lets a second builder of an id wait for the first. *)
let build_all store =
  let promises = Hashtbl.create 10 in
  let rec build id =
    match Hashtbl.find_opt promises id, List.find_opt (fun step -> step.id = id) steps with
    | Some promise, _ -> promise
    | None, None -> Lwt_result.return Hit
    | None, Some step ->
      let needed = Lwt_list.map_p build (step.on :: step.after) in
      let promise =
        needed >>= fun outcomes ->
        match List.find_opt Result.is_error outcomes with
        | Some failed -> Lwt.return failed
        | None -> run store step
      in
      Hashtbl.add promises id promise;
      promise
  in
  build "all"

let main root tar =
  with_store root @@ fun store ->
  with_step store ~id:"base" (fun step -> Step.import_file step tar) >>=? fun _ -> build_all store

let () =
  let interrupted, interrupt = Lwt.wait () in
  ignore (Lwt_unix.on_signal Sys.sigint (fun _ -> Lwt.wakeup_later_exn interrupt Sys.Break));
  let work = main Sys.argv.(1) Sys.argv.(2) in
  let finished =
    Lwt.try_bind
      (fun () -> Lwt.choose [ work; interrupted ])
      Lwt.return
      (fun e ->
        (* What was begun is ended, and only then does the program. *)
        Lwt.cancel work;
        Lwt.catch (fun () -> work) (fun _ -> Lwt.fail e))
  in
  match Lwt_main.run finished with
  | Ok Built -> print_endline "built"
  | Ok Hit -> print_endline "was there"
  | Error error ->
    prerr_endline (Error.to_string error);
    exit 1
  | exception Sys.Break ->
    prerr_endline "interrupted";
    exit 130
