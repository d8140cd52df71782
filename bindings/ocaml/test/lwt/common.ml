(* Shared by the tests in this directory: a store with a base, and promises. *)

open Docker_store
open Lwt.Infix
include Support
include Harness
include Fixture
module D = Docker_store_lwt
module Sandbox = Obuilder.Docker_sandbox

let get_lwt promise = promise >|= get
let outcome promise = promise >|= status

(* Calls [f] with a store that has the result "base", and waits for its promise. *)
let with_base f = with_base (fun store -> Lwt_main.run (f store))
let ok = Lwt.return_ok ()
let run ?output step command = D.Step.run ?output step command >|= Result.map (fun (_ : int) -> ())

let build ?(base = "base") ?mounts store id script =
  D.with_step store ~base ~id (fun step -> run step (sh ?mounts script))

(* Describes the result of a promise: [Lwt.Canceled], or another. *)
let cancelled promise =
  Lwt.catch
    (fun () -> outcome promise)
    (function
      | Lwt.Canceled -> Lwt.return "Canceled"
      | e -> Lwt.fail e)

(* Waits until the step has printed something. *)
let started () =
  let started, start = Lwt.wait () in
  let output _ _ =
    if Lwt.is_sleeping started then Lwt.wakeup_later start ();
    Lwt.return_unit
  in
  started, output
