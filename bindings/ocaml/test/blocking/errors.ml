open Docker_store
open Support
open Harness
open Fixture

let statuses () =
  with_base @@ fun store ->
  let root = root store in
  equal "an id that no image name takes" "invalid argument" (status (result store "Upper"));
  equal "a zero byte" "invalid argument" (status (result store "a\000b"));
  equal "a path that is not absolute" "invalid argument" (status (copy_out store ~id:"base" "bin" ignore));
  equal "a base that is not there" "not found" (status (build store ~base:"nowhere" "app" "true"));
  equal "a result that is not there" "not found" (status (copy_out store ~id:"nowhere" "/" ignore));
  equal "no engine" "unreachable" (status (open_store ~engine:"unix:///nowhere/docker.sock" root));
  equal "no parent directory" "I/O" (status (open_store "/nowhere/at/all"));
  equal "a bad word" "invalid argument" (status (open_store ~name:"Bad Word" root));
  equal "no such program" "command not started"
    (status (with_step store ~base:"base" ~id:"app" (fun step -> run step (Command.make [ "/nowhere" ]))));
  let step = Option.get (get (begin_step store ~base:"base" ~id:"app")) in
  equal "deleting what is being built" "busy" (status (delete store "app"));
  equal "a bad argument does no harm" "invalid argument" (status (Step.run step (sh ~env:[ "A=B", "" ] "true")));
  equal "nor does a zero byte" "invalid argument" (status (Step.run step (sh ~env:[ "A", "\000" ] "true")));
  equal_int "the step goes on" 0 (get (Step.run step (sh "true")));
  equal "a failed command" "command failed" (status (Step.run step (sh "exit 9")));
  equal "and then" "conflict" (status (Step.run step (sh "true")));
  get (Step.abort step)

let details () =
  with_base @@ fun store ->
  let details = function
    | Ok _ -> fail "no error"
    | Error { Error.message; http_status; os_errno; exit_code; _ } ->
      check "a message of one line" (message <> "" && not (String.contains message '\n'));
      http_status, os_errno, exit_code
  in
  let _, errno, _ = details (open_store "/nowhere/at/all") in
  check "errno" (errno = Some 2);
  let http, _, _ = details (copy_out store ~id:"base" "/nowhere" ignore) in
  check "HTTP status" (http = Some 404);
  let _, _, exit_code = details (build store "app" "sleep 100 & kill -9 $!; wait $!") in
  check "128 and the signal" (exit_code = Some 137);
  let none = details (result store "Upper") in
  check "none of them" (none = (None, None, None));
  match get (result store "Upper") with
  | (_ : bool) -> fail "no exception"
  | exception (Error.E { status = Invalid_argument; _ } as e) ->
    check "printed" (Str.string_match (Str.regexp ".*invalid argument.*Upper") (Printexc.to_string e) 0)

let no_memory () =
  with_base @@ fun store ->
  let eat = Command.make ~memory:20_000_000 [ "/bin/sh"; "-c"; "x=0123456789abcdef; while :; do x=$x$x; done" ] in
  equal "killed for its memory" "out of memory"
    (status (with_step store ~base:"base" ~id:"app" (fun step -> run step eat)))

(* A server that is not an engine. *)
let not_an_engine () =
  with_root @@ fun root ->
  let path = Filename.concat root "socket" in
  let socket = Unix.socket PF_UNIX SOCK_STREAM 0 in
  Unix.bind socket (ADDR_UNIX path);
  Unix.listen socket 5;
  let answer () =
    try
      while true do
        let connection, _ = Unix.accept socket in
        ignore (Unix.write_substring connection "hello\r\n\r\n" 0 9);
        Unix.close connection
      done
    with Unix.Unix_error _ -> ()
  in
  let server = Thread.create answer () in
  let told = status (open_store ~engine:("unix://" ^ path) ~connect_timeout:5. root) in
  Unix.shutdown socket SHUTDOWN_ALL;
  Thread.join server;
  Unix.close socket;
  check told (List.mem told [ "unsupported"; "cut short" ])

let ended () =
  with_base @@ fun store ->
  let step = Option.get (get (begin_step store ~base:"base" ~id:"app")) in
  get (Step.commit step);
  equal "a second commit" "closed" (status (Step.commit step));
  equal "an abort after it" "closed" (status (Step.abort step));
  equal "a run after it" "closed" (status (Step.run step (sh "true")));
  equal "its id is known" "app" (Step.id step);
  check "the result stays" (get (result store "app"));
  let lease_ = get (lease store "c") in
  get (Lease.discard lease_);
  equal "a release after a discard" "closed" (status (Lease.release lease_));
  check "its volume is known" (Lease.volume lease_ <> "")

