open Docker_store
open Support
open Harness
open Fixture

exception Mine of string

let raised_here = Str.regexp "Raised at [^\n]*callbacks.ml"

(* [f ()] must raise [Mine word], with a backtrace that contains the place in this file where it was raised. *)
let raises word f =
  match f () with
  | (_ : string) -> fail "%s: no exception came out" word
  | exception Mine got ->
    let backtrace = Printexc.get_backtrace () in
    equal "which exception" word got;
    check ("its backtrace: " ^ backtrace) (Str.string_match raised_here backtrace 0)

let boom word = raise (Mine word)

let output () =
  with_base @@ fun store ->
  let began = Unix.gettimeofday () in
  raises "from output" (fun () ->
      status
        (with_step store ~base:"base" ~id:"app" (fun step ->
             run step (sh "echo hello; sleep 100") ~output:(fun _ _ -> boom "from output"))));
  check "the command was ended at once" (Unix.gettimeofday () -. began < 20.);
  check "nothing is left" (only_base store);
  check "a second try is free" (get (build store "app" "true") = Built)

let streams () =
  with_base @@ fun store ->
  raises "from write" (fun () -> status (copy_out store ~id:"base" "/bin" (fun _ -> boom "from write")));
  let try_step word work = raises word (fun () -> status (with_step store ~id:"app" work)) in
  try_step "from read" (fun step -> Step.import step (fun _ _ _ -> boom "from read"));
  try_step "from progress" (fun step -> Step.import_file step (base_tar ()) ~progress:(fun _ -> boom "from progress"));
  let copy_in step = Step.copy_in step "/x" (fun _ _ _ -> boom "from copy in") in
  raises "from copy in" (fun () -> status (with_step store ~base:"base" ~id:"app" copy_in));
  raises "from the log" (fun () ->
      get (Log.collect (Some Trace));
      ignore (look store "true" ~mounts:[]);
      ignore (get (with_lease store "c" (fun _ -> Ok ())));
      let stop () = get (Log.collect None) in
      Fun.protect ~finally:stop (fun () -> status (Log.fetch (fun _ _ -> boom "from the log"))));
  get (complete_deletes store);
  ignore (get (delete_cache store "c"));
  get (complete_deletes store);
  check "nothing is left" (only_base store)

let too_much () =
  with_base @@ fun store ->
  match with_step store ~id:"app" (fun step -> Step.import step (fun buffer _ _ -> Bytes.length buffer + 1)) with
  | exception Invalid_argument _ -> ()
  | _ -> fail "a reader that gives more than there is room for must be refused"

let helpers () =
  with_base @@ fun store ->
  raises "in a step" (fun () -> status (with_step store ~base:"base" ~id:"app" (fun _ -> boom "in a step")));
  raises "with a lease" (fun () -> status (with_lease store "c" (fun _ -> boom "with a lease")));
  get (complete_deletes store);
  ignore (get (delete_cache store "c"));
  let escaped = ref None in
  raises "with a store" (fun () ->
      status
        (with_store (root store) (fun store ->
             escaped := Some store;
             boom "with a store")));
  equal "the store was closed" "closed" (status (result (Option.get !escaped) "base"))

let within () =
  with_base @@ fun store ->
  let inside = ref [] in
  let note answer = inside := status answer :: !inside in
  let work step =
    let output _ _ =
      note (result store "base");
      note (build store "other" "true");
      note (Step.commit step)
    in
    run step (sh "echo once") ~output
  in
  check "built" (get (with_step store ~base:"base" ~id:"app" work) = Built);
  equal "calls from a callback" "success success busy" (String.concat " " (List.rev !inside))

let signals () =
  with_base @@ fun store ->
  let before = Sys.signal Sys.sigusr1 (Sys.Signal_handle (fun _ -> boom "from a signal")) in
  Fun.protect ~finally:(fun () -> Sys.set_signal Sys.sigusr1 before) @@ fun () ->
  let hit n =
    (* The handler runs after this: in the callback, or when the call has returned. *)
    let output _ _ =
      Unix.kill (Unix.getpid ()) Sys.sigusr1;
      if n mod 2 = 0 then
        for _ = 1 to 1000 do
          ignore (Sys.opaque_identity (Bytes.create 1000))
        done
    in
    match
      let answer =
        with_step store ~base:"base" ~id:"app" (fun step -> run step (sh "echo x; sleep 1; echo y") ~output)
      in
      ignore (Sys.opaque_identity (Bytes.create 1_000_000));
      answer
    with
    | exception Mine "from a signal" -> ()
    | answer -> fail "no exception came out, but %s" (status answer)
  in
  List.iter hit [ 1; 2; 3; 4 ];
  get (complete_deletes store);
  ignore (get (delete store "app"));
  check "nothing is left" (only_base store)

let own_log () =
  with_base @@ fun store ->
  get (Log.collect (Some Info));
  ignore (get (with_lease store "c" (fun _ -> Ok ())));
  let lines = ref [] in
  get (Log.fetch ~timeout:1. (fun level line -> lines := (level, line) :: !lines));
  check "lines came" (List.exists (fun (level, line) -> level = Log.Info && line <> "") !lines);
  get (Log.collect None);
  get (Log.fetch (fun _ _ -> ()));
  ignore (get (with_lease store "c" (fun _ -> Ok ())));
  get (Log.fetch (fun _ line -> fail "a line although none are collected: %s" line))

let tests =
  [
    test "an exception of an output callback ends the command, and comes out with its backtrace" output;
    test "so does one of every other callback" streams;
    test "a reader that overruns its buffer is misuse" too_much;
    test "an exception aborts a step, discards a lease, closes a store, and goes on its way" helpers;
    test "a callback may make calls, but on its own step it is told busy" within;
    test "what a signal handler raises in or after a callback comes out, and nothing is left" signals;
    test "the library's own log is told when asked for, and else not" own_log;
  ]
