(* What the tests of this folder share: a store with a base, and promises. *)

open Docker_store
open Lwt.Infix
include Support
include Harness
include Fixture
module D = Docker_store_lwt
module Sandbox = Obuilder.Docker_sandbox

let get_lwt promise = promise >|= get
let outcome promise = promise >|= status

(* [f] gets a store with the result "base"; all that it promises is waited for. *)
let with_base f = with_base (fun store -> Lwt_main.run (f store))
let ok = Lwt.return_ok ()
let run ?output step command = D.Step.run ?output step command >|= Result.map (fun (_ : int) -> ())

let build ?(base = "base") ?mounts store id script =
  D.with_step store ~base ~id (fun step -> run step (sh ?mounts script))

(* [Lwt.Canceled], or what else it came to. *)
let cancelled promise =
  Lwt.catch
    (fun () -> outcome promise)
    (function
      | Lwt.Canceled -> Lwt.return "Canceled"
      | e -> Lwt.fail e)

(* Waits until the step has said something. *)
let started () =
  let started, start = Lwt.wait () in
  let output _ _ =
    if Lwt.is_sleeping started then Lwt.wakeup_later start ();
    Lwt.return_unit
  in
  started, output
