(** A store for OBuilder's Docker sandbox: [Obuilder.Docker_builder] runs on it as it is.

    OBuilder ties its stores to itself by one type, that of users; so this is a functor over that, and needs no
    OBuilder. How to put the two together is in [obuilder.md]. *)

module type USER = sig
  type t

  val owner : t -> int * int
  (** The user and the group that a cache of this user belongs to. *)
end

(** What OBuilder's [S.STORE] asks for. Where its types leave no room for an error, promises fail with
    [Docker_store.Error.E]. *)
module type STORE = sig
  type t
  type user

  val root : t -> string

  val df : t -> float Lwt.t
  (** The percentage that is free, as OBuilder and df(1) count: of the file system of the root, or of that of the engine's
      data where there is less. *)

  val build : t -> ?base:string -> id:string -> (string -> (unit, 'e) Lwt_result.t) -> (unit, 'e) Lwt_result.t
  (** Keeps the image [PREFIX-image-tmp-ID], a tag of [base], and the sole right to build [id] while the function runs,
      which is given an empty directory. The function makes the result, as OBuilder's sandbox does: it runs the
      container [PREFIX-container-ID] on that tag and commits it to [PREFIX-image-ID] in one go. The tag is removed in
      any case, and so is a container of that name that the function left. Where {!result} was not asked just before: if
      somebody else, in another process, has built [id] meanwhile, the function does not run. *)

  val delete : t -> string -> unit Lwt.t

  val result : t -> string -> string option Lwt.t
  (** Waits while another process builds it: its log, which OBuilder shows with a result, is whole then. Where there is
      none, this process has the sole right to build it, if it calls {!build} with the answer, as OBuilder does: so no
      two processes build one id, and count it. *)

  val log_file : t -> string -> string Lwt.t
  val state_dir : t -> string

  val cache : user:user -> t -> string -> (string * (unit -> unit Lwt.t)) Lwt.t
  (** What the sandbox writes behind [src=] in its mount, and a function that gives the copy back.

      That is the volume's name, and the mount option [volume-nocopy]. Without it, where a cache is empty and the image
      has something at the place where it is mounted, the engine copies that into the cache, and gives the cache's
      directory the owner and the mode that the image has there: the user for whom the cache was made cannot write to
      it.

      A copy that still cannot be given back after some seconds, because a container has it, is given up. *)

  val delete_cache : t -> string -> (unit, [> `Busy ]) Lwt_result.t
  val complete_deletes : t -> unit Lwt.t

  val cache_stats : t -> int * int
  (** How many leases were of a cache that had something in it, and how many were not. *)
end

module Make (User : USER) : sig
  include STORE with type user := User.t

  val of_store : ?report:(string -> unit) -> Docker_store.t -> t
  (** @param report
        Told what went wrong without a build failing for it: a cache that was not saved, a tag that was left. *)

  val with_switch : Lwt_switch.t -> (unit -> 'a Lwt.t) -> 'a Lwt.t
  (** [with_switch switch f] is [f ()], where a wait for another process's build ends at once when the switch is turned off:
      OBuilder tells its sandbox of that, and not its store. The build fails then with the [Error.E] of a cancelled call. *)

  val prefix : t -> string
  (** What the sandbox must put before its names, too: [Obuilder.Docker.set_prefix]. *)
end
