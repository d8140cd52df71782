(* A small parallel builder with Lwt: a diamond of steps, two of which run concurrently. Each result is built once. The
   lines of all logs are shown as they are written. Ctrl-C stops it, and leaves nothing half done.

   parallel ROOT BASE.tar *)

open Docker_store
open Docker_store_lwt
open Lwt.Infix

let ( >>=? ) = Lwt_result.bind

type step = { id : string; on : string; script : string; after : string list }

(* Each step needs its base, and the steps in [after]. *)
let steps =
  [
    { id = "tools"; on = "base"; script = "echo tools >>/made"; after = [] };
    { id = "left"; on = "tools"; script = "for i in 1 2 3; do echo left $i; sleep 0.2; done"; after = [] };
    { id = "right"; on = "tools"; script = "for i in 1 2 3; do echo right $i; sleep 0.2; done"; after = [] };
    { id = "all"; on = "left"; script = "cat /made"; after = [ "right" ] };
  ]

let show id _channel text =
  let line line = Lwt_io.printf "%-6s| %s\n" id line in
  Lwt_list.iter_s line (String.split_on_char '\n' (String.trim text))

let run store { id; on; script; _ } =
  with_step store ~base:on ~id @@ fun step ->
  Step.run step (Command.make [ "/bin/sh"; "-c"; script ]) ~output:(show id) >>=? fun _exit_code -> Lwt_result.return ()

(* One promise for each id. (In the library, too, a second build of an id waits for the first.) *)
let promises = Hashtbl.create 10

let rec build store id =
  match Hashtbl.find_opt promises id, List.find_opt (fun step -> step.id = id) steps with
  | Some promise, _ -> promise
  | None, None -> Lwt_result.return Hit
  | None, Some step ->
    let promise =
      Lwt_list.map_p (build store) (step.on :: step.after) >>= fun needed ->
      match List.find_opt Result.is_error needed with
      | Some failed -> Lwt.return failed
      | None -> run store step
    in
    Hashtbl.replace promises id promise;
    promise

(* Runs [work]. If [interrupted] resolves first, cancels everything that was begun, and waits for it. *)
let unless interrupted work =
  let end_all e =
    let begun = List.of_seq (Hashtbl.to_seq_values promises) in
    List.iter Lwt.cancel begun;
    let settled promise = Lwt.catch (fun () -> promise >|= ignore) (fun _ -> Lwt.return_unit) in
    Lwt.join (List.map settled begun) >>= fun () -> Lwt.fail e
  in
  Lwt.catch (fun () -> Lwt.choose [ work; interrupted ]) end_all

let main interrupted root tar =
  with_store root @@ fun store ->
  with_step store ~id:"base" (fun step -> Step.import_file step tar) >>=? fun _ ->
  unless interrupted (build store "all")

let () =
  let interrupted, interrupt = Lwt.wait () in
  ignore (Lwt_unix.on_signal Sys.sigint (fun _ -> Lwt.wakeup_later_exn interrupt Sys.Break));
  match Lwt_main.run (main interrupted Sys.argv.(1) Sys.argv.(2)) with
  | Ok Built -> print_endline "built"
  | Ok Hit -> print_endline "was there"
  | Error error ->
    prerr_endline (Error.to_string error);
    exit 1
  | exception Sys.Break ->
    prerr_endline "interrupted";
    exit 130
