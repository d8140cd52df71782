(* The settings of the library's object. *)
type setting =
  | Exclude of string
  | Dockerignore of string
  | Name of string
  | Owner of (int * int) option
  | Fixed_times of int

type t = { path : string; settings : setting list }

let make ?exclude ?dockerignore ?name ?owner ?fixed_times path =
  let one setting = Option.fold ~none:[] ~some:(fun value -> [ setting value ]) in
  let all setting = Option.fold ~none:[] ~some:(List.map setting) in
  let to_owner = function
    | `Here -> Owner None
    | `Ids (user, group) -> Owner (Some (user, group))
  in
  let settings =
    List.concat
      [
        one (fun text -> Dockerignore text) dockerignore;
        all (fun pattern -> Exclude pattern) exclude;
        one (fun name -> Name name) name;
        one to_owner owner;
        one (fun seconds -> Fixed_times seconds) fixed_times;
      ]
  in
  { path; settings }

let set raw = function
  | Exclude pattern -> Raw.host_files_exclude raw pattern
  | Dockerignore text -> Raw.host_files_dockerignore raw text
  | Name name -> Raw.host_files_name raw name
  | Owner owner -> Raw.host_files_owner raw owner
  | Fixed_times seconds -> Raw.host_files_fixed_times raw seconds

let with_raw t f =
  let made = Raw.host_files_new t.path in
  Result.bind made (fun raw ->
    let told = List.fold_left (fun told setting -> Result.bind told (fun () -> set raw setting)) (Ok ()) t.settings in
    Result.bind told (fun () -> f raw))

let digest ?timeout ?cancel t =
  let limits = Limits.make ?timeout ?cancel () in
  Error.check (with_raw t (fun raw -> Raw.host_files_digest raw limits))
