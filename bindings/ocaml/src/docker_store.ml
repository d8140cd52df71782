module Error = Error
module Cancel = Cancel
module Command = Command
module Image_config = Image_config
module Host_files = Host_files
module Host_folder = Host_folder
module Step = Step
module Lease = Lease
module Log = Log
module Bounds = Bounds

type t = { raw : Raw.store; names : Raw.names }

let version = Raw.version ()

let id ~name parts =
  match Error.check (Raw.id name (Array.of_list parts)) with
  | Ok id -> id
  | Error e -> raise (Error.E e)

let get = function
  | Ok value -> value
  | Error error -> raise (Error.E error)

let ( let+ ) answer f = Result.map f (Error.check answer)

(* Calls [f ()]. If it raises, calls [undo ()] and re-raises. *)
let unless_done ~undo f =
  try f ()
  with e ->
    let backtrace = Printexc.get_raw_backtrace () in
    ignore (undo () : (unit, Error.t) result);
    Printexc.raise_with_backtrace e backtrace

(* ---------------------------------------------------------------- open and close *)

type strategy = Overlay | Copy

(* enum dstore_strategy *)
let strategy_code = function
  | None -> 0
  | Some Overlay -> 1
  | Some Copy -> 2

let strategy_of_code = function
  | 1 -> Some Overlay
  | 2 -> Some Copy
  | _ -> None

