(* The builder: a chain of scripts, each on the previous result. *)

open Lwt.Infix

module Make_Docker (Raw : S.STORE) = struct
  module Store = Db_store.Make (Raw)

  type t = { store : Store.t; sandbox : Docker_sandbox.t }

  let v ~store ~sandbox = { store = Store.wrap store; sandbox }

  (* The base is an image that the engine has, as after a pull. *)
  let get_base t ~log image =
    let id = Digest.to_hex (Digest.string ("(from " ^ image)) in
    Store.build t.store ~id ~log (fun ~cancelled:_ ~log:_ _dir ->
        Docker_sandbox.must [ "tag"; image; Docker_sandbox.image t.sandbox id ] >|= Result.ok)

  let run t ?switch ~log ~base script =
    let id = Digest.to_hex (Digest.string (base ^ " " ^ script)) in
    Store.build t.store ?switch ~base ~id ~log (fun ~cancelled ~log _dir ->
        Docker_sandbox.run t.sandbox ~cancelled ~log:(fun text -> Lwt.async (fun () -> Build_log.write log text)) ~id script)

  let build t ?switch ~log ~from scripts =
    let rec go base = function
      | [] -> Lwt_result.return base
      | script :: rest -> Lwt_result.bind (run t ?switch ~log ~base script) (fun id -> go id rest)
    in
    Lwt_result.bind (get_base t ~log from) (fun base -> go base scripts)

  let prune t = Store.prune t.store
  let df t = Store.df t.store
  let rows t = Store.rows t.store
end
