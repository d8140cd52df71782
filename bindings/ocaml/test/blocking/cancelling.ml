open Docker_store
open Support
open Harness
open Fixture

(* Calls [f] in this thread, and [meanwhile] in another thread after a delay. *)
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

(* Stops a command by a signal. Returns how long the command continued after that. *)
let interrupted store cancel =
  let sent = ref 0. in
  let send () =
    sent := Unix.gettimeofday ();
    Unix.kill (Unix.getpid ()) Sys.sigusr1
  in
  let sleep step = run step (sh "sleep 60") in
  let answer = with_other ~after:1. send (fun () -> with_step store ~base:"base" ~id:"app" ~cancel sleep) in
  equal "status" "cancelled" (status answer);
  Unix.gettimeofday () -. !sent

let by_signal () =
  with_base @@ fun store ->
  let before = Sys.signal Sys.sigusr1 Sys.Signal_default in
  let finally () = Sys.set_signal Sys.sigusr1 before in
  Fun.protect ~finally @@ fun () ->
  let cancel = Cancel.create () in
  Cancel.on_signal cancel Sys.sigusr1;
  let took = interrupted store cancel in
  check (Printf.sprintf "at once, not after %.1f s" took) (took < 3.);
  (* Another cancel takes its place, and the former is no longer used. *)
  let other = Cancel.create () in
  Cancel.on_signal other Sys.sigusr1;
  Gc.full_major ();
  check "again" (interrupted store other < 3.);
  List.iter
    (fun signal ->
      match Cancel.on_signal cancel signal with
      | exception Invalid_argument _ -> ()
      | () -> fail "%d is no signal that can be caught" signal)
    [ Sys.sigkill; 100_000; 0 ]

let by_the_recipe () =
  with_base @@ fun store ->
  let program = Filename.concat (Filename.dirname Sys.executable_name) "interrupted.exe" in
  let out, into = Unix.pipe ~cloexec:true () in
  let child = Unix.create_process program [| program; root store |] Unix.stdin into Unix.stderr in
  Unix.close into;
  let said = Unix.in_channel_of_descr out in
  Fun.protect ~finally:(fun () -> close_in said) @@ fun () ->
  equal "it runs" "running" (input_line said);
  let sent = Unix.gettimeofday () in
  Unix.kill child Sys.sigint;
  equal "it ends in its own order" "cancelled" (input_line said);
  let took = Unix.gettimeofday () -. sent in
  check (Printf.sprintf "at once, not after %.1f s" took) (took < 3.);
  check "and well" (snd (Unix.waitpid [] child) = Unix.WEXITED 0);
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

(* Makes the call with the given limits, and returns its result without the value. All except [caches], which reads
local files. *)
type call = ?timeout:float -> ?cancel:Cancel.t -> unit -> (unit, Error.t) result

let unit answer = Result.map ignore answer

