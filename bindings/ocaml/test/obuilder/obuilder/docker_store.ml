(* OBuilder has a store of this name itself. *)

type t = Of_obuilder

let create (_root : string) = Lwt.return Of_obuilder
