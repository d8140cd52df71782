(** A command and its environment. Its settings apply only to the command: the result keeps its base's configuration. A
    command is a value: it may be run any number of times, in any number of threads. *)

type t

(** {1 Mounts} *)

type mount

val lease : Lease.t -> string -> mount
(** [lease l target] mounts a leased cache at [target], an absolute path. Release the lease after the step is committed
    or aborted. *)

val volume : ?read_only:bool -> string -> string -> mount
(** [volume name target] mounts the engine's volume [name], which must exist, at [target], an absolute path. Nothing of
    the image is copied into it. *)

val bind : ?read_only:bool -> string -> string -> mount
(** [bind source target] mounts [source], an absolute path on the engine's host, at [target], an absolute path. *)

(** {1 Secrets} *)

type secret

val secret : ?uid:int -> ?gid:int -> ?mode:int -> string -> string -> secret
(** [secret target content] gives the command a read-only file at [target], an absolute path. It is owned by [uid] and
    [gid] (default 0), and its mode is [mode] (default [0o400]). It never appears in the result, the log, the
    environment or what the engine shows of the container. *)

(** {1 Commands} *)

val make :
  ?entrypoint:[ `Words of string list | `Image ] ->
  ?cwd:string ->
  ?env:(string * string) list ->
  ?user:string ->
  ?hostname:string ->
  ?network:string ->
  ?cpus:float ->
  ?memory:int ->
  ?mounts:mount list ->
  ?secrets:secret list ->
  ?stdin:[ `String of string | `File of string ] ->
  ?timeout:float ->
  ?allow_failure:bool ->
  string list ->
  t
(** [make argv] creates a command of the words [argv]: the program, looked up in the container's [PATH], and its
    arguments. No shell is involved.

    @param entrypoint Words that are put before the arguments, or with [`Image] the image's own entrypoint, as [docker
      run] does. The default is none.
    @param cwd The working directory; it is created if missing. The default is the image's.
    @param env Environment variables, overriding the image's.
    @param user A name or a number, optionally followed by [":"] and a group. The default is the image's.
    @param network The network, by the engine's name for it: ["host"], ["bridge"], ... The default is ["none"], which is
      safe and fast. It provides only [lo], and an [/etc/hosts] that the command cannot write to.
    @param hostname The default is ["docker-store"] without a network; otherwise the engine chooses one.
    @param cpus Limits the processor time, in processors.
    @param memory Limits the memory, including swap, in bytes. If the command exceeds the limit, the kernel kills it and
      the run returns [Out_of_memory].
    @param stdin The standard input. The default is empty. A local file is opened when the command is run.
    @param timeout Kills the command after this many seconds. The run then returns [Timed_out].
    @param allow_failure If [true], a non-zero exit status is not an error, and neither is a program that cannot be
      started (see {!Step.was_started}). By default it is: the run returns [Command_failed], and the step can only be
      aborted. *)

(**/**)

val with_raw : t -> (Raw.command -> 'a Raw.answer) -> 'a Raw.answer