let silent_engine () =
  with_base @@ fun direct ->
  let proxy = Proxy.create () in
  let open_ ?timeout ?cancel () = open_store ?timeout ?cancel ~engine:(Proxy.address proxy) (root direct) in
  let store = get (open_ ()) in
  let begun id = Option.get (get (begin_step store ~base:"base" ~id)) in
  let tar = base_tar () in
  let reading f =
    let channel = open_in_bin tar in
    Fun.protect ~finally:(fun () -> close_in channel) (fun () -> f (input channel))
  in
  let calls =
    (* Each call needs a step or a lease that no other call is using. *)
    let on_step ?(begun = begun) id f : string * call =
      let step = begun id in
      ( "Step." ^ id,
        fun ?timeout ?cancel () -> Result.bind (Step.limit ?timeout ?cancel step) (fun () -> f step) )
    in
    let bare id = Option.get (get (begin_step store ~id)) in
    let ends id (f : ?timeout:float -> ?cancel:Cancel.t -> Step.t -> (unit, Error.t) result) : string * call =
      let step = begun id in
      get (run step (sh "true"));
      ("Step." ^ id, fun ?timeout ?cancel () -> f ?timeout ?cancel step)
    in
    let to_close = get (open_ ()) in
    let unwanted = get (lease store "unwanted") in
    let lent = get (lease store "lent") and given_up = get (lease to_close "given up") in
    ignore (get (build ~mounts:[ Command.lease lent "/c" ] direct "writes" "echo x >/c/f"));
    let calls : (string * call) list =
      [
        ("open_store", fun ?timeout ?cancel () -> unit (open_ ?timeout ?cancel ()));
        ( "close",
          fun ?timeout ?cancel () ->
            get (Lease.discard given_up);
            close ?timeout ?cancel to_close );
        ("begin_step", fun ?timeout ?cancel () -> unit (begin_step ?timeout ?cancel store ~id:"begun"));
        ( "with_step",
          fun ?timeout ?cancel () -> unit (with_step ?timeout ?cancel store ~id:"with" (fun _ -> Ok ())) );
        ("result", fun ?timeout ?cancel () -> unit (result ?timeout ?cancel store "base"));
        ("results", fun ?timeout ?cancel () -> unit (results ?timeout ?cancel store));
        ("delete", fun ?timeout ?cancel () -> unit (delete ?timeout ?cancel store "none"));
        ("copy_out", fun ?timeout ?cancel () -> unit (copy_out ?timeout ?cancel store ~id:"base" "/etc" ignore));
        ( "copy_out_file",
          fun ?timeout ?cancel () -> unit (copy_out_file ?timeout ?cancel store ~id:"base" "/etc" "/dev/null") );
        ("lease", fun ?timeout ?cancel () -> unit (lease ?timeout ?cancel store "new"));
        ("with_lease", fun ?timeout ?cancel () -> with_lease ?timeout ?cancel store "with" (fun _ -> Ok ()));
        ("delete_cache", fun ?timeout ?cancel () -> unit (delete_cache ?timeout ?cancel store "none"));
        ("df", fun ?timeout ?cancel () -> unit (df ?timeout ?cancel store));
        ("ping", fun ?timeout ?cancel () -> ping ?timeout ?cancel store);
        ("health", fun ?timeout ?cancel () -> unit (health ?timeout ?cancel store));
        ("purge", fun ?timeout ?cancel () -> unit (purge ?timeout ?cancel store));
        ( "complete_deletes",
          fun ?timeout ?cancel () ->
            get (Lease.discard unwanted);
            complete_deletes ?timeout ?cancel store );
        ("Lease.release", fun ?timeout ?cancel () -> unit (Lease.release ?timeout ?cancel lent));
        on_step "run" (fun step -> run step (sh "true"));
        ends "commit" Step.commit;
        ends "abort" Step.abort;
        on_step ~begun:bare "import" (fun step -> reading (Step.import step));
        on_step ~begun:bare "import_file" (fun step -> Step.import_file step tar);
        on_step ~begun:bare "pull" (fun step -> Step.pull step "localhost:1/none:1");
        on_step ~begun:bare "use_image" (fun step -> Step.use_image step "none");
        on_step "copy_in" (fun step -> reading (Step.copy_in step "/"));
        on_step "copy_in_file" (fun step -> Step.copy_in_file step "/" tar);
        on_step "copy_out" (fun step -> unit (Step.copy_out step "/etc" ignore));
        on_step "copy_out_file" (fun step -> unit (Step.copy_out_file step "/etc" "/dev/null"));
      ]
    in
    calls
  in
  Proxy.stall proxy;
  let cancel = Cancel.create () in
  let began = Unix.gettimeofday () in
  let wrong = ref [] and lock = Mutex.create () in
  let start wanted limited (name, (call : call)) =
    Thread.create
      (fun () ->
        let answer = limited call in
        let late = Unix.gettimeofday () -. began -. 0.3 in
        if status answer <> wanted || late > 2. then begin
          Mutex.lock lock;
          wrong := Printf.sprintf "%s: %s after %.1f s" name (status answer) late :: !wrong;
          Mutex.unlock lock
        end)
      ()
  in
  (* One after the other, because both are passed in one record. *)
  let told n = if n mod 2 = 0 then "timed out" else "cancelled" in
  let limited n (call : call) = if n mod 2 = 0 then call ~timeout:0.3 () else call ~cancel () in
  let threads = List.mapi (fun n call -> start (told n) (limited n) call) calls in
  Thread.delay 0.3;
  Cancel.trigger cancel;
  List.iter Thread.join threads;
  Proxy.release proxy;
  equal "calls that did not end" "" (String.concat "; " !wrong);
  get (complete_deletes ~timeout:60. store);
  get (close store);
  (* Another store may remove what closing had no time for, once that store has released it. *)
  eventually "removed what is left" (fun () ->
      Gc.full_major ();
      ignore (get (purge direct));
      let caches = List.length (List.filter (fun c -> c.layers > 0) (get (caches direct))) in
      List.length (Engine.volumes (prefix direct)) = caches + 1)

let tests =
  [
    test "a timeout and a cancel end every call that waits for an engine that hangs" silent_engine;
    test "a cancel from another thread ends a command at once" command;
    test "a signal triggers a cancel while a call blocks" by_signal;
    test "Ctrl-C ends a build by the README's recipe" by_the_recipe;
    test "a cancel wakes who waits for another's build or lease" waiting;
    test "a timeout ends a build or a command, and one that makes no sense is misuse" timeouts;
    test "other threads run while a call blocks" others_run;
  ]
