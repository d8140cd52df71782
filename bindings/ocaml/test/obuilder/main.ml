(* OBuilder's builder on this store, and two of them in two processes on one root. *)

open Lwt.Infix
open Support
open Harness

(* A chain whose steps each print something and take some time, so that two processes meet in each. *)
let scripts =
  List.map
    (fun n -> Printf.sprintf "echo %s-a; sleep 0.4; echo %s-b; echo %s >/made-%s" n n n n)
    [ "one"; "two"; "three" ]

let expected = "one-a\none-b\ntwo-a\ntwo-b\nthree-a\nthree-b\n"
let network = { Obuilder.Docker_sandbox.network = "none" }

let said () =
  let output = Buffer.create 100 and loaded = ref 0 in
  let log tag text =
    match tag with
    | `Output -> Buffer.add_string output text
    | `Note -> if String.length text > 10 && String.sub text 5 5 = "using" then incr loaded
    | `Heading -> ()
  in
  output, loaded, log

let build ?(scripts = scripts) root =
  Page.builder ~sandbox:network root >>= fun builder ->
  let output, loaded, log = said () in
  let from = !Obuilder.Docker.prefix ^ "-image-base" in
  Page.Builder.build builder ~log ~from scripts >|= fun built ->
  built, Buffer.contents output, !loaded, Page.Builder.rows builder

let child = "DOCKER_STORE_OBUILDER_CHILD"

let error_text = function
  | Ok _ -> "built"
  | Error `Cancelled -> "cancelled"
  | Error (`Msg text) -> text

(* The program of the second process: builds everything, and prints the output that it received. *)
let second root =
  let built, output, loaded, _ = Lwt_main.run (build root) in
  if Result.is_error built then prerr_endline (error_text built);
  Printf.printf "%d\n%s%!" loaded output;
  exit (if Result.is_ok built then 0 else 1)

let spawn root =
  let environment = Array.append (Unix.environment ()) [| child ^ "=" ^ root |] in
  let input, output = Unix.pipe ~cloexec:true () in
  let id =
    Unix.create_process_env Sys.executable_name [| Sys.executable_name |] environment Unix.stdin output Unix.stderr
  in
  Unix.close output;
  id, Unix.in_channel_of_descr input

let clean_of_obuilder f = Fixture.with_base (fun store -> f store (Docker_store.root store))

let count rows id = (List.find (fun (row : Obuilder.Dao.row) -> row.id = id) rows).rc

(* The rows: each counts the results that were built on it. *)
let counts_are_true (rows : Obuilder.Dao.row list) =
  List.iter
    (fun (row : Obuilder.Dao.row) ->
      let children = List.filter (fun (other : Obuilder.Dao.row) -> other.parent = Some row.id) rows in
      equal_int ("children of " ^ row.id) (List.length children) row.rc)
    rows

let two_processes () =
  clean_of_obuilder @@ fun _store root ->
  let other, said = spawn root in
  let built, output, loaded, _ = Lwt_main.run (build root) in
  equal "the first one's build" "built" (error_text built);
  let theirs = int_of_string (input_line said) in
  let text = really_input_string said (String.length expected) in
  close_in said;
  check "the second one's build" (snd (Unix.waitpid [] other) = Unix.WEXITED 0);
  equal "what the first was shown" expected output;
  equal "what the second was shown" expected text;
  (* Four builds: the base and the three scripts. Each was built by one process and loaded by the other. *)
  equal_int "loaded" 4 (loaded + theirs);
  let again, output, loaded, rows = Lwt_main.run (build root) in
  equal "once more" "built" (error_text again);
  equal "what is shown of what is there" expected output;
  equal_int "all of it" 4 loaded;
  equal_int "rows" 4 (List.length rows);
  counts_are_true rows;
  (* Results that nothing was built on are pruned first, and then all. *)
  let last = Result.get_ok again in
  equal_int "nothing stands on the last" 0 (count rows last);
  let pruned =
    Lwt_main.run
      ( Page.builder ~sandbox:network root >>= fun builder ->
        Page.Builder.prune builder ~before:(Unix.gettimeofday () +. 1.) 100 >|= fun pruned ->
        equal_int "rows are left" 0 (List.length (Page.Builder.rows builder));
        pruned )
  in
  equal_int "pruned" 4 pruned

(* Calls [f] while another store builds, like another process, what [f] then requests. *)
let one_script = [ "echo mine; sleep 0.2" ]

let cancelled_while_waiting () =
  clean_of_obuilder @@ fun store root ->
  Lwt_main.run
    ( Page.builder ~sandbox:network root >>= fun builder ->
      let output, _, log = said () in
      let from = !Obuilder.Docker.prefix ^ "-image-base" in
      Page.Builder.build builder ~log ~from [] >>= fun base ->
      let base = Result.get_ok base in
      let id = Digest.to_hex (Digest.string (base ^ " " ^ List.hd one_script)) in
      (* The other build: a step of the store itself. *)
      let step = Option.get (Docker_store.get (Docker_store.begin_step store ~base ~id)) in
      let switch = Lwt_switch.create () in
      let waits =
        Page.Store.with_switch switch (fun () -> Page.Builder.build builder ~switch ~log ~from one_script)
      in
      Lwt_unix.sleep 0.5 >>= fun () ->
      check "it waits" (Lwt.is_sleeping waits);
      let began = Unix.gettimeofday () in
      Lwt_switch.turn_off switch >>= fun () ->
      waits >>= fun built ->
      check "it is not built" (Result.is_error built);
      let late = Unix.gettimeofday () -. began in
      check (Printf.sprintf "at once: %.3f s" late) (late < 0.2);
      Docker_store.get (Docker_store.Step.abort step);
      (* And it can be built again. *)
      Page.Builder.build builder ~log ~from one_script >|= fun built ->
      equal "then" "built" (error_text built);
      equal "what it said" "mine\n" (Buffer.contents output) )

let cancelled_while_building () =
  clean_of_obuilder @@ fun _store root ->
  Lwt_main.run
    ( Page.builder ~sandbox:network root >>= fun builder ->
      let running, run = Lwt.wait () in
      let log tag _ = if tag = `Output && Lwt.is_sleeping running then Lwt.wakeup_later run () in
      let from = !Obuilder.Docker.prefix ^ "-image-base" in
      let switch = Lwt_switch.create () in
      let building = Page.Builder.build builder ~switch ~log ~from [ "echo runs; sleep 60" ] in
      running >>= fun () ->
      Lwt_switch.turn_off switch >>= fun () ->
      building >>= fun built ->
      check "cancelled" (built = Error `Cancelled);
      (* It reports this immediately; the sandbox and the store take some time. *)
      let prefix = !Obuilder.Docker.prefix in
      let rec settled tries =
        if Engine.containers prefix = [] then Lwt.return_unit
        else if tries = 0 then fail "a container is left: %s" (String.concat " " (Engine.containers prefix))
        else Lwt_unix.sleep 0.1 >>= fun () -> settled (tries - 1)
      in
      settled 100 >>= fun () ->
      (* The base is held until the build ends, which may be shortly after its container ends. *)
      let rec prune tries =
        Page.Builder.prune builder ~before:(Unix.gettimeofday () +. 1.) 100 >>= fun pruned ->
        if pruned > 0 || tries = 0 then Lwt.return pruned else Lwt_unix.sleep 0.1 >>= fun () -> prune (tries - 1)
      in
      prune 100 >|= fun pruned -> equal_int "pruned: the base" 1 pruned )

(* What a child process inherits: blocked and ignored signals, and files other than its own pipes. Without the signals 32 and
   33: glibc keeps these for itself. A process that was started by posix_spawn(), as make does, ignores both until it has a
   thread. *)
let of_a_child () =
  let look =
    "while read name mask; do case $name in SigBlk:|SigIgn:) printf '%s %x\\n' $name $((0x$mask & ~0x180000000));; esac; \
     done </proc/self/status; for file in /proc/self/fd/*; do readlink $file; done | grep -vE \
     '^(pipe:|/proc|/dev/)' | sort"
  in
  Lwt_process.pread (Lwt_process.shell look)

let children () =
  let before = Lwt_main.run (of_a_child ()) in
  clean_of_obuilder @@ fun store root ->
  Lwt_main.run
    ( Page.builder ~sandbox:network root >>= fun builder ->
      let output, _, log = said () in
      let from = !Obuilder.Docker.prefix ^ "-image-base" in
      let running, run = Lwt.wait () in
      let log tag text =
        if tag = `Output && Lwt.is_sleeping running then Lwt.wakeup_later run ();
        log tag text
      in
      let building = Page.Builder.build builder ~log ~from [ "echo runs; sleep 1" ] in
      (* During a build of OBuilder, with a lease, a step, and a wait for that step. *)
      let lease = Docker_store.get (Docker_store.lease store "c") in
      let step = Option.get (Docker_store.get (Docker_store.begin_step store ~base:"base" ~id:"held")) in
      let waits = Docker_store_lwt.begin_step store ~base:"base" ~id:"held" in
      running >>= fun () ->
      of_a_child () >>= fun during ->
      equal "what a child has" before during;
      Lwt.cancel waits;
      Lwt.catch (fun () -> waits >|= ignore) (fun _ -> Lwt.return_unit) >>= fun () ->
      Docker_store.get (Docker_store.Step.abort step);
      Docker_store.get (Docker_store.Lease.discard lease);
      building >|= fun built ->
      equal "the build" "built" (error_text built);
      equal "what it said" "runs\n" (Buffer.contents output) )

let tests =
  [
    test "OBuilder: its docker clients are born with no signal and no file of the store's" children;
    test "OBuilder: two processes on one root build each id once, are both shown all, and count right" two_processes;
    test "OBuilder: a cancel while another process builds is heard at once" cancelled_while_waiting;
    test "OBuilder: a cancelled build leaves no container, and a prune goes on" cancelled_while_building;
  ]

let () =
  match Sys.getenv_opt child with
  | Some root -> second root
  | None -> Harness.run tests
