(** A file or a folder of this machine, and what of it is taken, how: for {!Step.copy_in_host}. Sockets are passed over,
    as by [docker build]. Links inside a folder stay links, and names that share a file (hard links) share one in the
    step, too. *)

type t

val make :
  ?exclude:string list ->
  ?dockerignore:string ->
  ?name:string ->
  ?owner:[ `Here | `Ids of int * int ] ->
  ?fixed_times:int ->
  string ->
  t
(** [make path]: the file or folder at [path], which is looked at when it is used. If it is a link, what the link leads
    to is taken.

    @param exclude
      what is left out: lines as of a [.dockerignore], after those of [dockerignore]. With [!] before it, what is taken
      in again; the last line that fits decides
    @param dockerignore the text of a [.dockerignore]
    @param name
      what it is called in the step. By default a file keeps its name, and what is in a folder is put directly below the
      path that it is copied to; a folder with a name is put there itself
    @param owner a user's and a group's number, or those that the files have here. By default root
    @param fixed_times
      when all of it was last changed, in seconds since 1970: then the same files have the same digest each time. By
      default the times are kept *)

val digest : ?timeout:float -> ?cancel:Cancel.t -> t -> (string, Error.t) result
(** The digest of what {!Step.copy_in_host} would send now, without sending it: 64 hex digits of a SHA-256, for
    {!Docker_store.id}. It does not depend on where the folder is. *)

(**/**)

val with_raw : t -> (Raw.host_files -> 'a Raw.answer) -> 'a Raw.answer
