//! A result as one file: written identically by every engine, loadable by `docker load` and `skopeo`, and read again; and files
//! that are corrupt, hostile or of another form.

mod common;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command as Process, Stdio};

use common::own_engine::OwnEngine;
use common::{
    ImageStore, Root, build, config_of, docker, id_of, image_store, import_base, output_in, tar_of,
    untar,
};
use docker_store::{ErrorKind, ImageFormat, Limits, Options, Outcome, Store};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

const FORMATS: [ImageFormat; 2] = [ImageFormat::Docker, ImageFormat::Oci];

fn save(store: &Store, id: &str, format: ImageFormat, name: Option<&str>) -> Vec<u8> {
    let mut file = Vec::new();
    let bytes = store
        .save(id, format, name, &mut file, &Limits::none())
        .expect("saved");
    assert_eq!(bytes, file.len() as u64);
    file
}

/// A chain of some layers: a whiteout, a large file, a small one, one more.
fn chain(store: &Store) {
    build(
        store,
        "base",
        "one",
        "head -c 5000000 /dev/urandom >/large; rm /bin/wget",
    );
    build(
        store,
        "one",
        "two",
        "mkdir /d; echo two >/d/two; ln -s two /d/link",
    );
    build(
        store,
        "two",
        "three",
        "rm -r /d; mkdir /d; echo three >/d/three",
    );
}

#[test]
fn a_saved_result_is_the_same_each_time_and_loads_as_the_same_image() {
    let root = Root::new("saved");
    let store = root.open_with_base();
    chain(&store);
    let id = id_of(&root.image("three"));
    for format in FORMATS {
        let file = save(&store, "three", format, Some("example.test/app:1"));
        assert_eq!(
            file,
            save(&store, "three", format, Some("example.test/app:1"))
        );
        let outcome = store.load(
            "copy",
            &mut file.as_slice(),
            &mut |_| Ok(()),
            &Limits::none(),
        );
        assert_eq!(outcome.expect("loaded"), Outcome::Built);
        // On an engine that identifies images by configurations, the id shows that everything is the same.
        if common::image_store() == common::ImageStore::Docker {
            assert_eq!(id_of(&root.image("copy")), id);
        }
        assert_eq!(
            config_of(&root.image("copy")),
            config_of(&root.image("three"))
        );
        assert_eq!(
            output_in(
                &store,
                "copy",
                "cat /d/*; ls /bin/wget 2>/dev/null; wc -c </large"
            ),
            "three\n5000000\n"
        );
        assert_eq!(
            file,
            save(&store, "copy", format, Some("example.test/app:1")),
            "a copy is the same result"
        );
        // The name in the file is ignored here.
        assert_eq!(id_of("example.test/app:1"), "");
        // If it exists, nothing is read.
        let mut unread = tar_of("x", b"");
        unread.truncate(10);
        let outcome = store.load(
            "copy",
            &mut unread.as_slice(),
            &mut |_| Ok(()),
            &Limits::none(),
        );
        assert_eq!(outcome.expect("there"), Outcome::Hit);
        assert!(store.delete("copy").expect("deleted"));
    }
    assert!(root.leftovers().is_empty());
    assert!(spooled(&root.path).is_empty());
}

fn spooled(root: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(root.join(".store")).expect("a folder");
    let entries = entries.map(|entry| entry.expect("an entry").path());
    entries
        .filter(|path| path.to_string_lossy().contains("spool"))
        .collect()
}

fn load(store: &Store, id: &str, mut file: &[u8]) -> docker_store::Result<Outcome> {
    store.load(id, &mut file, &mut |_| Ok(()), &Limits::none())
}

fn digest(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes)
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    format!("sha256:{hex}")
}

fn hex(digest: &str) -> &str {
    digest.trim_start_matches("sha256:")
}

/// A tar of these files, written by hand: as simple as they can be.
fn tar(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut tar = Vec::new();
    for (name, content) in files {
        let mut header = [0; 512];
        header[..name.len()].copy_from_slice(name.as_bytes());
        header[100..108].copy_from_slice(b"0000644\0");
        header[108..116].copy_from_slice(b"0000000\0");
        header[116..124].copy_from_slice(b"0000000\0");
        header[124..136].copy_from_slice(format!("{:011o}\0", content.len()).as_bytes());
        header[136..148].copy_from_slice(b"00000000000\0");
        header[148..156].fill(b' ');
        header[156] = b'0';
        header[257..265].copy_from_slice(b"ustar\x0000");
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:07o}\0").as_bytes());
        tar.extend_from_slice(&header);
        tar.extend_from_slice(content);
        tar.resize(tar.len().next_multiple_of(512), 0);
    }
    tar.resize(tar.len() + 1024, 0);
    tar
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = Process::new("gzip")
        .arg("-n")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("gzip");
    let mut input = gzip.stdin.take().expect("its input");
    let bytes = bytes.to_vec();
    let writer = std::thread::spawn(move || input.write_all(&bytes));
    let output = gzip.wait_with_output().expect("its output");
    writer.join().expect("a writer").expect("written");
    output.stdout
}

