open Docker_store
open Support
open Harness
open Fixture

let together () =
  with_base @@ fun store ->
  let worker n () =
    let id = Printf.sprintf "app-%d" n and seen = Buffer.create 10 in
    let work step =
      run step
        (sh (Printf.sprintf "for i in 1 2 3; do echo %d; sleep 0.1; done" n))
        ~output:(fun _ text -> Buffer.add_string seen text)
    in
    for _ = 1 to 2 do
      ignore (get (with_step store ~base:"base" ~id work));
      check "there" (get (result store id))
    done;
    Buffer.contents seen
  in
  match Parallel.run [ worker 1; worker 2 ] with
  | [ one; two ] ->
    equal "output of the first" "1\n1\n1\n" one;
    equal "output of the second" "2\n2\n2\n" two
  | _ -> assert false

let one_id () =
  with_base @@ fun store ->
  let worker () = get (build store "app" "echo built; sleep 0.5") in
  let outcomes = Parallel.run [ worker; worker; worker ] in
  equal_int "built once" 1 (List.length (List.filter (( = ) Built) outcomes));
  equal "log" "built\n" (log store "app")

(* Makes calls until the store is closed; each of them must return, in one way or the other. *)
let close_races () =
  with_root @@ fun root ->
  let round _ =
    let store = get (open_store root) in
    let caller () =
      let rec go n =
        match result store "base" with
        | Ok _ -> go (n + 1)
        | Error { status = Closed; _ } -> n
        | Error error -> fail "%s" (Error.to_string error)
      in
      go 0
    in
    let closer () =
      Thread.delay 0.02;
      get (close store);
      get (close store);
      0
    in
    let prefix = prefix store in
    ignore (Parallel.run [ caller; caller; caller; closer; closer ]);
    prefix
  in
  leaves_nothing (List.hd (List.map round (List.init 10 Fun.id)))

let end_races () =
  with_base @@ fun store ->
  let round n =
    let id = Printf.sprintf "app-%d" n in
    let step = Option.get (get (begin_step store ~base:"base" ~id)) in
    let lease_ = get (lease store "c") in
    let ender end_ () = status (end_ step) in
    let releaser end_ () = status (end_ lease_) in
    let answers =
      Parallel.run
        [
          ender (fun step -> Step.commit step);
          ender (fun step -> Step.abort step);
          ender (fun step -> Step.run step (sh "true"));
          releaser (fun lease -> Lease.release lease);
          releaser Lease.discard;
        ]
    in
    let known = [ "success"; "closed"; "busy"; "conflict" ] in
    List.iter (fun answer -> check answer (List.mem answer known)) answers;
    (* A call that returned [Busy] may be tried again. *)
    ignore (Step.abort step);
    ignore (Lease.discard lease_)
  in
  List.iter round (List.init 6 Fun.id)

let tests =
  [
    test (Printf.sprintf "two %s build on one store at once" Parallel.kind) together;
    test (Printf.sprintf "one id that three %s want is built once" Parallel.kind) one_id;
    test (Printf.sprintf "closing a store under calls of other %s is safe" Parallel.kind) close_races;
    test (Printf.sprintf "ending a step or a lease in several %s at once is safe" Parallel.kind) end_races;
  ]
