open Docker_store
open Support
open Harness
open Fixture

(* Calls [f] in this thread, and [meanwhile] in another after a moment. *)
let with_other ?(after = 0.7) meanwhile f =
  let other =
    Thread.create
      (fun () ->
        Thread.delay after;
        meanwhile ())
      ()
  in
  Fun.protect ~finally:(fun () -> Thread.join other) f

let command () =
  with_base @@ fun store ->
  let cancel = Cancel.create () in
  let sleep step = run step (sh "sleep 100") in
  let answer, time =
    seconds @@ fun () ->
    with_other ~after:1.5
      (fun () -> Cancel.trigger cancel)
      (fun () -> with_step store ~base:"base" ~id:"app" ~cancel sleep)
  in
  equal "status" "cancelled" (status answer);
  check "at once" (time < 20.);
  check "it stays on" (Cancel.is_triggered cancel);
  equal "for all that it is given to" "cancelled" (status (with_step store ~base:"base" ~id:"app" ~cancel sleep));
  check "nothing is left" (only_base store)

let waiting () =
  with_base @@ fun store ->
  let step = Option.get (get (begin_step store ~base:"base" ~id:"app")) in
  let cancel = Cancel.create () in
  let answer, time =
    seconds @@ fun () -> with_other (fun () -> Cancel.trigger cancel) (fun () -> begin_step store ~id:"app" ~cancel)
  in
  equal "who waits for another's build" "cancelled" (status answer);
  check "at once" (time < 5.);
  get (Step.abort step);
  let lease_ = get (lease store ~mode:Locked "c") in
  let cancel = Cancel.create () in
  let answer = with_other (fun () -> Cancel.trigger cancel) (fun () -> lease store ~mode:Locked ~cancel "c") in
  equal "who waits for a lease" "cancelled" (status answer);
  get (Lease.discard lease_)

let timeouts () =
  with_base @@ fun store ->
  let sleep step = run step (sh "sleep 100") in
  equal "of a build" "timed out" (status (with_step store ~base:"base" ~id:"app" ~timeout:1.5 sleep));
  let sleep step = run step (sh ~timeout:0.8 "sleep 100") in
  equal "of a command" "timed out" (status (with_step store ~base:"base" ~id:"app" sleep));
  let endless = with_step store ~base:"base" ~id:"app" ~timeout:infinity (fun _ -> Ok ()) in
  check "endless is no timeout" (get endless = Built);
  List.iter
    (fun timeout ->
      match begin_step store ~id:"x" ~timeout with
      | exception Invalid_argument _ -> ()
      | answer -> fail "a timeout of %g is misuse, not %s" timeout (status answer))
    [ 0.; -1.; nan ]

let others_run () =
  with_base @@ fun store ->
  let ticks = ref 0 and stop = ref false in
  let ticker =
    Thread.create
      (fun () ->
        while not !stop do
          incr ticks;
          Thread.delay 0.01
        done)
      ()
  in
  ignore (get (build store "app" "sleep 1"));
  stop := true;
  Thread.join ticker;
  check (Printf.sprintf "%d ticks in a second" !ticks) (!ticks > 30)

let tests =
  [
    test "a cancel from another thread ends a command at once" command;
    test "a cancel wakes who waits for another's build or lease" waiting;
    test "a timeout ends a build or a command, and one that makes no sense is misuse" timeouts;
    test "other threads run while a call blocks" others_run;
  ]
