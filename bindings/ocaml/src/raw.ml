(* The stubs. A stub that may block releases the runtime lock. *)

type store
type step
type lease
type cancel
type command
type image_config
type host_files
type host_folder

(* The event passed to a callback; valid while the callback runs. *)
type event [@@immediate]

(* Created by stubs_call.c; -1 means none. *)
type error = { code : int; message : string; http_status : int; os_errno : int; exit_code : int }
type 'a answer = ('a, error) result

(* Milliseconds; 0 means no limit. *)
type limits = { timeout_ms : int; cancel : cancel option }
type hear = event -> bool

external version : unit -> string = "ocaml_dstore_version"
external id : string -> string array -> string answer = "ocaml_dstore_id"

(* Releases an object before the GC does. *)
external end_command : command -> unit = "ocaml_dstore_end"

(* Events. *)

external event_number : event -> int = "ocaml_dstore_event_number" [@@noalloc]
external event_bytes : event -> string = "ocaml_dstore_event_bytes"
external event_text : event -> int -> string = "ocaml_dstore_event_text"
external event_amount : event -> int -> int = "ocaml_dstore_event_amount" [@@noalloc]
external event_capacity : event -> int = "ocaml_dstore_event_capacity" [@@noalloc]
external event_fill : event -> bytes -> int -> unit = "ocaml_dstore_event_fill"

(* Cancels. *)

external cancel_new : unit -> cancel = "ocaml_dstore_cancel_new"
external cancel_trigger : cancel -> unit = "ocaml_dstore_cancel_trigger"
external cancel_is_triggered : cancel -> bool = "ocaml_dstore_cancel_is_triggered"
external cancel_on_signal : cancel -> int -> unit = "ocaml_dstore_cancel_on_signal"

(* Stores. *)

type settings = {
  engine : string option;
  name : string option;
  strategy : int;
  direct : bool;
  sync : bool;
  connect_timeout_ms : int;
  group : int option;
  log_limit : int option;
  log_drop : bool;
  engine_network : bool;
}

type names = {
  root : string;
  prefix : string;
  state_dir : string;
  empty_dir : string;
  address : string;
  api_version : string;
}

type health = {
  product : string;
  product_version : string;
  spoken : string;
  newest : string;
  address : string;
  image_store : string;
  cloned_how : int;
  cloned_why : string;
  clock_ahead : float;
  free_root : float;
  free_engine : float;
  troubles : (string * string) array;
  network : string;
}

type purged = { containers : int; images : int; volumes : int }

external open_store : string -> settings -> limits -> store answer = "ocaml_dstore_open"
external close : store -> limits -> unit answer = "ocaml_dstore_close"
external names : store -> names = "ocaml_dstore_names"
external log_file : store -> string -> string answer = "ocaml_dstore_log_file"
external df : store -> limits -> float array answer = "ocaml_dstore_df"
external ping : store -> limits -> unit answer = "ocaml_dstore_ping"
external health : store -> limits -> health answer = "ocaml_dstore_health"
external count : store -> int -> int answer = "ocaml_dstore_count"
external purge : store -> limits -> purged answer = "ocaml_dstore_purge"
external complete_deletes : store -> limits -> unit answer = "ocaml_dstore_complete_deletes"

(* Results. *)

type result_info = { id : string; created : int; size : int }

external building : store -> string -> bool answer = "ocaml_dstore_building"
external result : store -> string -> limits -> bool answer = "ocaml_dstore_result"
external delete : store -> string -> limits -> bool answer = "ocaml_dstore_delete"
external results : store -> limits -> result_info array answer = "ocaml_dstore_results"
external copy_out : store -> string -> string -> limits -> hear -> int answer = "ocaml_dstore_copy_out"
external copy_out_file : store -> string -> string -> limits -> string -> int answer = "ocaml_dstore_copy_out_file"

external copy_out_host : store -> string -> string -> limits -> host_folder -> int answer = "ocaml_dstore_copy_out_host"

(* Publishing results, and loading one. *)

type login = { user : string; password : string; server : string option }

external tag : store -> string -> string -> limits -> string option answer = "ocaml_dstore_tag"
external push : store -> string -> string -> login option * limits -> hear option -> string option answer = "ocaml_dstore_push"
external save : store -> string -> int * string option -> limits -> hear -> int answer = "ocaml_dstore_save"
external save_file : store -> string -> int * string option -> limits -> string -> int answer = "ocaml_dstore_save_file"
external load : store -> string -> hear -> hear option -> limits -> bool answer = "ocaml_dstore_load"
external load_file : store -> string -> string -> hear option -> limits -> bool answer = "ocaml_dstore_load_file"

(* Destroying roots. *)

