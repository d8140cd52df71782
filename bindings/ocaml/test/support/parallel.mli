val kind : string
val run : (unit -> 'a) list -> 'a list
