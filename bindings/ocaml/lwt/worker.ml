(* Threads for blocking calls. The library has its own, because Lwt_preemptive has four by default and is shared with
   other code: four long builds would block all of that code.

   The number of threads is unlimited. Calls may wait for each other (a build for another of the same id, a lease for a
   locked one). With a limit, waiting calls could use up all threads, and the call they wait for could not run: a
   deadlock. A few idle threads are kept for later calls. *)

type t = { mutable job : (unit -> unit) option; wake : Condition.t }

let idle_max = 8
let lock = Mutex.create ()
let idle : t list ref = ref []
let idle_count = ref 0

(* Signals are handled in the thread of the event loop: an exception of a handler must not interrupt an unrelated call.
*)
let block_signals () =
  let open Sys in
  let signals =
    [ sigalrm; sighup; sigint; sigquit; sigterm; sigusr1; sigusr2; sigchld; sigcont; sigtstp; sigttin; sigttou ]
  in
  ignore (Thread.sigmask SIG_BLOCK signals : int list)

(* Called with the lock held: waits for a job, unless enough other workers are waiting. *)
let next worker =
  if !idle_count >= idle_max then None
  else begin
    idle := worker :: !idle;
    incr idle_count;
    while Option.is_none worker.job do
      Condition.wait worker.wake lock
    done;
    let job = worker.job in
    worker.job <- None;
    job
  end

let rec work worker job =
  job ();
  Mutex.lock lock;
  let job = next worker in
  Mutex.unlock lock;
  Option.iter (work worker) job

let start job =
  let run () =
    block_signals ();
    work { job = None; wake = Condition.create () } job
  in
  ignore (Thread.create run ())

(* Runs [job], which must not raise, in an idle or a new thread. *)
let run job =
  Mutex.lock lock;
  let free = !idle in
  (match free with
  | [] -> ()
  | worker :: others ->
    idle := others;
    decr idle_count;
    worker.job <- Some job;
    Condition.signal worker.wake);
  Mutex.unlock lock;
  match free with
  | [] -> start job
  | _ :: _ -> ()
