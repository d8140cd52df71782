//! Thousands of results in seconds: images of the base's one layer, each with a configuration of its own, many loaded at a
//! time. An engine does not need layers that it has.

use crate::docker::{docker, docker_from};
use crate::world::World;

/// How many are loaded from one file, and removed by one command.
const PORTION: usize = 500;

/// Creates the results `stored0`, `stored1`, … from the `from`th up to `to`.
pub(crate) fn store(world: &World, from: usize, to: usize) {
    let base = world.image("base");
    let layer = docker(&["inspect", "--format", "{{index .RootFS.Layers 0}}", &base]).concat();
    let place = world.folder.join("images.tar");
    let numbers: Vec<usize> = (from..to).collect();
    for portion in numbers.chunks(PORTION) {
        let mut tar = tar::Builder::new(Vec::new());
        let mut add = |name: &str, text: &str| {
            let mut header = tar::Header::new_ustar();
            header.set_size(text.len() as u64);
            header.set_mode(0o644);
            tar.append_data(&mut header, name, text.as_bytes())
                .expect("in memory");
        };
        let mut manifest = Vec::new();
        for n in portion {
            let config = format!(
                r#"{{"architecture":"amd64","os":"linux","created":"2020-01-01T00:00:00Z","config":{{"Labels":{{"n":"{n}"}}}},"rootfs":{{"type":"layers","diff_ids":["{layer}"]}},"history":[{{"created":"2020-01-01T00:00:00Z"}}]}}"#
            );
            add(&format!("{n}.json"), &config);
            let image = world.image(&format!("stored{n}"));
            manifest.push(format!(
                r#"{{"Config":"{n}.json","RepoTags":["{image}:latest"],"Layers":["0/layer.tar"]}}"#
            ));
        }
        add("manifest.json", &format!("[{}]", manifest.join(",")));
        std::fs::write(&place, tar.into_inner().expect("in memory")).expect("written");
        docker_from(
            &["load", "-q"],
            std::fs::File::open(&place).expect("the file"),
        );
    }
    crate::say(&format!("{to} results are stored"));
}

/// Removes the first `count` of them.
pub(crate) fn forget(world: &World, count: usize) {
    let names: Vec<String> = (0..count)
        .map(|n| world.image(&format!("stored{n}")))
        .collect();
    for portion in names.chunks(PORTION) {
        let names = portion.iter().map(String::as_str);
        docker(&["rmi", "-f"].into_iter().chain(names).collect::<Vec<_>>());
    }
}
