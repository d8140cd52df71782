(* The engine, as seen by its own client. *)

let lines channel =
  let rec go seen =
    match input_line channel with
    | line -> go (line :: seen)
    | exception End_of_file -> List.rev seen
  in
  go []

(* Runs the docker client. Returns its exit status and its output. *)
let try_docker arguments =
  let command = Array.of_list ("docker" :: arguments) in
  let out, input, err = Unix.open_process_args_full "docker" command (Unix.environment ()) in
  close_out input;
  let written = lines out in
  let complaints = lines err in
  match Unix.close_process_full (out, input, err) with
  | Unix.WEXITED 0 -> Ok written
  | _ -> Error (String.concat "\n" complaints)
  | exception Unix.Unix_error (error, _, _) -> Error (Unix.error_message error)

let docker arguments =
  match try_docker arguments with
  | Ok lines -> lines
  | Error why -> failwith (Printf.sprintf "docker %s: %s" (String.concat " " arguments) why)

let under prefix names =
  let start = prefix ^ "-" in
  let n = String.length start in
  List.sort compare (List.filter (fun name -> String.length name > n && String.sub name 0 n = start) names)

let containers prefix = under prefix (docker [ "ps"; "--all"; "--format"; "{{.Names}}" ])
let images prefix = under prefix (docker [ "images"; "--format"; "{{.Repository}}" ])
let volumes prefix = under prefix (docker [ "volume"; "ls"; "--quiet" ])
let all prefix = containers prefix @ images prefix @ volumes prefix
let base () = Sys.getenv_opt "DOCKER_STORE_TEST_BASE"
let is_there () = base () <> None && Result.is_ok (try_docker [ "version" ])
