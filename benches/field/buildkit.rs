//! BuildKit, built into the engine, through `docker build`: the alternative for quick builds without a store.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::docker::attempt;
use crate::world::{WORD, World};

/// A `docker` command that supports the engine's BuildKit.
pub(crate) struct BuildKit {
    program: String,
    /// What its cache contained before, which must not be removed.
    before: BTreeSet<String>,
}

/// One record of BuildKit's cache.
struct Record {
    id: String,
    parent: String,
    description: String,
}

impl BuildKit {
    /// The one that scripts/bench has found, if this engine accepts its builds.
    pub(crate) fn prepared(world: &World) -> Option<Self> {
        let program = std::env::var("DOCKER_STORE_BENCH_BUILDKIT").ok()?;
        let before = records().into_iter().map(|record| record.id).collect();
        let found = BuildKit { program, before };
        let trial = found.try_build(
            Stdio::piped(),
            &["-"],
            &world.image("trial"),
            "FROM scratch\nLABEL trial=1\n",
        );
        if !trial {
            crate::say("this engine builds nothing with BuildKit, which is left out");
            return None;
        }
        Some(found)
    }

    /// Builds `dockerfile`, which needs no files, as `image`.
    pub(crate) fn build(&self, image: &str, dockerfile: &str) {
        let built = self.try_build(Stdio::piped(), &["-"], image, dockerfile);
        assert!(built, "{dockerfile}");
    }

    /// Builds the Dockerfile at `file`, with the files of `folder`; without its cache, if requested.
    pub(crate) fn build_in(&self, image: &str, file: &Path, folder: &Path, anew: bool) {
        let [file, folder] = [file, folder].map(|path| path.to_str().expect("a path in UTF-8"));
        let anew = if anew { &["--no-cache"][..] } else { &[] };
        let words = [anew, &["--file", file, folder]].concat();
        let built = self.try_build(Stdio::null(), &words, image, "");
        assert!(built, "{file}");
    }

    /// Without progress output, and without a network.
    fn try_build(&self, input: Stdio, what: &[&str], image: &str, dockerfile: &str) -> bool {
        let mut child = Command::new(&self.program)
            .env("DOCKER_BUILDKIT", "1")
            .args(["build", "--quiet", "--network", "none", "--tag", image])
            .args(what)
            .stdin(input)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the docker command");
        if let Some(mut pipe) = child.stdin.take() {
            // A process that exits without reading reports it by its status.
            let _ = pipe.write_all(dockerfile.as_bytes());
        }
        child.wait().expect("its end").success()
    }
}

impl Drop for BuildKit {
    /// Removes what the builds left in BuildKit's cache, and nothing that was there before.
    fn drop(&mut self) {
        let mut records = records();
        records.retain(|record| !self.before.contains(&record.id));
        let ours: Vec<&str> = ours(&records).into_iter().collect();
        if !ours.is_empty() {
            // The engine accepts a pattern, and removes derived records before their sources.
            let filter = format!("id=^({})$", ours.join("|"));
            attempt(&["builder", "prune", "-af", "--filter", &filter]);
        }
    }
}

/// The records that contain our word, everything derived from them and their sources; and what was sent.
fn ours(records: &[Record]) -> BTreeSet<&str> {
    let mut known: BTreeSet<&str> = BTreeSet::new();
    loop {
        let below: BTreeSet<&str> = records
            .iter()
            .filter(|r| known.contains(r.id.as_str()))
            .map(|r| r.parent.as_str())
            .collect();
        let more = records.iter().filter(|r| {
            let named = r.description.contains(WORD);
            let sent = r.description.starts_with("local source for");
            let made = known.contains(r.parent.as_str());
            named || sent || made || below.contains(r.id.as_str())
        });
        let more: BTreeSet<&str> = more.map(|r| r.id.as_str()).collect();
        if more.len() == known.len() {
            return known;
        }
        known = more;
    }
}

fn records() -> Vec<Record> {
    let (_, lines) = attempt(&["system", "df", "-v", "--format", "{{json .BuildCache}}"]);
    let listed: Vec<serde_json::Value> = serde_json::from_str(&lines.concat()).unwrap_or_default();
    let text = |record: &serde_json::Value, field: &str| {
        record[field].as_str().unwrap_or_default().to_owned()
    };
    let listed = listed.iter();
    listed
        .map(|record| Record {
            id: text(record, "ID"),
            parent: text(record, "Parent"),
            description: text(record, "Description"),
        })
        .collect()
}
