(** What a result says to whoever runs it, set over what its base says: see {!Step.configure}. *)

type t

type health_check

val health_check :
  ?interval:float ->
  ?timeout:float ->
  ?start_period:float ->
  ?retries:int ->
  [ `Words of string list | `Shell of string ] ->
  health_check
(** How an engine finds out whether a container is well: by a command, or a line for the image's shell, that ends with 0.
    Times are in seconds: from one to the next, for one, and after the start, while failures do not count. [retries] is
    after how many failures in a row it is not well. What is not given is the engine's own default. Podman keeps no
    health check: a commit there fails. *)

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
(** What is not given stays as in the base.

    @param entrypoint The words in front of whatever is run; [[]] takes the base's away. Its command stays: give that, too.
    @param command What is run where nothing else is asked for; [[]] takes the base's away.
    @param env Variables; [None] for a value takes the base's away.
    @param labels Labels, likewise.
    @param user A name or a number, or either with [":"] and a group; [""] is root.
    @param directory The working directory, an absolute path.
    @param ports Ports that are listened at: ["80"], ["53/udp"].
    @param no_ports Ports of the base that are not any more.
    @param volumes Places for which an engine makes volumes, absolute paths.
    @param no_volumes Such places of the base that are none any more.
    @param stop_signal ["SIGTERM"], ["TERM"] or ["15"]; [""] is as if none were set.
    @param health A check; that none is made, whatever the base says; or the base's taken away. *)

(**/**)

val with_raw : t -> (Raw.image_config -> 'a Raw.answer) -> 'a Raw.answer
