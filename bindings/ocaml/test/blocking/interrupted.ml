(* A build that is stopped by Ctrl-C, with the recipe of the README. interrupted ROOT *)

open Docker_store

let () =
  let cancel = Recipe.cancel_by_signals () in
  let store = Result.get_ok (open_store Sys.argv.(1)) in
  let command = Command.make [ "/bin/sh"; "-c"; "echo; sleep 60" ] in
  let say _ _ = print_endline "running" in
  let work step = Result.map ignore (Step.run ~output:say step command) in
  (match with_step store ~base:"base" ~id:"long" ~cancel work with
  | Error { status = Cancelled; _ } -> print_endline "cancelled"
  | Error error -> print_endline (Error.to_string error)
  | Ok _ -> print_endline "built");
  ignore (close store)
