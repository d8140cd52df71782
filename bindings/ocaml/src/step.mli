(** A build in progress, from {!Docker_store.begin_step} until {!commit} or {!abort}. One that is left to the GC is
    aborted in the background.

    Every call blocks, and ends when the timeout or the cancel given to [begin_step] says so. A call that fails leaves a
    step that can only be aborted, unless it failed with [Invalid_argument]. Used by one thread at a time, which may
    change from call to call; a second one, or a callback of the first, gets [Busy].

    What a callback raises ends the call, which then raises the same. *)

type t

val id : t -> string
(** The id that a commit will record. *)

(** {1 Running} *)

type channel = Stdout | Stderr

val run : ?output:(channel -> string -> unit) -> t -> Command.t -> (int, Error.t) result
(** [run step command] runs [command] on what the step has come to, until it ends, and gives its exit status: 0 to 255,
    and 128 + the signal's number where a signal ended it. Other than 0 is [Command_failed], unless the command allows
    it. A program that is not there or cannot be executed is [Not_started]; if the command allows failures, it is 127 or
    126, and {!was_started} tells. Its output goes to the log as it comes, and each piece, not cut at lines, to [output] after that.

    [Cancelled], [Timed_out], and an exception of [output] end the command, and its container is gone. *)

val was_started : t -> bool
(** Whether the last command of which {!run} gave an exit status was started at all. *)

val write_log : t -> string -> (unit, Error.t) result
(** Writes to the step's log, between what its commands write. *)

val limit : ?timeout:float -> ?cancel:Cancel.t -> t -> (unit, Error.t) result
(** From now on these hold for the step, in place of those given to [begin_step]. Does not block. *)

(** {1 The end} *)

val commit : ?timeout:float -> ?cancel:Cancel.t -> t -> (unit, Error.t) result
(** Records the result, and ends the step. The result appears with the last engine call, at once and whole. After an
    error there is no result, and a new step may begin; after [Outcome_unknown] there may be one, and that new step finds
    it. [timeout] (in seconds) and [cancel], where either is given, hold in place of those given to [begin_step]. *)

val abort : ?timeout:float -> ?cancel:Cancel.t -> t -> (unit, Error.t) result
(** Ends the step without a result, and removes its container and its tag. The log stays. Limits are as for {!commit};
    what is not removed in time is removed in the background. *)

(** {1 Bases}

    Only for a step without a base, and first. *)

type progress = {
  status : string;  (** What is being done, in the engine's words: ["Downloading"]. *)
  item : string;  (** To which layer; [""] for all. *)
  current : int;  (** So many bytes are done ... *)
  total : int;  (** ... of so many; 0 where nobody knows. *)
}

type login = {
  user : string;  (** ["<token>"] has an identity token for a password. *)
  password : string;
  server : string option;  (** The registry's address, as in the reference. *)
}

val import : ?progress:(progress -> unit) -> t -> (bytes -> int -> int -> int) -> (unit, Error.t) result
(** Begins with the files in a tar stream: a base that needs no registry. The stream is read as by [Stdlib.input]; 0 is
    its end. *)

val import_file : ?progress:(progress -> unit) -> t -> string -> (unit, Error.t) result
(** The same from a file of this machine. *)

val pull : ?progress:(progress -> unit) -> ?login:login -> ?platform:string -> t -> string -> (unit, Error.t) result
(** Begins with an image that the engine pulls from its registry, such as ["debian:bookworm"].

    @param platform
      of an image for several, the one to take, such as ["linux/arm64"] or ["linux/arm/v7"]; [Not_found] where the image
      has not got it. By default that of the engine's machine *)

val use_image : t -> string -> (unit, Error.t) result
(** Begins with an image that the engine has already. *)

val load : ?progress:(progress -> unit) -> t -> (bytes -> int -> int -> int) -> (unit, Error.t) result
(** Begins with the image in a docker archive or an OCI layout, read as by [Stdlib.input]; see {!Docker_store.load}. *)

val load_file : ?progress:(progress -> unit) -> t -> string -> (unit, Error.t) result
(** The same from a file of this machine. *)

(** {1 What the result says} *)

val configure : t -> Image_config.t -> (unit, Error.t) result
(** Sets what the result says to whoever runs it. Commands of the step still run as its base says. May be called at any
    time before the commit, and again: later settings stand over earlier ones. The commit is [Unsupported] where the
    engine cannot be given exactly this. *)

(** {1 Files} *)

val copy_in : t -> string -> (bytes -> int -> int -> int) -> (unit, Error.t) result
(** [copy_in step path input] unpacks a tar stream, read as by [Stdlib.input], below [path], an absolute path in the
    step, which is made where it is missing. Owners, modes and times are those in the stream. *)

val copy_in_file : t -> string -> string -> (unit, Error.t) result
(** [copy_in_file step path tar]: the same from a file of this machine. *)

val copy_in_host : t -> string -> Host_files.t -> (string, Error.t) result
(** [copy_in_host step path files] copies files of this machine below [path], an absolute path in the step, which is made
    where it is missing, and gives the digest of what was sent, as {!Host_files.digest} does. *)

val copy_out : t -> string -> (string -> unit) -> (int, Error.t) result
(** [copy_out step path write] writes the file or directory at [path] as a tar stream, whose first entry is the last
    component of [path], and gives how many bytes that were. [Not_found] where there is no such path: the step then goes
    on. *)

val copy_out_file : t -> string -> string -> (int, Error.t) result
(** [copy_out_file step path tar]: the same to a file of this machine, which is removed if not all can be written. *)

(**/**)

val raw_login : login option -> Raw.login option
val hear_progress : (progress -> unit) -> Raw.event -> unit
val of_raw : id:string -> Raw.step -> t
