//! Saving: the engine's own file of an image, converted to one form while it passes.
//!
//! Engines write different files. Docker before version 25 puts layers into directories whose names appear in no other
//! response; later versions write a layout; with containerd's store layers may be compressed; Podman writes the layers in
//! order. All of them contain each layer's bytes and the configuration's, which the image's id is derived from. So only these
//! are used:
//!
//! - layers, uncompressed, each once, in the order of their digests (Docker's own order since version 25), each compared with
//!   its digest in the image's configuration;
//! - then the configuration, byte for byte; then a manifest derived from the two; no times, no owners, keys in order.
//!
//! A layer that comes out of order is kept in a file on the root's disk, and not in memory.

use std::collections::{BTreeSet, HashMap};
use std::io::{self, Read, Write};

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::engine::images::{Image, must_exist};
use crate::engine::stopped;
use crate::error::{Error, ErrorKind, Result};
use crate::store::bounds::record;
use crate::store::gunzip::{Gunzip, MAGIC};
use crate::store::image_archive::ImageFormat;
use crate::store::image_archive::parts::{self, BLOB_MAX, BLOBS_MAX, CONFIG, LAYER};
use crate::store::image_archive::spool::Spool;
use crate::store::names::hex;
use crate::store::pax::BLOCK;
use crate::store::reference::Reference;
use crate::store::site::Site;
use crate::store::tar_entry::padding;
use crate::wait::{Limits, Wait};

/// The buffer size for copying. It is the same as for other tar streams.
const PIECE: usize = 256 << 10;

/// See [`Store::save`](crate::Store::save).
pub(crate) fn save(
    site: &Site,
    id: &str,
    format: ImageFormat,
    name: Option<&str>,
    file: &mut dyn Write,
    limits: &Limits,
) -> Result<u64> {
    site.check_open("saving a result")?;
    let id = site.names.id(id)?;
    let name = name.map(Reference::of_callers).transpose()?;
    let wait = limits.wait();
    let reference = site.names.image(&id);
    let image = site.engine.inspect_image(&reference, wait)?;
    let image = image.ok_or_else(|| must_exist(&format!("the result {:?}", id.as_str())))?;
    record::mark(site, &id, wait)?;
    let doing = format!("saving the result {:?}", id.as_str());
    // By id, so that the file is of the image that was checked.
    let mut source = site.engine.save_image(&image.id, wait)?;
    let mut saving = Saving {
        site,
        wait,
        doing: &doing,
        format,
        wanted: image.root_fs.layers.iter().map(String::as_str).collect(),
        early: HashMap::new(),
        sizes: HashMap::new(),
        small: Vec::new(),
        left: BLOBS_MAX,
        out: Out { file, bytes: 0 },
    };
    let taken = saving.take(&mut source);
    // If both failed, the engine's error is the cause.
    if let (Err(_), Some(why)) = (&taken, source.why()) {
        return Err(why);
    }
    taken?;
    saving.finish(&image, name.as_ref().map(Reference::text).as_deref())?;
    Ok(saving.out.bytes)
}

struct Saving<'a> {
    site: &'a Site,
    wait: Wait<'a>,
    doing: &'a str,
    format: ImageFormat,
    /// The layers that have not been written yet. The first of them is next.
    wanted: BTreeSet<&'a str>,
    /// Layers that came out of order.
    early: HashMap<String, Kept>,
    /// The size of each layer that was written.
    sizes: HashMap<String, u64>,
    /// What may be the configuration, with its name in the engine's file.
    small: Vec<(String, Vec<u8>)>,
    /// How many more bytes of such files are allowed.
    left: u64,
    out: Out<'a>,
}

/// The contents of one of the engine's files.
enum Kept {
    Memory(Vec<u8>),
    File(Spool),
}

