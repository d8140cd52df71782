//! The network of a step that has none.
//!
//! With plain `NetworkMode: none`, Docker itself creates a network namespace for each container, and runs its own program once
//! more in it to set it up. With `NetworkDisabled` it leaves that to the runtime, which creates a namespace with only `lo`. The
//! engine then does not write `/etc/hosts` (see [`hosts`](crate::store::hosts)).
//!
//! Whether the engine behaves like this is tried once for each engine and boot, and remembered in the root.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use crate::engine::frames::{Channel, Frames, UnknownKind};
use crate::engine::stopped;
use crate::error::{Error, ErrorKind, Result};
use crate::store::clock::Uptime;
use crate::store::helper::{bind_mount, remove_if_made};
use crate::store::hosts;
use crate::store::network::{Alone, FORMAT, Found, Key, Memory};
use crate::store::remembered;
use crate::store::site::Site;
use crate::wait::Wait;

/// The host name of a container without a network, unless its command sets one.
pub(crate) const HOST_NAME: &str = "docker-store";

/// How long a trial may take. The shell of a base may hang; steps must not wait for it forever. A trial takes about as long as
/// a step that does nothing. Twenty seconds are for an engine that is starting many containers at that time.
const LONGEST: Duration = Duration::from_secs(20);

/// The maximum size of a trial's output. A container that behaves writes about a kilobyte; one that writes much more does not
/// behave.
const MOST: usize = 64 << 10;

/// The script of a trial. It uses only shell built-ins, so that it needs no other program of the image.
const SCRIPT: &str = "\
show() { while read -r line; do echo \"$1 $line\"; done <\"$2\"; }
show dev /proc/net/dev
show unix /proc/net/unix
show four /proc/net/fib_trie
if [ -e /proc/net/if_inet6 ]; then show six /proc/net/if_inet6; else echo 'six none'; fi
show hosts /etc/hosts
show name /proc/sys/kernel/hostname
echo end";

/// Returns what a container of `image` called `host_name` is given instead of a network; `None` if the engine has to create an
/// isolated network.
pub(crate) fn alone(
    site: &Site,
    image: &str,
    host_name: Option<&str>,
    wait: Wait<'_>,
) -> Result<Option<Alone>> {
    learn(site, image, wait)?;
    let known = site.networks.known.lock().clone();
    let Some(mut known) = known.filter(|known| known.found == Found::Behaves) else {
        return Ok(None);
    };
    let host_name = host_name.unwrap_or(HOST_NAME);
    // Without the lock, because this may query the engine. Two concurrent calls create the same file, and it does not matter
    // which of them is recorded.
    let (file, made) = match hosts::file(site, &mut known.hosts, host_name, wait) {
        Ok(found) => found,
        Err(e) => {
            still_wanted(wait)?;
            doubt(site, &e);
            return Ok(None);
        }
    };
    if made {
        remember(site, &known);
        *site.networks.known.lock() = Some(known);
    }
    Ok(file.map(|hosts| Alone {
        host_name: host_name.to_owned(),
        hosts,
    }))
}

/// Tries with a container of `image` how the engine behaves, unless that is known.
pub(crate) fn learn(site: &Site, image: &str, wait: Wait<'_>) -> Result<()> {
    let networks = &site.networks;
    if networks.forced || site.engine.is_podman() {
        return Ok(());
    }
    // Every step checks this, so not even the boot is looked up.
    let is_settled = |memory: &Memory| {
        memory.found != Found::Unknown && memory.key.server == site.engine.server()
    };
    if networks.known.lock().as_ref().is_some_and(is_settled) {
        return Ok(());
    }
    let now = memory(site, Found::Unknown, String::new());
    let is_known = |memory: &Option<Memory>| memory.as_ref().is_some_and(|m| m.holds(&now));
    if is_known(&networks.known.lock()) {
        return Ok(());
    }
    // Concurrent callers need not wait for the trial.
    let Some(_trial) = networks.trial.try_lock() else {
        return Ok(());
    };
    let kept = remembered::read(&file(site));
    if is_known(&kept) {
        *networks.known.lock() = kept;
        return Ok(());
    }
    let mut hosts = BTreeSet::new();
    let (found, why) = match try_it(site, image, &mut hosts, wait.at_most(LONGEST)) {
        Ok(said) => judge(&said),
        Err(e) => {
            still_wanted(wait)?;
            (Found::Unknown, format!("it could not be tried: {e}"))
        }
    };
    log::debug!("containers without a network of the engine's: {found:?}: {why}");
    let found = Memory {
        hosts,
        ..memory(site, found, why)
    };
    remember(site, &found);
    *networks.known.lock() = Some(found);
    Ok(())
}

