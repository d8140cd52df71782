(* What OBuilder asks of a store, in full. *)

type id = string
type tag = [ `Heading | `Note | `Output ]
type logger = tag -> string -> unit

module type STORE = sig
  type t

  val root : t -> string
  val df : t -> float Lwt.t
  val build : t -> ?base:id -> id:id -> (string -> (unit, 'e) Lwt_result.t) -> (unit, 'e) Lwt_result.t
  val delete : t -> id -> unit Lwt.t
  val result : t -> id -> string option Lwt.t
  val log_file : t -> id -> string Lwt.t
  val state_dir : t -> string
  val cache : user:Obuilder_spec.user -> t -> string -> (string * (unit -> unit Lwt.t)) Lwt.t
  val delete_cache : t -> string -> (unit, [> `Busy ]) Lwt_result.t
  val complete_deletes : t -> unit Lwt.t
end
