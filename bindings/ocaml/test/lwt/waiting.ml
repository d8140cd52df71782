open Docker_store_lwt
open Lwt.Infix
open Common

let held store id = get_lwt (begin_step store ~base:"base" ~id) >|= Option.get

let follows () =
  with_base @@ fun store ->
  held store "one" >>= fun other ->
  let text = Buffer.create 20 in
  get_lwt (Step.write_log other "first\n") >>= fun () ->
  let follow ~attempt piece =
    equal_int "attempt" 1 attempt;
    Buffer.add_string text piece;
    if Buffer.length text > 6 then Lwt.return_unit
    else get_lwt (Step.write_log other "second\n") >>= fun () -> get_lwt (Step.commit other)
  in
  get_lwt (begin_step store ~base:"base" ~id:"one" ~follow) >|= fun begun ->
  check "a hit" (Option.is_none begun);
  equal "whole" "first\nsecond\n" (Buffer.contents text)

let cancelled_at_once () =
  with_base @@ fun store ->
  held store "one" >>= fun other ->
  get_lwt (Step.write_log other "first\n") >>= fun () ->
  let heard, hear = Lwt.wait () in
  let follow ~attempt:_ _ =
    Lwt.wakeup_later hear ();
    Lwt.return_unit
  in
  let waits = begin_step store ~base:"base" ~id:"one" ~follow in
  heard >>= fun () ->
  let began = Unix.gettimeofday () in
  Lwt.cancel waits;
  cancelled waits >>= fun outcome ->
  equal "cancelled" "Canceled" outcome;
  let late = Unix.gettimeofday () -. began in
  check (Printf.sprintf "at once: %.3f s" late) (late < 0.2);
  get_lwt (Step.abort other)

(* None of this needs a name of [Docker_store]. *)
let complete () =
  with_base @@ fun store ->
  get_lwt (pin store "base") >>= fun fresh ->
  check "pinned" fresh;
  equal_int "pins" 1 (List.length (get (pins store)));
  get_lwt (usage store) >>= fun usage ->
  equal_int "results" 1 (List.length usage.Blocking.results);
  let rows = ref 0 in
  let each (_ : Bounds.row) =
    incr rows;
    Lwt.return_unit
  in
  get_lwt (prune store ~most_bytes:0 ~spare:0. ~each) >>= fun report ->
  equal_int "each row was heard of" (List.length report.Bounds.rows) !rows;
  get_lwt (result store "base") >>= fun there ->
  check "what is pinned stays" there;
  check "unpinned" (get (unpin store "base"));
  Lwt.catch
    (fun () -> get_lwt (delete store "no id at all!") >|= fun (_ : bool) -> fail "no error")
    (function
      | Error.E { status = Invalid_argument; _ } -> Lwt.return_unit
      | e -> Lwt.fail e)

let tests =
  [
    test "a promise that waits for a build reads along in its log" follows;
    test "a promise that waits for a build is cancelled at once" cancelled_at_once;
    test "the package for Lwt is complete by itself" complete;
  ]
