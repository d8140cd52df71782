type t = { raw : Raw.step; id : string }
type channel = Stdout | Stderr
type progress = { status : string; item : string; current : int; total : int }
type login = { user : string; password : string; server : string option }

let of_raw ~id raw = { raw; id }
let id t = t.id

let hear_output f event =
  (* enum dstore_channel *)
  let channel = if Raw.event_number event = 2 then Stderr else Stdout in
  f channel (Raw.event_bytes event)

let hear_progress f event =
  f
    {
      status = Raw.event_text event 0;
      item = Raw.event_text event 1;
      current = Raw.event_amount event 0;
      total = Raw.event_amount event 1;
    }

let run ?output t command =
  Guard.call_optional (Option.map hear_output output) @@ fun hear ->
  Command.with_raw command (fun raw -> Raw.step_run t.raw raw hear)

let write_log t text = Error.check (Raw.step_write_log t.raw text)
let limit ?timeout ?cancel t = Error.check (Raw.step_limit t.raw (Limits.make ?timeout ?cancel ()))
let commit ?timeout ?cancel t = Error.check (Raw.step_commit t.raw (Limits.make ?timeout ?cancel ()))
let was_started t = Raw.step_was_started t.raw
let abort ?timeout ?cancel t = Error.check (Raw.step_abort t.raw (Limits.make ?timeout ?cancel ()))

let import ?progress t input =
  let guard = Guard.create () in
  let hear_progress = Option.map (fun f -> Guard.hear guard (hear_progress f)) progress in
  Guard.finish guard (Raw.step_import t.raw (Guard.hear guard (Guard.read input)) hear_progress)

let import_file ?progress t tar =
  Guard.call_optional (Option.map hear_progress progress) (Raw.step_import_file t.raw tar)

let raw_login = Option.map (fun { user; password; server } -> { Raw.user; password; server })

let pull ?progress ?login ?platform t reference =
  Guard.call_optional (Option.map hear_progress progress) (Raw.step_pull t.raw reference platform (raw_login login))

let load ?progress t input =
  let guard = Guard.create () in
  let hear_progress = Option.map (fun f -> Guard.hear guard (hear_progress f)) progress in
  Guard.finish guard (Raw.step_load t.raw (Guard.hear guard (Guard.read input)) hear_progress)

let load_file ?progress t file =
  Guard.call_optional (Option.map hear_progress progress) (Raw.step_load_file t.raw file)

let configure t config = Error.check (Image_config.with_raw config (Raw.step_configure t.raw))
let use_image t reference = Error.check (Raw.step_use_image t.raw reference)
let copy_in t path input = Guard.call (Guard.read input) (Raw.step_copy_in t.raw path)
let copy_in_file t path tar = Error.check (Raw.step_copy_in_file t.raw path tar)
let copy_in_host t path files = Error.check (Host_files.with_raw files (Raw.step_copy_in_host t.raw path))
let copy_out t path write = Guard.call (Guard.write write) (Raw.step_copy_out t.raw path)
let copy_out_host t path folder = Error.check (Host_folder.with_raw folder (Raw.step_copy_out_host t.raw path))
let copy_out_file t path tar = Error.check (Raw.step_copy_out_file t.raw path tar)
