//! The command line. Help, completions and man pages are made of this.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};
use clap_complete::Shell;

const EXIT: &str = "Exit status: 0 done; 1 failed, or doctor found something; 2 wrong arguments; 3 not there; 4 in use; 5 no engine; \
124 the time was up; 128 and the signal's number where one ended it.";

/// A look into a docker-store root, and a hand on it
///
/// Results are images, caches are volumes, logs are files; dstore shows them and removes them while other processes build.
#[derive(Parser)]
#[command(name = "dstore", version, after_help = EXIT, max_term_width = 100, infer_long_args = true)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Args)]
#[command(next_help_heading = "All commands")]
pub(crate) struct Common {
    /// The root directory of the store
    #[arg(long, global = true, value_name = "DIRECTORY", env = "DSTORE_ROOT", value_hint = ValueHint::DirPath)]
    pub(crate) root: Option<PathBuf>,
    /// The engine's address; else DOCKER_HOST, the docker context, the usual socket
    #[arg(long, global = true, value_name = "ADDRESS")]
    pub(crate) engine: Option<String>,
    /// The word in front of all names on the engine, where the store was opened with another
    #[arg(long, global = true, value_name = "WORD")]
    pub(crate) name: Option<String>,
    /// The group that the root is for, by its number
    #[arg(long, global = true, value_name = "GID")]
    pub(crate) group: Option<u32>,
    /// Print one JSON document, for programs
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Give up after this time, such as 30s or 5m
    #[arg(long, global = true, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub(crate) timeout: Option<Duration>,
    /// Colours: on a terminal unless NO_COLOR is set; always; or never
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        default_value = "auto",
        hide_default_value = true
    )]
    pub(crate) color: Colour,
    /// Say what else the library has to say
    #[arg(short, long, global = true)]
    pub(crate) verbose: bool,
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Colour {
    Auto,
    Always,
    Never,
}

impl From<Colour> for anstream::ColorChoice {
    fn from(colour: Colour) -> Self {
        match colour {
            Colour::Auto => anstream::ColorChoice::Auto,
            Colour::Always => anstream::ColorChoice::AlwaysAnsi,
            Colour::Never => anstream::ColorChoice::Never,
        }
    }
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// List results
    Ls(Ls),
    /// Show one result: size, age, log, what it stands on
    Show(Id),
    /// Print the log of a build
    Log(Log),
    /// List caches
    Caches,
    /// Tell whether a result is there, and if not, what is known of that
    Why(Id),
    /// Remove results, or caches
    Rm(Rm),
    /// Remove what dead sessions left on the engine
    Purge,
    /// Write the files of a result as a tar archive
    Export(Export),
    /// Tell how engine and store are, and what to do where that is not well
    Doctor,
    /// Print the completions for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Write completions and man pages into a directory
    #[command(hide = true)]
    Generate {
        /// The directory
        directory: PathBuf,
    },
}

#[derive(Args)]
pub(crate) struct Id {
    /// The id of the result
    #[arg(value_name = "ID")]
    pub(crate) id: String,
}

#[derive(Args)]
pub(crate) struct Ls {
    /// Ids alone
    #[arg(short, long)]
    pub(crate) quiet: bool,
    /// What comes first
    #[arg(long, value_name = "BY", default_value = "created")]
    pub(crate) sort: Sort,
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Sort {
    /// The newest
    Created,
    /// By name
    Id,
    /// The largest
    Size,
}

#[derive(Args)]
pub(crate) struct Log {
    /// The id of the build
    #[arg(value_name = "ID")]
    pub(crate) id: String,
    /// Go on until the build ends, in whichever process; exit with 1 if it ends without a result
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// With --follow: wait for a build that has not begun
    #[arg(long, requires = "follow")]
    pub(crate) wait: bool,
}

#[derive(Args)]
pub(crate) struct Rm {
    /// Ids of results, or names of caches
    #[arg(value_name = "NAME", required = true)]
    pub(crate) names: Vec<OsString>,
    /// The names are of caches
    #[arg(long)]
    pub(crate) cache: bool,
}

#[derive(Args)]
pub(crate) struct Export {
    /// The id of the result
    #[arg(value_name = "ID")]
    pub(crate) id: String,
    /// What of it
    #[arg(value_name = "PATH", default_value = "/")]
    pub(crate) path: String,
    /// Where to; standard output by default
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) output: Option<PathBuf>,
}
