(* The part of OBuilder's specifications that its stores know. *)

type unix_user = { uid : int; gid : int }
type windows_user = { name : string }
type user = [ `Unix of unix_user | `Windows of windows_user ]

let root = `Unix { uid = 0; gid = 0 }
