(** A build in progress, from {!Docker_store.begin_step} until {!commit} or {!abort}. A step that is garbage-collected
    is aborted in the background.

    Every call blocks, and is limited by the timeout and the cancel given to [begin_step]. Only one call at a time may
    use a step; a second one, from another thread or a callback, returns [Busy]. Successive calls may come from
    different threads.

    If a call fails, the step can only be aborted: other calls return [Conflict], except {!limit}, {!id} and
    {!was_started}. The step stays usable after [Invalid_argument], except from copying out to a pipe; after [Busy]
    because the step is in use; after [Io] because a local file to import, load or copy in cannot be opened for reading;
    and after [Not_found] from copying out a path that does not exist.

    If a callback raises, the call stops and re-raises the exception. *)

type t

val id : t -> string
(** Returns the id that a commit will record. *)

(** {1 Running} *)

type channel = Stdout | Stderr

val run : ?output:(channel -> string -> unit) -> t -> Command.t -> (int, Error.t) result
(** [run step command] runs [command] on the step's current files and waits until it exits. Returns its exit status: 0
    to 255, or 128 + N if it was killed by signal N. A non-zero status returns [Command_failed], unless the command
    allows failures. Returns [Not_started] if the program does not exist or cannot be executed; if the command allows
    failures, the status is then 127 or 126, and {!was_started} is [false]. Output is written to the log as it arrives,
    and then passed to [output], not split at line boundaries.

    When this returns [Cancelled] or [Timed_out], or re-raises an exception of [output], the command has been killed,
    and its container is removed or being removed in the background. *)

val was_started : t -> bool
(** Returns whether the last command for which {!run} returned an exit status was started at all. *)

val write_log : t -> string -> (unit, Error.t) result
(** Writes to the step's log, between the output of its commands. *)

val limit : ?timeout:float -> ?cancel:Cancel.t -> t -> (unit, Error.t) result
(** Replaces the limits that were given to [begin_step]. Does not block. *)

(** {1 The end} *)

val commit : ?timeout:float -> ?cancel:Cancel.t -> t -> (unit, Error.t) result
(** Records the result and ends the step. The result appears atomically, with the last engine call. After an error there
    is no result, and a new step may begin. Exception: after [Outcome_unknown] the result may exist, and the next step
    for the id finds it. If [timeout] (in seconds) or [cancel] is given, they replace the limits given to [begin_step].
*)

val abort : ?timeout:float -> ?cancel:Cancel.t -> t -> (unit, Error.t) result
(** Ends the step without a result, and removes its container and its tag. The log is kept. Limits are as for {!commit}.
    What is not removed in time is removed in the background. *)

(** {1 Bases}

    Only for a step without a base, and first. *)

type progress = {
  status : string;  (** The engine's description: ["Downloading"]. *)
  item : string;  (** The layer it applies to; [""] for all. *)
  current : int;  (** The number of bytes done ... *)
  total : int;  (** ... of this total; 0 if unknown. *)
}

type login = {
  user : string;  (** ["<token>"] if the password is an identity token. *)
  password : string;
  server : string option;  (** The registry's address, as written in the reference. *)
}

val import : ?progress:(progress -> unit) -> t -> (bytes -> int -> int -> int) -> (unit, Error.t) result
(** Starts the step from the files in a tar stream; needs no registry. The stream is read with a function like
    [Stdlib.input]; 0 is its end. *)

val import_file : ?progress:(progress -> unit) -> t -> string -> (unit, Error.t) result
(** Like {!import}, but reads a local file. *)

val pull : ?progress:(progress -> unit) -> ?login:login -> ?platform:string -> t -> string -> (unit, Error.t) result
(** Starts the step from an image that the engine pulls from its registry, such as ["debian:bookworm"].

    @param platform Which image of a multi-platform image to pull, such as ["linux/arm64"] or ["linux/arm/v7"]. Returns
      [Not_found] if the image does not exist for that platform. The default is the platform of the engine's host. *)

val use_image : t -> string -> (unit, Error.t) result
(** Starts the step from an image that the engine already has. *)

val load : ?progress:(progress -> unit) -> t -> (bytes -> int -> int -> int) -> (unit, Error.t) result
(** Starts the step from the image in a Docker archive or an OCI layout, read with a function like [Stdlib.input]; see
    {!Docker_store.load}. *)

val load_file : ?progress:(progress -> unit) -> t -> string -> (unit, Error.t) result
(** Like {!load}, but reads a local file. *)

(** {1 What the result says} *)

val configure : t -> Image_config.t -> (unit, Error.t) result
(** Sets the image settings of the step's result. Commands of the step still run with the base's settings. May be called
    at any time before the commit, and repeatedly: later settings override earlier ones. If the engine cannot be given
    exactly these settings, the commit returns [Unsupported]. *)

(** {1 Files} *)

val copy_in : t -> string -> (bytes -> int -> int -> int) -> (unit, Error.t) result
(** [copy_in step path input] extracts a tar stream, read with a function like [Stdlib.input], into [path], an absolute
    path in the step. Missing directories are created. Owners, modes and times are taken from the stream. Returns
    [Cut_short] if the stream does not contain the end of an archive. *)

val copy_in_file : t -> string -> string -> (unit, Error.t) result
(** [copy_in_file step path tar] is like {!copy_in}, but reads the local file [tar]. *)

val copy_in_host : t -> string -> Host_files.t -> (string, Error.t) result
(** [copy_in_host step path files] copies local files into [path], an absolute path in the step; missing directories are
    created. Returns the digest of what was sent, like {!Host_files.digest}. *)

val copy_out : t -> string -> (string -> unit) -> (int, Error.t) result
(** [copy_out step path write] passes the file or directory at [path], an absolute path in the step, to [write] as a tar
    stream. Its first entry is named after the last component of [path]. Returns the number of bytes written. Returns
    [Not_found] if the path does not exist; the step stays usable. *)

val copy_out_file : t -> string -> string -> (int, Error.t) result
(** [copy_out_file step path tar] is like {!copy_out}, but writes to the local file [tar], which must not be a pipe.
    Until the file is complete, and after a failure, an existing file is unchanged. *)

val copy_out_host : t -> string -> Host_folder.t -> (int, Error.t) result
(** [copy_out_host step path folder] unpacks the file or directory at [path], an absolute path in the step, into a local
    directory: the contents of a directory, or a single file under its name. If [path] is a symbolic link, the link
    itself is copied (by Podman, what it leads to); with a trailing slash, the directory that it leads to. Returns the
    number of bytes in the files.

    No name and no link leads out of the local directory: links are created as they are, but none is followed. A file or
    link that exists there is replaced. A directory that exists keeps its mode and owner, and its other files. New files
    have the times of those in the step. Extended attributes are not copied, and holes are filled with zeros. After an
    error, what was unpacked before is left.

    Returns [Not_found] if [path] does not exist; the step stays usable. Returns [Unsupported] for a device. *)

(**/**)

val raw_login : login option -> Raw.login option
val hear_progress : (progress -> unit) -> Raw.event -> unit
val of_raw : id:string -> Raw.step -> t
