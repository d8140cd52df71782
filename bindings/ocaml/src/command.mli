(** A command and its surroundings. Whatever is set here ends with the command: the result keeps its base's
    configuration. A command is a value: it may be run any number of times, in any threads. *)

type t

(** {1 Mounts} *)

type mount

val lease : Lease.t -> string -> mount
(** [lease l target] mounts a leased cache at [target], an absolute path. Release the lease after the step is committed
    or aborted. *)

val volume : ?read_only:bool -> string -> string -> mount
(** [volume name target] mounts a volume of the engine. Nothing of the image is copied into it. *)

val bind : ?read_only:bool -> string -> string -> mount
(** [bind source target] mounts [source], an absolute path on the engine's machine. *)

(** {1 Secrets} *)

type secret

val secret : ?uid:int -> ?gid:int -> ?mode:int -> string -> string -> secret
(** [secret target content] is a read-only file at [target], owned by [uid] and [gid] (0) and with [mode] ([0o400]). It
    is never in the result, the log, the environment or what the engine shows of the container. *)

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
(** [make argv] runs the program [argv] names, looked up in the container's [PATH]. No shell is involved.

    @param entrypoint
      Goes before the arguments: the words given, or with [`Image] the image's own, as [docker run] would. By default
      nothing.
    @param cwd The working directory, made where it is missing. By default the image's.
    @param env Set over the image's own variables.
    @param user A name or a number, or either with [":"] and a group. By default the image's.
    @param network
      The engine's name for it: ["host"], ["bridge"], ... By default ["none"]: the safe choice, and the fast one. [/etc/hosts]
      cannot be written to then.
    @param hostname By default ["docker-store"] without a network, and what the engine makes up otherwise.
    @param cpus How many processors' time it may use.
    @param memory How many bytes, swap included. Beyond that the kernel kills it: [Out_of_memory].
    @param stdin
      What it reads on its standard input: nothing by default; a file of this machine is opened when it is run.
    @param timeout Ends the command after so many seconds: [Timed_out].
    @param allow_failure
      Whether an exit status other than zero is an answer. By default it is an error, and the step can then only be
      aborted. *)

(**/**)

val with_raw : t -> (Raw.command -> 'a Raw.answer) -> 'a Raw.answer
