//! `dstore`: a look into a root of docker-store, and a hand on it.
//!
//! A call flows from the arguments to one command, which asks the library and prints what it says: for people, or as JSON. What
//! ends a command early is a [`Failure`](ending::Failure), which knows its exit status.

mod amounts;
mod arguments;
mod caught;
mod commands;
mod context;
mod ending;
mod generate;
mod names;
mod screen;
mod table;
mod warnings;

use std::process::ExitCode;

use clap::Parser;

use crate::arguments::Arguments;
use crate::caught::Caught;
use crate::context::Context;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    warnings::to_stderr(arguments.common.verbose);
    let caught = Caught::watch();
    let context = Context::new(arguments.common, caught.cancel());
    let ended = commands::run(&context, arguments.command);
    // A signal is why whatever it cut off has failed.
    if let Some(status) = caught.status() {
        return ExitCode::from(status);
    }
    match ended {
        Ok(status) => ExitCode::from(status),
        Err(failure) => {
            if failure.is_broken_pipe() {
                caught::end_by_broken_pipe();
            }
            failure.tell(context.json);
            ExitCode::from(failure.status())
        }
    }
}
