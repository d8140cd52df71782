open Docker_store
open Support
open Harness
open Fixture

let built () =
  with_base @@ fun store ->
  check "not there before" (not (get (result store "app")));
  let outcome = get (build store "app" "echo made >/made; echo hello; sleep 0.1; echo oops >&2") in
  check "built" (outcome = Built);
  check "there" (get (result store "app"));
  equal "log" "hello\noops\n" (log store "app");
  equal "files" "made\n" (look store ~base:"app" "cat /made");
  let info = List.find (fun info -> info.id = "app") (get (results store)) in
  check "size" (info.size > 100_000);
  check "time" (abs_float (info.created -. Unix.time ()) < 600.);
  check "deleted" (get (delete store "app"));
  check "not deleted twice" (not (get (delete store "app")));
  check "gone" (not (get (result store "app")));
  check "the log is gone, too" (not (Sys.file_exists (get (log_file store "app"))))

let hit () =
  with_base @@ fun store ->
  ignore (get (build store "app" "true"));
  let outcome = get (with_step store ~base:"base" ~id:"app" (fun _ -> fail "did the work again")) in
  check "a hit" (outcome = Hit);
  check "nothing to begin" (get (begin_step store ~id:"app") = None)

let failure () =
  with_base @@ fun store ->
  let error = build store "app" "echo tried; exit 3" in
  equal "status" "command failed" (status error);
  check "exit status"
    (match error with
    | Error { exit_code = Some 3; _ } -> true
    | _ -> false);
  check "no result" (not (get (result store "app")));
  equal "the log stays" "tried\n" (log store "app");
  check "no container, and no tag of the step's" (only_base store);
  check "built by a second try" (get (build store "app" "true") = Built);
  equal "with a log of its own" "" (log store "app")

let surroundings () =
  with_base @@ fun store ->
  let seen = Buffer.create 100 in
  let script = "pwd; echo $A-$B; id -u; hostname; cat /run/word; stat -c '%u %a' /run/word; cat" in
  let command =
    Command.make
      ~entrypoint:(`Words [ "/bin/sh"; "-c" ])
      ~cwd:"/made/for/it"
      ~env:[ "A", "1"; "B", "two words" ]
      ~user:"1000:1000" ~hostname:"builder" ~cpus:1.5 ~memory:50_000_000
      ~secrets:[ Command.secret ~uid:1000 ~mode:0o440 "/run/word" "secret\n" ]
      ~stdin:(`String "input") ~timeout:60. [ script ]
  in
  let work step = run step command ~output:(fun _ text -> Buffer.add_string seen text) in
  ignore (get (with_step store ~base:"base" ~id:"app" work));
  equal "what it saw" "/made/for/it\n1-two words\n1000\nbuilder\nsecret\n1000 440\ninput" (Buffer.contents seen);
  equal "what stays" "-root-0"
    (look store ~base:"app" "echo $A-$(id -un)-$(cat /run/word 2>/dev/null | wc -c) | tr -d '\\n'")

let allowed () =
  with_base @@ fun store ->
  let work step =
    let* code = Step.run step (Command.make ~allow_failure:true [ "/nowhere" ]) in
    equal_int "no such program" 127 code;
    check "is told from a command's own 127" (not (Step.was_started step));
    let* code = Step.run step (sh ~allow_failure:true "exit 127") in
    equal_int "a command's own" 127 code;
    check "was started" (Step.was_started step);
    let* code = Step.run step (sh ~allow_failure:true "exit 7") in
    equal_int "exit status" 7 code;
    check "being built" (get (building store "app"));
    let* () = Step.write_log step "from us\n" in
    run step (sh "echo go on")
  in
  ignore (get (with_step store ~base:"base" ~id:"app" work));
  check "built" (not (get (building store "app")));
  equal "log" "from us\ngo on\n" (log store "app")

let channels () =
  with_base @@ fun store ->
  let out = Buffer.create 10 and err = Buffer.create 10 in
  let output channel text =
    Buffer.add_string
      (match channel with
      | Step.Stdout -> out
      | Stderr -> err)
      text
  in
  let work step = run step (sh "echo o; echo e >&2; head -c 300000 /dev/zero") ~output in
  ignore (get (with_step store ~base:"base" ~id:"app" work));
  equal_int "all of standard output" 300_002 (Buffer.length out);
  equal "standard error" "e\n" (Buffer.contents err)

(* ---------------------------------------------------------------- files *)