type remnant = {
  kind : int;
  thing : string;
  identity : string;
  root : string option;
  on_engine : string;
  removed : bool;
  kept : string option;
}

external destroy : string option -> settings -> bool * bool -> limits -> remnant array answer = "ocaml_dstore_destroy"
external find_remains : string option -> settings -> bool * bool -> limits -> remnant array answer = "ocaml_dstore_find_remains"

external destroy_remains : string option -> settings -> bool * bool -> limits -> remnant array answer
  = "ocaml_dstore_destroy_remains"

(* Steps. *)

external begin_step : store -> string option -> string -> limits -> hear option -> step option answer = "ocaml_dstore_begin"
external step_write_log : step -> string -> unit answer = "ocaml_dstore_step_write_log"
external step_run : step -> command -> hear option -> int answer = "ocaml_dstore_step_run"
external step_was_started : step -> bool = "ocaml_dstore_step_was_started"
external step_limit : step -> limits -> unit answer = "ocaml_dstore_step_limit"
external step_commit : step -> limits -> unit answer = "ocaml_dstore_step_commit"
external step_abort : step -> limits -> unit answer = "ocaml_dstore_step_abort"
external step_import : step -> hear -> hear option -> unit answer = "ocaml_dstore_step_import"
external step_import_file : step -> string -> hear option -> unit answer = "ocaml_dstore_step_import_file"
external step_pull : step -> string -> string option -> login option -> hear option -> unit answer
  = "ocaml_dstore_step_pull"

external step_load : step -> hear -> hear option -> unit answer = "ocaml_dstore_step_load"
external step_load_file : step -> string -> hear option -> unit answer = "ocaml_dstore_step_load_file"
external step_configure : step -> image_config -> unit answer = "ocaml_dstore_step_configure"
external step_use_image : step -> string -> unit answer = "ocaml_dstore_step_use_image"
external step_copy_in : step -> string -> hear -> unit answer = "ocaml_dstore_step_copy_in"
external step_copy_in_file : step -> string -> string -> unit answer = "ocaml_dstore_step_copy_in_file"
external step_copy_out : step -> string -> hear -> int answer = "ocaml_dstore_step_copy_out"
external step_copy_out_file : step -> string -> string -> int answer = "ocaml_dstore_step_copy_out_file"
external step_copy_out_host : step -> string -> host_folder -> int answer = "ocaml_dstore_step_copy_out_host"
external step_copy_in_host : step -> string -> host_files -> string answer = "ocaml_dstore_step_copy_in_host"

(* Local files. *)

external host_folder_new : string -> host_folder answer = "ocaml_dstore_host_folder_new"
external host_folder_owner : host_folder -> (int * int) option -> unit answer = "ocaml_dstore_host_folder_owner"
external host_folder_keep_modes : host_folder -> unit answer = "ocaml_dstore_host_folder_keep_modes"
external host_files_new : string -> host_files answer = "ocaml_dstore_host_files_new"
external host_files_exclude : host_files -> string -> unit answer = "ocaml_dstore_host_files_exclude"
external host_files_dockerignore : host_files -> string -> unit answer = "ocaml_dstore_host_files_dockerignore"
external host_files_name : host_files -> string -> unit answer = "ocaml_dstore_host_files_name"
external host_files_owner : host_files -> (int * int) option -> unit answer = "ocaml_dstore_host_files_owner"
external host_files_fixed_times : host_files -> int -> unit answer = "ocaml_dstore_host_files_fixed_times"
external host_files_digest : host_files -> limits -> string answer = "ocaml_dstore_host_files_digest"

(* Image settings of results. *)

external image_config_new : unit -> image_config = "ocaml_dstore_image_config_new"
external image_config_entrypoint : image_config -> string array -> unit answer = "ocaml_dstore_image_config_entrypoint"
external image_config_command : image_config -> string array -> unit answer = "ocaml_dstore_image_config_command"
external image_config_env : image_config -> string -> string option -> unit answer = "ocaml_dstore_image_config_env"
external image_config_label : image_config -> string -> string option -> unit answer = "ocaml_dstore_image_config_label"
external image_config_user : image_config -> string -> unit answer = "ocaml_dstore_image_config_user"
external image_config_directory : image_config -> string -> unit answer = "ocaml_dstore_image_config_directory"
external image_config_port : image_config -> string -> bool -> unit answer = "ocaml_dstore_image_config_port"
external image_config_volume : image_config -> string -> bool -> unit answer = "ocaml_dstore_image_config_volume"
external image_config_stop_signal : image_config -> string -> unit answer = "ocaml_dstore_image_config_stop_signal"

external image_config_health_check : image_config -> string array -> int array -> unit answer
  = "ocaml_dstore_image_config_health_check"