let closed () =
  with_base @@ fun store ->
  let other = get (open_store (root store)) in
  let step = Option.get (get (begin_step other ~base:"base" ~id:"app")) in
  let lease_ = get (lease other "c") in
  get (close other);
  get (close other);
  let all =
    [
      status (result other "base");
      status (results other);
      status (delete other "base");
      status (begin_step other ~id:"x");
      status (lease other "c");
      status (caches other);
      status (df other);
      status (purge other);
      status (strategy other);
      status (copy_out other ~id:"base" "/" ignore);
      status (Step.run step (sh "true"));
      status (Step.commit step);
      status (Lease.release lease_);
    ]
  in
  List.iter (equal "after closing" "closed") all;
  equal "what it is called is known" (root store) (root other);
  check "the first store is open" (get (result store "base"));
  (* What the closed store held was released with its step and its lease. *)
  get (complete_deletes ~timeout:30. other);
  check "nothing is left" (List.for_all (fun info -> info.leases = 0) (get (caches store)));
  check "the id is free" (get (build store "app" "true") = Built)

let misuse () =
  with_base @@ fun store ->
  let raises what f =
    match f () with
    | () -> fail "%s: no exception" what
    | exception Invalid_argument _ -> ()
  in
  raises "a negative user" (fun () -> ignore (lease store ~owner:(-1, 0) "c"));
  raises "a mode beyond numbers" (fun () -> ignore (Command.secret ~mode:(-1) "/x" ""));
  raises "a command that ends before it begins" (fun () -> ignore (Command.make ~timeout:(-1.) [ "true" ]))

let named () =
  with_base @@ fun store ->
  check "version" (Str.string_match (Str.regexp "[0-9]+\\.[0-9]+\\.[0-9]+") version 0);
  check "id"
    (id ~name:"Compile foo.c!" [ "base"; "\000\xff" ]
    = "compile-foo-c-0a19f0228d163f358e06b906fae27f7134e723b892c7ac5a448661351e821bc8");
  check "where parts end" (id ~name:"x" [ "ab"; "c" ] <> id ~name:"x" [ "a"; "bc" ]);
  (match id ~name:"a\000b" [] with
  | _ -> fail "a name with a zero byte"
  | exception Error.E { status = Invalid_argument; _ } -> ());
  check "prefix" (String.length (prefix store) = String.length "obuilder-" + 7);
  check "directories" (Sys.is_directory (state_dir store) && Sys.is_directory (empty_dir store));
  check "API" (Scanf.sscanf (api_version store) "%d.%d" (fun major minor -> major = 1 && minor >= 41));
  check "engine" (engine store <> "");
  let free = get (df store) in
  check "free space" (free.percent > 0. && free.percent <= 100. && free.root_percent >= free.percent);
  get (ping store);
  let found = get (health ~timeout:60. store) in
  check "who answers" (found.engine <> "" && found.engine_version <> "" && found.address = engine store);
  check "its API" (found.api_version = api_version store);
  check "who makes networks" (found.network <> "");
  check "how it clones" (found.strategy = Some (fst (get (strategy store))));
  check "its clock" (match found.clock_ahead with Some ahead -> Float.abs ahead < 60. | None -> false);
  check "advice" (List.for_all (fun { what; advice } -> what <> "" && advice <> "") found.troubles);
  let purged = get (purge store) in
  check "nothing to purge" (purged = { containers = 0; images = 0; volumes = 0 });
  let other = get (with_store ~name:"ours" (root store) (fun other -> Ok (prefix other))) in
  check "another word" (String.sub other 0 5 = "ours-");
  leaves_nothing other

let tests =
  [
    test "every failure has its status" statuses;
    test "an error says HTTP status, errno and exit status where there is one, and is raised by get" details;
    test "a command that runs out of memory is told apart" no_memory;
    test "what is no engine is told apart" not_an_engine;
    test "what has ended says closed, and never crashes" ended;
    test "after close every call says closed" closed;
    test "numbers that make no sense are misuse" misuse;
    test "a store says what it is called, and how much space is free" named;
  ]
