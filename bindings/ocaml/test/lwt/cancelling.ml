open Docker_store
open Lwt.Infix
open Common

let command () =
  with_base @@ fun store ->
  get_lwt (D.begin_step store ~base:"base" ~id:"app") >>= fun step ->
  let step = Option.get step and started, output = started () in
  let running = run step (sh "echo x; sleep 100") ~output in
  started >>= fun () ->
  let began = Unix.gettimeofday () in
  Lwt.cancel running;
  check "not done before the call has returned" (Lwt.is_sleeping running);
  cancelled running >>= fun answer ->
  equal "how it ends" "Canceled" answer;
  check "at once" (Unix.gettimeofday () -. began < 20.);
  check "the container is gone by then" (Engine.containers (prefix store) = []);
  outcome (run step (sh "true")) >>= fun answer ->
  check "the step can only be aborted" (List.mem answer [ "cancelled"; "conflict" ]);
  get_lwt (D.Step.abort step) >|= fun () -> check "nothing is left" (only_base store)

let whole_build () =
  with_base @@ fun store ->
  let started, output = started () in
  let building = D.with_step store ~base:"base" ~id:"app" (fun step -> run step (sh "echo x; sleep 100") ~output) in
  started >>= fun () ->
  let late = Lwt_unix.sleep 0.1 >|= fun () -> Error () in
  Lwt.pick [ (building >|= fun _ -> Ok ()); late ] >>= fun first ->
  check "the pick is not held up" (first = Error ());
  cancelled building >>= fun answer ->
  equal "how it ends" "Canceled" answer;
  check "nothing is left" (only_base store);
  get_lwt (build store "app" "true") >|= fun outcome -> check "a second try is free" (outcome = Built)

let waiting () =
  with_base @@ fun store ->
  get_lwt (D.begin_step store ~base:"base" ~id:"app") >>= fun step ->
  let waiting = D.begin_step store ~base:"base" ~id:"app" in
  Lwt_unix.sleep 0.2 >>= fun () ->
  Lwt.cancel waiting;
  cancelled waiting >>= fun answer ->
  equal "who waits for another's build" "Canceled" answer;
  get_lwt (D.Step.abort (Option.get step)) >>= fun () ->
  get_lwt (D.lease store ~mode:Locked "c") >>= fun lease ->
  let waiting = D.lease store ~mode:Locked "c" in
  Lwt_unix.sleep 0.2 >>= fun () ->
  Lwt.cancel waiting;
  cancelled waiting >>= fun answer ->
  equal "who waits for a lease" "Canceled" answer;
  get_lwt (D.Lease.discard lease)

let in_callback () =
  with_base @@ fun store ->
  let started, start = Lwt.wait () in
  let output _ _ =
    Lwt.wakeup_later start ();
    fst (Lwt.task ())
  in
  let building = D.with_step store ~base:"base" ~id:"app" (fun step -> run step (sh "echo x; sleep 100") ~output) in
  started >>= fun () ->
  Lwt.cancel building;
  cancelled building >|= fun answer ->
  equal "a callback that would never end" "Canceled" answer;
  check "nothing is left" (only_base store)

let too_late () =
  with_base @@ fun store ->
  get_lwt (D.begin_step store ~base:"base" ~id:"app") >>= fun step ->
  let step = Option.get step in
  let committing = D.Step.commit step in
  Lwt.cancel committing;
  cancelled committing >>= fun answer ->
  equal "a commit is whole" "success" answer;
  get_lwt (D.result store "app") >|= check "the result is there"

let by_hand () =
  with_base @@ fun store ->
  get_lwt (D.begin_step store ~base:"base" ~id:"app") >>= fun step ->
  let step = Option.get step and started, output = started () in
  let running = run step (sh "echo x; sleep 100") ~output in
  started >>= fun () ->
  D.Step.cancel step;
  outcome running >>= fun answer ->
  equal "an error, for no promise was cancelled" "cancelled" answer;
  get_lwt (D.Step.abort step)

let tests =
  [
    test "to cancel a promise ends its command, and is done when that is gone" command;
    test "to cancel a build, as by a pick with a timeout, leaves nothing of it" whole_build;
    test "to cancel who waits for another's build or lease ends the waiting" waiting;
    test "to cancel reaches a callback that would never end" in_callback;
    test "a commit that is cancelled is complete anyway" too_late;
    test "a step that is cancelled by hand fails with an error" by_hand;
  ]
