(* One call: it blocks a worker, and its promise and its callbacks live in the thread of the event loop, the main thread
   for short. Callbacks run there in order, and before the promise is resolved. *)

module Cancel = Docker_store.Cancel
module Error = Docker_store.Error

(* [Lwt_unix.run_in_main_dont_wait] would serve, but it is younger than Lwt 5.6. *)
type main = { notify : unit -> unit; stop : unit -> unit; lock : Mutex.t; posted : (unit -> unit) Queue.t }

type t = {
  main : main;
  (* The callback that the worker waits for, to be cancelled with the call. *)
  mutable heard : unit Lwt.t;
  mutable cancelled : bool;
}

let main () =
  let lock = Mutex.create () and posted = Queue.create () in
  let rec run_posted () =
    Mutex.lock lock;
    let next = Queue.take_opt posted in
    Mutex.unlock lock;
    Option.iter
      (fun f ->
        f ();
        run_posted ())
      next
  in
  let notification = Lwt_unix.make_notification run_posted in
  let notify () = Lwt_unix.send_notification notification in
  let stop () = Lwt_unix.stop_notification notification in
  { notify; stop; lock; posted }

(* From the worker: has the main thread run [f], which does not raise. *)
let post main f =
  Mutex.lock main.lock;
  Queue.add f main.posted;
  Mutex.unlock main.lock;
  main.notify ()

(* From the worker: [f ()] in the main thread; waits for what its promise comes to. So the output of a command comes no
   faster than it is taken. *)
let in_main t f =
  let lock = Mutex.create () and ready = Condition.create () in
  let answer = ref None in
  let set value =
    Mutex.lock lock;
    answer := Some value;
    Condition.signal ready;
    Mutex.unlock lock
  in
  post t.main (fun () ->
      let promise = Lwt.apply f () in
      t.heard <- Lwt.bind promise (fun _ -> Lwt.return_unit);
      (* Already: [f] itself may have cancelled the call. *)
      if t.cancelled then Lwt.cancel t.heard;
      Lwt.on_any promise (fun value -> set (Ok value)) (fun e -> set (Error e)));
  Mutex.lock lock;
  while Option.is_none !answer do
    Condition.wait ready lock
  done;
  Mutex.unlock lock;
  match Option.get !answer with
  | Ok value -> value
  | Error e -> raise e

(* [result], but to cancel it turns [cancel] on; and then, as before, it is resolved when the call has returned. What
   was done by then stays done: only a call that was cut off is [Lwt.Canceled]. *)
let cancellable t cancel result =
  let front, resolver = Lwt.task () in
  Lwt.on_any result (Lwt.wakeup_later resolver) (Lwt.wakeup_later_exn resolver);
  Lwt.catch
    (fun () -> front)
    (function
      | Lwt.Canceled ->
        Cancel.trigger cancel;
        t.cancelled <- true;
        Lwt.cancel t.heard;
        Lwt.bind result (function
          | Error { Error.status = Cancelled; _ } -> Lwt.fail Lwt.Canceled
          | answer -> Lwt.return answer)
      | e -> Lwt.fail e)

(* Makes the blocking call [f] in a worker. [cancel] is one that was given to it, for the promise to turn on. *)
let run ?cancel f =
  let t = { main = main (); heard = Lwt.return_unit; cancelled = false } in
  let result, resolver = Lwt.wait () in
  let job () =
    let answer =
      match f t with
      | answer -> Ok answer
      | exception e -> Error e
    in
    post t.main (fun () ->
        t.main.stop ();
        Lwt.wakeup_later_result resolver answer)
  in
  match Worker.run job with
  | () -> Option.fold cancel ~none:result ~some:(fun cancel -> cancellable t cancel result)
  | exception e ->
    t.main.stop ();
    Lwt.fail e
