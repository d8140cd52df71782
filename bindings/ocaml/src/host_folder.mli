(** A local directory that files are unpacked into, and how, for {!Step.copy_out_host} and {!Docker_store.copy_out_host}.
*)

type t

val make : ?owner:[ `There | `Ids of int * int ] -> ?keep_modes:bool -> string -> t
(** [make path] is the local directory at [path], which is created if it does not exist. If it is a symbolic link to a
    directory, that directory is used.

    @param owner
      The numeric user and group of everything, or those that the files have in the container. Both usually need
      privileges. By default the files belong to the user of this process.
    @param keep_modes
      Keeps the modes that the files have in the container, with all bits. By default the files have the permissions,
      less the umask and without set-user-ID, set-group-ID and sticky bits. *)

(**/**)

val with_raw : t -> (Raw.host_folder -> 'a Raw.answer) -> 'a Raw.answer
