module Blocking = Docker_store
open Blocking

module Error = Blocking.Error
module Cancel = Blocking.Cancel
module Command = Blocking.Command
module Image_config = Blocking.Image_config
module Bounds = Blocking.Bounds

type 'a answer = ('a, Error.t) result Lwt.t

let get = Blocking.get
let get_lwt promise = Lwt.map get promise

(* Converts callbacks that return promises into callbacks of blocking calls. *)
let heard call f value = Call.in_main call (fun () -> f value)
let heard_output call f channel text = Call.in_main call (fun () -> f channel text)
let heard_input call f buffer offset length = Call.in_main call (fun () -> f buffer offset length)

module Step = struct
  (* The cancel with which a step was begun stops every call on it. *)
  type t = { step : Step.t; cancel : Cancel.t }

  let id t = Step.id t.step
  let cancel t = Cancel.trigger t.cancel
  let run_on t f = Call.run ~cancel:t.cancel (fun call -> f call t.step)

  let run ?output t command =
    run_on t (fun call step -> Step.run ?output:(Option.map (heard_output call) output) step command)

  let was_started t = Step.was_started t.step
  let write_log t text = Call.run (fun _ -> Step.write_log t.step text)

  (* Not cancellable: a commit is atomic, and an abort cleans up. *)
  let commit t = Call.run (fun _ -> Step.commit t.step)
  let abort t = Call.run (fun _ -> Step.abort t.step)

  let import ?progress t input =
    run_on t (fun call step -> Step.import ?progress:(Option.map (heard call) progress) step (heard_input call input))

  let import_file ?progress t tar =
    run_on t (fun call step -> Step.import_file ?progress:(Option.map (heard call) progress) step tar)

  let pull ?progress ?login ?platform t reference =
    run_on t (fun call step -> Step.pull ?progress:(Option.map (heard call) progress) ?login ?platform step reference)

  let load ?progress t input =
    run_on t (fun call step -> Step.load ?progress:(Option.map (heard call) progress) step (heard_input call input))

  let load_file ?progress t file =
    run_on t (fun call step -> Step.load_file ?progress:(Option.map (heard call) progress) step file)

  let configure t config = Step.configure t.step config
  let use_image t reference = run_on t (fun _ step -> Step.use_image step reference)
  let copy_in t path input = run_on t (fun call step -> Step.copy_in step path (heard_input call input))
  let copy_in_file t path tar = run_on t (fun _ step -> Step.copy_in_file step path tar)
  let copy_in_host t path files = run_on t (fun _ step -> Step.copy_in_host step path files)
  let copy_out t path write = run_on t (fun call step -> Step.copy_out step path (heard call write))
  let copy_out_file t path tar = run_on t (fun _ step -> Step.copy_out_file step path tar)
  let copy_out_host t path folder = run_on t (fun _ step -> Step.copy_out_host step path folder)
end

module Lease = struct
  type t = Lease.t

  let volume = Lease.volume
  let generation = Lease.generation

  let release ?timeout t =
    let cancel = Cancel.create () in
    Call.run ~cancel (fun _ -> Lease.release ?timeout ~cancel t)

  let discard t = Lwt.return (Lease.discard t)
end

module Log = struct
  (* A call that waits for a line cannot be cancelled, so each wait is short. *)
  let wait = 0.5

  let follow level f =
    let stop = Cancel.create () in
    let rec fetch call =
      if Cancel.is_triggered stop then Ok ()
      else Result.bind (Log.fetch ~timeout:wait (heard_output call f)) (fun () -> fetch call)
    in
    let fetch call =
      match fetch call with
      | answer -> Result.bind answer (fun () -> Log.collect None)
      | exception Lwt.Canceled when Cancel.is_triggered stop -> Log.collect None
      | exception e ->
        ignore (Log.collect None : (unit, Error.t) result);
        raise e
    in
    match Log.collect (Some level) with
    | Error _ as failed -> Lwt.return failed
    | Ok () -> Call.run ~cancel:stop fetch
