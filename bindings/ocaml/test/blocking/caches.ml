open Docker_store
open Support
open Harness
open Fixture

let append lease word =
  sh ~mounts:[ Command.lease lease "/cache" ] (Printf.sprintf "cat /cache/words; echo %s >>/cache/words" word)

(* Runs a step that adds a word to the cache. Returns the previous contents of the cache. *)
let add store id word =
  let seen = Buffer.create 10 in
  let outcome =
    with_lease store "words" @@ fun lease ->
    with_step store ~base:"base" ~id (fun step ->
        run step (append lease word) ~output:(fun _ text -> Buffer.add_string seen text))
  in
  ignore (get outcome);
  Buffer.contents seen

let kept () =
  with_base @@ fun store ->
  ignore (add store "a" "one");
  equal "the second sees the first" "one\n" (add store "b" "two");
  equal "the third sees both" "one\ntwo\n" (add store "c" "three");
  (match get (caches store) with
  | [ { name = "words"; generation = 3; leases = 0; _ } ] -> ()
  | caches -> fail "%d caches, or another generation" (List.length caches));
  check "deleted" (get (delete_cache store "words"));
  check "not deleted twice" (not (get (delete_cache store "words")));
  let stats = get (stats store) in
  equal_int "hits" 2 stats.cache_hits;
  equal_int "misses" 1 stats.cache_misses;
  equal_int "won" 3 stats.releases_won;
  equal_int "committed" 4 stats.results_committed;
  check "time was counted" (stats.clone_seconds > 0. && stats.clone_seconds < 60.)

let first_wins () =
  with_base @@ fun store ->
  let lease () = get (lease store "words") in
  let write lease word =
    ignore (look store ~mounts:[ Command.lease lease "/cache" ] ("echo " ^ word ^ " >/cache/words"))
  in
  let a = lease () and b = lease () and c = lease () in
  check "copies of their own" (Lease.volume a <> Lease.volume b && Lease.generation a = 0);
  write a "a";
  write b "b";
  let off = Cancel.create () in
  Cancel.trigger off;
  equal "a release that is cut off" "cancelled" (status (Lease.release ~cancel:off b));
  check "the first wins" (get (Lease.release ~timeout:60. b) = Won);
  check "the second loses" (get (Lease.release a) = Lost);
  check "the third changed nothing" (get (Lease.release c) <> Won);
  equal "once only" "closed" (status (Lease.release a));
  let d = lease () in
  equal_int "the next generation" 1 (Lease.generation d);
  equal "has the winner's" "b\n" (look store ~mounts:[ Command.lease d "/cache" ] "cat /cache/words");
  get (Lease.discard d);
  equal "mounting what was given back" "closed" (status (build store "x" "true" ~mounts:[ Command.lease d "/cache" ]))

let given_up () =
  with_base @@ fun store ->
  let spoil lease =
    Result.map ignore (build store "x" "echo bad >/cache/words; false" ~mounts:[ Command.lease lease "/cache" ])
  in
  equal "the failure comes out" "command failed" (status (with_lease store "words" spoil));
  ignore
    (get
       (with_lease store "words" (fun lease ->
            equal_int "nothing was saved" 0 (Lease.generation lease);
            Ok ())))

let odd_names () =
  with_base @@ fun store ->
  let names = [ "a/b"; "a b"; "\xff\xfe"; "%2f"; String.make 300 'n' ] in
  let fill name =
    with_lease store name (fun lease ->
        ignore (look store ~mounts:[ Command.lease lease "/c" ] "echo x >/c/x");
        Ok ())
  in
  List.iter (fun name -> get (fill name)) names;
  let there = List.map (fun { name; _ } -> name) (get (caches store)) in
  check "names come back as they were given" (List.sort compare names = List.sort compare there);
  equal "none at all" "invalid argument" (status (lease store ""));
  equal "a zero byte" "invalid argument" (status (lease store "a\000b"))

let owner () =
  with_base @@ fun store ->
  let owned mode =
    with_lease store ~owner:(1000, 1001) ~mode "words" (fun lease ->
        equal "owner" "1000:1001\n" (look store ~mounts:[ Command.lease lease "/root" ] "stat -c %u:%g /root");
        Ok ())
  in
  List.iter (fun mode -> get (owned mode)) [ Private; Locked; Shared ]

let strategies () =
  with_base @@ fun store ->
  let round ?strategy ?direct () =
    with_store ?strategy ?direct (root store) @@ fun store ->
    let* used, reason = Docker_store.strategy store in
    check "there is a reason" (reason <> "");
    check "the one asked for" (strategy = None || strategy = Some used);
    let text = Printf.sprintf "by-%d" (Hashtbl.hash (strategy, direct)) in
    let* () =
      with_lease store "c" (fun lease ->
          ignore (look store ~mounts:[ Command.lease lease "/c" ] (Printf.sprintf "echo %s >>/c/all" text));
          Ok ())
    in
    with_lease store "c" (fun lease ->
        let lines = look store ~mounts:[ Command.lease lease "/c" ] "tail -n 1 /c/all" in
        equal "what was saved" (text ^ "\n") lines;
        Ok ())
  in
  get (round ());
  get (round ~strategy:Copy ());
  get (round ~strategy:Copy ~direct:false ());
  (match round ~strategy:Overlay () with
  | Ok () | Error { status = Unsupported; _ } -> ()
  | Error error -> fail "%s" (Error.to_string error));
  get (round ())

let locked () =
  with_base @@ fun store ->
  let first = get (lease store ~mode:Locked "words") in
  let waited = lease store ~mode:Locked ~timeout:0.3 "words" in
  equal "the second waits" "timed out" (status waited);
  get (Lease.discard first);
  get (Lease.discard (get (lease store ~mode:Locked ~timeout:10. "words")));
  let a = get (lease store ~mode:Shared "words") in
  let b = get (lease store ~mode:Shared ~timeout:10. "words") in
  equal "the same one" (Lease.volume a) (Lease.volume b);
  check "the last publishes" (get (Lease.release a) = Shared && get (Lease.release b) <> Shared)

let tests =
  [
    test "a cache goes from step to step, and is counted" kept;
    test "of two leases of one generation, the first released wins" first_wins;
    test "a lease whose user fails is discarded" given_up;
    test "cache names are any bytes but none, and come back as they were" odd_names;
    test "a lease belongs to the owner asked for, whatever the image has there" owner;
    test "a cache outlives a change of the strategy" strategies;
    test "a locked lease makes others wait, and a shared one is the same for all" locked;
  ]