external image_config_health_shell : image_config -> string option -> int array -> unit answer
  = "ocaml_dstore_image_config_health_shell"

(* Commands. *)

external command_new : unit -> command answer = "ocaml_dstore_command_new"
external command_arg : command -> string -> unit answer = "ocaml_dstore_command_arg"
external command_entrypoint : command -> string array -> unit answer = "ocaml_dstore_command_entrypoint"
external command_image_entrypoint : command -> unit answer = "ocaml_dstore_command_image_entrypoint"
external command_cwd : command -> string -> unit answer = "ocaml_dstore_command_cwd"
external command_env : command -> string -> string -> unit answer = "ocaml_dstore_command_env"
external command_user : command -> string -> unit answer = "ocaml_dstore_command_user"
external command_hostname : command -> string -> unit answer = "ocaml_dstore_command_hostname"
external command_network : command -> string -> unit answer = "ocaml_dstore_command_network"
external command_nano_cpus : command -> int -> unit answer = "ocaml_dstore_command_nano_cpus"
external command_memory : command -> int -> unit answer = "ocaml_dstore_command_memory"
external command_lease : command -> lease -> string -> unit answer = "ocaml_dstore_command_lease"
external command_volume : command -> string -> string -> bool -> unit answer = "ocaml_dstore_command_volume"
external command_bind : command -> string -> string -> bool -> unit answer = "ocaml_dstore_command_bind"
external command_secret : command -> string -> string -> int * int -> int -> unit answer = "ocaml_dstore_command_secret"
external command_stdin : command -> string -> unit answer = "ocaml_dstore_command_stdin"
external command_stdin_file : command -> string -> unit answer = "ocaml_dstore_command_stdin_file"
external command_timeout : command -> int -> unit answer = "ocaml_dstore_command_timeout"
external command_allow_failure : command -> bool -> unit answer = "ocaml_dstore_command_allow_failure"

(* Caches. *)

type request = { uid : int; gid : int; mode : int }

type cache_info = {
  cache : string;
  generation : int;
  cloned_by : int;
  layers : int;
  bytes : int;
  made : int;
  last_use : int;
  leases : int;
  limit : int;
}

external lease : store -> string -> request -> limits -> lease answer = "ocaml_dstore_lease"
external lease_volume : lease -> string = "ocaml_dstore_lease_volume"
external lease_generation : lease -> int = "ocaml_dstore_lease_generation"
external lease_release : lease -> limits -> int answer = "ocaml_dstore_lease_release"
external lease_discard : lease -> unit answer = "ocaml_dstore_lease_discard"
external strategy : store -> limits -> (int * string) answer = "ocaml_dstore_strategy"
external delete_cache : store -> string -> limits -> bool answer = "ocaml_dstore_delete_cache"
external caches : store -> limits -> cache_info array answer = "ocaml_dstore_caches"

(* Bounds. *)

type result_usage = {
  of_id : string;
  image : string;
  base : string;
  own_bytes : int;
  all_bytes : int;
  image_made : int;
  used : int;
  build_ms : int;
  log_bytes : int;
  pinned : bool;
  building : bool;
  held : bool;
}

type log_usage = { log_of : string; length : int; written : int; has_result : bool }

type usage = {
  result_rows : result_usage array;
  cache_rows : cache_info array;
  pinned_caches : bool array;
  log_rows : log_usage array;
  numbers : int array;
  how : string;
}

(* A number of -1 means not set. *)
type policy = { asked : int array; percent : float }
type row = { item : int; name : string; goes : int; row_used : int; fate : int; why : string }
type report = { rows : row array; freed : int; kept : int; reached : bool }
type pin = { kind : int; of_name : string; since : int }

external usage : store -> limits -> usage answer = "ocaml_dstore_usage"
external prune : store -> policy -> limits -> hear -> report answer = "ocaml_dstore_prune"
external pin : store -> string -> limits -> bool answer = "ocaml_dstore_pin"
external unpin : store -> string -> bool answer = "ocaml_dstore_unpin"
external pin_cache : store -> string -> limits -> bool answer = "ocaml_dstore_pin_cache"
external unpin_cache : store -> string -> bool answer = "ocaml_dstore_unpin_cache"
external pins : store -> pin array answer = "ocaml_dstore_pins"
external went : store -> string -> (int * int) answer = "ocaml_dstore_went"
external why_gone : store -> string -> limits -> (int * int) answer = "ocaml_dstore_why_gone"
external limit_cache : store -> string -> int -> unit answer = "ocaml_dstore_limit_cache"

(* The log. *)

external log_collect : int -> unit answer = "ocaml_dstore_log_collect"
external log_fetch : int -> hear -> unit answer = "ocaml_dstore_log_fetch"
