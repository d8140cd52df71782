//! Loading: an image's file of any kind, converted while it passes to the form that every engine accepts.
//!
//! A docker archive itself contains the names of its images, and an engine obeys: it would take the names from other images.
//! And Docker with graph drivers accepts no layout without a `manifest.json`. So the lists of images in the file are held back.
//! At the end, one list is written that contains one image, with the caller's name. Everything else passes unchanged.
//!
//! A file is complete when its end marker was read, and every part that its lists name. No list is sent before that, and
//! without a list an engine has nothing to load.

use std::collections::HashMap;
use std::io::{self, Read};

use serde_json::{Map, Value};
use tar::EntryType;

use crate::error::{Error, ErrorKind, Result};
use crate::store::gunzip::{Gunzip, MAGIC};
use crate::store::image_archive::contents::Contents;
use crate::store::image_archive::parts::{self, BLOB_MAX, BLOBS_MAX};
use crate::store::tar_entry::padding;

/// The lists of images, which are held back.
const LISTS: [&str; 4] = ["manifest.json", "repositories", "index.json", "oci-layout"];

/// The maximum depth of indexes that contain indexes. Tools write one or two levels. A file that is deeper, or refers to
/// itself, must not be followed forever.
const DEPTH: u32 = 3;

/// The platform of an engine: of several images in a layout, the one for it is loaded.
#[derive(Clone, Debug, Default)]
pub(crate) struct Platform {
    pub(crate) os: String,
    pub(crate) architecture: String,
}

/// The description of an image in a file.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Described {
    /// Its layers, by the digests of their contents.
    pub(crate) layers: Vec<String>,
    /// The part of its configuration that matters at run time.
    pub(crate) config: Map<String, Value>,
    /// The paths of its parts in the file: its configuration, and its layers.
    paths: (String, Vec<String>),
}

/// Returns the part of a configuration that matters at run time. Engines show the rest in different ways.
pub(crate) fn meaning(config: Option<&Map<String, Value>>) -> Map<String, Value> {
    const FIELDS: [&str; 12] = [
        "Cmd",
        "Entrypoint",
        "Env",
        "ExposedPorts",
        "Healthcheck",
        "Labels",
        "OnBuild",
        "Shell",
        "StopSignal",
        "User",
        "Volumes",
        "WorkingDir",
    ];
    let mut config = config.cloned().unwrap_or_default();
    config.retain(|field, _| FIELDS.contains(&field.as_str()));
    config
}

/// Returns the name that images use for a kernel's name of an architecture.
pub(crate) fn architecture(machine: &str) -> &str {
    match machine {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "i386" | "i686" => "386",
        "armv6l" | "armv7l" => "arm",
        other => other,
    }
}

/// Returns a stream, decompressed if it is a gzip stream.
pub(crate) fn unpacked<'a>(source: &'a mut dyn Read) -> io::Result<Box<dyn Read + 'a>> {
    let mut first = Vec::new();
    source.take(6).read_to_end(&mut first)?;
    for (magic, packer) in [
        (&b"BZh"[..], "bzip2"),
        (b"\xfd7zXZ\0", "xz"),
        (b"\x28\xb5\x2f\xfd", "zstd"),
    ] {
        if first.starts_with(magic) {
            let why =
                format!("it is compressed with {packer}, which this library does not support");
            return Err(io::Error::new(io::ErrorKind::Unsupported, why));
        }
    }
    let packed = first.starts_with(&MAGIC);
    let whole = io::Cursor::new(first).chain(source);
    Ok(match packed {
        true => Box::new(Gunzip::new(whole)),
        false => Box::new(whole),
    })
}

/// An image's file as it is sent: it reads as a docker archive of one image called `name`.
pub(crate) struct OneImage<'a, R: Read> {
    entries: tar::Entries<'a, R>,
    name: &'a str,
    platform: Platform,
    now: Now<'a, R>,
    /// Headers, padding and lists to send next.
    out: io::Cursor<Vec<u8>>,
    found: Found,
    image: Option<Described>,
    fault: Option<Error>,
}

/// What is passing now.
enum Now<'a, R: Read> {
    Next,
    /// The content of a file.
    Content(Box<Passing<'a, R>>),
    Ended,
}

/// A file that is passing.
struct Passing<'a, R: Read> {
    entry: tar::Entry<'a, R>,
    path: String,
    /// How many bytes follow it.
    padding: u64,
    contents: Contents,
}

