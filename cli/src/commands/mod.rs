//! One file for each command.

mod caches;
mod chain;
mod destroy;
mod doctor;
mod each;
mod export;
mod hand_on;
mod log;
mod ls;
mod outfile;
mod pin;
mod prune;
mod purge;
mod rm;
mod show;
mod usage;
mod why;

use crate::arguments::Command;
use crate::context::Context;
use crate::ending::{DONE, Failure};
use crate::generate;

/// Runs it, and returns the exit status.
pub(crate) fn run(context: &Context, command: Command) -> Result<u8, Failure> {
    let mut screen = context.screen();
    let status = match command {
        Command::Ls(ls) => ls::run(context, &mut screen, &ls),
        Command::Show(show) => show::run(context, &mut screen, &show.id),
        Command::Log(log) => log::run(context, &mut screen, &log),
        Command::Caches => caches::run(context, &mut screen),
        Command::Why(why) => why::run(context, &mut screen, &why.id),
        Command::Rm(rm) => rm::run(context, &mut screen, rm),
        Command::Purge => purge::run(context, &mut screen),
        Command::Usage => usage::run(context, &mut screen),
        Command::Prune(prune) => prune::run(context, &mut screen, &prune),
        Command::Pin(pin) => pin::pin(context, &mut screen, pin),
        Command::Unpin(unpin) => pin::unpin(context, &mut screen, unpin.names, unpin.cache),
        Command::Export(export) => export::run(context, &mut screen, &export),
        Command::Tag(tag) => hand_on::tag(context, &mut screen, &tag),
        Command::Push(push) => hand_on::push(context, &mut screen, &push),
        Command::Save(save) => hand_on::save(context, &mut screen, &save),
        Command::Load(load) => hand_on::load(context, &mut screen, &load),
        Command::Destroy(asked) => destroy::run(context, &mut screen, &asked),
        Command::Doctor => doctor::run(context, &mut screen),
        Command::Completions { shell } => generate::completions(shell, &mut screen).map(|()| DONE),
        Command::Generate { directory } => generate::all(&directory).map(|()| DONE),
    };
    // What was printed before a failure is also shown.
    let flushed = screen.flush();
    let status = status?;
    flushed.map(|()| status)
}
