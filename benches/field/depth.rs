//! The cost of each layer of a cache for programs that use it: the kernel's overlay at the depths that chains have, compared
//! with a plain directory.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::race::{Series, Times, Way, race};
use crate::report::{Report, Section, Table};
use crate::unit::Unit;
use crate::world::World;

/// The numbers of layers; 0 is a plain directory. A chain has up to 6 after it was shortened, and had 12 before that was
/// introduced.
const DEPTHS: [usize; 4] = [0, 1, 6, 12];

const FILES: usize = 1200;
const FOLDERS: usize = 10;
const MADE: usize = 300;
const BIG: usize = 64 << 20;

const PLAIN: &str = "plain directory";

const TEXT: &str = "\
    The same 1,200 files in 10 directories, in one plain directory and in overlays of 1, 6 and 12 layers, each of which has a part of the \
    files and all of the directories. The mounts are made as the engine makes those of a lease, and anew for each turn, after the \
    kernel was told to forget names and inodes: what is measured is the first look of a step at its cache. A copy-up is the first \
    write to a file of the lowest layer; a plain directory only has the byte appended.";

pub(crate) fn measure(world: &World, report: &mut Report) {
    let mut section = Section::new("Depth of a cache's layers", TEXT);
    let folder = world.folder.join("depth");
    fs::create_dir_all(&folder).expect("a folder");
    let trees: Vec<Tree> = DEPTHS.iter().map(|n| Tree::new(&folder, *n)).collect();
    match trees.iter().try_for_each(Tree::fresh) {
        Err(why) => crate::say(&format!("depth is left out: {why}")),
        Ok(()) => {
            let rounds = world.pick(3, 15);
            let all: [(&str, usize, Work); 4] = [
                ("stat of a file", FILES, Tree::stat),
                ("stat of a name that is not there", FILES, Tree::miss),
                ("a file made and removed", MADE, Tree::make),
                ("first write to a file of 64 MB", 1, Tree::copy_up),
            ];
            for (title, times, work) in all {
                let rows = run(title, rounds, &trees, work);
                let rows = rows.iter().map(|row| row.divided(times as f64)).collect();
                section
                    .tables
                    .push(Table::new(title, Unit::Time, PLAIN, rows));
            }
            report.add(section);
        }
    }
    drop(trees);
    fs::remove_dir_all(&folder).expect("removed");
}

type Work = fn(&Tree);

fn run(what: &str, rounds: usize, trees: &[Tree], work: Work) -> Vec<Series> {
    let way = |tree: &'_ Tree| {
        let tree = tree.clone();
        Way::new(&tree.name(), move |times: &mut Times| {
            tree.fresh().expect("mounted as before");
            times.time(|| work(&tree));
        })
    };
    race(what, rounds, trees.iter().map(way).collect())
}

/// Files in a plain directory, or in layers.
struct Tree {
    folder: PathBuf,
    layers: usize,
    /// This value unmounts it.
    owner: bool,
}

impl Clone for Tree {
    fn clone(&self) -> Self {
        Tree {
            folder: self.folder.clone(),
            layers: self.layers,
            owner: false,
        }
    }
}

impl Tree {
    fn new(folder: &Path, layers: usize) -> Self {
        let tree = Tree {
            folder: folder.join(layers.to_string()),
            layers,
            owner: true,
        };
        for n in 0..FILES {
            let path = tree.part(n % layers.max(1)).join(name(n));
            fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            fs::write(path, n.to_string()).expect("written");
        }
        // The lowest comes last in a mount.
        let lowest = tree.part(layers.saturating_sub(1)).join("big");
        fs::write(lowest, vec![7; BIG]).expect("written");
        tree
    }

    fn name(&self) -> String {
        match self.layers {
            0 => String::from(PLAIN),
            1 => String::from("1 layer"),
            n => format!("{n} layers"),
        }
    }

    fn part(&self, n: usize) -> PathBuf {
        match self.layers {
            0 => self.place(),
            _ => self.folder.join(format!("layer-{n}")),
        }
    }

    /// The path to use.
    fn place(&self) -> PathBuf {
        self.folder.join("tree")
    }

    /// Like a lease that was never accessed.
    fn fresh(&self) -> Result<(), String> {
        if self.layers > 0 {
            self.unmount();
            for name in ["upper", "work", "tree"] {
                let path = self.folder.join(name);
                let _ = fs::remove_dir_all(&path);
                fs::create_dir(&path).map_err(|e| format!("{}: {e}", path.display()))?;
            }
            let lowers: Vec<String> = (0..self.layers)
                .map(|n| self.part(n).display().to_string())
                .collect();
            let options = format!(
                "lowerdir={},upperdir={},workdir={},index=off,redirect_dir=off,metacopy=off",
                lowers.join(":"),
                self.folder.join("upper").display(),
                self.folder.join("work").display()
            );
            let mut mount = Command::new("mount");
            mount.args(["-t", "overlay", "-o", &options, "overlay"]);
            let done = mount.arg(self.place()).output();
            let done = done.map_err(|e| format!("mount: {e}"))?;
            if !done.status.success() {
                return Err(String::from_utf8_lossy(&done.stderr).trim().to_owned());
            }
        }
        rustix::fs::sync();
        fs::write("/proc/sys/vm/drop_caches", "2").map_err(|e| format!("drop_caches: {e}"))
    }

    fn unmount(&self) {
        let mut unmount = Command::new("umount");
        // Not mounted, the first time.
        let _ = unmount.arg(self.place()).output();
    }

    fn stat(&self) {
        let place = self.place();
        for n in 0..FILES {
            fs::metadata(place.join(name(n))).expect("there");
        }
    }

    fn miss(&self) {
        let place = self.place();
        for n in 0..FILES {
            let absent = place.join(format!("d{}/no-{n}", n % FOLDERS));
            assert!(fs::metadata(absent).is_err());
        }
    }

    fn make(&self) {
        let place = self.place();
        for n in 0..MADE {
            let path = place.join(format!("d{}/new-{n}", n % FOLDERS));
            drop(File::create(&path).expect("made"));
            fs::remove_file(path).expect("removed");
        }
    }

    fn copy_up(&self) {
        let big = File::options().append(true).open(self.place().join("big"));
        big.expect("opened").write_all(b"x").expect("written");
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        if self.owner && self.layers > 0 {
            self.unmount();
        }
    }
}

/// The files of one directory are in several layers.
fn name(n: usize) -> String {
    format!("d{}/f{n}", n / 7 % FOLDERS)
}
