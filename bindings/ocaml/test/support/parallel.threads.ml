let kind = "threads"

(* Runs all functions concurrently. Returns their results, or raises the exception that one of them raised. *)
let run fs =
  let answers = Array.make (List.length fs) None in
  let start n f = Thread.create (fun () -> answers.(n) <- Some (try Ok (f ()) with e -> Error e)) () in
  List.iter Thread.join (List.mapi start fs);
  List.map
    (function
      | Some (Ok value) -> value
      | Some (Error e) -> raise e
      | None -> assert false)
    (Array.to_list answers)