let files () =
  with_base @@ fun store ->
  ignore
    (get (build store "app" "mkdir /d; head -c 200000 /dev/urandom >/d/big; echo word >/d/small; md5sum /d/* >/sums"));
  let stream = Buffer.create 300_000 in
  let bytes = get (copy_out store ~id:"app" "/d" (Buffer.add_string stream)) in
  equal_int "as many bytes as it says" bytes (Buffer.length stream);
  let tar = Filename.concat (state_dir store) "d.tar" in
  equal_int "the same to a file" bytes (get (copy_out_file store ~id:"app" "/d" tar));
  equal "the same bytes" (Digest.to_hex (Digest.string (Buffer.contents stream))) (Digest.to_hex (Digest.file tar));
  let reader () =
    let text = Buffer.contents stream and at = ref 0 in
    fun buffer offset length ->
      let n = min (min length 5000) (String.length text - !at) in
      Bytes.blit_string text !at buffer offset n;
      at := !at + n;
      n
  in
  let work step =
    let* () = Step.copy_in step "/by/stream" (reader ()) in
    let* () = Step.copy_in_file step "/by/file" tar in
    let compare = "sed 's,/d/,/by/stream/d/,' /sums | md5sum -c; sed 's,/d/,/by/file/d/,' /sums | md5sum -c" in
    let* _ = Step.run step (sh ("set -e;" ^ compare)) in
    let again = Buffer.create 300_000 in
    let* bytes = Step.copy_out step "/by/file/d" (Buffer.add_string again) in
    equal_int "out of the step" bytes (Buffer.length again);
    let* _ = Step.copy_out_file step "/by/stream/d/small" tar in
    equal "a path that is not there" "not found" (status (Step.copy_out step "/nowhere" ignore));
    let files = Host_files.make ~name:"host.tar" ~owner:(`Ids (3, 4)) ~fixed_times:5 tar in
    let* sent = Step.copy_in_host step "/by/host" files in
    let* digest = Host_files.digest files in
    equal "the digest of what was sent" digest sent;
    let* _ = Step.run step (sh "test \"$(stat -c '%u %g %Y' /by/host/host.tar)\" = '3 4 5'") in
    let here = Filename.concat (state_dir store) "out" in
    let* bytes = Step.copy_out_host step "/by/host" (Host_folder.make here) in
    let there = Filename.concat here "host.tar" in
    equal_int "every byte" bytes (Unix.stat there).st_size;
    check "this user's, with its time" ((Unix.stat there).st_uid = Unix.geteuid () && (Unix.stat there).st_mtime = 5.);
    if Unix.geteuid () = 0 then (
      ignore (get (Step.copy_out_host step "/by/host" (Host_folder.make ~owner:`There ~keep_modes:true here)));
      equal_int "its owner" 3 (Unix.stat there).st_uid);
    let nowhere = Host_folder.make ~owner:(`Ids (Unix.geteuid (), Unix.getegid ())) here in
    equal "a path that is not there" "not found" (status (Step.copy_out_host step "/nowhere" nowhere));
    equal "a result that is not there" "not found" (status (copy_out_host store ~id:"none" "/" nowhere));
    Ok ()
  in
  check "built" (get (with_step store ~base:"app" ~id:"copy" work) = Built)

let bases () =
  with_base @@ fun store ->
  let steps = ref 0 in
  let progress { Step.current; total; _ } =
    incr steps;
    check "no more than all" (total = 0 || current <= total)
  in
  let by_stream step =
    let channel = open_in_bin (base_tar ()) in
    Fun.protect ~finally:(fun () -> close_in channel) (fun () -> Step.import step (input channel) ~progress)
  in
  check "by stream" (get (with_step store ~id:"by-stream" by_stream) = Built);
  check "progress was told" (!steps > 0);
  equal "its files" "1\n" (look store ~base:"by-stream" "ls /bin/busybox | wc -l");
  let by_image step = Step.use_image step (prefix store ^ "-image-by-stream") in
  check "by image" (get (with_step store ~id:"by-image" by_image) = Built);
  equal "an image that is not there" "not found"
    (status (with_step store ~id:"other" (fun step -> Step.use_image step "docker-store-no-such-image")))

let tests =
  [
    test "a committed result is there, with its log, files and size, until it is deleted" built;
    test "a build whose result is there does no work" hit;
    test "a step that fails leaves its log alone, and a second try starts clean" failure;
    test "a command has the surroundings it was given, and the result keeps none of them" surroundings;
    test "a failure that is allowed is an answer, and the step goes on" allowed;
    test "all output comes, and by its channel" channels;
    test "files go in and out unharmed, by function and by file" files;
    test "a base comes from a stream, a file or an image that is there" bases;
  ]
