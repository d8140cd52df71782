(* A stress test like OBuilder's: random builds of four steps, ten concurrently, all with one cache. Each step adds a
   number to a file, to its log and to the cache. A last step compares the file with its expected contents. *)

open Docker_store
open Lwt.Infix
open Common

let steps = 4
let values = 3
let jobs = if Sys.getenv_opt "DOCKER_STORE_TEST_LONG" = None then 40 else 100
let at_once = 10

(* One way to run a step: from a base, with the cache at /cache. *)
type make = base:string -> id:string -> string -> [ `Hit | `Built of string ] Lwt.t

let check_step store id value =
  let expected = Printf.sprintf "added:%d\n" value in
  let logged = log store id in
  if logged <> expected then fail "the log of %s: expected %S, got %S" id expected logged

let job store (make : make) built =
  let rec go base numbers = function
    | 0 ->
      let expected = String.concat "" (List.rev_map string_of_int numbers) in
      make ~base ~id:(base ^ "-check") (Printf.sprintf "[ \"$(cat /output)\" = %s ]" expected) >|= fun _ -> ()
    | left ->
      let value = Random.int values in
      let id = Printf.sprintf "%s-%d" base value in
      let script = Printf.sprintf "echo -n %d >>/output; echo added:%d; echo %d >>/cache/all" value value value in
      make ~base ~id script >>= fun made ->
      (match made with
      | `Hit -> ()
      | `Built output ->
        incr built;
        equal "output" (Printf.sprintf "added:%d\n" value) output);
      check_step store id value;
      go id (value :: numbers) (left - 1)
  in
  go "base" [] steps

let stress store make =
  let seed =
    match Sys.getenv_opt "SEED" with
    | Some seed -> int_of_string seed
    | None -> Unix.getpid ()
  in
  Random.init seed;
  let built = ref 0 and began = Unix.gettimeofday () in
  let left = ref jobs in
  let rec worker () =
    if !left = 0 then Lwt.return_unit
    else begin
      decr left;
      job store make built >>= worker
    end
  in
  Lwt.join (List.init at_once (fun _ -> worker ())) >|= fun () ->
  let time = Unix.gettimeofday () -. began in
  Printf.printf "        (%d jobs, %d steps built, %.1f s; SEED=%d)\n" jobs !built time seed;
  (* Each release that won added one line to the previous version. *)
  let stats = get (stats store) in
  match List.find_opt (fun { name; _ } -> name = "all") (get (caches store)) with
  | None -> fail "no cache"
  | Some { generation; leases; _ } ->
    equal_int "no lease is out" 0 leases;
    equal_int "as many generations as releases that won" stats.releases_won generation;
    let lines =
      with_lease store "all" (fun lease -> Ok (look store ~mounts:[ Command.lease lease "/c" ] "cat /c/all | wc -l"))
    in
    equal "as many lines" (Printf.sprintf "%d\n" generation) (get lines)

let ours () =
  with_base @@ fun store ->
  let make ~base ~id script =
    get_lwt (D.result store id) >>= function
    | true -> Lwt.return `Hit
    | false ->
      let seen = Buffer.create 10 in
      let output _ text =
        Buffer.add_string seen text;
        Lwt.return_unit
      in
      let work lease =
        D.with_step store ~base ~id (fun step -> run step (sh script ~mounts:[ Command.lease lease "/cache" ]) ~output)
      in
      get_lwt (D.with_lease store "all" work) >|= fun outcome ->
      if outcome = Hit then `Hit else `Built (Buffer.contents seen)
  in
  stress store make

let obuilders () =
  Obuilder_store.with_sandbox @@ fun store t sandbox ->
  let make ~base ~id script =
    let seen = Buffer.create 10 and ran = ref false in
    (* OBuilder writes the log itself. *)
    let log text =
      ran := true;
      Buffer.add_string seen text;
      let channel = open_out_gen [ Open_append; Open_creat ] 0o644 (get (log_file store id)) in
      output_string channel text;
      close_out channel
    in
    Obuilder_store.must (Obuilder_store.step t sandbox ~base ~id ~caches:[ "all", "/cache" ] ~log script) >|= fun () ->
    if !ran then `Built (Buffer.contents seen) else `Hit
  in
  stress store make

let tests =
  [
    test "stress: random builds, ten at once, are right to the byte" ours;
    test "stress: so they are by OBuilder's store and a sandbox of its kind" obuilders;
  ]
