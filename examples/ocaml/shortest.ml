(* The shortest useful program: builds a step on a base, with a cache, unless it has been built.

   shortest ROOT BASE.tar *)

open Docker_store

let ( let* ) = Result.bind

let build root tar =
  with_store root @@ fun store ->
  let* _ = with_step store ~id:"base" (fun step -> Step.import_file step tar) in
  with_lease store "words" @@ fun words ->
  with_step store ~base:"base" ~id:"hello" @@ fun step ->
  let script = "echo hello >>/cache/words; cp /cache/words /words; cat /words" in
  let command = Command.make ~mounts:[ Command.lease words "/cache" ] [ "/bin/sh"; "-c"; script ] in
  let* _exit_code = Step.run step command ~output:(fun _ text -> print_string text) in
  Ok ()

let () =
  match build Sys.argv.(1) Sys.argv.(2) with
  | Ok Built -> print_endline "built"
  | Ok Hit -> print_endline "was there"
  | Error error ->
    prerr_endline (Error.to_string error);
    exit 1
