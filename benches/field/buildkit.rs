//! BuildKit, as the engine has it built in, by `docker build`: what somebody would pick who wants quick builds and no store.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::docker::attempt;
use crate::world::{WORD, World};

/// A `docker` command that reaches the engine's BuildKit.
pub(crate) struct BuildKit {
    program: String,
    /// What its cache held before: that is not ours to remove.
    before: BTreeSet<String>,
}

/// One record of BuildKit's cache.
struct Record {
    id: String,
    parent: String,
    description: String,
}

impl BuildKit {
    /// That which scripts/bench has found, if this engine takes its builds.
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

    /// Builds the Dockerfile at `file`, with the files of `folder`; all of it anew, if asked to.
    pub(crate) fn build_in(&self, image: &str, file: &Path, folder: &Path, anew: bool) {
        let [file, folder] = [file, folder].map(|path| path.to_str().expect("a path in UTF-8"));
        let anew = if anew { &["--no-cache"][..] } else { &[] };
        let words = [anew, &["--file", file, folder]].concat();
        let built = self.try_build(Stdio::null(), &words, image, "");
        assert!(built, "{file}");
    }

    /// Nothing of its progress is asked for, and no network.
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
            // One that ends without reading says so by its status.
            let _ = pipe.write_all(dockerfile.as_bytes());
        }
        child.wait().expect("its end").success()
    }
}

impl Drop for BuildKit {
    /// Takes what the builds left out of BuildKit's cache, and nothing that was there before.
    fn drop(&mut self) {
        let mut records = records();
        records.retain(|record| !self.before.contains(&record.id));
        let ours: Vec<&str> = ours(&records).into_iter().collect();
        if !ours.is_empty() {
            // The engine reads a pattern, and goes from what is made to what it is made of.
            let filter = format!("id=^({})$", ours.join("|"));
            attempt(&["builder", "prune", "-af", "--filter", &filter]);
        }
    }
}

/// Those that have our word in them, all that is made of them and that they are made of; and what was sent.
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
