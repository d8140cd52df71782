//! One kind of change each.

use std::ffi::OsStr;
use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::FileType;

use super::super::changes::ACL;
use super::{At, Workload, workload};

pub const ALL: [Workload; 24] = [
    workload("sparse", sparse),
    workload("devices", devices),
    workload("capabilities", capabilities),
    workload("acls", acls),
    workload("types", types),
    workload("renames", renames),
    workload("swaps", swaps),
    workload("deep", deep),
    workload("long-names", long_names),
    workload("odd-names", odd_names),
    workload("closed", closed),
    workload("sticky", sticky),
    workload("empty-folders", empty_folders),
    workload("times", times),
    workload("symlinks", symlinks),
    workload("links-across", links_across),
    workload("modes-only", |at, n| {
        only(at, n, |at, name, n| at.mode(name, 0o700 + n as u32 % 0o77))
    }),
    workload("owners-only", |at, n| {
        only(at, n, |at, name, n| at.owner(name, n as u32, 7 + n as u32))
    }),
    workload("times-only", |at, n| {
        only(at, n, |at, name, n| at.time(name, 5_000_000 + n as i64, 3))
    }),
    workload("attributes-only", |at, n| {
        only(at, n, |at, name, n| {
            at.attribute(name, "user.n", n.to_string().as_bytes());
            at.attribute(name, "trusted.n", &[n as u8]);
            if n % 5 == 4 {
                at.no_attribute(name, "user.n");
            }
        })
    }),
    workload("wiped", wiped),
    workload("reborn", reborn),
    workload("come-and-go", come_and_go),
    workload("written-inside", written_inside),
];

fn sparse(at: &At<'_>, n: usize) {
    let file = fs::File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(at.path("image"));
    let mut file = file.expect("opened");
    file.set_len((8 + n as u64 % 3) << 20).expect("grown");
    file.seek(SeekFrom::Start((n as u64 % 2 * 7) << 20))
        .expect("there");
    write!(file, "block {n}").expect("written");
    if n % 6 == 5 {
        file.set_len(1 << 20).expect("cut");
    }
    fs::File::create(at.path("hole"))
        .and_then(|file| file.set_len(1 + n as u64 * 100_000))
        .expect("made");
}

fn devices(at: &At<'_>, n: usize) {
    let kinds = [
        (FileType::CharacterDevice, rustix::fs::makedev(1, 3)),
        (FileType::BlockDevice, rustix::fs::makedev(7, 1)),
        (FileType::Fifo, 0),
        (FileType::Socket, 0),
        (FileType::CharacterDevice, rustix::fs::makedev(250, 300)),
    ];
    for k in 0..5 {
        let name = format!("n{k}");
        at.remove(&name);
        match (n + k) % 7 {
            5 => at.write(&name, "a file"),
            6 => at.folder(&name),
            kind => {
                at.node(&name, kinds[kind].0, kinds[kind].1);
                at.owner(&name, k as u32, n as u32);
            }
        }
    }
}

/// cap_net_raw, as setcap writes it.
const CAPABILITY: [u8; 20] = [
    1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
];

fn capabilities(at: &At<'_>, n: usize) {
    for k in 0..4 {
        let name = format!("ping{k}");
        if n == 0 {
            at.write(&name, "program");
        }
        match (n + k) % 4 {
            0 => {
                at.write(&name, format!("program {n}"));
                at.mode(&name, 0o755);
                at.attribute(&name, "security.capability", &CAPABILITY);
            }
            // Writing clears them, and so does changing the owner.
            1 => at.append(&name, "more"),
            2 => at.owner(&name, 5, n as u32),
            _ => at.attribute(&name, "security.capability", &CAPABILITY),
        }
    }
}

fn acls(at: &At<'_>, n: usize) {
    at.folder("d");
    match n % 5 {
        0 => at.attribute("d", "system.posix_acl_default", &ACL),
        3 => at.no_attribute("d", "system.posix_acl_default"),
        _ => {}
    }
    // With and without inheritance.
    at.write(format!("d/{n}"), "x");
    at.folder(format!("d/sub-{n}"));
    at.write("own", n.to_string());
    at.attribute("own", "system.posix_acl_access", &ACL);
    at.mode("own", 0o600 + (n as u32 % 8) * 8);
}

