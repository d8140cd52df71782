(* A test runner: tests are named after what they check. Prints a summary. *)

exception Failed of string

let fail format = Printf.ksprintf (fun message -> raise (Failed message)) format
let check what holds = if not holds then fail "%s" what
let equal what expected got = if expected <> got then fail "%s: expected %S, got %S" what expected got
let equal_int what expected got = if expected <> got then fail "%s: expected %d, got %d" what expected got

let () =
  Printexc.register_printer (function
    | Failed message -> Some message
    | _ -> None)

let test name run : string * (unit -> unit) = name, run

(* [run tests] runs those whose names contain one of the words of the command line, if there are any. *)
let run tests =
  Printexc.record_backtrace true;
  let contains name word =
    let n = String.length word in
    let rec at i = i + n <= String.length name && (String.sub name i n = word || at (i + 1)) in
    at 0
  in
  let words = List.tl (Array.to_list Sys.argv) in
  let wanted (name, _) = words = [] || List.exists (contains name) words in
  let passed = ref 0 and failed = ref 0 in
  let run (name, run) =
    let began = Unix.gettimeofday () in
    match run () with
    | () ->
      incr passed;
      Printf.printf "ok      %5.1f s  %s\n%!" (Unix.gettimeofday () -. began) name
    | exception e ->
      let backtrace = Printexc.get_backtrace () in
      incr failed;
      Printf.printf "FAILED  %5.1f s  %s\n        %s\n%s\n%!"
        (Unix.gettimeofday () -. began)
        name (Printexc.to_string e) backtrace
  in
  let tests = List.filter wanted tests in
  if Engine.is_there () then List.iter run tests
  else print_endline "no engine: DOCKER_STORE_TEST_BASE names no base, or docker finds no engine";
  let skipped = List.length tests - !passed - !failed in
  Printf.printf "\n%d passed, %d failed%s\n%!" !passed !failed
    (if skipped > 0 then Printf.sprintf ", %d skipped" skipped else "");
  exit (if !failed = 0 then 0 else 1)
