(* A log that this process writes, or has written. A follower sees only what is written here, not what others write to
its file. *)

open Lwt.Infix

type state = Open of Lwt_unix.file_descr * unit Lwt_condition.t | Saved of string | Empty
type t = { mutable state : state; text : Buffer.t }

let empty = { state = Empty; text = Buffer.create 0 }
let of_saved path = { state = Saved path; text = Buffer.create 0 }

let create path =
  Lwt_unix.openfile path Unix.[ O_CREAT; O_TRUNC; O_RDWR; O_CLOEXEC ] 0o666 >|= fun file ->
  { state = Open (file, Lwt_condition.create ()); text = Buffer.create 100 }

let write t text =
  match t.state with
  | Saved _ | Empty -> invalid_arg "a log that is only read"
  | Open (file, changed) ->
    Lwt_unix.write_string file text 0 (String.length text) >|= fun n ->
    assert (n = String.length text);
    Buffer.add_string t.text text;
    Lwt_condition.broadcast changed ()

let finish t =
  match t.state with
  | Saved _ | Empty -> Lwt.return_unit
  | Open (file, changed) ->
    t.state <- Empty;
    Lwt_unix.close file >|= Lwt_condition.broadcast changed

let is_off switch = Option.fold ~none:false ~some:(fun switch -> not (Lwt_switch.is_on switch)) switch

let rec follow ?switch t take seen =
  let length = Buffer.length t.text in
  if is_off switch then Lwt.return_error `Cancelled
  else if length > seen then (
    take (Buffer.sub t.text seen (length - seen));
    follow ?switch t take length)
  else
    match t.state with
    | Saved _ | Empty -> Lwt.return_ok ()
    | Open (_, changed) ->
      let waits = Lwt_condition.wait changed in
      let stop () =
        Lwt.cancel waits;
        Lwt.return_unit
      in
      Lwt_switch.add_hook_or_exec switch stop >>= fun () ->
      Lwt.catch (fun () -> waits) (fun _ -> Lwt.return_unit) >>= fun () -> follow ?switch t take seen

let tail ?switch t take =
  match t.state with
  | Saved path ->
    Lwt_io.with_file ~mode:Lwt_io.input path (fun channel -> Lwt_io.read channel) >|= fun text ->
    take text;
    Ok ()
  | Open _ | Empty -> follow ?switch t take 0
