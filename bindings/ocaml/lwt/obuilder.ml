open Lwt.Infix
open Docker_store

module type USER = sig
  type t

  val owner : t -> int * int
end

module type STORE = sig
  type t
  type user

  val root : t -> string
  val df : t -> float Lwt.t
  val build : t -> ?base:string -> id:string -> (string -> (unit, 'e) Lwt_result.t) -> (unit, 'e) Lwt_result.t
  val delete : t -> string -> unit Lwt.t
  val result : t -> string -> string option Lwt.t
  val log_file : t -> string -> string Lwt.t
  val state_dir : t -> string
  val cache : user:user -> t -> string -> (string * (unit -> unit Lwt.t)) Lwt.t
  val delete_cache : t -> string -> (unit, [> `Busy ]) Lwt_result.t
  val complete_deletes : t -> unit Lwt.t
  val cache_stats : t -> int * int
end

(* OBuilder does not pass its switches to its store: this one is passed by a key of the promise. *)
let switch : Lwt_switch.t Lwt.key = Lwt.new_key ()

module Make (User : USER) = struct
  type t = {
    store : Docker_store.t;
    report : string -> unit;
    (* Steps that [result] has begun for the next [build]. *)
    begun : (string, Step.t) Hashtbl.t;
    building : (string, unit) Hashtbl.t;
  }

  let of_store ?(report = ignore) store = { store; report; begun = Hashtbl.create 10; building = Hashtbl.create 10 }
  let prefix t = Docker_store.prefix t.store
  let root t = Docker_store.root t.store
  let state_dir t = Docker_store.state_dir t.store
  let with_switch value f = Lwt.with_value switch (Some value) f

  let or_fail promise =
    promise >>= function
    | Ok value -> Lwt.return value
    | Error error -> Lwt.fail (Error.E error)

  let call t f = or_fail (Call.run (fun _ -> f t.store))
  let df t = call t (fun store -> Docker_store.df store) >|= fun free -> free.percent
  let delete t id = call t (fun store -> Docker_store.delete store id) >|= fun (_ : bool) -> ()
  let log_file t id = or_fail (Lwt.return (Docker_store.log_file t.store id))
  let complete_deletes t = call t (fun store -> Docker_store.complete_deletes store)

  let cache_stats t =
    match stats t.store with
    | Ok stats -> stats.cache_hits, stats.cache_misses
    | Error _ -> 0, 0

  let told t what = function
    | Ok _ -> ()
    | Error error -> t.report (Printf.sprintf "%s: %s" what (Error.to_string error))

  let abort t id step = Call.run (fun _ -> Step.abort step) >|= told t ("after building " ^ id)

  (* Waits while another process builds [id]. *)
  let begin_step ?base t id =
    let cancel = Cancel.create () in
    let begun = Call.run ~cancel (fun _ -> begin_step ?base ~cancel t.store ~id) in
    let end_it () =
      Cancel.trigger cancel;
      Lwt.return_unit
    in
    Lwt_switch.add_hook_or_exec (Lwt.get switch) end_it >>= fun () -> or_fail begun

  let take t id =
    let step = Hashtbl.find_opt t.begun id in
    Hashtbl.remove t.begun id;
    step

  (* OBuilder calls [build] immediately after [result] has returned, before anything else runs, or not at all. *)
  let keep t id step =
    Hashtbl.replace t.begun id step;
    Lwt.async @@ fun () ->
    Lwt.pause () >>= fun () ->
    match Hashtbl.find_opt t.begun id with
    | Some unused when unused == step ->
      Hashtbl.remove t.begun id;
      abort t id step
    | Some _ | None -> Lwt.return_unit

  (* OBuilder checks whether a result exists, and if not, builds it and counts it. If another process built it between
     the two, both would count it. So this call also acquires the right to build. *)
  let result t id =
    let there = Some (empty_dir t.store) in
    let is_own () = Hashtbl.mem t.building id || Hashtbl.mem t.begun id in
    call t (fun store -> Docker_store.result store id) >>= function
    | true -> Lwt.return there
    | false when is_own () -> Lwt.return_none
    | false -> (
      begin_step t id >|= function
      | None -> there
      | Some step ->
        keep t id step;
        None)

  let begun_by_result ?base t id step =
    let use base = Call.run (fun _ -> Step.use_image step (Printf.sprintf "%s-image-%s" (prefix t) base)) in
    match base with
    | None -> Lwt.return_some step
    | Some base -> (
      use base >>= function
      | Ok () -> Lwt.return_some step
      | Error error -> abort t id step >>= fun () -> Lwt.fail (Error.E error))

  let build t ?base ~id fn =
    let begun =
      match take t id with
      | Some step -> begun_by_result ?base t id step
      | None -> begin_step ?base t id
    in
    begun >>= function
    | None -> Lwt.return_ok ()
    | Some step ->
      Hashtbl.replace t.building id ();
      (* The step itself has created nothing: what the function committed is kept, and a container that it left is
      removed. *)
      Lwt.finalize
        (fun () -> fn (empty_dir t.store))
        (fun () ->
          Hashtbl.remove t.building id;
          abort t id step)

  (* The sandbox has removed its container or, if it was cancelled, will remove it soon. *)
  let tries = 50
  let pause = 0.1

  let rec release t name lease tries =
    Call.run (fun _ -> Lease.release lease) >>= function
    | Error { status = Busy; _ } when tries > 0 -> Lwt_unix.sleep pause >>= fun () -> release t name lease (tries - 1)
    | Error _ as failed ->
      told t (Printf.sprintf "the cache %S was not saved" name) failed;
      told t (Printf.sprintf "discarding a lease of the cache %S" name) (Lease.discard lease);
      Lwt.return_unit
    | Ok _ -> Lwt.return_unit

  let cache ~user t name =
    let owner = User.owner user and cancel = Cancel.create () in
    or_fail (Call.run ~cancel (fun _ -> lease ~owner ~cancel t.store name)) >|= fun lease ->
    Lease.volume lease ^ ",volume-nocopy", fun () -> release t name lease tries

  let delete_cache t name =
    Call.run (fun _ -> Docker_store.delete_cache t.store name) >>= function
    | Ok (_ : bool) -> Lwt.return_ok ()
    | Error { status = Busy; _ } -> Lwt.return_error `Busy
    | Error error -> Lwt.fail (Error.E error)
end