/// An image that no engine has created: two layers, of which the lower has the larger digest.
struct Image {
    layers: Vec<Vec<u8>>,
    config: Vec<u8>,
}

impl Image {
    fn new() -> Self {
        let mut layers = vec![tar_of("one", b"one"), tar_of("two", b"two\n")];
        layers.sort_by_key(|layer| std::cmp::Reverse(digest(layer)));
        let ids: Vec<String> = layers.iter().map(|layer| digest(layer)).collect();
        // Not in the order that a rewrite would produce.
        let config = format!(
            r#"{{"rootfs":{{"type":"layers","diff_ids":{}}}, "os":"linux","architecture":"amd64","config":{{"Env":["A=1"],"Cmd":["x"],"Labels":{{"b":"2","a":"1"}}}},"created":"2001-02-03T04:05:06Z","history":[{{"created":"2001-02-03T04:05:06Z"}},{{"created":"2001-02-03T04:05:06Z"}}]}}"#,
            json!(ids)
        );
        Image {
            layers,
            config: config.into_bytes(),
        }
    }

    /// As `docker save` of version 20.10 writes it, in directories with meaningless names.
    fn as_old_docker(&self, tags: &Value) -> Vec<u8> {
        let folder = |n: usize| digest(&[n as u8])[7..].to_owned();
        let paths: Vec<String> = (0..2).map(|n| format!("{}/layer.tar", folder(n))).collect();
        let config = format!("{}.json", hex(&digest(&self.config)));
        let list = json!([{ "Config": config, "RepoTags": tags, "Layers": paths }]);
        let mut files = vec![(config, self.config.clone())];
        for (path, layer) in paths.iter().zip(&self.layers) {
            files.push((path.replace("layer.tar", "VERSION"), b"1.0".to_vec()));
            files.push((path.replace("layer.tar", "json"), b"{}".to_vec()));
            files.push((path.clone(), layer.clone()));
        }
        files.push(("manifest.json".into(), list.to_string().into_bytes()));
        files.push(("repositories".into(), br#"{"a":{"b":"c"}}"#.to_vec()));
        tar(&files)
    }

    /// A layout whose layers are compressed with gzip; optionally preceded by an image for another platform.
    fn as_layout(&self, other: bool) -> Vec<u8> {
        let blob = |bytes: &[u8]| format!("blobs/sha256/{}", hex(&digest(bytes)));
        let described = |kind: &str, bytes: &[u8]| json!({ "mediaType": kind, "digest": digest(bytes), "size": bytes.len() });
        let packed: Vec<Vec<u8>> = self.layers.iter().map(|layer| gzip(layer)).collect();
        let layers: Vec<Value> = packed
            .iter()
            .map(|layer| described("application/vnd.oci.image.layer.v1.tar+gzip", layer))
            .collect();
        let manifest = json!({ "schemaVersion": 2, "config": described("application/vnd.oci.image.config.v1+json", &self.config), "layers": layers });
        let manifest = manifest.to_string().into_bytes();
        let mut listed = vec![described(
            "application/vnd.oci.image.manifest.v1+json",
            &manifest,
        )];
        listed[0]["platform"] = json!({ "os": "linux", "architecture": "amd64" });
        if other {
            let mut another = described("application/vnd.oci.image.manifest.v1+json", b"{}");
            another["platform"] = json!({ "os": "linux", "architecture": "s390x" });
            let mut how = another.clone();
            how["platform"] = json!({ "os": "unknown", "architecture": "unknown" });
            listed = vec![another, listed.remove(0), how];
        }
        let index = json!({ "schemaVersion": 2, "manifests": listed })
            .to_string()
            .into_bytes();
        let mut files = vec![
            (
                "./oci-layout".into(),
                br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec(),
            ),
            ("./index.json".into(), index),
            (format!("./{}", blob(&manifest)), manifest),
            (format!("./{}", blob(&self.config)), self.config.clone()),
        ];
        files.extend(
            packed
                .into_iter()
                .map(|layer| (format!("./{}", blob(&layer)), layer)),
        );
        tar(&files)
    }

    /// What this library must write of it, on every engine.
    fn as_saved(&self, format: ImageFormat, name: &str) -> Vec<u8> {
        let ids: Vec<String> = self.layers.iter().map(|layer| digest(layer)).collect();
        let mut sorted: Vec<(String, Vec<u8>)> =
            ids.iter().cloned().zip(self.layers.clone()).collect();
        sorted.sort();
        let config = digest(&self.config);
        let blob = |digest: &str| format!("blobs/sha256/{}", hex(digest));
        let layer = |digest: &str| match format {
            ImageFormat::Oci => blob(digest),
            _ => format!("{}.tar", hex(digest)),
        };
        let config_path = match format {
            ImageFormat::Oci => blob(&config),
            _ => format!("{}.json", hex(&config)),
        };
        let mut files: Vec<(String, Vec<u8>)> = sorted
            .into_iter()
            .map(|(digest, bytes)| (layer(&digest), bytes))
            .collect();
        files.push((config_path.clone(), self.config.clone()));
        let paths: Vec<String> = ids.iter().map(|id| layer(id)).collect();
        let list = format!(
            r#"[{{"Config":"{config_path}","Layers":{},"RepoTags":["{name}"]}}]"#,
            json!(paths)
        );
        if format == ImageFormat::Oci {
            let layers: Vec<String> = ids.iter().zip(&self.layers).map(|(id, layer)| {
                format!(r#"{{"digest":"{id}","mediaType":"application/vnd.oci.image.layer.v1.tar","size":{}}}"#, layer.len())
            }).collect();
            let manifest = format!(
                r#"{{"config":{{"digest":"{config}","mediaType":"application/vnd.oci.image.config.v1+json","size":{}}},"layers":[{}],"mediaType":"application/vnd.oci.image.manifest.v1+json","schemaVersion":2}}"#,
                self.config.len(), layers.join(",")
            ).into_bytes();
            let index = format!(
                r#"{{"manifests":[{{"annotations":{{"io.containerd.image.name":"{name}","org.opencontainers.image.ref.name":"{name}"}},"digest":"{}","mediaType":"application/vnd.oci.image.manifest.v1+json","size":{}}}],"schemaVersion":2}}"#,
                digest(&manifest),
                manifest.len()
            );
            files.push((blob(&digest(&manifest)), manifest));
            files.push(("index.json".into(), index.into_bytes()));
            files.push(("manifest.json".into(), list.into_bytes()));
            files.push((
                "oci-layout".into(),
                br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec(),
            ));
        } else {
            files.push(("manifest.json".into(), list.into_bytes()));
        }
        tar(&files)
    }
}

#[test]
fn files_of_every_make_become_the_same_result_and_are_saved_byte_for_byte_as_the_contract_says() {
    let root = Root::new("makes");
    let store = root.open();
    let image = Image::new();
    let name = "example.test/app:1";
    let saved = |format| image.as_saved(format, name);
    let none = image.as_old_docker(&Value::Null);
    let makes = [
        ("old-docker", none.clone()),
        (
            "tagged",
            image.as_old_docker(&json!([format!(
                "{}-image-makes-other:latest",
                root.prefix()
            )])),
        ),
        ("gzip", gzip(&none)),
        ("layout", image.as_layout(false)),
        ("layout-of-several", image.as_layout(true)),
        ("ours", saved(ImageFormat::Docker)),
        ("our-layout", saved(ImageFormat::Oci)),
    ];
    for (make, file) in makes {
        load(&store, make, &file).unwrap_or_else(|e| panic!("{make}: {e}"));
        let config = config_of(&root.image(make));
        assert_eq!(
            (&config["Env"], &config["Cmd"]),
            (&json!(["A=1"]), &json!(["x"])),
            "{make}"
        );
        for format in FORMATS {
            let got = save(&store, make, format, Some(name));
            let want = saved(format);
            let names = |file: &[u8]| {
                untar(file)
                    .into_iter()
                    .map(|(name, _)| name)
                    .collect::<Vec<_>>()
            };
            assert_eq!(names(&got), names(&want), "{make} {format:?}");
            let at = got.iter().zip(&want).position(|(a, b)| a != b);
            assert!(got == want, "{make} {format:?} differs at {at:?}");
        }
        let mut tar = Vec::new();
        let copied = store.copy_out(make, "/two", &mut tar, &Limits::none());
        assert!(copied.is_ok() && untar(&tar)[0].1 == b"two\n", "{make}");
    }
    assert!(
        !store.result("makes-other").expect("a look"),
        "a name in the file is nobody's"
    );
    assert!(root.leftovers().is_empty());
}

#[test]
fn a_broken_file_becomes_no_result_and_leaves_nothing() {
    let root = Root::new("broken");
    let store = root.open();
    let image = Image::new();
    let whole = image.as_old_docker(&Value::Null);
    let refused = |file: &[u8], kind: ErrorKind, what: &str| {
        let error = load(&store, "broken", file).expect_err(what);
        assert_eq!(error.kind(), kind, "{what}: {error}");
        assert!(!store.result("broken").expect("a look"), "{what}");
    };
    // Every cut between two blocks, and some within; except for the second block of the end marker, and the padding.
    for cut in (0..whole.len() - 1024)
        .step_by(512 * 3)
        .flat_map(|cut| [cut, cut + 100])
    {
        refused(&whole[..cut], ErrorKind::CutShort, &format!("cut at {cut}"));
    }
    let packed = gzip(&whole);
    for cut in [10, packed.len() / 4, packed.len() / 2] {
        refused(
            &packed[..cut],
            ErrorKind::CutShort,
            &format!("packed, cut at {cut}"),
        );
    }
    let without = |what: &str| {
        let files = untar(&whole)
            .into_iter()
            .filter(|(name, _)| !name.contains(what));
        tar(&files.collect::<Vec<_>>())
    };
    let layer = untar(&whole)
        .into_iter()
        .find(|(name, _)| name.ends_with("/layer.tar"))
        .expect("a layer")
        .0;
    refused(&without(&layer), ErrorKind::CutShort, "without a layer");
    refused(
        &without(&format!("{}.json", hex(&digest(&image.config)))),
        ErrorKind::CutShort,
        "without its configuration",
    );
    refused(
        &without("manifest.json"),
        ErrorKind::InvalidArgument,
        "without its list",
    );
    refused(
        &tar_of("etc/passwd", b"root"),
        ErrorKind::InvalidArgument,
        "any files",
    );
    refused(b"", ErrorKind::CutShort, "nothing");
    refused(&[b'x'; 4096], ErrorKind::InvalidArgument, "no tar");
    // Two images; an invalid list; other layers than the configuration lists.
    let list = |list: &Value| {
        let mut files = untar(&without("manifest.json"));
        files.push(("manifest.json".into(), list.to_string().into_bytes()));
        tar(&files)
    };
    let good: Value = {
        let files = untar(&whole);
        let file = files
            .iter()
            .find(|(name, _)| name == "manifest.json")
            .expect("its list");
        serde_json::from_slice(&file.1).expect("JSON")
    };
    refused(
        &list(&json!([good[0], good[0]])),
        ErrorKind::InvalidArgument,
        "two images",
    );
    for bad in [
        json!([]),
        json!({}),
        json!([{}]),
        json!([{ "Config": 1 }]),
        json!("x"),
    ] {
        refused(&list(&bad), ErrorKind::InvalidArgument, &bad.to_string());
    }
    let mut fewer = good.clone();
    fewer[0]["Layers"].as_array_mut().expect("layers").pop();
    refused(&list(&fewer), ErrorKind::InvalidArgument, "fewer layers");
    // A layer that differs from the configuration; also if it is compressed with gzip, and if only its name differs.
    let mut other = good.clone();
    other[0]["Layers"].as_array_mut().expect("layers").reverse();
    refused(
        &list(&other),
        ErrorKind::InvalidArgument,
        "layers in another order",
    );
    let swapped = Image {
        layers: image.layers.iter().rev().cloned().collect(),
        config: image.config.clone(),
    };
    for (file, what) in [
        (swapped.as_old_docker(&Value::Null), "swapped"),
        (swapped.as_layout(false), "swapped and packed"),
    ] {
        refused(&file, ErrorKind::InvalidArgument, what);
    }
    // A blob that does not match its digest.
    let layout = untar(&image.as_layout(false));
    for part in [hex(&digest(&image.config)).to_owned(), "index.json".into()] {
        let files = layout.iter().cloned().map(|(name, mut content)| {
            if name.contains(&part) {
                let text = String::from_utf8(content)
                    .expect("text")
                    .replace("2001", "2002")
                    .replace("size\":", "size\" :")
                    .replace("sha256:", "sha256:0");
                content = text.into_bytes();
            }
            (name, content)
        });
        let error = load(&store, "broken", &tar(&files.collect::<Vec<_>>())).expect_err(&part);
        assert!(
            matches!(
                error.kind(),
                ErrorKind::InvalidArgument | ErrorKind::CutShort
            ),
            "{error}"
        );
    }
    // A name that leads out of the file.
    let mut files = untar(&whole);
    files.insert(0, ("../../outside".into(), b"x".to_vec()));
    assert!(load(&store, "broken", &tar(&files)).is_err());
    // An earlier failure does not affect the next try.
    load(&store, "broken", &whole).expect("loaded");
    assert!(root.leftovers().is_empty());
}

#[test]
fn a_saved_result_is_taken_by_docker_load_and_by_skopeo() {
    let root = Root::new("taken");
    let store = root.open_with_base();
    chain(&store);
    let folder = root.path.join("files");
    std::fs::create_dir(&folder).expect("a folder");
    let run = |args: &[&str]| {
        let output = Process::new("skopeo").args(args).output();
        let output = output.expect("skopeo: run the tests by `make test`, which installs it");
        assert!(
            output.status.success(),
            "{args:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        output.stdout
    };
    let layers = docker(&[
        "image",
        "inspect",
        "--format",
        "{{json .RootFS.Layers}}",
        &root.image("three"),
    ])
    .concat();
    for format in FORMATS {
        let name = format!("example.test/taken{}:{format:?}", root.prefix());
        let file = folder.join(format!("{format:?}.tar"));
        std::fs::write(&file, save(&store, "three", format, Some(&name))).expect("written");
        let file = file.to_str().expect("text");
        // Older engines take a layout by its manifest.json.
        let said = docker(&["load", "-i", file]).concat();
        assert!(said.contains(&name), "{said}");
        let loaded = docker(&[
            "image",
            "inspect",
            "--format",
            "{{json .RootFS.Layers}}",
            &name,
        ])
        .concat();
        assert_eq!(loaded, layers);
        let said = docker(&[
            "run",
            "--rm",
            "--network",
            "none",
            &name,
            "/bin/cat",
            "/d/three",
        ]);
        assert_eq!(said, ["three"]);
        docker(&["rmi", &name]);
        let kinds = match format {
            ImageFormat::Oci => vec!["oci-archive", "docker-archive"],
            _ => vec!["docker-archive"],
        };
        for kind in kinds {
            // All of it is read and compared with its digests. skopeo then writes compressed layers, which are accepted, too.
            let made = folder.join(format!("{format:?}-{kind}.oci"));
            let made = made.to_str().expect("text");
            let config = run(&["inspect", "--config", "--raw", &format!("{kind}:{file}")]);
            assert!(
                untar(&std::fs::read(file).expect("the file"))
                    .iter()
                    .any(|(_, content)| *content == config),
                "its configuration as it is"
            );
            run(&[
                "copy",
                "--quiet",
                &format!("{kind}:{file}"),
                &format!("oci-archive:{made}:latest"),
            ]);
            let bytes = std::fs::read(made).expect("written");
            load(&store, "back", &bytes).expect("loaded");
            let back = docker(&[
                "image",
                "inspect",
                "--format",
                "{{json .RootFS.Layers}}",
                &root.image("back"),
            ])
            .concat();
            assert_eq!(back, layers, "{kind}");
            let again = save(&store, "back", format, Some(&name));
            // (From a docker archive, skopeo rewrites the configuration, without the fields that a layout's does not have.)
            if kind == "oci-archive" {
                assert!(again == std::fs::read(file).expect("the file"));
            }
            store.delete("back").expect("deleted");
        }
    }
    assert!(root.leftovers().is_empty());
}

#[test]
fn the_file_is_the_same_on_two_engines() {
    let Some(engine) = OwnEngine::start() else {
        return;
    };
    let root = Root::new("two-engines");
    let store = root.open_with_base();
    chain(&store);
    let second = root.path.join("second");
    std::fs::create_dir(&second).expect("a folder");
    let mut options = Options::new();
    options.engine(engine.address());
    let there = Store::open(&second, &options).expect("a store");
    for format in FORMATS {
        let here = save(&store, "three", format, Some("app:1"));
        let id = format!("{format:?}").to_lowercase();
        load(&there, &id, &here).expect("loaded");
        let second = save(&there, &id, format, Some("app:1"));
        assert_eq!(digest(&second), digest(&here), "{format:?}");
        assert_ne!(
            digest(&save(&there, &id, format, None)),
            digest(&here),
            "the name is in it"
        );
    }
}

#[test]
fn a_save_or_a_load_that_is_told_to_end_does_and_leaves_nothing() {
    let root = Root::new("told");
    let store = root.open_with_base();
    build(
        &store,
        "base",
        "one",
        "head -c 8000000 /dev/urandom >/large",
    );
    let whole = save(&store, "one", ImageFormat::Oci, None);
    // A writer that fails; the error is its own.
    struct Full(usize);
    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            match self.0.checked_sub(bytes.len()) {
                Some(left) => {
                    self.0 = left;
                    Ok(bytes.len())
                }
                None => Err(std::io::ErrorKind::StorageFull.into()),
            }
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    for room in [0, 700, 1 << 20] {
        let full = store.save(
            "one",
            ImageFormat::Oci,
            None,
            &mut Full(room),
            &Limits::none(),
        );
        assert_eq!(full.expect_err("no room").kind(), ErrorKind::Io);
    }
    // A cancel during the write; a deadline before it.
    let cancel = docker_store::Cancel::new();
    struct Cancels<'a>(&'a docker_store::Cancel, usize);
    impl Write for Cancels<'_> {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.1 += bytes.len();
            if self.1 > 1 << 20 {
                self.0.cancel();
            }
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut file = Cancels(&cancel, 0);
    let limits = Limits::none().cancel(&cancel);
    let ended = store
        .save("one", ImageFormat::Oci, None, &mut file, &limits)
        .expect_err("cancelled");
    assert_eq!(ended.kind(), ErrorKind::Cancelled, "{ended}");
    assert!(file.1 < whole.len());
    let ended = store
        .load("two", &mut whole.as_slice(), &mut |_| Ok(()), &limits)
        .expect_err("cancelled");
    assert_eq!(ended.kind(), ErrorKind::Cancelled, "{ended}");
    let ended = store.load(
        "two",
        &mut whole.as_slice(),
        &mut |so_far| match so_far.current > 1 << 20 {
            true => Err(docker_store::Error::new(ErrorKind::Callback, "enough")),
            false => Ok(()),
        },
        &Limits::none(),
    );
    assert_eq!(ended.expect_err("ended").kind(), ErrorKind::Callback);
    assert!(!store.result("two").expect("a look"));
    assert_eq!(load(&store, "two", &whole).expect("loaded"), Outcome::Built);
    let missing = store.save(
        "none",
        ImageFormat::Oci,
        None,
        &mut Vec::new(),
        &Limits::none(),
    );
    assert_eq!(missing.expect_err("no result").kind(), ErrorKind::NotFound);
    common::until("what was cut off is gone", || root.leftovers().is_empty());
    assert!(spooled(&root.path).is_empty());
}

#[test]
fn a_result_of_nothing_and_one_with_a_layer_twice_are_files_too() {
    let root = Root::new("odd");
    let store = root.open();
    if let docker_store::Begun::Step(step) =
        store.begin(None, "empty", &Limits::none()).expect("begun")
    {
        step.commit().expect("a commit");
    }
    import_base(&store, "base");
    for (id, base, script) in [
        ("a", "base", "echo x >/x; touch -d @0 /x /"),
        ("b", "a", "rm /x; touch -d @0 /"),
        ("c", "b", "echo x >/x; touch -d @0 /x /"),
    ] {
        build(&store, base, id, script);
    }
    // As the engine itself writes it: an older Docker with a link in place of a layer that it has written before.
    let own = root.path.join("own.tar");
    docker(&["save", "-o", own.to_str().expect("text"), &root.image("c")]);
    let own = std::fs::read(own).expect("saved");
    load(&store, "own", &own).expect("loaded");
    assert!(
        save(&store, "own", ImageFormat::Oci, None) == save(&store, "c", ImageFormat::Oci, None)
    );
    for id in ["empty", "c"] {
        for format in FORMATS {
            let file = save(&store, id, format, None);
            let copy = format!("{id}-{format:?}").to_lowercase();
            load(&store, &copy, &file).unwrap_or_else(|e| panic!("{copy}: {e}"));
            assert!(save(&store, &copy, format, None) == file, "{copy}");
            if image_store() == ImageStore::Docker {
                assert_eq!(id_of(&root.image(&copy)), id_of(&root.image(id)));
            }
        }
    }
}
