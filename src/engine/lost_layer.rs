//! A layer that Podman loses. When an image is created that shares a layer with an existing one, Podman does not hold the
//! layer. If the existing image is removed before the new one exists, Podman answers `layer not known` (seen on 5.8, when the
//! same files were committed, imported and removed concurrently).

use std::fmt::Display;
use std::time::Duration;

use crate::engine::Engine;
use crate::engine::call::stopped;
use crate::error::{Error, ErrorKind, Result};
use crate::wait::Wait;

const SAYS: &str = "layer not known";

/// How often the request is retried, and the pause in between. The removal that interferes takes milliseconds, so half a second
/// is enough; and the caller soon learns of an error that persists.
const TRIES: u32 = 10;
const PAUSE: Duration = Duration::from_millis(50);

impl Engine {
    /// Creates an image, and retries if a layer was lost.
    pub(crate) fn with_layers_kept(
        &self,
        doing: &dyn Display,
        wait: Wait<'_>,
        mut make: impl FnMut() -> Result<()>,
    ) -> Result<()> {
        let mut again = 0..TRIES;
        loop {
            match make().map_err(|e| self.lost_or(e)) {
                Err(e) if e.kind() == ErrorKind::Busy && again.next().is_some() => {
                    ::log::info!("{e}");
                }
                made => return made,
            }
            wait.sleep(PAUSE).map_err(|stop| stopped(doing, stop))?;
        }
    }

    /// Returns the error for the caller: a lost layer does not mean that the request was wrong.
    pub(super) fn lost_or(&self, e: Error) -> Error {
        match self.is_podman() && e.kind() == ErrorKind::Engine && e.to_string().contains(SAYS) {
            true => Error::new(
                ErrorKind::Busy,
                format!("{e} (an image of the same files was removed in the meantime: try again)"),
            ),
            false => e,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use serde_json::json;

    use crate::transport::memory::{Memory, Step};

    const LOST: &str = "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 64\r\n\r\n{\"cause\":\"layer not known\",\"message\":\"creating: layer not known\"}";
    const LOST_IN_BAND: &str = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{\"errorDetail\":{\"message\":\"creating: layer not known\"}}\n";

    fn soon() -> Wait<'static> {
        Wait::unbounded().at_most(Duration::from_secs(20))
    }

    /// An engine that answers `LOST` a number of times to each kind of request that creates an image; and a count of the
    /// requests.
    fn engine(is_podman: bool, losses: u32, lost: &'static str) -> (Engine, Arc<AtomicU32>) {
        let asked_for = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&asked_for);
        let memory = Memory::answering(move |asked| {
            let answer = match asked.target.contains("/_ping") {
                true => format!(
                    "HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\n{}Content-Length: 0\r\n\r\n",
                    if is_podman {
                        "Libpod-API-Version: 5.8.0\r\n"
                    } else {
                        ""
                    }
                ),
                false if count.fetch_add(1, Ordering::SeqCst) < losses => lost.to_owned(),
                false => "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}".to_owned(),
            };
            vec![Step::Bytes(answer.into_bytes()), Step::End]
        });
        let engine = Engine::negotiate(Box::new(memory), soon()).expect("an engine");
        (engine, asked_for)
    }

    #[test]
    fn a_commit_and_a_load_are_made_again_where_podman_lost_a_layer() {
        for lost in [LOST, LOST_IN_BAND] {
            let (engine, asked) = engine(true, 3, lost);
            engine
                .load_image_file(b"tar", "name:1", soon())
                .expect("loaded at last");
            assert_eq!(asked.load(Ordering::SeqCst), 4, "{lost}");
        }
        let (engine, asked) = engine(true, 3, LOST);
        engine
            .commit("c", "name:1", &json!({}), "", soon())
            .expect("made at last");
        assert_eq!(asked.load(Ordering::SeqCst), 4);
    }

    #[test]
    fn it_ends_where_layers_are_lost_for_ever() {
        let (engine, asked) = engine(true, u32::MAX, LOST);
        let error = engine
            .commit("c", "name:1", &json!({}), "", soon())
            .expect_err("lost");
        assert_eq!(error.kind(), ErrorKind::Busy, "{error}");
        assert!(error.message().contains("layer not known"), "{error}");
        assert_eq!(asked.load(Ordering::SeqCst), TRIES + 1);
    }

    #[test]
    fn a_stream_that_is_used_up_is_the_callers_to_begin_again() {
        for lost in [LOST, LOST_IN_BAND] {
            let (engine, asked) = engine(true, 1, lost);
            let error = engine
                .import_image(&mut &b"tar"[..], "name:1", None, soon(), |_| Ok(()))
                .expect_err("lost");
            assert_eq!(error.kind(), ErrorKind::Busy, "{error}");
            assert_eq!(asked.load(Ordering::SeqCst), 1);
        }
    }

    #[test]
    fn of_docker_the_same_words_are_a_failure() {
        let (engine, asked) = engine(false, 1, LOST);
        let error = engine
            .commit("c", "name:1", &json!({}), "", soon())
            .expect_err("failed");
        assert_eq!(error.kind(), ErrorKind::Engine, "{error}");
        assert_eq!(asked.load(Ordering::SeqCst), 1);
    }
}
