//! The `/etc/hosts` of containers whose network is not set up by the engine: files in the volume of the root's claim, one for
//! each container name. They are mounted read-only, so that any number of containers share them.

use std::collections::BTreeSet;

use crate::error::{Error, Result};
use crate::store::helper::Helper;
use crate::store::site::Site;
use crate::wait::Wait;

/// Where a helper mounts the volume.
const AT: &str = "/hosts";

/// The maximum number of files. A caller that names each step differently does not benefit from them.
const MOST: usize = 64;

/// Returns the path, on the engine's host, of the file for a container called `name`; `None` if there is none and none may be
/// created. `known` lists the names that have a file. The second value says whether one was created.
pub(crate) fn file(
    site: &Site,
    known: &mut BTreeSet<String>,
    name: &str,
    wait: Wait<'_>,
) -> Result<(Option<String>, bool)> {
    let volume = &site.claim.mountpoint;
    if volume.is_empty() || !is_plain(name) {
        return Ok((None, false));
    }
    let is_new = !known.contains(name);
    if is_new {
        if known.len() >= MOST {
            return Ok((None, false));
        }
        put(site, name, wait)?;
        known.insert(name.to_owned());
    }
    Ok((Some(format!("{volume}/{}", file_name(name))), is_new))
}

fn put(site: &Site, name: &str, wait: Wait<'_>) -> Result<()> {
    let packed = |e| Error::io("packing a file of hosts", &e);
    let text = text(name);
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.set_size(text.len() as u64);
    header.set_mode(0o644);
    tar.append_data(&mut header, file_name(name), text.as_bytes())
        .map_err(packed)?;
    let tar = tar.into_inner().map_err(packed)?;
    // Mounted by path: by name, an engine would create a missing volume without labels, and the claim would belong to no root.
    let helper = Helper::beside(site, &site.claim.mountpoint, AT, wait)?;
    helper.put(AT, &mut tar.as_slice(), wait)
}

fn file_name(name: &str) -> String {
    format!("hosts-{name}")
}

/// Returns whether a resolver accepts it as a host name, and a file system as a file name.
fn is_plain(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    !name.is_empty() && name.bytes().all(plain)
}

/// As Docker writes it, plus the container's own name, to which Docker gives an address only in a network.
pub(crate) fn text(name: &str) -> String {
    let short = name.split('.').next().unwrap_or_default();
    let names = match short.is_empty() || short == name {
        true => name.to_owned(),
        false => format!("{name} {short}"),
    };
    format!(
        "127.0.0.1\tlocalhost\n\
         ::1\tlocalhost ip6-localhost ip6-loopback\n\
         fe00::0\tip6-localnet\n\
         ff00::0\tip6-mcastprefix\n\
         ff02::1\tip6-allnodes\n\
         ff02::2\tip6-allrouters\n\
         127.0.0.1\t{names}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_containers_name_is_in_its_hosts_in_full_and_in_short() {
        assert!(text("builder").ends_with("\n127.0.0.1\tbuilder\n"));
        assert!(text("a.example.org").ends_with("\n127.0.0.1\ta.example.org a\n"));
        assert!(text(".odd").ends_with("\n127.0.0.1\t.odd\n"));
    }

    #[test]
    fn what_is_no_name_gets_no_file() {
        for name in ["", "a b", "a\nb", "a/b", "ä", "a\tb", "a#b"] {
            assert!(!is_plain(name), "{name:?}");
        }
        assert!(is_plain("Builder_1.example.org"));
    }
}
