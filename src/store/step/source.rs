//! What a step without a base begins with: a tar of files, an image the engine has, one from a registry, or nothing.

use std::io::Read;
use std::path::Path;

use serde_json::json;

use crate::error::{Error, ErrorKind, Result};
use crate::store::helper::make_empty_image;
use crate::store::loopback;
use crate::store::step::{Open, Step, StepContext, input};
use crate::store::tar_end::Watched;

/// How far a long call has come.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Progress<'a> {
    /// What is being done, in the engine's words: `Downloading`, `Extracting`, …
    pub status: &'a str,
    /// To which layer; empty where it concerns all.
    pub item: &'a str,
    /// Bytes done.
    pub current: u64,
    /// Bytes to do, or 0 where nobody knows.
    pub total: u64,
}

/// A name and password for a registry.
#[derive(Clone, Default)]
pub struct RegistryLogin {
    /// The user; `<token>` for an identity token in place of a password.
    pub user: String,
    /// The password, or the token.
    pub password: String,
    /// The registry's address, as in the image's reference.
    pub server: String,
}

impl std::fmt::Debug for RegistryLogin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RegistryLogin")
            .field("user", &self.user)
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}

/// Takes reports between reads, on the calling thread. An error that it returns ends the call.
type Report<'a> = &'a mut dyn FnMut(Progress<'_>) -> Result<()>;

impl Step {
    /// Begins with the files in the tar stream `tar`: a base that needs no registry. Only for a step without a base. It may be packed
    /// as for [`copy_in`](Self::copy_in). While `tar` itself blocks, no limit and no cancel ends the call.
    ///
    /// # Errors
    ///
    /// [`InvalidArgument`](ErrorKind::InvalidArgument) where the step has begun with something, and for an image as `docker save`
    /// writes it; [`CutShort`](ErrorKind::CutShort) for a stream that does not come to its end; else what the engine answered.
    pub fn import(&mut self, tar: &mut dyn Read, report: Report<'_>) -> Result<()> {
        self.working("importing a base", |open, step| {
            open.only_first("importing a base")?;
            let mut watched = Watched::new(tar, true);
            let mut tar = Counted {
                source: &mut watched,
                bytes: 0,
                report,
                stopped: None,
            };
            let name = open.new_tag(step)?;
            let engine = &step.site.engine;
            let done = engine.import_image(&mut tar, &name, None, step.wait, |_| Ok(()));
            if let Some(stopped) = tar.stopped.take() {
                return Err(stopped);
            }
            watched.check().and(done)?;
            open.begin_with(step, &name, "what was imported")?;
            open.look_at_networks(step)
        })
    }

    /// [`import`](Self::import) from the file at `path`. One that is silent (a pipe) is waited for as long as the step's limits
    /// allow; a reader of the caller's own is not cut off.
    ///
    /// # Errors
    ///
    /// As [`import`](Self::import); [`Io`](ErrorKind::Io) where the file cannot be read.
    pub fn import_file(&mut self, path: &Path, report: Report<'_>) -> Result<()> {
        let mut file = input::open(path)?;
        let total = file.size();
        let limits = self.limits.clone();
        let mut reading = file.reading(limits.wait());
        let done = self.import(&mut reading, &mut |so_far| {
            report(Progress { total, ..so_far })
        });
        done.map_err(|e| reading.why().unwrap_or(e))
    }

    /// Begins with an image that the engine pulls from its registry. Only for a step without a base.
    ///
    /// # Errors
    ///
    /// As [`import`](Self::import); what the registry answers is an [`Engine`](ErrorKind::Engine) or
    /// [`NotFound`](ErrorKind::NotFound) error.
    pub fn pull(
        &mut self,
        reference: &str,
        login: Option<&RegistryLogin>,
        report: Report<'_>,
    ) -> Result<()> {
        self.working("pulling a base", |open, step| {
            open.only_first("pulling a base")?;
            named(reference)?;
            let login = login.map(header);
            step.site
                .engine
                .pull_image(reference, login.as_deref(), step.wait, |message| {
                    let Some(detail) = Some(&message.detail).filter(|_| !message.status.is_empty())
                    else {
                        return Ok(());
                    };
                    report(Progress {
                        status: &message.status,
                        item: &message.id,
                        current: detail.current,
                        total: detail.total,
                    })
                })?;
            open.begin_with(step, reference, &format!("image {reference}"))?;
            open.look_at_networks(step)
        })
    }

    /// Begins with an image that the engine has already. Only for a step without a base.
    ///
    /// # Errors
    ///
    /// As [`import`](Self::import); [`NotFound`](ErrorKind::NotFound) where the engine has no such image.
    pub fn use_image(&mut self, reference: &str) -> Result<()> {
        self.working("taking an image as a base", |open, step| {
            open.only_first("taking an image as a base")?;
            named(reference)?;
            open.begin_with(step, reference, &format!("image {reference}"))?;
            open.look_at_networks(step)
        })
    }
}

impl Open {
    fn only_first(&self, doing: &str) -> Result<()> {
        if self.image.is_some() || self.container.is_some() {
            let why = format!("{doing}: the step has begun with something already");
            return Err(Error::new(ErrorKind::InvalidArgument, why));
        }
        Ok(())
    }

    /// Tries, with a base from outside, how containers without a network are made: then no later step is held up by it.
    fn look_at_networks(&mut self, step: &StepContext<'_>) -> Result<()> {
        match self.image(step)?.bare.clone() {
            Some(image) => loopback::learn(step.site, &image, step.wait),
            None => Ok(()),
        }
    }

    /// Begins with an image without files.
    pub(super) fn begin_with_nothing(&mut self, step: &StepContext<'_>) -> Result<()> {
        let empty = step.site.names.empty_image();
        let what = format!("image {empty}");
        match self.begin_with(step, &empty, &what) {
            Err(e) if e.kind() == ErrorKind::NotFound => {
                make_empty_image(step.site, step.wait)?;
                self.begin_with(step, &empty, &what)
            }
            done => done,
        }
    }
}

fn named(reference: &str) -> Result<()> {
    if reference.is_empty() || reference.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(Error::new(
            ErrorKind::InvalidArgument,
            format!("{reference:?} names no image"),
        ));
    }
    Ok(())
}

