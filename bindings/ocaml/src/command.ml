type mount = Lease of Lease.t * string | Volume of string * string * bool | Bind of string * string * bool
type secret = { target : string; content : string; owner : int * int; mode : int }

(* The settings of the library's command. *)
type setting =
  | Arg of string
  | Entrypoint of string array
  | Image_entrypoint
  | Cwd of string
  | Env of string * string
  | User of string
  | Hostname of string
  | Network of string
  | Nano_cpus of int
  | Memory of int
  | Mount of mount
  | Secret of secret
  | Stdin of string
  | Stdin_file of string
  | Timeout of int
  | Allow_failure of bool

type t = setting list

let lease lease target = Lease (lease, target)
let volume ?(read_only = false) name target = Volume (name, target, read_only)
let bind ?(read_only = false) source target = Bind (source, target, read_only)

let secret ?(uid = 0) ?(gid = 0) ?(mode = 0o400) target content =
  let number what n = if n < 0 || n > 0xffff_ffff then invalid_arg ("Docker_store.Command.secret: " ^ what) in
  number "uid" uid;
  number "gid" gid;
  number "mode" mode;
  { target; content; owner = uid, gid; mode }

let make ?entrypoint ?cwd ?env ?user ?hostname ?network ?cpus ?memory ?mounts ?secrets ?stdin ?timeout ?allow_failure
    argv =
  let one setting = Option.fold ~none:[] ~some:(fun value -> [ setting value ]) in
  let all setting = Option.fold ~none:[] ~some:(List.map setting) in
  List.concat
    [
      List.map (fun word -> Arg word) argv;
      one
        (function
          | `Words words -> Entrypoint (Array.of_list words)
          | `Image -> Image_entrypoint)
        entrypoint;
      one (fun path -> Cwd path) cwd;
      all (fun (name, value) -> Env (name, value)) env;
      one (fun user -> User user) user;
      one (fun name -> Hostname name) hostname;
      one (fun name -> Network name) network;
      one (fun cpus -> Nano_cpus (int_of_float (cpus *. 1e9))) cpus;
      one (fun bytes -> Memory bytes) memory;
      all (fun mount -> Mount mount) mounts;
      all (fun secret -> Secret secret) secrets;
      one
        (function
          | `String content -> Stdin content
          | `File path -> Stdin_file path)
        stdin;
      one (fun seconds -> Timeout (Limits.milliseconds (Some seconds))) timeout;
      one (fun allow -> Allow_failure allow) allow_failure;
    ]

let set raw = function
  | Arg word -> Raw.command_arg raw word
  | Entrypoint words -> Raw.command_entrypoint raw words
  | Image_entrypoint -> Raw.command_image_entrypoint raw
  | Cwd path -> Raw.command_cwd raw path
  | Env (name, value) -> Raw.command_env raw name value
  | User user -> Raw.command_user raw user
  | Hostname name -> Raw.command_hostname raw name
  | Network name -> Raw.command_network raw name
  | Nano_cpus n -> Raw.command_nano_cpus raw n
  | Memory bytes -> Raw.command_memory raw bytes
  | Mount (Lease (lease, target)) -> Raw.command_lease raw (Lease.raw lease) target
  | Mount (Volume (name, target, read_only)) -> Raw.command_volume raw name target read_only
  | Mount (Bind (source, target, read_only)) -> Raw.command_bind raw source target read_only
  | Secret { target; content; owner; mode } -> Raw.command_secret raw target content owner mode
  | Stdin content -> Raw.command_stdin raw content
  | Stdin_file path -> Raw.command_stdin_file raw path
  | Timeout 0 -> Ok ()
  | Timeout ms -> Raw.command_timeout raw ms
  | Allow_failure allow -> Raw.command_allow_failure raw allow

(* Each run creates its own command, because only one thread at a time may set the library's. *)
let with_raw t f =
  Result.bind (Raw.command_new ()) @@ fun raw ->
  let told = List.fold_left (fun told setting -> Result.bind told (fun () -> set raw setting)) (Ok ()) t in
  let answer = Result.bind told (fun () -> f raw) in
  Raw.end_command raw;
  (* The GC must not collect the command's leases while it runs. *)
  ignore (Sys.opaque_identity t);
  answer
