//! Programs that store their files in caches.

use std::fs;
use std::path::PathBuf;

use super::{At, Workload, linked, workload};

pub const ALL: [Workload; 15] = [
    workload("ccache", ccache),
    workload("git", git),
    workload("sqlite", sqlite),
    Workload {
        parts: |_, n| match n {
            0 => Vec::new(),
            n => vec![PathBuf::from(format!(".links/{}", (n - 1) % 5))],
        },
        ..workload("link-farm", link_farm)
    },
    Workload {
        parts: |root, _| linked(root, "current"),
        ..workload("cp-al", backups)
    },
    workload("npm", npm),
    workload("cargo", cargo),
    workload("rsync", rsync),
    workload("tar", tar),
    workload("logs", logs),
    workload("maildir", maildir),
    workload("python", python),
    workload("small-files", small_files),
    workload("apt", apt),
    workload("go-build", go_build),
];

/// Objects by their hash, a file of statistics, and a clean-up of the oldest.
fn ccache(at: &At<'_>, n: usize) {
    for k in 0..12 {
        let hash = (n * 12 + k) * 7919 % 4096;
        let name = format!("{:x}/{:x}/{hash:04x}.o", hash % 16, hash / 16 % 16);
        at.write(&name, format!("object {hash} of {n}"));
        at.replace(&format!("{:x}/stats", hash % 16), format!("{n} {k}"));
    }
    at.write("ccache.conf", "max_size = 5G\n");
    if n % 4 == 3 {
        for k in 0..24 {
            let hash = ((n - 3) * 12 + k) * 7919 % 4096;
            at.remove(format!("{:x}/{:x}/{hash:04x}.o", hash % 16, hash / 16 % 16));
        }
    }
}

/// Commits, branches, and occasionally everything in one pack. The index contains inode numbers, so it is removed.
fn git(at: &At<'_>, n: usize) {
    let setup = "export GIT_AUTHOR_DATE=\"$((1000000000 + N)) +0000\" GIT_COMMITTER_DATE=\"$((1000000000 + N)) +0000\" \
        GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b GIT_CONFIG_NOSYSTEM=1 HOME=/nonexistent; \
        export GIT_CONFIG_COUNT=2 GIT_CONFIG_KEY_0=safe.directory GIT_CONFIG_VALUE_0='*' GIT_CONFIG_KEY_1=pack.threads GIT_CONFIG_VALUE_1=1";
    let work = match n {
        0 => {
            "git init -q -b main .; echo one >one; mkdir d; echo two >d/two; git add .; git commit -qm 0"
        }
        n if n % 5 == 4 => "git reset -q; git gc -q --prune=now; git fsck --full --no-progress",
        n if n % 5 == 2 => {
            "git reset -q; git branch b$N; git mv d/two d/three; git commit -qm $N; git reset -q --hard b$N; git tag t$N"
        }
        _ => "git reset -q; echo $N >>one; echo $N >d/$N; git add .; git commit -qm $N",
    };
    at.sh(&format!("N={n}; {setup}; {work}; rm -f .git/index"));
}

/// A database with a write-ahead log, and copies of both as a crash leaves them.
fn sqlite(at: &At<'_>, n: usize) {
    let sql = match n {
        0 => {
            "PRAGMA journal_mode=WAL; CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT); CREATE INDEX i ON t(b);"
        }
        n if n % 4 == 3 => "DELETE FROM t WHERE a % 3 = 0; VACUUM;",
        _ => {
            "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 50) INSERT INTO t(b) SELECT hex(x * 977) FROM c;"
        }
    };
    at.sh(&format!(
        "sqlite3 db '{sql} PRAGMA wal_checkpoint(TRUNCATE); PRAGMA integrity_check;' >/dev/null"
    ));
    // The leftovers of a program that crashed remain until the next one comes.
    match n % 3 {
        0 => ["left", "left-wal", "left-shm"]
            .iter()
            .for_each(|name| at.write(name, format!("{name} {n}").repeat(500))),
        1 => ["left-wal", "left-shm"]
            .iter()
            .for_each(|name| at.remove(name)),
        _ => at.write("left-journal", ""),
    }
}

