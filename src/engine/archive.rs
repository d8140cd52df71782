//! Tar streams into and out of a container, whether it is running, has ended or was never started.

use std::io::Read;

use crate::engine::call::{Call, QUICK, Send};
use crate::engine::system::UPLOAD_STALL;
use crate::engine::{BodyReader, Engine};
use crate::error::Result;
use crate::wait::Wait;

impl Engine {
    /// Extracts the tar stream `source` into `path`, with the owners, modes and times in it.
    ///
    /// An upload holds the container's lock on the engine, which blocks every image deletion. So an upload that stalls is
    /// aborted. It must not be fed by a download from the *same* container: that deadlocks the engine for good (seen on 20.10).
    pub(crate) fn put_archive(
        &self,
        container: &str,
        path: &str,
        source: &mut dyn Read,
        wait: Wait<'_>,
    ) -> Result<()> {
        let doing = format!("copying files to {path} of container {container}");
        let target = self.container(container, "/archive").query("path", path);
        self.done(
            &doing,
            Call::put(target).sending(Send::Tar(source, UPLOAD_STALL)),
            wait,
        )
    }

    /// Returns the file or directory at `path` as a tar stream, whose first entry is named after its last component.
    pub(crate) fn get_archive<'a>(
        &'a self,
        container: &str,
        path: &str,
        wait: Wait<'a>,
    ) -> Result<BodyReader<'a>> {
        let doing = format!("copying {path} out of container {container}");
        let target = self.container(container, "/archive").query("path", path);
        let response = self.call(&doing, Call::get(target), wait)?;
        Ok(BodyReader::new(self, doing, response, wait))
    }

    /// Returns whether a file exists at `path`.
    pub(crate) fn path_exists(&self, container: &str, path: &str, wait: Wait<'_>) -> Result<bool> {
        let doing = format!("looking for {path} in container {container}");
        let target = self.container(container, "/archive").query("path", path);
        self.exists(&doing, Call::head(target), wait.at_most(QUICK))
    }
}
