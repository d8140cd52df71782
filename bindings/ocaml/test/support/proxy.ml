(* A socket in front of the engine, which can stop forwarding. *)

type t = { path : string; mutable stalled : bool; mutable ends : Unix.file_descr list; lock : Mutex.t }

let engine_socket () =
  match Sys.getenv_opt "DOCKER_HOST" with
  | Some host when String.length host > 7 && String.sub host 0 7 = "unix://" -> String.sub host 7 (String.length host - 7)
  | _ -> "/var/run/docker.sock"

let held t f =
  Mutex.lock t.lock;
  Fun.protect ~finally:(fun () -> Mutex.unlock t.lock) f

let shut socket = try Unix.shutdown socket Unix.SHUTDOWN_ALL with Unix.Unix_error _ -> ()

(* Forwards bytes until the end, or until forwarding stops. *)
let pass t from onto =
  let buffer = Bytes.create 65536 in
  let rec go () =
    match Unix.read from buffer 0 (Bytes.length buffer) with
    | 0 -> ( try Unix.shutdown onto Unix.SHUTDOWN_SEND with Unix.Unix_error _ -> ())
    | n when not t.stalled ->
      let rec write at = if at < n then write (at + Unix.write onto buffer at (n - at)) in
      write 0;
      go ()
    | _ -> go ()
  in
  try go () with Unix.Unix_error _ -> ()

let serve t client =
  let engine = Unix.socket ~cloexec:true Unix.PF_UNIX Unix.SOCK_STREAM 0 in
  held t (fun () -> t.ends <- client :: engine :: t.ends);
  Unix.connect engine (Unix.ADDR_UNIX (engine_socket ()));
  let back = Thread.create (fun () -> pass t engine client) () in
  pass t client engine;
  Thread.join back;
  held t @@ fun () ->
  t.ends <- List.filter (fun socket -> socket <> client && socket <> engine) t.ends;
  Unix.close client;
  Unix.close engine

let create () =
  Sys.set_signal Sys.sigpipe Sys.Signal_ignore;
  let path = Filename.temp_file "docker-store-proxy" ".sock" in
  Unix.unlink path;
  let listener = Unix.socket ~cloexec:true Unix.PF_UNIX Unix.SOCK_STREAM 0 in
  Unix.bind listener (Unix.ADDR_UNIX path);
  Unix.listen listener 64;
  let t = { path; stalled = false; ends = []; lock = Mutex.create () } in
  let rec accept () =
    let client, _ = Unix.accept ~cloexec:true listener in
    ignore (Thread.create (serve t) client);
    accept ()
  in
  ignore (Thread.create accept ());
  at_exit (fun () -> Unix.unlink path);
  t

let address t = "unix://" ^ t.path

(* From now on nothing is forwarded. *)
let stall t = t.stalled <- true

(* Closes stalled and other connections; new connections are forwarded. *)
let release t =
  held t @@ fun () ->
  t.stalled <- false;
  List.iter shut t.ends
