//! What all commands share: the root, how it is opened, and the limits of a call.

use std::path::{Path, PathBuf};
use std::time::Instant;

use docker_store::{Cancel, Error, ErrorKind, Limits, Options, Store};

use crate::arguments::Common;
use crate::ending::{Failure, NOT_FOUND};
use crate::screen::Screen;

pub(crate) struct Context {
    root: Option<PathBuf>,
    options: Options,
    limits: Limits,
    /// When the time of `--timeout` is up.
    end: Option<Instant>,
    cancel: Cancel,
    pub(crate) json: bool,
    pub(crate) verbose: bool,
    colours: anstream::ColorChoice,
}

impl Context {
    pub(crate) fn new(common: Common, cancel: Cancel) -> Self {
        let mut options = Options::new();
        if let Some(engine) = common.engine {
            options.engine(engine);
        }
        if let Some(word) = common.word {
            options.name(word);
        }
        if let Some(group) = common.group {
            options.group(group);
        }
        let mut limits = Limits::none().cancel(&cancel);
        let end = common
            .timeout
            .and_then(|time| Instant::now().checked_add(time));
        if let Some(end) = end {
            limits = limits.deadline(end);
        }
        Context {
            root: common.root,
            options,
            limits,
            end,
            cancel,
            json: common.json,
            verbose: common.verbose,
            colours: common.color.into(),
        }
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// For waits outside the library.
    pub(crate) fn still_wanted(&self, doing: &str) -> Result<(), Failure> {
        let ended = |kind, why| Err(Error::new(kind, format!("{doing}: {why}")).into());
        if self.cancel.is_cancelled() {
            return ended(ErrorKind::Cancelled, "cancelled");
        }
        match self.end {
            Some(end) if end <= Instant::now() => ended(ErrorKind::TimedOut, "the time is up"),
            _ => Ok(()),
        }
    }

    pub(crate) fn screen(&self) -> Screen {
        Screen::new(self.colours)
    }

    pub(crate) fn options(&self) -> &Options {
        &self.options
    }

    /// Returns the root that was named.
    pub(crate) fn named_root(&self) -> Result<&Path, Failure> {
        self.root
            .as_deref()
            .ok_or_else(|| Failure::usage("which store? Give --root DIRECTORY, or set DSTORE_ROOT"))
    }

    /// Returns the root, which must exist. Opening a missing root would create it: a typing error would leave a store behind.
    fn root(&self) -> Result<&Path, Failure> {
        let root = self.named_root()?;
        let is_store = |root: &Path| {
            // The library's own files; or those of a store of an older version, or of OBuilder.
            root.join(".store").is_dir()
                || root.join("logs").is_dir() && root.join("state").is_dir()
        };
        match root {
            root if !root.exists() => Err(Failure::not_found(format!(
                "{}: there is no such directory",
                root.display()
            ))),
            root if !is_store(root) => Err(Failure::Said(
                NOT_FOUND,
                format!(
                    "{} is not the root of a store: there is no .store in it",
                    root.display()
                ),
            )),
            root => Ok(root),
        }
    }

    pub(crate) fn open(&self) -> Result<Store, Failure> {
        let root = self.root()?;
        Ok(Store::open_within(root, &self.options, &self.limits)?)
    }

    /// Opens the store for `work`, and closes it.
    pub(crate) fn with_store<T>(
        &self,
        work: impl FnOnce(&Store) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let store = self.open()?;
        let done = work(&store)?;
        store.close_within(&self.limits)?;
        Ok(done)
    }
}
