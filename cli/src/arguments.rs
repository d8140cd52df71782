//! The command line. Help, completions and man pages are generated from this.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};
use clap_complete::Shell;

use crate::amounts::{self, Free};

const EXIT: &str = "Exit status: 0 success; 1 failed, or doctor found a problem; 2 invalid arguments; 3 not found; 4 in use; 5 no engine; \
124 timed out; 128 plus the signal's number if a signal ended it.";

/// Inspects and manages a docker-store root
///
/// Results are images, caches are volumes, logs are files; dstore shows and removes them while other processes build.
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
    /// The engine's address; by default DOCKER_HOST, the docker context, or the default socket
    #[arg(long, global = true, value_name = "ADDRESS")]
    pub(crate) engine: Option<String>,
    /// The word that all names on the engine start with, if the store was opened with another than the default
    #[arg(long = "name", global = true, value_name = "WORD")]
    pub(crate) word: Option<String>,
    /// The group that may use the root, by its number
    #[arg(long, global = true, value_name = "GID")]
    pub(crate) group: Option<u32>,
    /// Print one JSON document, for programs
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Stop after this time, such as 30s or 5m
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
    /// Print all messages of the library
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
    /// Show one result: size, age, log, what it is based on
    Show(Id),
    /// Print the log of a build
    Log(Log),
    /// List caches
    Caches,
    /// Show whether a result exists, and if not, what is known of it
    Why(Id),
    /// Remove results, or caches
    Rm(Rm),
    /// Remove leftovers of terminated processes from the engine
    Purge,
    /// Show disk usage
    Usage,
    /// Remove the least recently used, until the store is within bounds
    Prune(Prune),
    /// Protect results, or caches, from every prune; without names, list what is pinned
    Pin(Pin),
    /// Allow results, or caches, to be pruned again
    Unpin(Rm),
    /// Write the files of a result as a tar archive, or into a directory
    Export(Export),
    /// Give a result an additional name on the engine
    Tag(Tag),
    /// Push a result to a registry, with the credentials of `docker login`
    Push(Push),
    /// Write a result as an image that `docker load` and other engines can load
    Save(Save),
    /// Record an image from a file as a result
    Load(Load),
    /// Destroy the root: remove all of it from the engine and the disk
    Destroy(Destroy),
    /// Check the engine and the store, and advise what to do about problems
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
    /// Only ids
    #[arg(short, long)]
    pub(crate) quiet: bool,
    /// Draw what was built on what
    #[arg(short, long, conflicts_with_all = ["quiet", "sort"])]
    pub(crate) tree: bool,
    /// Sort order
    #[arg(short, long, value_name = "BY", default_value = "created")]
    pub(crate) sort: Sort,
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Sort {
    /// Newest first
    Created,
    /// By name
    Id,
    /// Largest first
    Size,
    /// Most recently used first
    Used,
}

#[derive(Args)]
pub(crate) struct Log {
    /// The id of the build
    #[arg(value_name = "ID")]
    pub(crate) id: String,
    /// Continue until the build ends, in whichever process; exit with 1 if it ends without a result
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
    /// Keep at most this much, such as 500MB or 20GiB
    #[arg(long, value_name = "SIZE", group = "bounds", value_parser = amounts::parse_bytes)]
    pub(crate) most: Option<u64>,
    /// Keep this much free on the engine's disk: a size, or a percentage such as 15%
    #[arg(long, value_name = "SIZE", group = "bounds", value_parser = amounts::parse_free)]
    pub(crate) least_free: Option<Free>,
    /// Remove everything that was not used for this time, such as 36h or 30days
    #[arg(long, value_name = "TIME", group = "bounds", value_parser = humantime::parse_duration)]
    pub(crate) unused_for: Option<Duration>,
    /// Keep at least this many results
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
    /// Also remove logs on their own: those of failed builds, and of results that are kept
    #[arg(long)]
    pub(crate) logs: bool,
    /// Only show what would be removed
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
    /// The path in it
    #[arg(value_name = "PATH", default_value = "/")]
    pub(crate) path: String,
    /// The output file; standard output by default
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) output: Option<PathBuf>,
    /// Unpack the files into this directory, in place of an archive
    #[arg(short, long, value_name = "DIRECTORY", value_hint = ValueHint::DirPath, conflicts_with = "output")]
    pub(crate) unpack: Option<PathBuf>,
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
    /// The name, including the registry: HOST[:PORT]/PATH[:TAG]
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// The user; the password is the first line of standard input
    #[arg(long, value_name = "USER")]
    pub(crate) user: Option<String>,
}

#[derive(Args)]
pub(crate) struct Save {
    /// The id of the result
    #[arg(value_name = "ID")]
    pub(crate) id: String,
    /// The format
    #[arg(long, value_name = "FORM", default_value = "docker")]
    pub(crate) format: Format,
    /// The name that the image gets when it is loaded
    #[arg(long = "as", value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// The output file; standard output by default
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) output: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Format {
    /// In the form of `docker save`
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
    /// Only show what would be removed
    #[arg(short = 'n', long)]
    pub(crate) dry_run: bool,
    /// Do it without asking
    #[arg(short, long)]
    pub(crate) yes: bool,
    /// Also abandon what is on engines that cannot be reached
    #[arg(long)]
    pub(crate) abandon: bool,
    /// What is left on the engine of a root whose directory no longer exists
    #[arg(long, value_name = "IDENTITY", conflicts_with = "abandon")]
    pub(crate) identity: Option<String>,
    /// List the roots that have anything on the engine
    #[arg(long, conflicts_with_all = ["identity", "abandon", "yes", "dry_run"])]
    pub(crate) remains: bool,
}
