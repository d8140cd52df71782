(** A store for OBuilder's Docker sandbox: [Obuilder.Docker_builder] works with it unchanged.

    OBuilder's store interface depends on OBuilder only through its user type. This module is a functor over that type,
    so it does not depend on OBuilder. [obuilder.md] shows how to combine the two. *)

module type USER = sig
  type t

  val owner : t -> int * int
  (** Returns the user and the group that own a cache of this user. *)
end

(** The interface that OBuilder's [S.STORE] requires. If its types leave no room for an error, promises fail with
    [Docker_store.Error.E]. *)
module type STORE = sig
  type t
  type user

  val root : t -> string

  val df : t -> float Lwt.t
  (** Returns the free space in percent, as OBuilder and df(1) count it: on the file system of the root or of the
      engine's data, whichever is lower. *)

  val build : t -> ?base:string -> id:string -> (string -> (unit, 'e) Lwt_result.t) -> (unit, 'e) Lwt_result.t
  (** [build t ?base ~id fn] calls [fn] with an empty directory, unless [id] is already built, possibly by another
      process while this call waited. While [fn] runs, the store holds the exclusive right to build [id] and the image
      [PREFIX-image-tmp-ID], a tag of [base]. [fn] must create the result as OBuilder's sandbox does: run the container
      [PREFIX-container-ID] from that tag, and commit it to [PREFIX-image-ID] in one operation. The tag, and a container
      of that name, are removed when [fn] ends, even if it fails. *)

  val delete : t -> string -> unit Lwt.t

  val result : t -> string -> string option Lwt.t
  (** Returns an empty directory if the result exists. Waits while another process builds it, because OBuilder shows its
      log with a result, and the log must be complete. If the result does not exist, this process gets the exclusive
      right to build it, provided that it then calls {!build}, as OBuilder does. So no two processes build and count the
      same id. *)

  val log_file : t -> string -> string Lwt.t
  val state_dir : t -> string

  val cache : user:user -> t -> string -> (string * (unit -> unit Lwt.t)) Lwt.t
  (** [cache ~user t name] leases the cache. Returns the value for [src=] in the sandbox's mount, and a function that
      releases the lease.

      The value is the volume's name followed by the mount option [volume-nocopy]. Without this option, if the cache is
      empty and the image has files at the mount point, the engine copies those files into the cache and gives the
      cache's root directory the owner and mode of the image's directory. The user for whom the cache was leased could
      then not write to it.

      If a container still mounts the lease after several seconds, the lease is discarded instead of released. *)

  val delete_cache : t -> string -> (unit, [> `Busy ]) Lwt_result.t
  val complete_deletes : t -> unit Lwt.t

  val cache_stats : t -> int * int
  (** Returns the number of leases of caches that had contents, and the number of the other leases. *)
end

module Make (User : USER) : sig
  include STORE with type user := User.t

  val of_store : ?report:(string -> unit) -> Docker_store.t -> t
  (** @param report Receives problems that did not make a build fail: a cache that was not saved, a tag that was not
        removed. *)

  val with_switch : Lwt_switch.t -> (unit -> 'a Lwt.t) -> 'a Lwt.t
  (** [with_switch switch f] calls [f]. While it runs, turning the switch off stops waiting for another process's build.
      OBuilder passes its switch to its sandbox, but not to its store. The build then fails with the [Error.E] of a
      cancelled call. *)

  val prefix : t -> string
  (** Returns the prefix that the sandbox must also use for its names; see [Obuilder.Docker.set_prefix]. *)
end
