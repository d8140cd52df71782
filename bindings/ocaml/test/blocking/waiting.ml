open Docker_store
open Support
open Harness
open Fixture

let held store id = Option.get (get (begin_step store ~base:"base" ~id))

let follows () =
  with_base @@ fun store ->
  let other = held store "one" and text = Buffer.create 20 in
  get (Step.write_log other "first\n");
  let follow ~attempt piece =
    equal_int "attempt" 1 attempt;
    Buffer.add_string text piece;
    if Buffer.length text = 6 then begin
      get (Step.write_log other "second\n");
      get (Step.commit other)
    end
  in
  check "a hit" (Option.is_none (get (begin_step store ~base:"base" ~id:"one" ~follow)));
  equal "whole" "first\nsecond\n" (Buffer.contents text);
  check "there is no build to wait for"
    (get (with_step store ~id:"one" ~follow:(fun ~attempt:_ _ -> fail "a piece") (fun _ -> Ok ())) = Hit)

let raises () =
  with_base @@ fun store ->
  let other = held store "one" in
  get (Step.write_log other "first\n");
  (match begin_step store ~base:"base" ~id:"one" ~follow:(fun ~attempt:_ _ -> raise Exit) with
  | exception Exit -> ()
  | _ -> fail "no exception");
  equal "a deadline" "timed out" (status (begin_step store ~base:"base" ~id:"one" ~timeout:0.1 ~follow:(fun ~attempt:_ _ -> ())));
  get (Step.abort other)

let tests =
  [
    test "who waits for a build reads along in its log" follows;
    test "what the one who reads along raises ends the wait, and so does a timeout" raises;
  ]