end

(* ---------------------------------------------------------------- stores *)

type t = Blocking.t

(* For calls with a cancel, which cancelling the promise triggers. *)
let cancelled_by_promise f =
  let cancel = Cancel.create () in
  Call.run ~cancel (fun call -> f call cancel)

let open_store ?engine ?name ?strategy ?direct ?sync ?group ?log_limit ?engine_network ?connect_timeout ?timeout root =
  cancelled_by_promise (fun _ cancel ->
      open_store ?engine ?name ?strategy ?direct ?sync ?group ?log_limit ?engine_network ?connect_timeout ?timeout
        ~cancel root)

let close ?timeout t = cancelled_by_promise (fun _ cancel -> close ?timeout ~cancel t)

(* Calls [f ()]. If it returns an error or raises, calls [failed] first. *)
let bind_or ~failed f next =
  Lwt.try_bind f
    (function
      | Ok value -> next value
      | Error _ as error -> Lwt.bind (failed ()) (fun _ -> Lwt.return error))
    (fun e -> Lwt.bind (failed ()) (fun _ -> Lwt.fail e))

let with_store ?engine ?name ?strategy ?direct ?sync ?group ?log_limit ?engine_network ?connect_timeout root f =
  Lwt_result.bind (open_store ?engine ?name ?strategy ?direct ?sync ?group ?log_limit ?engine_network ?connect_timeout root) @@ fun store ->
  let failed () = close store in
  bind_or ~failed (fun () -> f store) @@ fun value -> Lwt_result.map (fun () -> value) (close store)

let begin_step ?base ?timeout ?follow t ~id =
  let cancel = Cancel.create () in
  let begin_step call =
    let follow = Option.map (fun f ~attempt text -> Call.in_main call (fun () -> f ~attempt text)) follow in
    begin_step ?base ?timeout ~cancel ?follow t ~id
  in
  Lwt_result.map (Option.map (fun step -> { Step.step; cancel })) (Call.run ~cancel begin_step)

let with_step ?base ?timeout ?follow t ~id f =
  Lwt_result.bind (begin_step ?base ?timeout ?follow t ~id) @@ function
  | None -> Lwt_result.return Hit
  | Some step ->
    let failed () = Step.abort step in
    bind_or ~failed (fun () -> f step) @@ fun () -> Lwt_result.map (fun () -> Built) (Step.commit step)

let result ?timeout t id = cancelled_by_promise (fun _ cancel -> result ?timeout ~cancel t id)
let results ?timeout t = cancelled_by_promise (fun _ cancel -> results ?timeout ~cancel t)
let delete ?timeout t id = cancelled_by_promise (fun _ cancel -> delete ?timeout ~cancel t id)

let copy_out ?timeout t ~id path write =
  cancelled_by_promise (fun call cancel -> copy_out ?timeout ~cancel t ~id path (heard call write))

let copy_out_file ?timeout t ~id path tar =
  cancelled_by_promise (fun _ cancel -> copy_out_file ?timeout ~cancel t ~id path tar)

let copy_out_host ?timeout t ~id path folder =
  cancelled_by_promise (fun _ cancel -> copy_out_host ?timeout ~cancel t ~id path folder)

let tag ?timeout t ~id name = cancelled_by_promise (fun _ cancel -> tag ?timeout ~cancel t ~id name)

let push ?progress ?login ?timeout t ~id name =
  cancelled_by_promise (fun call cancel ->
      push ?progress:(Option.map (heard call) progress) ?login ?timeout ~cancel t ~id name)

let save ?name ?timeout t ~id format write =
  cancelled_by_promise (fun call cancel -> save ?name ?timeout ~cancel t ~id format (heard call write))

let save_file ?name ?timeout t ~id format file =
  cancelled_by_promise (fun _ cancel -> save_file ?name ?timeout ~cancel t ~id format file)