/// What was found in the file.
#[derive(Default)]
struct Found {
    /// The digests of the contents of its files, if they could be computed.
    paths: HashMap<String, Option<String>>,
    /// The targets of links.
    links: HashMap<String, String>,
    /// The small files, which describe images, by name.
    small: HashMap<String, Vec<u8>>,
    /// Their total size in bytes.
    bytes: u64,
}

impl<'a, R: Read> OneImage<'a, R> {
    pub(crate) fn new(entries: tar::Entries<'a, R>, name: &'a str, platform: Platform) -> Self {
        OneImage {
            entries,
            name,
            platform,
            now: Now::Next,
            out: io::Cursor::default(),
            found: Found::default(),
            image: None,
            fault: None,
        }
    }

    /// Returns why the file is not an image's file, if that was found. Not set if the caller's reader has failed.
    pub(crate) fn fault(&mut self) -> Option<Error> {
        self.fault.take()
    }

    /// Returns what the file describes; call it after the end was reached.
    pub(crate) fn image(self) -> Result<Described> {
        self.image.ok_or_else(|| {
            let why = "loading an image: the engine did not read its whole file";
            Error::new(ErrorKind::CutShort, why)
        })
    }

    /// Advances to the next entry.
    fn next(&mut self) -> io::Result<Now<'a, R>> {
        let Some(entry) = self.entries.next() else {
            return self.end();
        };
        let mut entry = entry?;
        let path = normal(&entry.path_bytes());
        let size = entry.size();
        let kind = entry.header().entry_type();
        let is_list = LISTS.contains(&path.as_str());
        if kind.is_file() && (is_list || size <= BLOB_MAX && self.found.bytes + size <= BLOBS_MAX) {
            // Small: it is read completely before any of it passes.
            let mut content = Vec::new();
            (&mut entry).take(BLOB_MAX + 1).read_to_end(&mut content)?;
            if content.len() as u64 > BLOB_MAX {
                return Err(self.wrong(format!("its {path} is too long")));
            }
            if !is_list {
                self.send(&entry, &path, EntryType::Regular, size)?;
                let padding = padding(size);
                let out = self.out.get_mut();
                out.extend_from_slice(&content);
                out.resize(out.len() + padding as usize, 0);
            }
            self.found.keep(path, content);
            return Ok(Now::Next);
        }
        match kind {
            kind if kind.is_file() => {
                self.send(&entry, &path, EntryType::Regular, size)?;
                return Ok(Now::Content(Box::new(Passing {
                    entry,
                    path,
                    padding: padding(size),
                    contents: Contents::default(),
                })));
            }
            EntryType::Symlink | EntryType::Link => {
                self.send(&entry, &path, kind, 0)?;
                if let Some(target) = entry.link_name_bytes() {
                    let target = leads_to(&path, &target, kind);
                    self.found.links.insert(path.clone(), target);
                }
                self.found.paths.insert(path, None);
            }
            EntryType::Directory if !path.is_empty() => self.send(&entry, &path, kind, 0)?,
            // An image's file contains nothing else.
            _ => {}
        }
        Ok(Now::Next)
    }

    /// Sends a header: only with the entry's name and kind.
    fn send(
        &mut self,
        entry: &tar::Entry<'a, R>,
        path: &str,
        kind: EntryType,
        size: u64,
    ) -> io::Result<()> {
        let mut header = parts::file_header(size);
        header.set_entry_type(kind);
        if kind.is_dir() {
            header.set_mode(0o755);
        }
        let mut builder = tar::Builder::new(Vec::new());
        match entry.link_name()? {
            Some(target) if !kind.is_file() => builder.append_link(&mut header, path, target)?,
            // The contents follow as they are read.
            _ => builder.append_data(&mut header, path, io::empty())?,
        }
        // Without the end marker of a complete tar.
        self.out.get_mut().append(builder.get_mut());
        Ok(())
    }

    /// The end of the file was reached: sends the list with the one image.
    fn end(&mut self) -> io::Result<Now<'a, R>> {
        let image = match self.found.image(&self.platform) {
            Ok(image) => image,
            Err(e) => {
                self.fault = Some(e);
                return Err(io::Error::other("it is not an image's file"));
            }
        };
        let (config, layers) = &image.paths;
        let list = parts::docker_manifest(config, layers, Some(self.name));
        let mut header = parts::file_header(list.len() as u64);
        let mut builder = tar::Builder::new(Vec::new());
        builder.append_data(&mut header, "manifest.json", list.as_slice())?;
        self.out.get_mut().append(&mut builder.into_inner()?);
        self.image = Some(image);
        Ok(Now::Ended)
    }

    fn wrong(&mut self, why: String) -> io::Error {
        self.fault = Some(wrong(&why));
        io::Error::other(why)
    }
}

