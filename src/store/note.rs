//! What a step stores in the file of its lock, for the process that finds it after the step's process has terminated: how many
//! tags to look for on the engine, and since when nothing was found there.
//!
//! It is one line of constant length with a checksum. So it is either complete or not a note, and rewriting it works on a full
//! disk. Content from elsewhere is never read as a number. A second line says whether the log is this step's yet, for callers
//! that wait for the step and follow its log.

use std::io::{self, Read};
use std::path::Path;
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::local as fs;
use crate::store::clock::Uptime;
use crate::store::lock::FileLock;
use crate::store::names::{Id, hex};
use crate::store::site::Site;
use crate::wait::Wait;

/// How long an engine may take to finish a request of a killed process; the longest is a commit. The lock file is kept for this
/// long after the last time something of the step was found, and every open of the root checks again. A commit takes as long as
/// its files; ten minutes are a choice, for large ones. What appears later is found by a purge, which lists all tags.
pub(crate) const LATE: Duration = Duration::from_secs(10 * 60);

/// The start of a note of this format.
const FORMAT: &str = "docker-store build 1";

/// The second line.
const OLD_LOG: &str = "log=0\n";
const OWN_LOG: &str = "log=1\n";

/// An upper bound on the length of both lines.
const MOST: u64 = 512;

/// Version 0.1.0 stored a note only in the length of a file of zeros: a number below this, plus this if the holder was found
/// terminated.
const LENGTH_DEAD: usize = 1 << 16;

/// What was stored in a lock's file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Note {
    /// How many tags there may be besides the first. `None`: the file does not say; the engine must be queried.
    tags: Option<u16>,
    /// Whether its holder was found terminated.
    pub(crate) dead: bool,
    /// When it was written, if that is known.
    at: Option<Uptime>,
}

impl Note {
    /// Writes the note of a step that may have `tags` tags besides the first, and says whether the log is its own.
    pub(crate) fn write(lock: &FileLock, tags: u16, own_log: bool) -> Result<()> {
        let note = Note {
            tags: Some(tags),
            dead: false,
            at: Some(Uptime::now()),
        };
        let log = if own_log { OWN_LOG } else { OLD_LOG };
        lock.replace_content(format!("{}{log}", note.line()).as_bytes())
    }

    /// Records that the log belongs to a previous step, which left this note.
    pub(crate) fn end_log(&self, lock: &FileLock) -> Result<()> {
        self.write_to(lock)
    }

    /// Returns whether the log belongs to the step whose lock is at `path`. For processes that do not hold the lock.
    pub(crate) fn log_has_begun(path: &Path) -> Result<bool> {
        let mut content = Vec::new();
        let read = fs::open(path).and_then(|file| file.take(MOST).read_to_end(&mut content));
        match read {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(Error::io(
                format!("reading the lock {}", path.display()),
                &e,
            )),
            Ok(_) => {
                let mut lines = content.split_inclusive(|b| *b == b'\n');
                let is_note = lines.next().and_then(Note::of_line).is_some();
                Ok(is_note && lines.next() == Some(OWN_LOG.as_bytes()))
            }
        }
    }

    /// Records that the previous holder was found terminated, unless that is recorded; or, with `again`, that something of it
    /// was found just now.
    pub(crate) fn found_dead(mut self, lock: &FileLock, again: bool) -> Result<()> {
        if self.dead && !again && self.age().is_some() {
            return Ok(());
        }
        self.dead = true;
        self.at = Some(Uptime::now());
        self.write_to(lock)
    }

    /// Reads the note in the file of `lock`.
    pub(crate) fn read(lock: &FileLock) -> Result<Self> {
        Ok(Note::of(&lock.content(2 * LENGTH_DEAD)?))
    }

    /// Returns how many tags to look for besides the first. If the file does not say, the engine is queried.
    pub(crate) fn further_tags(&self, site: &Site, id: &Id, wait: Wait<'_>) -> Result<u16> {
        if let Some(tags) = self.tags {
            return Ok(tags);
        }
        let listed = site.engine.list_images(&site.names.tmp_image(id), wait)?;
        let tags = listed
            .iter()
            .flat_map(|image| image.repo_tags.iter().flatten());
        let numbers = tags.filter_map(|tag| tag.rsplit_once(':')?.1.parse().ok());
        Ok(numbers.max().unwrap_or_default())
    }

    /// Returns whether nothing that the step requested from the engine can appear any more.
    pub(crate) fn is_settled(&self) -> bool {
        self.age().is_some_and(|age| age >= LATE)
    }

    /// Returns how long ago it was written. That is unknown for a note of another boot or from the future: its time starts when
    /// it is rewritten.
    fn age(&self) -> Option<Duration> {
        Uptime::now().since(self.at.as_ref()?)
    }

    fn of(content: &[u8]) -> Self {
        let line = content.split_inclusive(|b| *b == b'\n').next();
        if let Some(note) = line.and_then(Note::of_line) {
            return note;
        }
        let zeros = content.iter().all(|b| *b == 0) && content.len() < 2 * LENGTH_DEAD;
        Note {
            tags: zeros.then_some((content.len() % LENGTH_DEAD) as u16),
            dead: zeros && content.len() >= LENGTH_DEAD,
            at: None,
        }
    }

