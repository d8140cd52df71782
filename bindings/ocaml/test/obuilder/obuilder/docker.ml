(* The names of what OBuilder has on the engine, all of one prefix, which is the whole program's. *)

let prefix = ref "obuilder"
let set_prefix word = prefix := word
