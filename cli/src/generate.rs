//! Completions and man pages, generated from the command line's definition.

use std::path::Path;

use clap::CommandFactory;
use clap_complete::Shell;

use crate::arguments::Arguments;
use crate::ending::Failure;
use crate::screen::Screen;

/// The shells whose completions `make install` installs.
const SHELLS: [Shell; 3] = [Shell::Bash, Shell::Zsh, Shell::Fish];

pub(crate) fn completions(shell: Shell, screen: &mut Screen) -> Result<(), Failure> {
    // clap would panic if standard output is no longer read.
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "dstore", &mut text);
    std::io::Write::write_all(screen.raw(), &text).map_err(Failure::output)
}

/// Writes everything into one directory: `man/` with a page for each command, and `completions/`.
pub(crate) fn all(directory: &Path) -> Result<(), Failure> {
    let (man, completions) = (directory.join("man"), directory.join("completions"));
    for folder in [&man, &completions] {
        let failed = |e| Failure::Io(format!("making {}", folder.display()), e);
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    // Hidden commands have no page.
    let failed = |e| Failure::Io(format!("writing below {}", directory.display()), e);
    clap_mangen::generate_to(Arguments::command(), &man).map_err(failed)?;
    for shell in SHELLS {
        clap_complete::generate_to(shell, &mut Arguments::command(), "dstore", &completions)
            .map_err(failed)?;
    }
    Ok(())
}
