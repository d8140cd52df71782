open Docker_store
open Support
open Harness
open Fixture

let is_left store kind =
  let name = Str.regexp_string (prefix store ^ kind) in
  List.exists (fun there -> Str.string_match name there 0) (Engine.all (prefix store))

let held : (Step.t * Lease.t) list ref = ref []

(* Never inlined: the stack must not keep a reference to what it creates. *)
let[@inline never] hold store n =
  let step = Option.get (get (begin_step store ~base:"base" ~id:(Printf.sprintf "leak-%d" n))) in
  ignore (get (Step.run step (sh "echo changed >/changed")));
  held := (step, get (lease store (Printf.sprintf "leak-%d" n))) :: !held

let leaked () =
  with_base @@ fun store ->
  let kinds = [ "-image-tmp-"; "-container-"; "-cache-" ] in
  for n = 1 to 3 do
    hold store n
  done;
  List.iter (fun kind -> check (kind ^ " is there first") (is_left store kind)) kinds;
  held := [];
  Gc.full_major ();
  Gc.full_major ();
  get (complete_deletes ~timeout:60. store);
  List.iter (fun kind -> check (kind ^ " is not left") (not (is_left store kind))) kinds;
  check "a second try is free" (get (build store "leak-1" "true") = Built)

(* A thread that runs the GC all the time, while all kinds of calls are made. *)
let pressure () =
  with_base @@ fun store ->
  let stop = ref false and collections = ref 0 in
  let collect () =
    while not !stop do
      Gc.full_major ();
      if !collections mod 10 = 0 then Gc.compact ();
      incr collections;
      Thread.yield ()
    done
  in
  let collector = Thread.create collect () in
  Fun.protect ~finally:(fun () ->
      stop := true;
      Thread.join collector)
  @@ fun () ->
  for n = 1 to 5 do
    let id = Printf.sprintf "app-%d" n and seen = Buffer.create 10 in
    let work lease step =
      let script = "for i in 1 2 3; do echo $N-$i; done; cat /cache/seen 2>/dev/null; echo $N >/cache/seen" in
      let command = sh ~env:[ "N", string_of_int n ] ~mounts:[ Command.lease lease "/cache" ] script in
      let output _ text =
        Gc.full_major ();
        Buffer.add_string seen text
      in
      run step command ~output
    in
    let outcome = with_lease store "seen" (fun lease -> with_step store ~base:"base" ~id (work lease)) in
    check "built" (get outcome = Built);
    let before = if n = 1 then "" else Printf.sprintf "%d\n" (n - 1) in
    equal "output" (Printf.sprintf "%d-1\n%d-2\n%d-3\n%s" n n n before) (Buffer.contents seen);
    equal "log" (Buffer.contents seen) (log store id);
    let bytes = ref 0 in
    let told = get (copy_out store ~id "/bin" (fun piece -> bytes := !bytes + String.length piece)) in
    equal_int "copied" told !bytes;
    equal_int "results" (n + 1) (List.length (get (results store)));
    equal "an error" "not found" (status (begin_step store ~base:"nowhere" ~id:"x"))
  done;
  check "it collected" (!collections > 5)

let[@inline never] step_without_store root =
  let store = get (open_store root) in
  import_base store;
  prefix store, Option.get (get (begin_step store ~base:"base" ~id:"app"))

let parents () =
  with_root @@ fun root ->
  let prefix, step = step_without_store root in
  Gc.full_major ();
  Gc.full_major ();
  check "a step keeps its store open" (get (Step.run step (sh "true")) = 0);
  get (Step.commit step);
  get
    (with_store root (fun store ->
         check "committed" (get (result store "app"));
         empty store;
         Ok ()));
  leaves_nothing prefix

let resident () =
  let status = open_in "/proc/self/status" in
  let rec find () =
    let line = input_line status in
    try Scanf.sscanf line "VmRSS: %d kB" Fun.id with Scanf.Scan_failure _ -> find ()
  in
  Fun.protect ~finally:(fun () -> close_in status) find

let memory () =
  with_base @@ fun store ->
  let rounds n =
    for _ = 1 to n do
      ignore (status (result store "Bad Id"));
      ignore (status (result store "bad\000id"));
      ignore (get (log_file store "app"));
      ignore (Cancel.create ());
      ignore (status (Log.fetch (fun _ _ -> ())))
    done;
    Gc.compact ()
  in
  rounds 2000;
  let before = resident () in
  rounds 50_000;
  let grown = resident () - before in
  check (Printf.sprintf "%d kB more after 250 000 calls" grown) (grown < 4000)

let tests =
  [
    test "steps and leases that are left to the GC disappear from the engine" leaked;
    test "calls and callbacks are right while the GC moves everything all the time" pressure;
    test "a store without references stays open while a step of it is referenced" parents;
    test "calls leave no memory behind, failed or not" memory;
  ]