impl Saving<'_> {
    /// Reads the engine's file, and writes the layers.
    fn take(&mut self, source: &mut dyn Read) -> Result<()> {
        let doing = self.doing;
        let unreadable = |e: io::Error| {
            let why = format!("{doing}: the engine's file of it cannot be read: {e}");
            Error::new(ErrorKind::Engine, why)
        };
        let mut archive = tar::Archive::new(&mut *source);
        for entry in archive.entries().map_err(unreadable)? {
            let mut entry = entry.map_err(unreadable)?;
            if !entry.header().entry_type().is_file() {
                continue;
            }
            let path = entry.path().map_err(unreadable)?;
            let path = path.to_string_lossy().into_owned();
            let size = entry.size();
            match self.wanted.first().copied() {
                // Named by its digest, because it is not compressed, and in order: it is passed through.
                Some(next) if digest_in(&path).as_deref() == Some(next) => {
                    let next = next.to_owned();
                    let digest = self.pass(&next, size, &mut entry)?;
                    if digest != next {
                        return Err(self.broken(format!("what it calls {path} is {digest}")));
                    }
                    self.wanted.remove(next.as_str());
                }
                Some(_) => self.keep(path, size, &mut entry)?,
                // Only the configuration is missing.
                None if size <= BLOB_MAX => self.keep(path, size, &mut entry)?,
                None => {}
            }
            self.write_early()?;
        }
        // Reads what follows the end marker, so that the connection can be reused.
        io::copy(source, &mut io::sink()).map_err(|e| self.broken(e.to_string()))?;
        match self.wanted.first() {
            None => Ok(()),
            Some(missing) => {
                let why = format!("{}: the layer {missing} is not in its file", self.doing);
                Err(Error::new(ErrorKind::CutShort, why))
            }
        }
    }

    /// Keeps a file if it is a layer or may be the configuration. Its digest, known once it is read, tells which.
    fn keep(&mut self, path: String, size: u64, entry: &mut dyn Read) -> Result<()> {
        let mut first = [0; 4];
        let n = read_up_to(entry, &mut first).map_err(|e| self.broken(e.to_string()))?;
        let first = &first[..n];
        if first == b"\x28\xb5\x2f\xfd" {
            let why = format!(
                "{}: its layer {path} is compressed with zstd, which this library does not support",
                self.doing
            );
            return Err(Error::new(ErrorKind::Unsupported, why));
        }
        let packed = first.starts_with(&MAGIC);
        let mut whole = first.chain(entry);
        let (kept, digest) = match packed {
            true => self.read(&mut Gunzip::new(&mut whole), u64::MAX)?,
            false => self.read(&mut whole, size)?,
        };
        if self.wanted.contains(digest.as_str()) {
            self.early.insert(digest, kept);
            return Ok(());
        }
        if let Kept::Memory(bytes) = kept {
            if bytes.first() == Some(&b'{') || bytes.first() == Some(&b'[') {
                let left = self.left.checked_sub(bytes.len() as u64);
                let too_many = "there are too many descriptions in it";
                self.left = left.ok_or_else(|| self.broken(too_many.into()))?;
                self.small.push((path, bytes));
            }
        }
        Ok(())
    }

    /// Reads all of it, a small file into memory and a large one into a file; also returns its digest.
    fn read(&self, source: &mut dyn Read, size: u64) -> Result<(Kept, String)> {
        let mut hash = Sha256::new();
        let (mut memory, mut spool) = (Vec::new(), None);
        let mut buffer = vec![0; PIECE];
        if size > BLOB_MAX {
            spool = Some(self.spool()?);
        }
        loop {
            self.go_on()?;
            let n = source.read(&mut buffer);
            let n = n.map_err(|e| self.broken(e.to_string()))?;
            if n == 0 {
                break;
            }
            hash.update(&buffer[..n]);
            let spool = match &mut spool {
                Some(spool) => spool,
                none if memory.len() + n > BLOB_MAX as usize => {
                    let mut new = self.spool()?;
                    let moved = std::mem::take(&mut memory);
                    new.write_all(&moved).map_err(|e| self.unkept(&e))?;
                    none.insert(new)
                }
                _ => {
                    memory.extend_from_slice(&buffer[..n]);
                    continue;
                }
            };
            spool.write_all(&buffer[..n]).map_err(|e| self.unkept(&e))?;
        }
        let digest = format!("sha256:{}", hex(&hash.finalize()));
        Ok((spool.map_or(Kept::Memory(memory), Kept::File), digest))
    }

    fn spool(&self) -> Result<Spool> {
        let name = format!("spool-{}", self.site.session.unique());
        Spool::new(&self.site.paths.own().join(name)).map_err(|e| e.context(self.doing))
    }

    /// Writes the kept layers that are next.
    fn write_early(&mut self) -> Result<()> {
        while let Some(next) = self.wanted.first().map(|next| (*next).to_owned()) {
            match self.early.remove(&next) {
                None => return Ok(()),
                Some(Kept::Memory(bytes)) => {
                    self.pass(&next, bytes.len() as u64, &mut bytes.as_slice())?;
                }
                Some(Kept::File(spool)) => {
                    let length = spool.length();
                    let mut file = spool.rewound().map_err(|e| self.unkept(&e))?;
                    self.pass(&next, length, &mut file)?;
                }
            }
            self.wanted.remove(next.as_str());
        }
        Ok(())
    }

    /// Writes the layer `digest`, of `size` bytes; returns its actual digest.
    fn pass(&mut self, digest: &str, size: u64, source: &mut dyn Read) -> Result<String> {
        let path = match self.format {
            ImageFormat::Docker => docker_layer(digest),
            ImageFormat::Oci => parts::blob(digest),
        };
        self.header(&path, size)?;
        self.sizes.insert(digest.to_owned(), size);
        let mut hash = Sha256::new();
        let mut buffer = vec![0; PIECE];
        let mut left = size;
        while left > 0 {
            self.go_on()?;
            let most = left.min(PIECE as u64) as usize;
            let n = source.read(&mut buffer[..most]);
            let n = n.map_err(|e| self.broken(e.to_string()))?;
            if n == 0 {
                return Err(self.broken(format!("the layer {digest} has no end")));
            }
            hash.update(&buffer[..n]);
            self.out.write(&buffer[..n])?;
            left -= n as u64;
        }
        self.out.pad(size)?;
        Ok(format!("sha256:{}", hex(&hash.finalize())))
    }

    /// Writes what follows the layers.
    fn finish(&mut self, image: &Image, name: Option<&str>) -> Result<()> {
        let layers = &image.root_fs.layers;
        let config = self.config(image)?;
        let digest = parts::digest(&config);
        match self.format {
            ImageFormat::Docker => {
                let path = format!("{}.json", plain(&digest));
                self.file(&path, &config)?;
                let paths: Vec<String> = layers.iter().map(|l| docker_layer(l)).collect();
                self.file(
                    "manifest.json",
                    &parts::docker_manifest(&path, &paths, name),
                )?;
            }
            ImageFormat::Oci => {
                let described = |layer: &String| {
                    let size = self.sizes.get(layer).copied().unwrap_or_default();
                    parts::descriptor(LAYER, layer, size)
                };
                let described: Vec<Value> = layers.iter().map(described).collect();
                let manifest = parts::manifest(&parts::described(CONFIG, &config), &described);
                let index = parts::index(&manifest, name);
                let paths: Vec<String> = layers.iter().map(|layer| parts::blob(layer)).collect();
                let path = parts::blob(&digest);
                self.file(&path, &config)?;
                self.file(&parts::blob(&parts::digest(&manifest)), &manifest)?;
                self.file("index.json", &index)?;
                self.file(
                    "manifest.json",
                    &parts::docker_manifest(&path, &paths, name),
                )?;
                self.file("oci-layout", parts::LAYOUT_FILE)?;
            }
        }
        self.out.write(&[0; 2 * BLOCK])
    }

    /// Returns the image's configuration as the engine stores it: the one with these layers. Its digest is the image's id,
    /// except in containerd's store, which identifies images by manifests; there it must be named in one.
    fn config(&self, image: &Image) -> Result<Vec<u8>> {
        let is_of_layers = |bytes: &[u8]| {
            let value: Option<Value> = serde_json::from_slice(bytes).ok();
            let ids = value.as_ref().map(|value| &value["rootfs"]["diff_ids"]);
            let ids = ids.and_then(Value::as_array).into_iter().flatten();
            let has_layers = ids.eq(image.root_fs.layers.iter());
            has_layers && value.is_some_and(|value| value["rootfs"].is_object())
        };
        let found = self.small.iter().map(|(_, bytes)| bytes);
        let mut found: Vec<_> = found.filter(|bytes| is_of_layers(bytes)).collect();
        let id = plain(&image.id);
        let is_named = |bytes: &[u8]| plain(&parts::digest(bytes)) == id;
        let in_manifest = |bytes: &[u8]| {
            let digest = parts::digest(bytes);
            let manifests = self.small.iter().filter(|(_, manifest)| is_named(manifest));
            manifests
                .filter_map(|(_, manifest)| serde_json::from_slice::<Value>(manifest).ok())
                .any(|manifest| manifest["config"]["digest"] == digest.as_str())
        };
        found.sort_by_cached_key(|bytes| {
            (!is_named(bytes), !in_manifest(bytes), parts::digest(bytes))
        });
        let found = found.first().map(|bytes| bytes.to_vec());
        found.ok_or_else(|| self.broken("its configuration is not in it".into()))
    }

    fn file(&mut self, path: &str, content: &[u8]) -> Result<()> {
        let size = content.len() as u64;
        self.header(path, size)?;
        self.out.write(content)?;
        self.out.pad(size)
    }

    fn header(&mut self, path: &str, size: u64) -> Result<()> {
        let mut header = parts::file_header(size);
        header
            .set_path(path)
            .map_err(|e| Error::io(format!("{}: naming {path}", self.doing), &e))?;
        header.set_cksum();
        self.out.write(header.as_bytes())
    }

    fn go_on(&self) -> Result<()> {
        let left = self.wait.left().map(drop);
        left.map_err(|stop| stopped(&self.doing, stop))
    }

    fn broken(&self, why: String) -> Error {
        let why = format!(
            "{}: the engine's file of it is incomplete: {why}",
            self.doing
        );
        Error::new(ErrorKind::Engine, why)
    }

    fn unkept(&self, e: &io::Error) -> Error {
        Error::io(
            format!("{}: keeping a layer that came out of order", self.doing),
            e,
        )
    }
}

/// The output.
struct Out<'a> {
    file: &'a mut dyn Write,
    bytes: u64,
}

impl Out<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let written = self.file.write_all(bytes);
        written.map_err(|e| Error::io("writing an image's file", &e))?;
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    /// Fills the last block of a file of this size.
    fn pad(&mut self, size: u64) -> Result<()> {
        self.write(&[0; BLOCK][..padding(size) as usize])
    }
}

/// Returns the digest in the name of a file that is named by it.
fn digest_in(path: &str) -> Option<String> {
    let name = match path.strip_prefix("blobs/sha256/") {
        Some(hex) => hex,
        None => path.strip_suffix(".tar")?,
    };
    let is_hex = name.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    (name.len() == 64 && is_hex).then(|| format!("sha256:{name}"))
}

fn docker_layer(digest: &str) -> String {
    format!("{}.tar", plain(digest))
}

/// Returns a digest without its algorithm, as Podman shows ids.
fn plain(digest: &str) -> &str {
    digest.rsplit(':').next().unwrap_or_default()
}

fn read_up_to(source: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match source.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(filled)
}