/// A name that is a different kind of file each time.
fn types(at: &At<'_>, n: usize) {
    for k in 0..5 {
        let name = format!("t{k}");
        at.remove(&name);
        match (n + k) % 6 {
            0 => at.write(&name, "file"),
            1 => ["in", "deep/er"]
                .iter()
                .for_each(|inner| at.write(format!("{name}/{inner}"), n.to_string())),
            2 => at.symlink("t0/in", &name),
            3 => at.node(&name, FileType::Fifo, 0),
            4 => at.folder(&name),
            _ => {}
        }
    }
}

fn renames(at: &At<'_>, n: usize) {
    at.write(format!("a{n}"), n.to_string());
    at.write(format!("folder-{n}/in/file"), n.to_string());
    if n > 0 {
        at.rename(&format!("a{}", n - 1), &format!("b{}", n - 1));
        // A directory in a lower layer has to be copied: mv does that.
        at.sh(&format!("mv folder-{0} moved-{0}", n - 1));
    }
    if n > 1 {
        at.rename(&format!("b{}", n - 2), "last");
        at.sh(&format!("rm -rf final; mv moved-{} final", n - 2));
    }
}

fn swaps(at: &At<'_>, n: usize) {
    if n == 0 {
        for name in ["one", "two"] {
            ["x", "y", name]
                .iter()
                .for_each(|file| at.write(format!("{name}/{file}"), name));
            at.write(format!("{name}-file"), name);
        }
    }
    at.sh("mv one t; mv two one; mv t two");
    at.rename("one-file", "t-file");
    at.rename("two-file", "one-file");
    at.rename("t-file", "two-file");
    at.append("one/x", &n.to_string());
}

fn deep(at: &At<'_>, n: usize) {
    let name = "d".repeat(140);
    let path: PathBuf = std::iter::repeat_n(name.as_str(), 20).collect();
    at.write(path.join(format!("leaf-{}", n % 4)), n.to_string());
    if n % 3 == 2 {
        at.remove(path.join(format!("leaf-{}", (n - 1) % 4)));
    }
    if n % 8 == 7 {
        at.remove(path.iter().take(9).collect::<PathBuf>());
    }
}

fn long_names(at: &At<'_>, n: usize) {
    let name = |k: usize| format!("{}{:03}", "n".repeat(252), k % 5);
    at.write(name(n), n.to_string());
    at.remove(name(n + 2));
    at.remove(format!("{}/{}", name(100), name(1)));
    at.folder("in");
    at.write(format!("in/{}", name(n)), "x");
}

fn odd_names(at: &At<'_>, n: usize) {
    let names: [&[u8]; 14] = [
        b"\xff\xfe",
        b"new\nline",
        b" ",
        b"-rf",
        b"%2f",
        b"a:b,c\\d",
        b"\x01\x7f",
        b".wh.file",
        b".wh..wh..opq",
        b"..a",
        "\u{e9}".as_bytes(),
        "e\u{301}".as_bytes(),
        "\u{1f600}".as_bytes(),
        b"'\"$`",
    ];
    for (k, name) in names.into_iter().enumerate() {
        let name = Path::new(OsStr::from_bytes(name));
        match (n + k) % 4 {
            0 => at.remove(name),
            1 => at.write(name, n.to_string()),
            2 => at.write(Path::new("in").join(name).join(name), "x"),
            _ => at.remove(Path::new("in").join(name)),
        }
    }
}

fn closed(at: &At<'_>, n: usize) {
    at.folder("d/e");
    at.write(format!("d/e/{}", n % 3), n.to_string());
    at.remove(format!("d/e/{}", (n + 1) % 3));
    at.mode(&format!("d/e/{}", n % 3), 0);
    at.mode("d/e", if n % 2 == 0 { 0 } else { 0o111 });
    at.mode("d", 0);
}

fn sticky(at: &At<'_>, n: usize) {
    for (name, mode) in [("sticky", 0o1777), ("group", 0o2775), ("both", 0o3770)] {
        at.folder(name);
        at.owner(name, 3, 33 + n as u32 % 2);
        at.mode(name, mode);
        // A setgid directory passes its group on.
        at.write(format!("{name}/{}", n % 4), n.to_string());
        at.folder(format!("{name}/sub-{}", n % 4));
        at.remove(format!("{name}/sub-{}", (n + 2) % 4));
    }
    at.write("setuid", n.to_string());
    at.mode("setuid", 0o6711);
}

fn empty_folders(at: &At<'_>, n: usize) {
    at.folder(format!("a/{}/b", n % 3));
    at.remove(format!("a/{}", (n + 1) % 3));
    at.remove("only");
    at.folder("only");
}

