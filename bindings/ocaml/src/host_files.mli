(** A local file or directory, and which parts of it are copied and how, for {!Step.copy_in_host}. Sockets are skipped,
    as by [docker build]. Links inside a directory stay links, and hard links to one file stay hard links in the step.
    Extended attributes are not copied, and holes are filled with zeros. *)

type t

val make :
  ?exclude:string list ->
  ?dockerignore:string ->
  ?name:string ->
  ?owner:[ `Here | `Ids of int * int ] ->
  ?fixed_times:int ->
  string ->
  t
(** [make path] is the local file or directory at [path], which is read when the value is used. If it is a symbolic
    link, its target is used.

    @param exclude What is excluded: lines as in a [.dockerignore] file, after those of [dockerignore]. A leading [!]
      includes matches again. The last matching line decides.
    @param dockerignore The contents of a [.dockerignore] file.
    @param name The name in the step. By default a file keeps its name, and the contents of a directory are placed
      directly in the path that they are copied to. A directory with a name is placed there itself.
    @param owner The numeric user and group, or those that the local files have. The default is root.
    @param fixed_times Sets all modification times to this, in seconds since 1970. The same files then have the same
      digest each time. By default the times are kept. *)

val digest : ?timeout:float -> ?cancel:Cancel.t -> t -> (string, Error.t) result
(** Computes the digest of what {!Step.copy_in_host} would send now, without sending it: 64 hex digits of a SHA-256, for
    {!Docker_store.id}. It does not depend on the directory's location. Returns [Io] if a file cannot be read or changes
    while it is read. *)

(**/**)

val with_raw : t -> (Raw.host_files -> 'a Raw.answer) -> 'a Raw.answer