    fn of_line(line: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(line).ok()?;
        let mut fields = text.strip_prefix(FORMAT)?.split_ascii_whitespace();
        let mut field = |name: &str| fields.next()?.strip_prefix(name)?.strip_prefix('=');
        let (tags, dead) = (field("tags")?, field("dead")?);
        let (boot, at) = (field("boot")?, field("at")?);
        let at = Uptime {
            boot: boot.to_owned(),
            seconds: at.parse().ok()?,
        };
        let note = Note {
            tags: tags.parse().ok(),
            dead: dead == "1",
            at: Some(at).filter(|at| !at.boot.is_empty()),
        };
        // It must be the same when it is written again: there was no other content, and nothing is missing.
        (note.line() == text).then_some(note)
    }

    fn line(&self) -> String {
        let tags = self.tags.map_or("unknown".into(), |tags| tags.to_string());
        let (boot, at) = match &self.at {
            Some(at) => (at.boot.as_str(), at.seconds),
            None => ("", 0),
        };
        let said = format!(
            "{FORMAT} tags={tags:<7} dead={} boot={boot:<36} at={at:<11}",
            u8::from(self.dead)
        );
        let sum = hex(&Sha256::digest(&said));
        format!("{said} sum={}\n", &sum[..16])
    }

    fn write_to(&self, lock: &FileLock) -> Result<()> {
        lock.replace_content(format!("{}{OLD_LOG}", self.line()).as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(tags: Option<u16>, dead: bool, at: Option<Uptime>) -> Note {
        Note { tags, dead, at }
    }

    #[test]
    fn a_note_is_read_as_it_was_written_and_always_as_long() {
        let boot = "0b1c2d3e-0000-4000-8000-123456789abc";
        let at = |seconds| {
            Some(Uptime {
                boot: boot.into(),
                seconds,
            })
        };
        let length = note(None, false, None).line().len();
        for tags in [None, Some(0), Some(3), Some(u16::MAX)] {
            for dead in [false, true] {
                for at in [None, at(0), at(-3600), at(9_999_999_999)] {
                    let note = note(tags, dead, at);
                    let line = note.line();
                    assert_eq!(line.len(), length, "{line}");
                    assert_eq!(Note::of(line.as_bytes()), note, "{line}");
                    // What another program appended to it is ignored.
                    assert_eq!(Note::of(format!("{line}hello\n7").as_bytes()), note);
                }
            }
        }
    }

    #[test]
    fn what_is_no_note_says_nothing_and_is_no_number() {
        let line = note(Some(3), false, Some(Uptime::now())).line();
        let mut bad: Vec<Vec<u8>> = [
            "19 bytes of a print",
            "7",
            "\n",
            "docker-store build 1 tags=9",
        ]
        .map(|text| text.as_bytes().to_vec())
        .into();
        bad.push(vec![0; 2 * LENGTH_DEAD]);
        bad.push([&[0; 19], &b"x"[..]].concat());
        // Truncated anywhere, and with any byte changed.
        bad.extend((1..line.len()).map(|end| line.as_bytes()[..end].to_vec()));
        for at in 0..line.len() {
            let mut changed = line.clone().into_bytes();
            changed[at] ^= 1;
            bad.push(changed);
        }
        for content in bad {
            let read = Note::of(&content);
            assert_eq!(read, note(None, false, None), "{content:?}");
        }
    }

    #[test]
    fn what_version_0_1_0_noted_by_length_is_understood() {
        for (length, tags, dead) in [
            (0, 0, false),
            (3, 3, false),
            (65_535, 65_535, false),
            (65_536, 0, true),
            (65_539, 3, true),
        ] {
            assert_eq!(Note::of(&vec![0; length]), note(Some(tags), dead, None));
        }
    }

    #[test]
    fn a_dead_ones_time_begins_anew_where_it_cannot_be_known() {
        let path = std::env::temp_dir().join(format!("docker-store-note-{}", std::process::id()));
        let lock = FileLock::try_take(&path).expect("a try").expect("the lock");
        let now = Uptime::now();
        let ago = |seconds: i64, boot: &str| {
            Some(Uptime {
                boot: boot.into(),
                seconds: now.seconds - seconds,
            })
        };
        let hour = 3600;
        let settled = |at, again| {
            let note = note(Some(1), true, at);
            note.clone().found_dead(&lock, again).expect("written");
            let kept = Note::read(&lock)
                .map(|read| read.is_settled())
                .expect("read");
            (note.is_settled(), kept)
        };
        note(Some(1), true, ago(hour, &now.boot))
            .write_to(&lock)
            .expect("written");
        assert_eq!(settled(ago(hour, &now.boot), false), (true, true));
        assert_eq!(settled(ago(hour, &now.boot), true), (true, false));
        // Of another boot, from the future, or unknown: rewritten, so that its time starts now.
        for at in [ago(hour, "another"), ago(-hour, &now.boot), None] {
            assert_eq!(settled(at, false), (false, false));
            let read = Note::read(&lock).expect("read");
            assert!(read.dead && read.age().is_some_and(|age| age < LATE));
        }
        lock.remove();
    }
}
