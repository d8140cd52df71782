//! The command line. Help, completions and man pages are made of this.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};
use clap_complete::Shell;

use crate::amounts::{self, Free};

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
    #[arg(long = "name", global = true, value_name = "WORD")]
    pub(crate) word: Option<String>,
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
    /// Tell what takes the space
    Usage,
    /// Remove what was used the longest ago, until the store is within bounds
    Prune(Prune),
    /// Keep results, or caches, from every prune; without names, list what is pinned
    Pin(Pin),
    /// Let results, or caches, be pruned again
    Unpin(Rm),
    /// Write the files of a result as a tar archive
    Export(Export),
    /// Give a result a further name on the engine
    Tag(Tag),
    /// Push a result to a registry, as whom `docker login` has left there
    Push(Push),
    /// Write a result as an image, which `docker load` and other engines take
    Save(Save),
    /// Record an image out of a file as a result
    Load(Load),
    /// Give the root up: remove all of it from the engine and the disk
    Destroy(Destroy),
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
    /// Draw what was built on what
    #[arg(short, long, conflicts_with_all = ["quiet", "sort"])]
    pub(crate) tree: bool,
    /// What comes first
    #[arg(short, long, value_name = "BY", default_value = "created")]
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
    /// What was used last
    Used,
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
#[command(group = clap::ArgGroup::new("bounds").multiple(true).required(true))]
pub(crate) struct Prune {
    /// Keep at most so much, such as 500MB or 20GiB
    #[arg(long, value_name = "SIZE", group = "bounds", value_parser = amounts::parse_bytes)]
    pub(crate) most: Option<u64>,
    /// Have so much free on the engine's disk: a size, or a percentage such as 15%
    #[arg(long, value_name = "SIZE", group = "bounds", value_parser = amounts::parse_free)]
    pub(crate) least_free: Option<Free>,
    /// Remove all that was not used for so long, such as 36h or 30days
    #[arg(long, value_name = "TIME", group = "bounds", value_parser = humantime::parse_duration)]
    pub(crate) unused_for: Option<Duration>,
    /// Keep so many results at least
    #[arg(long, value_name = "NUMBER")]
    pub(crate) keep: Option<usize>,
    /// Keep results that were used within this time
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub(crate) spare: Option<Duration>,
    /// Keep all results
    #[arg(long)]
    pub(crate) no_results: bool,
    /// Keep all caches
    #[arg(long)]
    pub(crate) no_caches: bool,
    /// Remove logs by themselves, too: those of builds that failed, and of results that stay
    #[arg(long)]
    pub(crate) logs: bool,
    /// Only tell what would go
    #[arg(short = 'n', long)]
    pub(crate) dry_run: bool,
}

#[derive(Args)]
pub(crate) struct Pin {
    /// Ids of results, or names of caches
    #[arg(value_name = "NAME")]
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

#[derive(Args)]
pub(crate) struct Tag {
    /// The id of the result
    #[arg(value_name = "ID")]
    pub(crate) id: String,
    /// The name: [HOST[:PORT]/]PATH[:TAG]
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
}

#[derive(Args)]
pub(crate) struct Push {
    /// The id of the result
    #[arg(value_name = "ID")]
    pub(crate) id: String,
    /// The name, which says where to: HOST[:PORT]/PATH[:TAG]
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// As whom; the password is the first line of standard input
    #[arg(long, value_name = "USER")]
    pub(crate) user: Option<String>,
}

#[derive(Args)]
pub(crate) struct Save {
    /// The id of the result
    #[arg(value_name = "ID")]
    pub(crate) id: String,
    /// In which form
    #[arg(long, value_name = "FORM", default_value = "docker")]
    pub(crate) format: Format,
    /// What who loads it will call the image
    #[arg(long = "as", value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Where to; standard output by default
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) output: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Format {
    /// As `docker save`
    Docker,
    /// An OCI layout
    Oci,
}

#[derive(Args)]
pub(crate) struct Load {
    /// The id of the result
    #[arg(value_name = "ID")]
    pub(crate) id: String,
    /// The file; - is standard input
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) file: PathBuf,
}

#[derive(Args)]
pub(crate) struct Destroy {
    /// Only tell what would go
    #[arg(short = 'n', long)]
    pub(crate) dry_run: bool,
    /// Do it without asking
    #[arg(short, long)]
    pub(crate) yes: bool,
    /// Give up, too, what is on engines that cannot be asked
    #[arg(long)]
    pub(crate) abandon: bool,
    /// What is left on the engine of a root whose directory is gone
    #[arg(long, value_name = "IDENTITY", conflicts_with = "abandon")]
    pub(crate) identity: Option<String>,
    /// List the roots that have anything on the engine
    #[arg(long, conflicts_with_all = ["identity", "abandon", "yes", "dry_run"])]
    pub(crate) remains: bool,
}
