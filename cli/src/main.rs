//! `dstore`: inspects and manages a root of docker-store.
//!
//! A call passes from the arguments to one command, which calls the library and prints the result: human-readable, or as JSON.
//! If a command ends early, the reason is a [`Failure`](ending::Failure), which has its exit status.

mod amounts;
mod arguments;
mod caught;
mod commands;
mod context;
mod ending;
mod generate;
mod login;
mod names;
mod progress;
mod rows;
mod screen;
mod streams;
mod table;
mod tree;
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
    // A signal explains the failure of a call that it cancelled.
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

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    /// clap silently passes a global option to a command's own argument of the same name.
    #[test]
    fn no_argument_is_taken_for_another() {
        let all = Arguments::command();
        all.clone().debug_assert();
        let global: Vec<_> = all
            .get_arguments()
            .map(|argument| argument.get_id())
            .collect();
        for command in all.get_subcommands() {
            for argument in command.get_arguments() {
                assert!(
                    !global.contains(&argument.get_id()),
                    "{} {argument}",
                    command.get_name()
                );
            }
        }
    }
}