impl<R: Read> Read for OneImage<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.pass(buffer);
        if let Err(e) = &read {
            if e.kind() != io::ErrorKind::Interrupted {
                self.fault.get_or_insert_with(|| unreadable(e));
            }
        }
        read
    }
}

impl<R: Read> OneImage<'_, R> {
    fn pass(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let n = self.out.read(buffer)?;
            if n > 0 || buffer.is_empty() {
                return Ok(n);
            }
            self.out = io::Cursor::default();
            match &mut self.now {
                Now::Ended => return Ok(0),
                Now::Next => self.now = self.next()?,
                Now::Content(passing) => {
                    let n = passing.entry.read(buffer)?;
                    if n > 0 {
                        passing.contents.take(&buffer[..n]);
                        return Ok(n);
                    }
                    if let Now::Content(passing) = std::mem::replace(&mut self.now, Now::Next) {
                        self.out.get_mut().resize(passing.padding as usize, 0);
                        let digest = passing.contents.digest();
                        self.found.paths.insert(passing.path, digest);
                    }
                }
            }
        }
    }
}

impl Found {
    fn keep(&mut self, path: String, content: Vec<u8>) {
        self.paths.insert(path.clone(), Contents::of(&content));
        let first = content.first();
        if first == Some(&b'{') || first == Some(&b'[') {
            self.bytes += content.len() as u64;
            self.small.insert(path, content);
        }
    }

    /// Returns the digest of a file's contents, if it could be computed; also through a link, as for a layer that an image has
    /// twice.
    fn digest(&self, path: &str) -> Option<&str> {
        let path = self.links.get(path).map_or(path, String::as_str);
        self.paths.get(path)?.as_deref()
    }

    /// Returns the one image in the file.
    fn image(&self, platform: &Platform) -> Result<Described> {
        let (config, layers) = if self.paths.contains_key("manifest.json") {
            self.in_archive()?
        } else if self.paths.contains_key("oci-layout") && self.paths.contains_key("index.json") {
            self.in_layout(platform)?
        } else {
            return Err(wrong(
                "it has no manifest.json of a docker archive, and no oci-layout with an index.json",
            ));
        };
        let missing = |path: &&String| !self.paths.contains_key(*path);
        if let Some(layer) = layers.iter().find(missing) {
            return Err(incomplete(&format!("its layer {layer}")));
        }
        let record = self.value(&config)?;
        let ids = texts(&record["rootfs"]["diff_ids"]);
        let ids = ids.ok_or_else(|| wrong("its configuration names no layers"))?;
        if ids.len() != layers.len() {
            return Err(wrong(&format!(
                "its configuration is of {} layers, and its list of {}",
                ids.len(),
                layers.len()
            )));
        }
        // Not every engine compares them: containerd's store does not.
        for (path, id) in layers.iter().zip(&ids) {
            if let Some(digest) = self.digest(path).filter(|digest| digest != id) {
                let why = format!("its layer {path} is {digest}, and its configuration says {id}");
                return Err(wrong(&why));
            }
        }
        Ok(Described {
            layers: ids,
            config: meaning(record["config"].as_object()),
            paths: (config, layers),
        })
    }

    /// Returns the paths of the image's parts in a docker archive.
    fn in_archive(&self) -> Result<(String, Vec<String>)> {
        let list = self.value("manifest.json")?;
        let images = list.as_array().map_or(&[][..], Vec::as_slice);
        let [image] = images else {
            let why = format!("it is of {} images; save one alone", images.len());
            return Err(wrong(&why));
        };
        let config = image["Config"].as_str();
        let parts = config.zip(texts(&image["Layers"]).or_else(|| Some(Vec::new())));
        let (config, layers) = parts.ok_or_else(|| wrong("its list names no configuration"))?;
        let layers = layers.iter().map(|path| normal(path.as_bytes()));
        Ok((normal(config.as_bytes()), layers.collect()))
    }