/// Equal files are one file, under its hash and wherever it is used.
fn link_farm(at: &At<'_>, n: usize) {
    at.folder(".links");
    at.folder(format!("profile-{n}"));
    for k in 0..5 {
        let (own, name) = (
            format!(".links/{}", n * 5 + k + 100),
            format!("profile-{n}/{k}"),
        );
        at.write(&own, format!("content {n} {k}"));
        at.mode(&own, 0o444);
        at.link(&own, &name);
        at.link(&own, &format!("{name}-again"));
    }
    at.remove(format!(".links/{}", n % 5));
    at.write(format!(".links/{}", n % 5), format!("shared {n}"));
    if n > 0 {
        at.link(
            &format!(".links/{}", (n - 1) % 5),
            &format!("profile-{n}/shared"),
        );
    }
    if n >= 4 {
        at.remove(format!("profile-{}", n - 4));
    }
}

/// Backups that share what has not changed.
fn backups(at: &At<'_>, n: usize) {
    at.folder("current/sub");
    for k in 0..4 {
        if n == 0 || n % 4 == k {
            at.replace(&format!("current/{k}"), format!("{k} of {n}"));
        }
    }
    at.replace("current/sub/always", n.to_string());
    at.sh(&format!("cp -al current backup-{n}"));
    if n >= 3 {
        at.remove(format!("backup-{}", n - 3));
    }
}

/// Packages that are replaced whole, moved into place by renames of directories, with links to their programs.
fn npm(at: &At<'_>, n: usize) {
    let package = |k: usize| format!("node_modules/p{}", k % 6);
    let name = package(n);
    let staged = format!("node_modules/.p{}-Xy12", n % 6);
    at.write(
        format!("{staged}/package.json"),
        format!("{{\"version\": \"{n}\"}}"),
    );
    for k in 0..6 {
        at.write(
            format!("{staged}/lib/{}.js", (n + k) % 9),
            format!("{n} {k}"),
        );
    }
    at.write(
        format!("{staged}/node_modules/inner/index.js"),
        n.to_string(),
    );
    at.remove(&name);
    at.rename(&staged, &name);
    at.folder("node_modules/.bin");
    at.remove(format!("node_modules/.bin/p{}", n % 6));
    at.symlink(
        format!("../p{}/lib/{}.js", n % 6, n % 9),
        &format!("node_modules/.bin/p{}", n % 6),
    );
    at.replace("node_modules/.package-lock.json", format!("lock {n}"));
    if n % 7 == 6 {
        at.remove(package(n + 3));
    }
}

/// Build outputs are linked to where users look for them; sessions are renamed when they are done.
fn cargo(at: &At<'_>, n: usize) {
    at.folder("debug/deps");
    for name in ["app", "tool"] {
        let hash = format!("debug/deps/{name}-{:x}", 0xabc0 + n % 3);
        at.remove(&hash);
        at.remove(format!("debug/{name}"));
        at.write(&hash, format!("{name} {n} ").repeat(400));
        at.mode(&hash, 0o755);
        at.link(&hash, &format!("debug/{name}"));
        at.write(
            format!("debug/.fingerprint/{name}-{}/invoked.timestamp", n % 3),
            "",
        );
        at.write(
            format!("debug/.fingerprint/{name}-{}/dep-lib", n % 3),
            n.to_string(),
        );
    }
    let working = format!("debug/incremental/app/s-{n}-working");
    for k in 0..5 {
        at.write(format!("{working}/{k}.o"), format!("{n} {k}"));
    }
    at.rename(&working, &format!("debug/incremental/app/s-{n}-done"));
    if n > 0 {
        at.remove(format!("debug/incremental/app/s-{}-done", n - 1));
    }
    at.write(
        "CACHEDIR.TAG",
        "Signature: 8a477f597d28d172789f06886806bc55",
    );
}

/// Files that are new, that are written under another name and renamed, and that no longer exist at the source.
fn rsync(at: &At<'_>, n: usize) {
    for k in 0..10 {
        if (n + k) % 3 != 0 {
            continue;
        }
        let (beside, name) = (format!("tree/.f{k}.Ab12Cd"), format!("tree/f{k}"));
        at.write(&beside, format!("{n} {k}"));
        at.owner(&beside, 100 + k as u32, 200);
        at.mode(&beside, 0o644 + (k as u32 % 2) * 0o4000);
        at.time(&beside, 900_000_000 + n as i64, 5_000_000);
        at.rename(&beside, &name);
    }
    at.remove(format!("tree/f{}", n % 10));
}

