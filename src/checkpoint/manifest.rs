//! `manifest.json`: the size and blake3 of every file, and of itself.

use std::{
    collections::BTreeMap,
    fs::File,
    io::Read,
    path::{Component, Path},
};

use serde::{Deserialize, Serialize};

use super::{MANIFEST, MAX_JSON, OPTIM, STATE, WEIGHTS, damaged};
use crate::error::{Error, IoContext, Result};

/// The version of the format that this kiln writes and reads.
const VERSION: u32 = 1;

/// A file of a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileEntry {
    /// Size in bytes.
    pub bytes: u64,
    /// blake3 in hex.
    pub blake3: String,
}

/// What a complete checkpoint holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The format's version.
    pub version: u32,
    /// Optimizer updates done.
    pub step: u64,
    /// By file name.
    pub files: BTreeMap<String, FileEntry>,
    /// blake3 of this manifest with an empty checksum.
    checksum: String,
}

impl Manifest {
    pub(super) fn new(step: u64, files: BTreeMap<String, FileEntry>) -> Self {
        let manifest = Self { version: VERSION, step, files, checksum: String::new() };
        Self { checksum: manifest.hash(), ..manifest }
    }

    /// Bytes of the files that it lists.
    pub fn bytes(&self) -> u64 {
        self.files.values().map(|f| f.bytes).fold(0, u64::saturating_add)
    }

    /// The one text that this manifest has on disk.
    pub(super) fn text(&self) -> String {
        // Strings and integers under string keys always serialise.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }

    fn hash(&self) -> String {
        let blank = Self { checksum: String::new(), ..self.clone() };
        blake3::hash(blank.text().as_bytes()).to_hex().to_string()
    }

    /// Reads the manifest in `dir` and checks it against itself and the files' sizes, without reading them.
    ///
    /// # Errors
    /// There is none, it is damaged, or a file is missing or has another size.
    pub fn read(dir: &Path) -> Result<Self> {
        let path = dir.join(MANIFEST);
        let text = read_small(&path)?;
        let version = serde_json::from_slice::<serde_json::Value>(&text).map_err(|e| damaged(&path, e))?;
        let manifest: Self = serde_json::from_slice(&text).map_err(|e| match version["version"].as_u64() {
            Some(v) if v > u64::from(VERSION) => Error::input(format!(
                "{} has version {v} of the format, this kiln reads version {VERSION}",
                path.display()
            ))
            .next("use a newer kiln"),
            _ => damaged(&path, e),
        })?;
        // A byte that JSON doesn't care for must not pass either.
        if manifest.checksum != manifest.hash() || manifest.text().as_bytes() != text || manifest.version != VERSION {
            return Err(damaged(&path, "its checksum does not match"));
        }
        manifest.check_names(&path)?;
        for (name, entry) in &manifest.files {
            let file = dir.join(name);
            let bytes = file.metadata().io("read", &file)?.len();
            if bytes != entry.bytes {
                return Err(damaged(&file, format!("it has {bytes} bytes, the manifest says {}", entry.bytes)));
            }
        }
        Ok(manifest)
    }

    fn check_names(&self, path: &Path) -> Result<()> {
        let plain = |name: &str| {
            let mut parts = Path::new(name).components();
            matches!((parts.next(), parts.next()), (Some(Component::Normal(part)), None) if part == name)
        };
        if let Some(name) = self.files.keys().find(|name| !plain(name)) {
            return Err(damaged(path, format!("`{name}` is not a plain file name")));
        }
        match [WEIGHTS, OPTIM, STATE].iter().find(|name| !self.files.contains_key(**name)) {
            Some(name) => Err(damaged(path, format!("it does not list {name}"))),
            None => Ok(()),
        }
    }
}

/// Checks every file of the checkpoint in `dir` against its manifest: size and blake3. Reads everything once.
///
/// # Errors
/// No manifest, a missing file, or one that differs; the message names it.
pub fn verify(dir: &Path) -> Result<Manifest> {
    let manifest = Manifest::read(dir)?;
    for (name, entry) in &manifest.files {
        let path = dir.join(name);
        let file = File::open(&path).io("read", &path)?;
        let mut hasher = blake3::Hasher::new();
        // A file that grows while it is read ends here.
        hasher.update_reader(file.take(entry.bytes)).io("read", &path)?;
        if hasher.finalize().to_hex().as_str() != entry.blake3 {
            return Err(damaged(&path, "its blake3 is not the manifest's"));
        }
    }
    Ok(manifest)
}

/// A whole JSON file of at most [`MAX_JSON`] bytes.
pub(super) fn read_small(path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path).and_then(|f| f.take(MAX_JSON + 1).read_to_end(&mut bytes)).io("read", path)?;
    if bytes.len() as u64 > MAX_JSON {
        return Err(damaged(path, format!("it has more than {MAX_JSON} bytes")));
    }
    Ok(bytes)
}