    /// Returns the paths of the image's parts in a layout.
    fn in_layout(&self, platform: &Platform) -> Result<(String, Vec<String>)> {
        let mut manifests = Vec::new();
        self.listed("index.json", DEPTH, &mut manifests)?;
        let fits = |of: &Value| {
            let is = |field: &str, ours: &str| of["platform"][field] == ours;
            is("os", &platform.os) && is("architecture", &platform.architecture)
        };
        let fitting: Vec<&Value> = manifests.iter().filter(|of| fits(of)).collect();
        let listed = match (manifests.as_slice(), fitting.as_slice()) {
            ([one], _) => one,
            (_, [one]) => *one,
            _ => {
                let Platform { os, architecture } = platform;
                let why = format!(
                    "it is of {} images, and {} of them are for {os}/{architecture}",
                    manifests.len(),
                    fitting.len()
                );
                return Err(wrong(&why));
            }
        };
        let manifest = self.described(listed)?;
        let config = &manifest["config"];
        self.described(config)?;
        let layers = manifest["layers"].as_array().into_iter().flatten();
        let layers = layers.map(|layer| Ok(parts::blob(digest_of(layer)?)));
        Ok((
            parts::blob(digest_of(config)?),
            layers.collect::<Result<_>>()?,
        ))
    }

    /// Returns the descriptors of the images that an index lists, including nested indexes.
    fn listed(&self, path: &str, depth: u32, all: &mut Vec<Value>) -> Result<()> {
        let index = self.value(path)?;
        for listed in index["manifests"].as_array().into_iter().flatten() {
            let kind = listed["mediaType"].as_str().unwrap_or_default();
            // An attestation of how an image was built is listed as an image of an unknown platform.
            if listed["platform"]["os"] == "unknown" {
                continue;
            }
            if kind.contains("index") || kind.contains("manifest.list") {
                self.described(listed)?;
                let depth = depth.checked_sub(1);
                let depth = depth.ok_or_else(|| wrong("its index has no end"))?;
                self.listed(&parts::blob(digest_of(listed)?), depth, all)?;
            } else {
                all.push(listed.clone());
            }
        }
        Ok(())
    }

    /// Returns the blob of a descriptor, after comparing it with its digest.
    fn described(&self, described: &Value) -> Result<Value> {
        let digest = digest_of(described)?;
        let path = parts::blob(digest);
        let value = self.value(&path)?;
        let content = self.small.get(&path).map(Vec::as_slice);
        let is_it = !digest.starts_with("sha256:")
            || content.is_some_and(|content| parts::digest(content) == digest);
        match is_it {
            true => Ok(value),
            false => Err(wrong(&format!("{path} does not match its digest"))),
        }
    }

    fn value(&self, path: &str) -> Result<Value> {
        let content = self.small.get(path);
        let content = match (content, self.paths.contains_key(path)) {
            (Some(content), _) => content,
            (None, true) => return Err(wrong(&format!("its {path} is not JSON"))),
            (None, false) => return Err(incomplete(path)),
        };
        serde_json::from_slice(content).map_err(|e| wrong(&format!("its {path}: {e}")))
    }
}

/// Returns the path that a link leads to: a symbolic link is relative to its own directory.
fn leads_to(link: &str, target: &[u8], kind: EntryType) -> String {
    let target = normal(target);
    if kind == EntryType::Link {
        return target;
    }
    let mut names: Vec<&str> = link.split('/').collect();
    names.pop();
    for name in target.split('/') {
        match name {
            "" | "." => {}
            ".." => drop(names.pop()),
            name => names.push(name),
        }
    }
    names.join("/")
}

/// Returns a path in a tar in the form of the lists.
fn normal(path: &[u8]) -> String {
    let path = String::from_utf8_lossy(path);
    let mut rest = path.as_ref();
    while let Some(shorter) = rest.strip_prefix("./") {
        rest = shorter;
    }
    rest.trim_end_matches('/').to_owned()
}

fn texts(list: &Value) -> Option<Vec<String>> {
    let texts = list.as_array()?.iter();
    texts.map(|text| text.as_str().map(str::to_owned)).collect()
}

fn digest_of(described: &Value) -> Result<&str> {
    let digest = described["digest"].as_str();
    digest.ok_or_else(|| wrong("it describes a part without its digest"))
}

/// Returns the error of a file that cannot be decompressed or parsed.
pub(crate) fn unreadable(e: &io::Error) -> Error {
    match e.kind() {
        io::ErrorKind::UnexpectedEof => Error::new(
            ErrorKind::CutShort,
            format!("the image's file is incomplete: {e}"),
        ),
        io::ErrorKind::Unsupported => {
            Error::new(ErrorKind::Unsupported, format!("the image's file: {e}"))
        }
        _ => wrong(&e.to_string()),
    }
}

fn wrong(why: &str) -> Error {
    let why = format!("this is not an image's file that can be loaded: {why}");
    Error::new(ErrorKind::InvalidArgument, why)
}

fn incomplete(part: &str) -> Error {
    let why = format!("the image's file is incomplete: {part} is missing");
    Error::new(ErrorKind::CutShort, why)
}
