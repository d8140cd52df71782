(* The names of OBuilder's objects on the engine, all with one prefix for the whole program. *)

let prefix = ref "obuilder"
let set_prefix word = prefix := word