/// A failure may be due to the caller's limits.
fn still_wanted(wait: Wait<'_>) -> Result<()> {
    let left = wait.left();
    left.map(drop)
        .map_err(|stop| stopped(&"trying a container without a network", stop))
}

/// Lets the engine create networks from now on, because a container without one could not be created.
pub(crate) fn doubt(site: &Site, why: &Error) {
    let doubt = memory(site, Found::Unknown, format!("it did not work: {why}"));
    remember(site, &doubt);
    *site.networks.known.lock() = Some(doubt);
}

/// Returns a human-readable description of what sets up the network.
pub(crate) fn way(site: &Site) -> String {
    if site.networks.forced {
        return String::from("by the engine: an option says so");
    }
    if site.engine.is_podman() {
        return String::from("by the engine: Podman leaves it to the runtime already");
    }
    let known = site.networks.known.lock().clone();
    // Another session may have tried it.
    let kept = || remembered::read(&file(site));
    let now = memory(site, Found::Unknown, String::new());
    let known = known
        .or_else(kept)
        .filter(|known: &Memory| known.holds(&now));
    match known {
        Some(memory) if memory.found == Found::Behaves => format!("by the runtime: {}", memory.why),
        Some(memory) => format!("by the engine: {}", memory.why),
        None => String::from("not tried yet: the first step finds it out"),
    }
}

/// Returns a record of what was found out now.
fn memory(site: &Site, found: Found, why: String) -> Memory {
    let now = Uptime::now();
    Memory {
        format: FORMAT,
        key: Key {
            claim: site.entry.claim.clone(),
            server: site.engine.server(),
            boot: now.boot,
        },
        found,
        why,
        at: now.seconds,
        hosts: BTreeSet::new(),
    }
}

fn file(site: &Site) -> std::path::PathBuf {
    site.paths.of_engine().join("network")
}

fn remember(site: &Site, memory: &Memory) {
    remembered::write(&file(site), memory, &site.session.unique());
}

/// Runs a container like a step's, and returns its output.
fn try_it(
    site: &Site,
    image: &str,
    hosts: &mut BTreeSet<String>,
    wait: Wait<'_>,
) -> Result<String> {
    let (file, _) = hosts::file(site, hosts, HOST_NAME, wait)?;
    let hosts = file.ok_or_else(|| {
        Error::new(
            ErrorKind::Unsupported,
            "the engine does not report where its volumes are",
        )
    })?;
    let alone = Alone {
        host_name: HOST_NAME.to_owned(),
        hosts,
    };
    let mut host = json!({ "LogConfig": { "Type": "none" } });
    let mut spec = json!({
        "Image": image,
        "Entrypoint": ["/bin/sh", "-c", SCRIPT],
        "User": "0",
        "Labels": site.labels("probe"),
        "AttachStdout": true,
        "AttachStderr": true,
    });
    alone.give(&mut spec, &mut host);
    spec["HostConfig"] = host;
    let name = site.names.helper(&site.session.unique());
    let engine = &site.engine;
    let made = engine.create_container(&name, &spec, wait.whole());
    let id = made.inspect_err(|e| remove_if_made(site, &name, e, wait))?;
    let said = hear(site, &id, wait);
    site.remove_container(&id, wait);
    said
}

/// Returns the output of a container until it ends.
fn hear(site: &Site, container: &str, wait: Wait<'_>) -> Result<String> {
    let engine = &site.engine;
    let mut attached = engine.attach(container, false, wait)?;
    engine.start_container(container, wait)?;
    let (mut frames, mut said) = (Frames::default(), Vec::new());
    let mut piece = vec![0; 16 << 10];
    loop {
        let moved = attached.exchange(&[], &mut piece, wait)?;
        let received = moved.received.unwrap_or_default();
        if received == 0 || said.len() > MOST {
            return Ok(String::from_utf8_lossy(&said).into_owned());
        }
        let fed = frames.feed(&piece[..received], |channel, bytes| {
            if channel == Channel::Stdout {
                said.extend_from_slice(bytes);
            }
            Ok::<_, UnknownKind>(())
        });
        fed.map_err(|UnknownKind(kind)| {
            let why = format!("reading what a container says: a frame of kind {kind}");
            Error::new(ErrorKind::Corrupt, why)
        })?;
    }
}

