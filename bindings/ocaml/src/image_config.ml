type health_check = {
  test : [ `Words of string list | `Shell of string ];
  interval : float option;
  timeout : float option;
  start_period : float option;
  retries : int;
}

(* The settings of the library's configuration. *)
type setting =
  | Entrypoint of string array
  | Command of string array
  | Env of string * string option
  | Label of string * string option
  | User of string
  | Directory of string
  | Port of string * bool
  | Volume of string * bool
  | Stop_signal of string
  | Health_words of string array * int array
  | Health_shell of string option * int array

type t = setting list

let health_check ?interval ?timeout ?start_period ?(retries = 0) test =
  if retries < 0 then invalid_arg "Docker_store.Image_config.health_check: retries";
  { test; interval; timeout; start_period; retries }

let times { interval; timeout; start_period; retries; _ } =
  let ms = Limits.milliseconds in
  [| ms interval; ms timeout; ms start_period; retries |]

let to_setting = function
  | `Check ({ test = `Words words; _ } as check) -> Health_words (Array.of_list words, times check)
  | `Check ({ test = `Shell line; _ } as check) -> Health_shell (Some line, times check)
  | `None -> Health_shell (None, [| 0; 0; 0; 0 |])
  | `Inherit -> Health_words ([||], [| 0; 0; 0; 0 |])

let make ?entrypoint ?command ?env ?labels ?user ?directory ?ports ?no_ports ?volumes ?no_volumes ?stop_signal ?health
    () =
  let one setting = Option.fold ~none:[] ~some:(fun value -> [ setting value ]) in
  let all setting = Option.fold ~none:[] ~some:(List.map setting) in
  let words setting = one (fun words -> setting (Array.of_list words)) in
  List.concat
    [
      words (fun words -> Entrypoint words) entrypoint;
      words (fun words -> Command words) command;
      all (fun (name, value) -> Env (name, value)) env;
      all (fun (name, value) -> Label (name, value)) labels;
      one (fun user -> User user) user;
      one (fun path -> Directory path) directory;
      all (fun port -> Port (port, false)) no_ports;
      all (fun port -> Port (port, true)) ports;
      all (fun path -> Volume (path, false)) no_volumes;
      all (fun path -> Volume (path, true)) volumes;
      one (fun signal -> Stop_signal signal) stop_signal;
      one to_setting health;
    ]

let set raw = function
  | Entrypoint words -> Raw.image_config_entrypoint raw words
  | Command words -> Raw.image_config_command raw words
  | Env (name, value) -> Raw.image_config_env raw name value
  | Label (name, value) -> Raw.image_config_label raw name value
  | User user -> Raw.image_config_user raw user
  | Directory path -> Raw.image_config_directory raw path
  | Port (port, exposed) -> Raw.image_config_port raw port exposed
  | Volume (path, declared) -> Raw.image_config_volume raw path declared
  | Stop_signal signal -> Raw.image_config_stop_signal raw signal
  | Health_words (words, times) -> Raw.image_config_health_check raw words times
  | Health_shell (line, times) -> Raw.image_config_health_shell raw line times

let with_raw t f =
  let raw = Raw.image_config_new () in
  let told = List.fold_left (fun told setting -> Result.bind told (fun () -> set raw setting)) (Ok ()) t in
  Result.bind told (fun () -> f raw)