/// The value of `X-Registry-Auth`: the JSON of the login in base64url *with* padding, as the engine's own decoder wants it.
fn header(login: &RegistryLogin) -> String {
    let json = match login.user.as_str() {
        "<token>" => json!({ "identitytoken": login.password, "serveraddress": login.server }),
        user => {
            json!({ "username": user, "password": login.password, "serveraddress": login.server })
        }
    };
    base64url(json.to_string().as_bytes())
}

fn base64url(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let byte = |n: usize| usize::from(group.get(n).copied().unwrap_or_default());
        let word = byte(0) << 16 | byte(1) << 8 | byte(2);
        for digit in 0..4 {
            let value = word >> (18 - 6 * digit) & 63;
            text.push(if digit <= group.len() {
                char::from(DIGITS[value])
            } else {
                '='
            });
        }
    }
    text
}

/// Reports what passes, and ends the stream when the report says so.
struct Counted<'a, 'b> {
    source: &'a mut dyn Read,
    bytes: u64,
    report: Report<'b>,
    stopped: Option<Error>,
}

impl Read for Counted<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n = self.source.read(buffer)?;
        self.bytes += n as u64;
        let progress = Progress {
            status: "Importing",
            item: "",
            current: self.bytes,
            total: 0,
        };
        match (self.report)(progress) {
            Ok(()) => Ok(n),
            Err(e) => {
                self.stopped = Some(e);
                Err(std::io::Error::other("the caller ended the import"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{RegistryLogin, base64url};

    #[test]
    fn base64url_is_padded_and_uses_the_urls_alphabet() {
        // RFC 4648, section 10, and the two characters that differ.
        for (bytes, text) in [
            (&b""[..], ""),
            (b"f", "Zg=="),
            (b"fo", "Zm8="),
            (b"foo", "Zm9v"),
            (b"foob", "Zm9vYg=="),
            (b"\xfb\xff", "-_8="),
        ] {
            assert_eq!(base64url(bytes), text);
        }
    }

    #[test]
    fn a_password_is_not_in_a_debug_line() {
        let login = RegistryLogin {
            user: "u".into(),
            password: "hunter2".into(),
            server: "s".into(),
        };
        assert!(!format!("{login:?}").contains("hunter2"));
    }
}
