type t = Raw.cancel

let create = Raw.cancel_new
let trigger = Raw.cancel_trigger
let is_triggered = Raw.cancel_is_triggered
let on_signal = Raw.cancel_on_signal
let raw t = t
