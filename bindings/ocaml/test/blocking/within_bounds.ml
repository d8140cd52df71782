open Docker_store
open Support
open Harness
open Fixture

let ids report fate =
  let id (row : Bounds.row) =
    match row.item with
    | Bounds.Result id when row.fate = fate -> Some id
    | _ -> None
  in
  List.filter_map id report.Bounds.rows

let used () =
  with_base @@ fun store ->
  ignore (get (build store "a" "head -c 100000 /dev/urandom >/a; sleep 0.1"));
  let found = get (usage store) in
  let row = List.find (fun (row : Bounds.result_usage) -> row.id = "a") found.results in
  check "its base" (row.base = Some "base");
  check "its own bytes" (row.own_bytes >= 100_000 && row.own_bytes < row.bytes);
  check "its time" (Option.get row.build_seconds >= 0.1 && row.last_use >= row.created -. 60.);
  let own = List.fold_left (fun sum (row : Bounds.result_usage) -> sum + row.own_bytes) 0 found.results in
  equal_int "counted once" own found.totals.results;
  equal_int "logs" 2 (List.length found.logs)

let pruned () =
  with_base @@ fun store ->
  ignore (get (build store "a" "echo a >/a"));
  ignore (get (build store "b" "echo b >/b"));
  check "pinned" (get (pin store "b"));
  check "once" (not (get (pin store "b")));
  check "a cache, too" (get (pin_cache store "words"));
  (match get (pins store) with
  | [ { pinned = Result "b"; _ }; { pinned = Cache "words"; _ } ] -> ()
  | pins -> fail "%d pins" (List.length pins));
  let heard = ref 0 in
  let each _ = incr heard in
  let dry = get (prune store ~most_bytes:0 ~spare:0. ~dry_run:true ~each) in
  equal_int "each row" (List.length dry.rows) !heard;
  check "a dry run frees nothing" (dry.freed = None && get (result store "a"));
  let report = get (prune store ~most_bytes:0 ~spare:0.) in
  check "what goes" (ids report Removed = [ "a" ] && ids report Spared = [ "b" ]);
  check "the same in both" (List.length dry.rows = List.length report.rows && not report.reached);
  (match get (went store "a") with
  | Some (Pruned, at) -> check "a time" (at > 1.6e9)
  | _ -> fail "it is unknown how it was removed");
  check "there still" (get (went store "b") = None && get (why_gone store "b") = None);
  check "the same" (get (why_gone store "a") = get (went store "a"));
  check "unpinned" (get (unpin store "b") && get (unpin_cache store "words"));
  (match prune store ~most_bytes:0 ~spare:0. ~each:(fun _ -> raise Exit) with
  | exception Exit -> ()
  | _ -> fail "it was not told what was raised");
  let report = get (prune store ~unused_for:0. ~spare:0.) in
  check "all goes" (report.reached && report.kept = 0)

let limited () =
  with_base @@ fun store ->
  get (limit_cache store "words" (Some 100_000));
  let fill id bytes =
    let lease = get (lease store "words") in
    let script = Printf.sprintf "head -c %d /dev/urandom >/cache/%s" bytes id in
    ignore (look store ~mounts:[ Command.lease lease "/cache" ] script);
    get (Lease.release lease)
  in
  check "it fits" (fill "a" 50_000 = Won);
  (* If the files are not accessible, the size is unknown. *)
  let second = fill "b" 500_000 in
  check "it does not" (second = Too_large || second = Won);
  let stats = get (stats store) in
  equal_int "counted" (if second = Too_large then 1 else 0) stats.releases_too_large;
  (match get (caches store) with
  | [ { limit = Some 100_000; _ } ] -> ()
  | _ -> fail "another limit");
  get (limit_cache store "words" None);
  check "without a limit" (fill "c" 500_000 = Won)

let tests =
  [
    test "what takes the space is told" used;
    test "a prune leaves what is pinned, and tells of each" pruned;
    test "a cache keeps to its limit" limited;
  ]
