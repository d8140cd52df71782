open Docker_store
open Lwt.Infix
open Common

exception Mine of string

(* Returns the longest time for which the loop did not run before [f ()] was done, and how often it ran. *)
let watch_loop f =
  let longest = ref 0. and ticks = ref 0 in
  let promise = f () in
  let rec tick last =
    Lwt_unix.sleep 0.01 >>= fun () ->
    let now = Unix.gettimeofday () in
    longest := max !longest (now -. last);
    incr ticks;
    if Lwt.is_sleeping promise then tick now else promise
  in
  tick (Unix.gettimeofday ()) >|= fun value -> value, !ticks, !longest

let ticking () =
  with_base @@ fun store ->
  watch_loop (fun () -> get_lwt (build store "app" "for i in 1 2 3 4; do echo $i; sleep 0.5; done"))
  >|= fun (outcome, ticks, longest) ->
  check "built" (outcome = Built);
  check (Printf.sprintf "%d ticks, the longest wait %.3f s" ticks longest) (ticks > 60 && longest < 0.5);
  Printf.printf "        (%d ticks while it built, the longest wait %.0f ms)\n" ticks (longest *. 1000.)

let many () =
  with_base @@ fun store ->
  get_lwt (D.begin_step store ~base:"base" ~id:"app") >>= fun step ->
  let step = Option.get step in
  (* Each call blocks a thread until that step ends. *)
  let waiting = List.init 30 (fun _ -> D.begin_step store ~base:"base" ~id:"app") in
  Lwt_unix.sleep 0.2 >>= fun () ->
  let began = Unix.gettimeofday () in
  get_lwt (D.result store "base") >>= fun present ->
  check "an answer" present;
  check "at once" (Unix.gettimeofday () -. began < 2.);
  get_lwt (run step (sh "true")) >>= fun () ->
  get_lwt (D.Step.commit step) >>= fun () ->
  Lwt_list.map_p get_lwt waiting >|= List.iter (fun step -> check "a hit" (step = None))

let callbacks () =
  with_base @@ fun store ->
  let main = Thread.id (Thread.self ()) and running = ref 0 and seen = Buffer.create 10 in
  let output _ text =
    equal_int "the thread of the loop" main (Thread.id (Thread.self ()));
    equal_int "one at a time" 0 !running;
    incr running;
    Lwt_unix.sleep 0.05 >|= fun () ->
    decr running;
    Buffer.add_string seen text
  in
  let script = "for i in 1 2 3 4 5; do echo $i; sleep 0.02; done" in
  get_lwt (D.with_step store ~base:"base" ~id:"app" (fun step -> run step (sh script) ~output)) >|= fun outcome ->
  check "built" (outcome = Built);
  equal "in order, and all of it" "1\n2\n3\n4\n5\n" (Buffer.contents seen);
  equal "and the log" "1\n2\n3\n4\n5\n" (log store "app")

let raised () =
  with_base @@ fun store ->
  let raises word f =
    Lwt.catch
      (fun () -> outcome (f ()) >|= fun answer -> fail "%s: no exception, but %s" word answer)
      (function
        | Mine got ->
          equal "which exception" word got;
          Lwt.return_unit
        | e -> Lwt.fail e)
  in
  let build output = D.with_step store ~base:"base" ~id:"app" (fun step -> run step (sh "echo x; sleep 100") ~output) in
  raises "by raising" (fun () -> build (fun _ _ -> raise (Mine "by raising"))) >>= fun () ->
  raises "by failing" (fun () -> build (fun _ _ -> Lwt.pause () >>= fun () -> Lwt.fail (Mine "by failing")))
  >>= fun () ->
  raises "in a step" (fun () -> D.with_step store ~base:"base" ~id:"app" (fun _ -> raise (Mine "in a step")))
  >>= fun () ->
  raises "with a lease" (fun () -> D.with_lease store "c" (fun _ -> Lwt.fail (Mine "with a lease"))) >>= fun () ->
  raises "from a reader" (fun () ->
      D.with_step store ~id:"app" (fun step -> D.Step.import step (fun _ _ _ -> Lwt.fail (Mine "from a reader"))))
  >>= fun () ->
  get_lwt (D.delete_cache store "c") >>= fun (_ : bool) ->
  get_lwt (D.complete_deletes store) >|= fun () -> check "nothing is left" (only_base store)

let streams () =
  with_base @@ fun store ->
  let work step =
    Lwt_io.with_file ~mode:Lwt_io.input (base_tar ()) (fun channel -> D.Step.import step (Lwt_io.read_into channel))
  in
  get_lwt (D.with_step store ~id:"again" work) >>= fun outcome ->
  check "built" (outcome = Built);
  let bytes = ref 0 in
  let write text =
    bytes := !bytes + String.length text;
    Lwt.pause ()
  in
  get_lwt (D.copy_out store ~id:"again" "/bin" write) >|= fun told -> equal_int "bytes" told !bytes

let mixed () =
  with_base @@ fun store ->
  get_lwt (D.with_lease store "c" (fun lease -> build store "app" "echo x >/c/x" ~mounts:[ Command.lease lease "/c" ]))
  >>= fun (_ : outcome) ->
  check "the blocking call sees it" (get (result store "app"));
  get_lwt (D.with_store (root store) (fun other -> D.result other "app")) >>= fun present ->
  check "another store does, too" present;
  Lwt.return_unit

let own_log () =
  with_base @@ fun store ->
  let lines = ref 0 in
  let following =
    D.Log.follow Log.Info (fun _ _ ->
        incr lines;
        Lwt.return_unit)
  in
  get_lwt (D.with_lease store "c" (fun _ -> ok)) >>= fun () ->
  Lwt_unix.sleep 0.2 >>= fun () ->
  check "lines came" (!lines > 0);
  Lwt.cancel following;
  get_lwt following

let tests =
  [
    test "a slow build does not stop the event loop from ticking" ticking;
    test "thirty calls that wait for one build do not hold up that build, nor anything else" many;
    test "callbacks run in the loop's thread, one at a time, in order, before the promise is resolved" callbacks;
    test "what a callback raises or fails with ends the call, and comes out of its promise" raised;
    test "streams go through promises, in and out" streams;
    test "blocking calls and promises mix on one store" mixed;
    test "the library's own log is followed until its promise is cancelled" own_log;
  ]
