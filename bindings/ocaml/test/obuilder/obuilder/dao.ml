(* The rows of the database, as OBuilder has them in SQLite: a build counts how many stand on it. Any number of processes may have it
   open; each change is one. *)

type row = { id : string; used : float; rc : int; parent : string option }
type t = { path : string }

let create path = { path }

let read_rows t =
  match open_in_bin t.path with
  | exception Sys_error _ -> []
  | channel ->
    Fun.protect
      ~finally:(fun () -> close_in channel)
      (fun () -> if in_channel_length channel = 0 then [] else (Marshal.from_channel channel : row list))

(* With the lock held. The lock is a separate file, because closing any descriptor of a locked file releases the lock.
*)
let locked t f =
  let lock = Unix.openfile (t.path ^ ".lock") Unix.[ O_CREAT; O_RDWR; O_CLOEXEC ] 0o666 in
  Fun.protect
    ~finally:(fun () -> Unix.close lock)
    (fun () ->
      Unix.lockf lock Unix.F_LOCK 0;
      f ())

let rows t = locked t (fun () -> read_rows t)

let change t f =
  locked t @@ fun () ->
  let rows = f (read_rows t) in
  let channel = open_out_bin t.path in
  Marshal.to_channel channel (rows : row list) [];
  close_out channel

let find rows id = List.find_opt (fun row -> row.id = id) rows
let counted n id rows = List.map (fun row -> if Some row.id = id then { row with rc = row.rc + n } else row) rows

(* Like "INSERT OR REPLACE" and the count of the parent: adding a row twice loses the count of its children, and counts
it twice. *)
let add ?parent ~id ~now t =
  change t @@ fun rows ->
  if Option.is_some parent && Option.is_none (Option.bind parent (find rows)) then failwith "FOREIGN KEY constraint failed";
  let others = List.filter (fun row -> row.id <> id) rows in
  { id; used = now; rc = 0; parent } :: counted 1 parent others

let set_used ~id ~now t = change t (List.map (fun row -> if row.id = id then { row with used = now } else row))

let children t id =
  let rows = rows t in
  match find rows id with
  | None -> Error `No_such_id
  | Some _ -> Ok (List.filter_map (fun row -> if row.parent = Some id then Some row.id else None) rows)

let delete t id =
  change t @@ fun rows ->
  if List.exists (fun row -> row.parent = Some id) rows then failwith "FOREIGN KEY constraint failed";
  match find rows id with
  | None -> failwith "no such row"
  | Some row -> counted (-1) row.parent (List.filter (fun row -> row.id <> id) rows)

let lru t ~before n =
  let free = List.filter (fun row -> row.rc = 0 && row.used < before) (rows t) in
  let oldest = List.sort (fun a b -> compare a.used b.used) free in
  List.filteri (fun i _ -> i < n) oldest |> List.map (fun row -> row.id)

let count t = List.length (rows t)
