//! The same through the library: containers write, leases are released, layers are merged, and the listing remains that of a
//! plain directory in which a local shell ran the same scripts.

use docker_store::{Command, Strategy};

use crate::common::{begin, import_base};

use super::beside::Beside;
use super::changes;
use super::ground::{Root, Way, in_all_ways, is_podman};
use crate::common::amount;

/// What the `N`-th container does. Moving a directory from a lower layer copies it, and not every `mv` keeps fractions of a
/// second: so those times are set again.
const SCRIPT: &str = r#"
set -e; umask 022
mkdir -p d$((N / 3)) objects/$((N % 4))
echo kept >d$((N / 3))/kept-$N; echo gone >d$((N / 3))/gone-$N
if [ $N -gt 0 ]; then rm -f d$(((N - 1) / 3))/gone-$((N - 1)); fi
for k in 0 1 2 3 4 5; do echo $N $k >objects/$((N % 4))/.tmp; mv objects/$((N % 4))/.tmp objects/$((N % 4))/$k; done
rm -rf reborn; mkdir -p reborn/in; echo $N >reborn/in/$((N % 3)); echo $N >reborn/$((N % 2))
rm -rf type; case $((N % 5)) in
    0) echo file >type;; 1) mkdir -p type/in/deep; echo $N >type/in/deep/file;; 2) ln -s objects/1 type;; 3) mkfifo type;; 4) mknod type c 1 3;;
esac
echo $N >linked-$N; ln linked-$N d$((N / 3))/linked-$N; ln linked-$N objects/linked-$N
if [ $N -gt 1 ]; then rm linked-$((N - 2)); fi
mkdir -p moving-$N/in; echo $N >moving-$N/in/file
if [ $N -gt 0 ]; then rm -rf moved; mv moving-$((N - 1)) moved; find moved | xargs touch; fi
echo line $N >>log; if [ $((N % 4)) = 3 ]; then mv log log.1; fi
chmod $((700 + N % 8)) reborn; chown $N:$((N + 1)) reborn/in
echo $N >one; echo other $N >.two; chmod 4750 .two; mv .two two; ln -sf target-$N link
cp -a reborn copy-$N; if [ $N -gt 2 ]; then rm -rf copy-$((N - 3)); fi
tar cf out.tar reborn; mkdir -p out; tar xf out.tar -C out; rm out.tar; find out | xargs touch
if [ $((N % 6)) = 5 ]; then rm -rf objects d*; fi
"#;

#[test]
fn what_containers_write_is_listed_as_in_a_plain_directory() {
    let podman = is_podman();
    in_all_ways(|way| {
        let root = Root::new("containers");
        let store = root.open(way);
        import_base(&store, "base");
        let mut beside = Beside::new(&store, &root, way);
        let generations = match way {
            Way {
                strategy: Strategy::Overlay,
                direct: true,
            } => amount(14, 100),
            _ => amount(4, 30),
        };
        for n in 0..generations {
            let script = format!("N={n}; {SCRIPT}");
            // Its containers are not allowed to create devices.
            let script = match podman {
                true => script.replace("mknod type c 1 3", "mkfifo type"),
                false => script,
            };
            let in_container = |lease: &docker_store::Lease| {
                let mut step = begin(&store, "base", &format!("step-{n}"));
                let mut command = Command::new(["/bin/sh", "-c", &script]);
                step.run(command.lease(lease, "/cache").cwd("/cache"))
                    .expect("a run");
                step.abort().expect("aborted");
            };
            beside.generation(n, in_container, |pair| {
                changes::run("sh", &pair.plain, &["-c", &script]).expect("run");
            });
        }
        store.delete("base").expect("deleted");
        println!(
            "{way:?}: {generations} containers, {} compactions",
            beside.compactions
        );
    });
}