let open_store ?engine ?name ?strategy ?(direct = true) ?(sync = false) ?group ?log_limit ?(engine_network = false) ?connect_timeout
    ?timeout ?cancel root =
  let strategy = strategy_code strategy and connect_timeout_ms = Limits.milliseconds connect_timeout in
  let log_drop = match log_limit with Some (_, `Drop) -> true | _ -> false in
  let log_limit = Option.map fst log_limit in
  let settings = { Raw.engine; name; strategy; direct; sync; connect_timeout_ms; group; log_limit; log_drop; engine_network } in
  let+ raw = Raw.open_store root settings (Limits.make ?timeout ?cancel ()) in
  { raw; names = Raw.names raw }

let close ?timeout ?cancel t =
  match Error.check (Raw.close t.raw (Limits.make ?timeout ?cancel ())) with
  | Error { status = Closed; _ } -> Ok ()
  | closed -> closed

let with_store ?engine ?name ?strategy ?direct ?sync ?group ?log_limit ?engine_network ?connect_timeout root f =
  Result.bind (open_store ?engine ?name ?strategy ?direct ?sync ?group ?log_limit ?engine_network ?connect_timeout root) @@ fun store ->
  let close () = close store in
  let answer = unless_done ~undo:close (fun () -> f store) in
  let closed = close () in
  Result.bind answer (fun value -> Result.map (fun () -> value) closed)

let root t = t.names.root
let prefix t = t.names.prefix
let state_dir t = t.names.state_dir
let empty_dir t = t.names.empty_dir
let engine t = t.names.address
let api_version t = t.names.api_version

(* ---------------------------------------------------------------- building *)

type outcome = Hit | Built

let begin_step ?base ?timeout ?cancel ?follow t ~id =
  let hear f event = f ~attempt:(Raw.event_number event) (Raw.event_bytes event) in
  let limits = Limits.make ?timeout ?cancel () in
  Result.map (Option.map (Step.of_raw ~id))
    (Guard.call_optional (Option.map hear follow) (Raw.begin_step t.raw base id limits))

let with_step ?base ?timeout ?cancel ?follow t ~id f =
  Result.bind (begin_step ?base ?timeout ?cancel ?follow t ~id) @@ function
  | None -> Ok Hit
  | Some step -> (
    let abort () = Step.abort step in
    match unless_done ~undo:abort (fun () -> f step) with
    | Ok () -> Result.map (fun () -> Built) (Step.commit step)
    | Error error ->
      ignore (abort () : (unit, Error.t) result);
      Error error)

let log_file t id = Error.check (Raw.log_file t.raw id)
let building t id = Error.check (Raw.building t.raw id)

(* ---------------------------------------------------------------- results *)

type result_info = { id : string; created : float; size : int }

let result ?timeout ?cancel t id = Error.check (Raw.result t.raw id (Limits.make ?timeout ?cancel ()))

let results ?timeout ?cancel t =
  let info { Raw.id; created; size } = { id; created = float_of_int created; size } in
  let+ results = Raw.results t.raw (Limits.make ?timeout ?cancel ()) in
  List.map info (Array.to_list results)

let delete ?timeout ?cancel t id = Error.check (Raw.delete t.raw id (Limits.make ?timeout ?cancel ()))

let copy_out ?timeout ?cancel t ~id path write =
  Guard.call (Guard.write write) (Raw.copy_out t.raw id path (Limits.make ?timeout ?cancel ()))

let copy_out_host ?timeout ?cancel t ~id path folder =
  let limits = Limits.make ?timeout ?cancel () in
  Error.check (Host_folder.with_raw folder (Raw.copy_out_host t.raw id path limits))

let copy_out_file ?timeout ?cancel t ~id path tar =
  Error.check (Raw.copy_out_file t.raw id path (Limits.make ?timeout ?cancel ()) tar)

(* ---------------------------------------------------------------- publishing *)

let tag ?timeout ?cancel t ~id name = Error.check (Raw.tag t.raw id name (Limits.make ?timeout ?cancel ()))

let push ?progress ?login ?timeout ?cancel t ~id name =
  let how = Step.raw_login login, Limits.make ?timeout ?cancel () in
  Guard.call_optional (Option.map Step.hear_progress progress) (Raw.push t.raw id name how)

type image_format = Docker_archive | Oci_layout

(* enum dstore_image_format *)
let form format name = (match format with Docker_archive -> 1 | Oci_layout -> 2), name

let save ?name ?timeout ?cancel t ~id format write =
  Guard.call (Guard.write write) (Raw.save t.raw id (form format name) (Limits.make ?timeout ?cancel ()))

let save_file ?name ?timeout ?cancel t ~id format file =
  Error.check (Raw.save_file t.raw id (form format name) (Limits.make ?timeout ?cancel ()) file)

let outcome built = if built then Built else Hit

let load ?progress ?timeout ?cancel t ~id input =
  let guard = Guard.create () in
  let hear = Option.map (fun f -> Guard.hear guard (Step.hear_progress f)) progress in
  let read = Guard.hear guard (Guard.read input) in
  Result.map outcome (Guard.finish guard (Raw.load t.raw id read hear (Limits.make ?timeout ?cancel ())))

let load_file ?progress ?timeout ?cancel t ~id file =
  let limits = Limits.make ?timeout ?cancel () in
  let call hear = Raw.load_file t.raw id file hear limits in
  Result.map outcome (Guard.call_optional (Option.map Step.hear_progress progress) call)

(* ---------------------------------------------------------------- destroying a root *)

type remnant_kind = Container | Image | Volume | File | Engine
type fate = Found | Removed | Kept of string

type remnant = {
  kind : remnant_kind;
  name : string;
  identity : string;
  root : string option;
  engine : string;
  fate : fate;
}

(* enum dstore_remnant *)
let remnant { Raw.kind; thing; identity; root; on_engine; removed; kept } =
  let kind = match kind with 1 -> Container | 2 -> Image | 3 -> Volume | 4 -> File | _ -> Engine in
  let fate = match kept with Some why -> Kept why | None -> if removed then Removed else Found in
  { kind; name = thing; identity; root; engine = on_engine; fate }

let remnants answer = Result.map (fun things -> List.map remnant (Array.to_list things)) (Error.check answer)

let settings_of ?engine ?connect_timeout () =
  {
    Raw.engine;
    name = None;
    strategy = 0;
    direct = true;
    sync = false;
    connect_timeout_ms = Limits.milliseconds connect_timeout;
    group = None;
    log_limit = None;
    log_drop = false;
    engine_network = false;
  }

let destroy ?engine ?connect_timeout ?(dry_run = false) ?(abandon = false) ?timeout ?cancel root =
  let settings = settings_of ?engine ?connect_timeout () in
  remnants (Raw.destroy (Some root) settings (dry_run, abandon) (Limits.make ?timeout ?cancel ()))

let find_remains ?engine ?connect_timeout ?identity ?timeout ?cancel () =
  let settings = settings_of ?engine ?connect_timeout () in
  remnants (Raw.find_remains identity settings (false, false) (Limits.make ?timeout ?cancel ()))

let destroy_remains ?engine ?connect_timeout ?timeout ?cancel identity =
  let settings = settings_of ?engine ?connect_timeout () in
  remnants (Raw.destroy_remains (Some identity) settings (false, false) (Limits.make ?timeout ?cancel ()))

(* ---------------------------------------------------------------- caches *)

type mode = Private | Locked | Shared

(* enum dstore_cache_mode *)
let mode_code = function
  | Private -> 0
  | Locked -> 1
  | Shared -> 2

let lease ?(owner = 0, 0) ?(mode = Private) ?timeout ?cancel t name =
  let uid, gid = owner in
  let number n = if n < 0 || n > 0xffff_ffff then invalid_arg "Docker_store.lease: owner" in
  number uid;
  number gid;
  let request = { Raw.uid; gid; mode = mode_code mode } in
  let+ lease = Raw.lease t.raw name request (Limits.make ?timeout ?cancel ()) in
  Lease.of_raw lease

let with_lease ?owner ?mode ?timeout ?cancel t name f =
  Result.bind (lease ?owner ?mode ?timeout ?cancel t name) @@ fun lease ->
  let discard () = Lease.discard lease in
  let give_up error =
    ignore (discard () : (unit, Error.t) result);
    Error error
  in
  match unless_done ~undo:discard (fun () -> f lease) with
  | Error error -> give_up error
  | Ok value -> (
    match Lease.release lease with
    | Ok _ -> Ok value
    | Error error -> give_up error)

type cache_info = {
  name : string;
  generation : int;
  strategy : strategy option;
  layers : int;
  bytes : int option;
  created : float;
  last_use : float;
  leases : int;
  limit : int option;
}

let cache_info { Raw.cache; generation; cloned_by; layers; bytes; made; last_use; leases; limit } =
  {
    name = cache;
    generation;
    strategy = strategy_of_code cloned_by;
    layers;
    bytes = (if bytes < 0 then None else Some bytes);
    created = float_of_int made;
    last_use = float_of_int last_use;
    leases;
    limit = (if limit = 0 then None else Some limit);
  }

let caches ?timeout ?cancel t =
  let+ caches = Raw.caches t.raw (Limits.make ?timeout ?cancel ()) in
  List.map cache_info (Array.to_list caches)

let strategy ?timeout ?cancel t =
  let+ code, reason = Raw.strategy t.raw (Limits.make ?timeout ?cancel ()) in
  ( (match strategy_of_code code with
    | Some strategy -> strategy
    | None -> Copy),
    reason )

let delete_cache ?timeout ?cancel t name = Error.check (Raw.delete_cache t.raw name (Limits.make ?timeout ?cancel ()))

let limit_cache t name bytes =
  (match bytes with
  | Some bytes when bytes <= 0 -> invalid_arg "Docker_store.limit_cache: a limit of no bytes"
  | _ -> ());
  Error.check (Raw.limit_cache t.raw name (Option.value bytes ~default:0))

(* ---------------------------------------------------------------- bounds *)

type usage = {
  results : Bounds.result_usage list;
  caches : (cache_info * bool) list;
  logs : Bounds.log_usage list;
  leftovers : Bounds.leftovers;
  totals : Bounds.totals;
}

let result_usage (row : Raw.result_usage) =
  {
    Bounds.id = row.of_id;
    image = row.image;
    base = (if row.base = "" then None else Some row.base);
    own_bytes = row.own_bytes;
    bytes = row.all_bytes;
    created = float_of_int row.image_made;
    last_use = float_of_int row.used;
    build_seconds = (if row.build_ms < 0 then None else Some (float_of_int row.build_ms /. 1000.));
    log_bytes = row.log_bytes;
    pinned = row.pinned;
    building = row.building;
    held = row.held;
  }

let log_usage { Raw.log_of; length; written; has_result } =
  { Bounds.log = log_of; log_length = length; written = float_of_int written; has_result }

let usage ?timeout ?cancel t =
  let+ found = Raw.usage t.raw (Limits.make ?timeout ?cancel ()) in
  let n = Array.get found.Raw.numbers in
  let pinned row = (cache_info found.Raw.cache_rows.(row), found.Raw.pinned_caches.(row)) in
  {
    results = List.map result_usage (Array.to_list found.Raw.result_rows);
    caches = List.init (Array.length found.Raw.cache_rows) pinned;
    logs = List.map log_usage (Array.to_list found.Raw.log_rows);
    leftovers = { containers = n 5; images = n 6; volumes = n 7 };
    totals =
      { results = n 0; caches = n 1; logs = n 2; results_unknown = n 3; caches_unknown = n 4; how = found.Raw.how };
  }

let prune ?most_bytes ?least_free ?least_free_percent ?unused_for ?(keep_results = 0) ?spare ?(results = true)
    ?(caches = true) ?(logs = false) ?(dry_run = false) ?(each = ignore) ?timeout ?cancel t =
  let not_negative what n = if n < 0 then invalid_arg ("Docker_store.prune: " ^ what) else n in
  let number what n = Option.fold ~none:(-1) ~some:(not_negative what) n in
  let milliseconds what = function
    | Some seconds when not (seconds >= 0. && seconds < 1e12) -> invalid_arg ("Docker_store.prune: " ^ what)
    | seconds -> Option.fold ~none:(-1) ~some:(fun seconds -> int_of_float (seconds *. 1000.)) seconds
  in
  let percent =
    match least_free_percent with
    | None -> -1.
    | Some percent when percent >= 0. && percent <= 100. -> percent
    | Some _ -> invalid_arg "Docker_store.prune: least_free_percent"
  in
  let flag = Bool.to_int in
  let asked =
    [|
      number "most_bytes" most_bytes;
      number "least_free" least_free;
      milliseconds "unused_for" unused_for;
      milliseconds "spare" spare;
      not_negative "keep_results" keep_results;
      flag results;
      flag caches;
      flag logs;
      flag dry_run;
    |]
  in
  let row item name bytes last_use fate why =
    { Bounds.item = Bounds.item_of item name; bytes; last_use = float_of_int last_use; fate = Bounds.fate_of fate; why }
  in
  let hear event =
    let code = Raw.event_number event in
    let amount = Raw.event_amount event in
    each (row (code land 15) (Raw.event_bytes event) (amount 0) (amount 1) (code lsr 4) (Raw.event_text event 0))
  in
  let limits = Limits.make ?timeout ?cancel () in
  let report = Guard.call hear (Raw.prune t.raw { Raw.asked; percent } limits) in
  let told { Raw.item; name; goes; row_used; fate; why } = row item name goes row_used fate why in
  Result.map
    (fun { Raw.rows; freed; kept; reached } ->
      { Bounds.rows = List.map told (Array.to_list rows); freed = (if freed < 0 then None else Some freed); kept; reached })
    report

let pin ?timeout ?cancel t id = Error.check (Raw.pin t.raw id (Limits.make ?timeout ?cancel ()))
let unpin t id = Error.check (Raw.unpin t.raw id)
let pin_cache ?timeout ?cancel t name = Error.check (Raw.pin_cache t.raw name (Limits.make ?timeout ?cancel ()))
let unpin_cache t name = Error.check (Raw.unpin_cache t.raw name)

let pins t =
  let pin { Raw.kind; of_name; since } = { Bounds.pinned = Bounds.item_of kind of_name; since = float_of_int since } in
  let+ pins = Raw.pins t.raw in
  List.map pin (Array.to_list pins)

let told_of_gone answer =
  let+ how, at = answer in
  Option.map (fun how -> (how, float_of_int at)) (Bounds.went_of how)

let went t id = told_of_gone (Raw.went t.raw id)
let why_gone ?timeout ?cancel t id = told_of_gone (Raw.why_gone t.raw id (Limits.make ?timeout ?cancel ()))

(* ---------------------------------------------------------------- upkeep *)

type free = { percent : float; root_percent : float; engine_percent : float option }

let free_of percent root engine =
  { percent; root_percent = root; engine_percent = (if engine < 0. then None else Some engine) }

let df ?timeout ?cancel t =
  let+ free = Raw.df t.raw (Limits.make ?timeout ?cancel ()) in
  free_of free.(0) free.(1) free.(2)

let ping ?timeout ?cancel t = Error.check (Raw.ping t.raw (Limits.make ?timeout ?cancel ()))

type trouble = { what : string; advice : string }

type health = {
  engine : string;
  engine_version : string;
  api_version : string;
  newest_api_version : string;
  address : string;
  image_store : string;
  strategy : strategy option;
  strategy_reason : string;
  network : string;
  clock_ahead : float option;
  free : free;
  troubles : trouble list;
}

let health ?timeout ?cancel t =
  let+ found = Raw.health t.raw (Limits.make ?timeout ?cancel ()) in
  let root = found.Raw.free_root and engine = found.Raw.free_engine in
  {
    engine = found.Raw.product;
    engine_version = found.Raw.product_version;
    api_version = found.Raw.spoken;
    newest_api_version = found.Raw.newest;
    address = found.Raw.address;
    image_store = found.Raw.image_store;
    strategy = strategy_of_code found.Raw.cloned_how;
    strategy_reason = found.Raw.cloned_why;
    network = found.Raw.network;
    clock_ahead = (if Float.is_nan found.Raw.clock_ahead then None else Some found.Raw.clock_ahead);
    free = free_of (if engine < 0. then root else Float.min root engine) root engine;
    troubles = List.map (fun (what, advice) -> { what; advice }) (Array.to_list found.Raw.troubles);
  }

type stats = {
  result_hits : int;
  result_misses : int;
  results_committed : int;
  cache_hits : int;
  cache_misses : int;
  clones_overlay : int;
  clones_copy : int;
  bytes_copied : int;
  clone_seconds : float;
  release_seconds : float;
  releases_won : int;
  releases_lost : int;
  releases_unchanged : int;
  deferred_deletes : int;
  releases_too_large : int;
}

(* enum dstore_counter, from 1 on *)
let stats t =
  let rec count code =
    if code > 15 then Ok []
    else Result.bind (Raw.count t.raw code) @@ fun n -> Result.map (fun rest -> n :: rest) (count (code + 1))
  in
  let+ counts = count 1 in
  let n code = List.nth counts (code - 1) in
  let seconds code = float_of_int (n code) /. 1e9 in
  {
    result_hits = n 1;
    result_misses = n 2;
    results_committed = n 3;
    cache_hits = n 4;
    cache_misses = n 5;
    clones_overlay = n 6;
    clones_copy = n 7;
    bytes_copied = n 8;
    clone_seconds = seconds 9;
    release_seconds = seconds 10;
    releases_won = n 11;
    releases_lost = n 12;
    releases_unchanged = n 13;
    deferred_deletes = n 14;
    releases_too_large = n 15;
  }

type purged = { containers : int; images : int; volumes : int }

let purge ?timeout ?cancel t =
  let+ { Raw.containers; images; volumes } = Raw.purge t.raw (Limits.make ?timeout ?cancel ()) in
  { containers; images; volumes }

let complete_deletes ?timeout ?cancel t = Error.check (Raw.complete_deletes t.raw (Limits.make ?timeout ?cancel ()))
