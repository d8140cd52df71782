(* Deletes everything in a store, and prints it.

   clean ROOT *)

open Docker_store

let ( let* ) = Result.bind

(* Continues with the next one as long as there is no error. *)
let rec each f = function
  | [] -> Ok ()
  | one :: others ->
    let* () = f one in
    each f others

let clean root =
  with_store root @@ fun store ->
  let deleted what name gone = if gone then Printf.printf "%s %s: deleted\n" what name in
  let* results = results store in
  let* () = each (fun { id; _ } -> Result.map (deleted "result" id) (delete store id)) results in
  let* caches = caches store in
  let* () = each (fun { name; _ } -> Result.map (deleted "cache" name) (delete_cache store name)) caches in
  let* () = complete_deletes ~timeout:60. store in
  Ok (prefix store)

let () =
  match clean Sys.argv.(1) with
  | Ok prefix -> Printf.printf "%s is empty\n" prefix
  | Error error ->
    prerr_endline (Error.to_string error);
    exit 1