impl Alone {
    /// Writes it into the spec of a container.
    pub(crate) fn give(&self, spec: &mut Value, host: &mut Value) {
        spec["NetworkDisabled"] = json!(true);
        spec["Hostname"] = json!(self.host_name);
        host["NetworkMode"] = json!("none");
        let mount = bind_mount(&self.hosts, "/etc/hosts", true);
        match host["Mounts"].as_array_mut() {
            Some(mounts) => mounts.push(mount),
            None => host["Mounts"] = json!([mount]),
        }
    }
}

/// Decides whether a trial's output is what a container with only `lo` should see.
fn judge(said: &str) -> (Found, String) {
    let of = |kind: &str| -> Vec<&str> {
        let lines = said
            .lines()
            .filter_map(|line| line.strip_prefix(kind)?.strip_prefix(' '));
        lines.map(str::trim).collect()
    };
    if !said.lines().any(|line| line == "end") {
        let why =
            "it could not be tried: the image has no /bin/sh, or the script did not run to its end";
        return (Found::Unknown, why.to_owned());
    }
    let no = |why: String| (Found::Misbehaves, format!("it was tried, and {why}"));
    // Two heading lines, then a line for each interface.
    let devices = of("dev");
    let names: Vec<&str> = devices
        .iter()
        .skip(2)
        .map(|line| line.split(':').next().unwrap_or_default())
        .collect();
    if names != ["lo"] {
        return no(format!("the container had the interfaces {names:?}"));
    }
    // A namespace shows its own Unix sockets, and a host always has some.
    if of("unix").len() > 1 {
        return no("the container was not in a namespace of its own".into());
    }
    if !of("four").iter().any(|line| line.contains("127.0.0.1")) {
        return no("127.0.0.1 was missing".into());
    }
    let loopback = format!("{}1 ", "0".repeat(31));
    // A kernel without IPv6 has none in any namespace.
    let six = of("six");
    if six != ["none"] && !six.iter().any(|line| line.starts_with(&loopback)) {
        return no("::1 was missing".into());
    }
    let wanted = hosts::text(HOST_NAME);
    // `read` strips the blanks of each line.
    let lines: Vec<&str> = wanted.lines().map(str::trim).collect();
    if of("hosts") != lines || of("name") != [HOST_NAME] {
        return no(
            "the container's name or its /etc/hosts was not the one that it was given".into(),
        );
    }
    (Found::Behaves, String::from("it was tried and works"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The output of a trial on Docker 20.10.
    fn said() -> String {
        let mut said = String::from(
            "dev Inter-|   Receive                                                |  Transmit\n\
             dev face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n\
             dev lo:       0       0    0    0    0     0          0         0        0       0    0    0    0     0       0          0\n\
             unix Num       RefCount Protocol Flags    Type St Inode Path\n\
             four Main:\n\
             four |-- 127.0.0.1\n\
             four /32 host LOCAL\n\
             six 00000000000000000000000000000001 01 80 10 80       lo\n",
        );
        for line in hosts::text(HOST_NAME).lines() {
            said.push_str(&format!("hosts {line}\n"));
        }
        said + &format!("name {HOST_NAME}\nend\n")
    }

    #[test]
    fn a_container_behaves_that_has_a_namespace_of_its_own_with_lo_alone() {
        assert_eq!(judge(&said()).0, Found::Behaves);
        // From a kernel without IPv6.
        let six = "six 00000000000000000000000000000001 01 80 10 80       lo";
        assert_eq!(judge(&said().replace(six, "six none")).0, Found::Behaves);
    }

    #[test]
    fn each_way_to_misbehave_is_told() {
        for (from, to) in [
            ("unix Num", "dev   eth0:       0       0\nunix Num"),
            ("dev lo:", "dev tunl0:"),
            (
                "four Main",
                "unix 0000: 00000002 00000000 00010000 0001 01 1 /run/docker.sock\nfour Main",
            ),
            ("127.0.0.1\n", "10.0.0.1\n"),
            (
                "six 0000000000000000000000000000000",
                "six fe80000000000000000000000000000",
            ),
            ("hosts 127.0.0.1", "hosts 127.0.0.2"),
            ("name docker-store", "name other"),
        ] {
            let said = said();
            assert!(said.contains(from), "{from:?}");
            let (found, why) = judge(&said.replace(from, to));
            assert_eq!(found, Found::Misbehaves, "{from:?}: {why}");
        }
    }

    #[test]
    fn what_did_not_get_to_its_end_says_nothing() {
        assert_eq!(judge("").0, Found::Unknown);
        assert_eq!(judge(&said().replace("end\n", "")).0, Found::Unknown);
    }
}
