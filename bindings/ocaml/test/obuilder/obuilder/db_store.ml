(* A store and its database. Two builds of one id in this process are one build; other processes are unknown to it. *)

open Lwt.Infix

let ( >>!= ) = Lwt_result.bind

module Make (Raw : S.STORE) = struct
  type build = {
    mutable users : int;
    cancel : unit Lwt.u;
    log : Build_log.t Lwt.t;
    result : ([ `Loaded | `Saved ] * S.id, [ `Cancelled | `Msg of string ]) Lwt_result.t;
    base : S.id option;
  }

  type t = { raw : Raw.t; dao : Dao.t; in_progress : (S.id, build) Hashtbl.t }

  let leave build =
    build.users <- build.users - 1;
    if Lwt.is_sleeping build.result && build.users = 0 then Lwt.wakeup_later build.cancel ()

  let get_build t ~base ~id ~cancelled ~set_log f =
    Raw.result t.raw id >>= function
    | Some _ ->
      Dao.set_used t.dao ~id ~now:(Unix.gettimeofday ());
      Raw.log_file t.raw id >|= fun path ->
      Lwt.wakeup set_log (if Sys.file_exists path then Build_log.of_saved path else Build_log.empty);
      Ok (`Loaded, id)
    | None ->
      Raw.build t.raw ?base ~id (fun dir ->
          Raw.log_file t.raw id >>= fun path ->
          if Sys.file_exists path then Unix.unlink path;
          Build_log.create path >>= fun log ->
          Lwt.wakeup set_log log;
          f ~cancelled ~log dir >>= fun built -> Build_log.finish log >|= fun () -> built)
      >>!= fun () ->
      Dao.add t.dao ?parent:base ~id ~now:(Unix.gettimeofday ());
      Lwt_result.return (`Saved, id)

  let said log ~id = function
    | `Loaded -> log `Note (Printf.sprintf "---> using %S from cache" id)
    | `Saved -> log `Note (Printf.sprintf "---> saved as %S" id)

  let shown ?switch ~id ~log build =
    Lwt_switch.add_hook_or_exec switch (fun () -> Lwt.return (leave build)) >>= fun () ->
    build.log >>= fun text ->
    Build_log.tail ?switch text (log `Output) >>!= fun () ->
    build.result >>!= fun (how, id') ->
    said log ~id how;
    Lwt_result.return id'

  let rec build ?switch t ?base ~id ~log f =
    match Hashtbl.find_opt t.in_progress id with
    | Some other when other.users = 0 -> other.result >>= fun _ -> build ?switch t ?base ~id ~log f
    | Some other ->
      other.users <- other.users + 1;
      shown ?switch ~id ~log other
    | None ->
      let result, set_result = Lwt.wait () and text, set_log = Lwt.wait () in
      let cancelled, cancel = Lwt.wait () in
      let own = { users = 1; cancel; log = text; result; base } in
      Hashtbl.replace t.in_progress id own;
      let ended value =
        Hashtbl.remove t.in_progress id;
        Lwt.wakeup_later set_result value;
        if Lwt.is_sleeping text then Lwt.wakeup set_log Build_log.empty;
        Lwt.return_unit
      in
      Lwt.async (fun () ->
          Lwt.try_bind
            (fun () -> get_build t ~base ~id ~cancelled ~set_log f)
            ended
            (fun e -> ended (Error (`Msg (Printexc.to_string e)))));
      shown ?switch ~id ~log own

  let prune t ~before limit =
    let is_base id = Hashtbl.fold (fun _ build found -> found || build.base = Some id) t.in_progress false in
    let rec go pruned =
      match List.filter (fun id -> not (is_base id)) (Dao.lru t.dao ~before limit) with
      | id :: _ when pruned < limit ->
        Raw.delete t.raw id >>= fun () ->
        Dao.delete t.dao id;
        go (pruned + 1)
      | _ -> Raw.complete_deletes t.raw >|= fun () -> pruned
    in
    go 0

  let result t = Raw.result t.raw
  let cache ~user t = Raw.cache ~user t.raw
  let df t = Raw.df t.raw
  let rows t = Dao.rows t.dao

  let wrap raw =
    let folder = Filename.concat (Raw.state_dir raw) "db" in
    if not (Sys.file_exists folder) then (try Unix.mkdir folder 0o777 with Unix.Unix_error (Unix.EEXIST, _, _) -> ());
    { raw; dao = Dao.create (Filename.concat folder "rows"); in_progress = Hashtbl.create 10 }
end