fn times(at: &At<'_>, n: usize) {
    let all = [
        0,
        1,
        -1,
        -1_000_000_000,
        951_782_400,
        4_102_444_800,
        7_258_118_400,
    ];
    for (k, time) in all.into_iter().enumerate() {
        let name = format!("f{k}");
        if (n + k) % 3 == 0 {
            at.write(&name, n.to_string());
        }
        if at.has(&name) {
            at.time(&name, time, (n as i64 * 111_111_111) % 1_000_000_000);
        }
        at.folder(format!("d{k}"));
        at.time(&format!("d{k}"), all[(n + k) % all.len()], 999_999_999);
    }
}

fn symlinks(at: &At<'_>, n: usize) {
    for (target, name) in [
        ("b", "a"),
        ("a", "b"),
        ("self", "self"),
        ("/nowhere", "away"),
        ("folder", "to-folder"),
    ] {
        if n % 3 == 0 {
            at.remove(name);
            at.symlink(target, name);
            at.owner(name, n as u32, 9);
        }
    }
    at.remove("long");
    at.symlink("x/".repeat(1900 + n), "long");
    at.write(format!("folder/{n}"), "through it");
    // A link is replaced by a directory, and that by a link.
    at.remove("turns");
    match n % 2 {
        0 => at.symlink("folder", "turns"),
        _ => at.write("turns/in", "x"),
    }
}

fn links_across(at: &At<'_>, n: usize) {
    at.write(format!("a{n}/file"), n.to_string());
    at.folder(format!("b{n}/c"));
    at.link(&format!("a{n}/file"), &format!("b{n}/c/file"));
    at.link(&format!("a{n}/file"), &format!("top-{n}"));
    at.symlink("target", &format!("a{n}/soft"));
    at.link(&format!("a{n}/soft"), &format!("b{n}/soft"));
    at.node(&format!("a{n}/fifo"), FileType::Fifo, 0);
    at.link(&format!("a{n}/fifo"), &format!("b{n}/fifo"));
    if n > 0 {
        at.remove(format!("a{}/file", n - 1));
    }
    if n > 1 {
        at.remove(format!("a{}", n - 2));
        at.remove(format!("top-{}", n - 2));
    }
}

/// Changes only one property of each file.
fn only(at: &At<'_>, n: usize, change: impl Fn(&At<'_>, &str, usize)) {
    if n == 0 {
        ["f", "g", "d/h", "d/e/i"]
            .iter()
            .for_each(|name| at.write(name, "text"));
    }
    let all = ["f", "d", "g", "d/h", "d/e", "d/e/i"];
    change(at, all[n % all.len()], n);
}

fn wiped(at: &At<'_>, n: usize) {
    if n % 3 == 2 {
        for name in at.names("") {
            at.remove(name);
        }
        return;
    }
    for k in 0..4 {
        at.write(format!("{}/{}", (n + k) % 5, k), n.to_string());
    }
}

/// Directories of the same names, with some of the same names in them.
fn reborn(at: &At<'_>, n: usize) {
    at.remove("d");
    for k in 0..4 {
        if (n + k) % 3 != 0 {
            at.write(format!("d/{k}"), n.to_string());
            at.write(format!("d/in/{}", (n + k) % 4), n.to_string());
        }
    }
    at.folder("stays/d");
    at.remove(format!("stays/d/{}", n % 2));
    at.write(format!("stays/d/{}/{n}", n % 2), "x");
}

fn come_and_go(at: &At<'_>, n: usize) {
    at.write(format!("d{}/kept-{n}", n / 3), n.to_string());
    at.write(format!("d{}/gone-{n}", n / 3), n.to_string());
    if n > 0 {
        at.remove(format!("d{}/gone-{}", (n - 1) / 3, n - 1));
    }
    if n >= 9 {
        at.remove(format!("d{}", (n - 9) / 3));
    }
}

/// A few bytes in the middle of a larger file.
fn written_inside(at: &At<'_>, n: usize) {
    if n == 0 {
        at.write("file", "0123456789abcdef".repeat(16 << 10));
    }
    let file = fs::File::options().write(true).open(at.path("file"));
    let mut file = file.expect("opened");
    file.seek(SeekFrom::Start(n as u64 * 9973)).expect("there");
    write!(file, "[{n}]").expect("written");
}
