(* A store for one test, which must leave nothing on the engine. *)

open Docker_store

let ( let* ) = Result.bind

let base_tar () =
  match Engine.base () with
  | Some tar -> tar
  | None -> assert false

let roots = ref 0

let new_root () =
  incr roots;
  let name = Printf.sprintf "docker-store-ocaml-%d-%d" (Unix.getpid ()) !roots in
  let root = Filename.concat (Filename.get_temp_dir_name ()) name in
  Unix.mkdir root 0o755;
  root

let rec remove path =
  match (Unix.lstat path).st_kind with
  | Unix.S_DIR ->
    Unix.chmod path 0o700;
    Array.iter (fun name -> remove (Filename.concat path name)) (Sys.readdir path);
    Unix.rmdir path
  | _ -> Unix.unlink path

let with_root f =
  let root = new_root () in
  Fun.protect ~finally:(fun () -> remove root) (fun () -> f root)

let import_base store =
  with_step store ~id:"base" (fun step -> Step.import_file step (base_tar ())) |> get |> fun (_ : outcome) -> ()

(* Deletes everything in a store. What exists afterwards was leaked. *)
let empty store =
  List.iter (fun { id; _ } -> ignore (get (delete store id))) (get (results store));
  List.iter (fun { name; _ } -> ignore (get (delete_cache store name))) (get (caches store));
  get (complete_deletes ~timeout:60. store)

(* An image without files, from which a store creates its helper containers. *)
let helper prefix = prefix ^ "-empty"

(* The root's claim on the prefix. *)
let claim prefix = prefix ^ "-store"

(* Both are kept as long as their root exists. *)
let stays prefix name = name = helper prefix || name = claim prefix

(* Everything else was leaked. Both are removed here, because the root is removed. *)
let leaves_nothing prefix =
  let left = List.filter (fun name -> not (stays prefix name)) (Engine.all prefix) in
  if List.mem (helper prefix) (Engine.images prefix) then ignore (Engine.docker [ "image"; "rm"; helper prefix ]);
  ignore (Engine.docker [ "volume"; "rm"; "--force"; claim prefix ]);
  if left <> [] then failwith ("left on the engine: " ^ String.concat ", " left)

(* Returns whether the only result is "base". *)
let only_base store =
  let prefix = prefix store in
  List.filter (fun name -> not (stays prefix name)) (Engine.all prefix) = [ prefix ^ "-image-base" ]

(* Calls [f] with a store that has the result "base". *)
let with_base f =
  with_root @@ fun root ->
  let store = get (open_store root) in
  let prefix = prefix store in
  let clean () =
    Gc.full_major ();
    empty store;
    get (close store)
  in
  import_base store;
  match f store with
  | () ->
    clean ();
    leaves_nothing prefix
  | exception e ->
    let backtrace = Printexc.get_raw_backtrace () in
    (* Report only the first error. *)
    (try
       clean ();
       leaves_nothing prefix
     with after -> Printf.printf "        (then: %s)\n" (Printexc.to_string after));
    Printexc.raise_with_backtrace e backtrace

let sh ?env ?mounts ?timeout ?allow_failure script =
  Command.make ?env ?mounts ?timeout ?allow_failure [ "/bin/sh"; "-c"; script ]

let run ?output step command = Result.map (fun (_ : int) -> ()) (Step.run ?output step command)

(* Builds [id] on "base" by a script. *)
let build ?(base = "base") ?mounts store id script =
  with_step store ~base ~id (fun step -> run step (sh ?mounts script))

let read_file path =
  let channel = open_in_bin path in
  Fun.protect ~finally:(fun () -> close_in channel) (fun () -> really_input_string channel (in_channel_length channel))

let log store id = read_file (get (log_file store id))

(* Returns the output of a script in a step on [base], which is then aborted. *)
let look ?(base = "base") ?mounts store script =
  let buffer = Buffer.create 100 in
  let step = Option.get (get (begin_step store ~base ~id:"look")) in
  ignore (get (Step.run step (sh ?mounts script) ~output:(fun _ text -> Buffer.add_string buffer text)));
  get (Step.abort step);
  Buffer.contents buffer

let status = function
  | Ok _ -> "success"
  | Error { Error.status; _ } -> Error.status_name status

let seconds f =
  let began = Unix.gettimeofday () in
  let value = f () in
  value, Unix.gettimeofday () -. began

(* Checks repeatedly until the condition holds. *)
let eventually ?(within = 20.) what holds =
  let deadline = Unix.gettimeofday () +. within in
  let rec go () =
    if not (holds ()) then
      if Unix.gettimeofday () > deadline then Harness.fail "%s: not within %g seconds" what within
      else begin
        Thread.delay 0.05;
        go ()
      end
  in
  go ()
