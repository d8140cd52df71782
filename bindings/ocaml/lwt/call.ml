(* One call. It blocks a worker; its promise and its callbacks belong to the thread of the event loop, called the main
   thread here. Callbacks run there in order, before the promise is resolved. *)

module Cancel = Docker_store.Cancel
module Error = Docker_store.Error

(* [Lwt_unix.run_in_main_dont_wait] would do, but Lwt 5.6 does not have it. *)
type main = { notify : unit -> unit; stop : unit -> unit; lock : Mutex.t; posted : (unit -> unit) Queue.t }

type t = {
  main : main;
  (* The callback that the worker waits for; cancelled with the call. *)
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

(* Called in a worker: runs [f], which must not raise, in the main thread. *)
let post main f =
  Mutex.lock main.lock;
  Queue.add f main.posted;
  Mutex.unlock main.lock;
  main.notify ()

(* Called in a worker: calls [f ()] in the main thread and waits for its promise. So a command's output is not read
   faster than the callback consumes it. *)
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
      (* [f] itself may already have cancelled the call. *)
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

(* Like [result], but cancelling the promise triggers [cancel]. The promise is still resolved only when the call has
   returned. It fails with [Lwt.Canceled] only if the call was interrupted. *)
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

(* Runs the blocking call [f] in a worker. [cancel] is the cancel that [f] uses; cancelling the promise triggers it. *)
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
