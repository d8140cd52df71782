(** Image settings of a result, for programs that run it as an image. They override those of its base; see
    {!Step.configure}. *)

type t

type health_check

val health_check :
  ?interval:float ->
  ?timeout:float ->
  ?start_period:float ->
  ?retries:int ->
  [ `Words of string list | `Shell of string ] ->
  health_check
(** The command, or the line for the image's shell, with which an engine checks a container's health: exit status 0
    means healthy. Times are in seconds: the interval between checks, the timeout of one check, and the period after the
    start in which failures do not count. [retries] is the number of consecutive failures after which the container is
    unhealthy. The engine's default applies to what is not given. Podman does not support health checks: a commit there
    fails. *)

val make :
  ?entrypoint:string list ->
  ?command:string list ->
  ?env:(string * string option) list ->
  ?labels:(string * string option) list ->
  ?user:string ->
  ?directory:string ->
  ?ports:string list ->
  ?no_ports:string list ->
  ?volumes:string list ->
  ?no_volumes:string list ->
  ?stop_signal:string ->
  ?health:[ `Check of health_check | `None | `Inherit ] ->
  unit ->
  t
(** What is not given is kept from the base.

    @param entrypoint The words in front of every command; [[]] removes the base's entrypoint. The base's command is
      kept; give it as well if it does not fit.
    @param command The default command; [[]] removes the base's command.
    @param env Environment variables; a value of [None] removes the base's variable.
    @param labels Labels; a value of [None] removes the base's label.
    @param user A name or a number, optionally followed by [":"] and a group; [""] means root.
    @param directory The working directory, an absolute path.
    @param ports Ports that the program listens on: ["80"], ["53/udp"].
    @param no_ports Ports of the base whose declaration is removed.
    @param volumes Absolute paths at which an engine creates a volume for each container.
    @param no_volumes Such paths of the base whose declaration is removed.
    @param stop_signal The signal that asks the program to stop: ["SIGTERM"], ["TERM"] or ["15"]; [""] is the same as
      not set.
    @param health A health check. [`None] disables health checks, whatever the base specifies. [`Inherit] removes the base's
      check. *)

(**/**)

val with_raw : t -> (Raw.image_config -> 'a Raw.answer) -> 'a Raw.answer
