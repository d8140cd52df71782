(* Threads for blocking calls: our own, for Lwt_preemptive has four by default, which others share, and four long builds
   would stop all who use it.

   There is no limit on how many. Calls wait for each other (a build for another of the same id, a lease for one that is
   locked), and with a limit those who wait could take all the threads, while whom they wait for finds none. A few that
   have nothing to do are kept for the next calls. *)

type t = { mutable job : (unit -> unit) option; wake : Condition.t }

let idle_max = 8
let lock = Mutex.create ()
let idle : t list ref = ref []
let idle_count = ref 0

(* Signals are for the thread of the event loop: what a handler raises must not end up in a call of somebody else's. *)
let block_signals () =
  let open Sys in
  let signals =
    [ sigalrm; sighup; sigint; sigquit; sigterm; sigusr1; sigusr2; sigchld; sigcont; sigtstp; sigttin; sigttou ]
  in
  ignore (Thread.sigmask SIG_BLOCK signals : int list)

(* With the lock: waits for a job, unless enough others do. *)
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

(* Runs [job], which does not raise, in a thread that has nothing else to do. *)
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