let load ?progress ?timeout t ~id input =
  cancelled_by_promise (fun call cancel ->
      load ?progress:(Option.map (heard call) progress) ?timeout ~cancel t ~id (heard_input call input))

let load_file ?progress ?timeout t ~id file =
  cancelled_by_promise (fun call cancel ->
      load_file ?progress:(Option.map (heard call) progress) ?timeout ~cancel t ~id file)

let destroy ?engine ?connect_timeout ?dry_run ?abandon ?timeout root =
  cancelled_by_promise (fun _ cancel -> destroy ?engine ?connect_timeout ?dry_run ?abandon ?timeout ~cancel root)

let find_remains ?engine ?connect_timeout ?identity ?timeout () =
  cancelled_by_promise (fun _ cancel -> find_remains ?engine ?connect_timeout ?identity ?timeout ~cancel ())

let destroy_remains ?engine ?connect_timeout ?timeout identity =
  cancelled_by_promise (fun _ cancel -> destroy_remains ?engine ?connect_timeout ?timeout ~cancel identity)

let lease ?owner ?mode ?timeout t name =
  cancelled_by_promise (fun _ cancel -> lease ?owner ?mode ?timeout ~cancel t name)

let with_lease ?owner ?mode ?timeout t name f =
  Lwt_result.bind (lease ?owner ?mode ?timeout t name) @@ fun lease ->
  let failed () = Lease.discard lease in
  bind_or ~failed (fun () -> f lease) @@ fun value ->
  bind_or ~failed (fun () -> Lease.release lease) @@ fun _ -> Lwt_result.return value

let caches ?timeout t = cancelled_by_promise (fun _ cancel -> caches ?timeout ~cancel t)
let strategy ?timeout t = cancelled_by_promise (fun _ cancel -> strategy ?timeout ~cancel t)
let delete_cache ?timeout t name = cancelled_by_promise (fun _ cancel -> delete_cache ?timeout ~cancel t name)
let df ?timeout t = cancelled_by_promise (fun _ cancel -> df ?timeout ~cancel t)
let ping ?timeout t = cancelled_by_promise (fun _ cancel -> ping ?timeout ~cancel t)
let health ?timeout t = cancelled_by_promise (fun _ cancel -> health ?timeout ~cancel t)
let purge ?timeout t = cancelled_by_promise (fun _ cancel -> purge ?timeout ~cancel t)
let complete_deletes ?timeout t = cancelled_by_promise (fun _ cancel -> complete_deletes ?timeout ~cancel t)

let usage ?timeout t = cancelled_by_promise (fun _ cancel -> usage ?timeout ~cancel t)

let prune ?most_bytes ?least_free ?least_free_percent ?unused_for ?keep_results ?spare ?results ?caches ?logs ?dry_run
    ?each ?timeout t =
  cancelled_by_promise (fun call cancel ->
      prune ?most_bytes ?least_free ?least_free_percent ?unused_for ?keep_results ?spare ?results ?caches ?logs ?dry_run
        ?each:(Option.map (heard call) each) ?timeout ~cancel t)

let pin ?timeout t id = cancelled_by_promise (fun _ cancel -> pin ?timeout ~cancel t id)
let pin_cache ?timeout t name = cancelled_by_promise (fun _ cancel -> pin_cache ?timeout ~cancel t name)
let why_gone ?timeout t id = cancelled_by_promise (fun _ cancel -> why_gone ?timeout ~cancel t id)
let version = version
let id = id
let root = root
let prefix = prefix
let state_dir = state_dir
let empty_dir = empty_dir
let engine = engine
let api_version = api_version
let log_file = log_file
let building = building
let stats = stats
let limit_cache = limit_cache
let unpin = unpin
let unpin_cache = unpin_cache
let pins = pins
let went = went

module Obuilder = Obuilder