/// An archive extracted over existing files.
fn tar(at: &At<'_>, n: usize) {
    at.sh(&format!(
        "rm -rf in out.tar; mkdir -p in/d/e$(({n} % 3)) out; echo {n} >in/d/f; echo {n} >in/d/e$(({n} % 3))/g; ln in/d/f in/hard; \
         ln -s d/f in/soft; mkfifo in/fifo; chmod 2750 in/d; touch -h -d @{time} in/soft in/fifo in/d/f in/d/e$(({n} % 3))/g; \
         touch -d @{time} in/d/e$(({n} % 3)) in/d in; tar --sort=name -cf out.tar in; rm -rf in; tar -C out -xf out.tar",
        time = 1_100_000_000 + n
    ));
}

/// Files that grow, are truncated, and are rotated.
fn logs(at: &At<'_>, n: usize) {
    at.append("log", &format!("line {n}\n").repeat(50));
    at.append("cut", "some text");
    if n % 5 == 4 {
        for k in (1..3).rev() {
            if at.has(&format!("log.{k}")) {
                at.rename(&format!("log.{k}"), &format!("log.{}", k + 1));
            }
        }
        at.rename("log", "log.1");
        fs::File::options()
            .write(true)
            .open(at.path("cut"))
            .and_then(|file| file.set_len(5))
            .expect("cut");
    }
}

/// A file is moved from directory to directory, and its state is in its name.
fn maildir(at: &At<'_>, n: usize) {
    ["tmp", "new", "cur"]
        .iter()
        .for_each(|name| at.folder(name));
    for k in 0..3 {
        let name = format!("{n}.M{k}P1.host");
        at.write(format!("tmp/{name}"), format!("Subject: {n} {k}\n"));
        at.rename(&format!("tmp/{name}"), &format!("new/{name}"));
    }
    if n > 0 {
        at.rename(
            &format!("new/{}.M0P1.host", n - 1),
            &format!("cur/{}.M0P1.host:2,S", n - 1),
        );
    }
    if n > 2 {
        at.rename(
            &format!("cur/{}.M0P1.host:2,S", n - 3),
            &format!("cur/{}.M0P1.host:2,ST", n - 3),
        );
        at.remove(format!("new/{}.M1P1.host", n - 3));
    }
}

/// Empty files that have a meaning, and directories that are removed and created again.
fn python(at: &At<'_>, n: usize) {
    for k in 0..3 {
        let package = format!("lib/pkg{k}");
        if n % 3 == k {
            at.remove(&package);
        }
        at.write(format!("{package}/__init__.py"), "");
        at.write(format!("{package}/mod{}.py", n % 4), format!("x = {n}"));
        at.remove(format!("{package}/__pycache__"));
        at.write(
            format!("{package}/__pycache__/mod{}.cpython-311.pyc", n % 4),
            format!("code {n}"),
        );
    }
    at.remove("bin");
    at.folder("bin");
    at.symlink("/usr/bin/python3", "bin/python3");
    at.symlink("python3", "bin/python");
}

fn small_files(at: &At<'_>, n: usize) {
    for k in 0..200 {
        if n == 0 || (k + n) % 13 == 0 {
            at.write(format!("{}/{k}", k % 10), format!("{n} {k}"));
        } else if (k + n) % 17 == 0 {
            at.remove(format!("{}/{k}", k % 10));
        }
    }
}

/// Lists that are replaced, a lock, and a directory of another user.
fn apt(at: &At<'_>, n: usize) {
    at.folder("lists/partial");
    at.owner("lists/partial", 42, 0);
    at.mode("lists/partial", 0o700);
    at.write("lists/lock", "");
    at.mode("lists/lock", 0o640);
    at.write(
        "lists/partial/Packages",
        format!("Package: p{n}\n").repeat(200),
    );
    at.rename(
        "lists/partial/Packages",
        &format!("lists/mirror_{}_Packages", n % 3),
    );
    at.write(format!("archives/p_{n}_all.deb"), format!("{n}"));
    if n % 4 == 3 {
        at.remove("archives");
        at.folder("archives/partial");
    }
}

/// Two files for each action, by their hash, and an occasional trim.
fn go_build(at: &At<'_>, n: usize) {
    for k in 0..6 {
        let hash = (n * 6 + k) * 31 % 256;
        at.write(format!("{hash:02x}/{hash:02x}{n}-a"), format!("v1 {n} {k}"));
        at.write(format!("{hash:02x}/{hash:02x}{n}-d"), "object".repeat(k));
    }
    at.replace("trim.txt", n.to_string());
    if n % 5 == 4 {
        for name in at
            .names("")
            .into_iter()
            .filter(|name| name.len() == 2)
            .step_by(2)
        {
            at.remove(name);
        }
    }
}
