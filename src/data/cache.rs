//! The cache of prepared data: one folder a fingerprint, complete or invisible.

use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use super::Split;
use crate::error::{Error, IoContext, Result};

/// A file younger than this may change again within the same tick of its clock, so its hash isn't remembered.
const SETTLED: Duration = Duration::from_secs(3);

/// Where everything that kiln downloads and prepares lies: `configured`, else `$KILN_CACHE`, else `kiln` in the user's
/// cache folder.
///
/// # Errors
/// No folder is configured and the user has no home folder.
pub fn root(configured: Option<&Path>) -> Result<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    configured
        .map(Path::to_owned)
        .or_else(|| set("KILN_CACHE"))
        .or_else(|| set("XDG_CACHE_HOME").filter(|p| p.is_absolute()).map(|p| p.join("kiln")))
        .or_else(|| std::env::home_dir().filter(|p| p.is_absolute()).map(|p| p.join(".cache").join("kiln")))
        .ok_or_else(|| {
            Error::input("there is no folder for prepared data: neither KILN_CACHE nor HOME is set")
                .next("set `data.cache` or the environment variable KILN_CACHE")
        })
}

/// A split's shard within a prepared folder.
pub(super) fn shard_path(folder: &Path, split: Split) -> PathBuf {
    folder.join(split.name()).with_extension("shard")
}

/// Where the data with this fingerprint lies, if it is there.
pub(super) fn folder(root: &Path, fingerprint: &str) -> PathBuf {
    root.join("prepared").join(fingerprint)
}

/// The folder of the data with this fingerprint: opened by `open` if it is there and whole, else built by `build` in
/// a temporary sibling, synced, and renamed. Processes that want the same data wait for the first one.
///
/// # Errors
/// Those of `build`, of `open` on what was just built, and of the file system.
pub(super) fn entry<T>(
    root: &Path,
    fingerprint: &str,
    progress: &dyn Fn(&str),
    open: impl Fn(&Path) -> Result<T>,
    build: impl FnOnce(&Path) -> Result<()>,
) -> Result<T> {
    let parent = root.join("prepared");
    let folder = folder(root, fingerprint);
    fs::create_dir_all(&parent).io("create", &parent)?;
    let _lock = lock(&parent.join(format!("{fingerprint}.lock")), progress)?;
    if folder.is_dir() {
        match complete(&folder).and_then(|()| open(&folder)) {
            Ok(found) => return Ok(found),
            Err(error) => progress(&format!("{}: {}; preparing it again", folder.display(), error.message())),
        }
    }
    // Under the lock, so whatever lies there was left by a process that died.
    let staging = parent.join(format!("{fingerprint}.tmp"));
    remove(&staging)?;
    fs::create_dir(&staging).io("create", &staging)?;
    if let Err(error) = build(&staging).and_then(|()| seal(&staging)) {
        // The first error is the one to tell; what could not be removed now goes next time.
        let _ = fs::remove_dir_all(&staging);
        return Err(error);
    }
    remove(&folder)?;
    fs::rename(&staging, &folder).io("rename", &staging)?;
    sync(&parent)?;
    open(&folder)
}

/// Holds a file until it is dropped; who comes second waits.
pub(super) fn lock(path: &Path, progress: &dyn Fn(&str)) -> Result<File> {
    let file = File::options().create(true).append(true).open(path).io("create", path)?;
    if file.try_lock().is_err() {
        progress("another process prepares this data; waiting for it");
        file.lock().io("lock", path)?;
    }
    Ok(file)
}

fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::io("remove", folder, e)),
        _ => Ok(()),
    }
}

/// The last file that a build writes; it lists the others with their sizes.
const SEAL: &str = "complete.json";

/// Syncs every file, then writes the seal.
fn seal(folder: &Path) -> Result<()> {
    let mut sizes = std::collections::BTreeMap::new();
    for entry in fs::read_dir(folder).io("list", folder)? {
        let entry = entry.io("list", folder)?;
        let path = entry.path();
        sync(&path)?;
        sizes.insert(entry.file_name().to_string_lossy().into_owned(), fs::metadata(&path).io("read", &path)?.len());
    }
    let path = folder.join(SEAL);
    let text = serde_json::to_vec(&sizes).map_err(|e| Error::failed(e.to_string()))?;
    fs::write(&path, text).io("write", &path)?;
    sync(&path)?;
    sync(folder)
}

/// Checks that every sealed file is there with its size.
fn complete(folder: &Path) -> Result<()> {
    let torn = |why: &str| Error::input(format!("the prepared data is incomplete ({why})"));
    let path = folder.join(SEAL);
    let text = fs::read(&path).io("read", &path)?;
    let sizes: std::collections::BTreeMap<String, u64> =
        serde_json::from_slice(&text).map_err(|_| torn("its list of files is damaged"))?;
    for (name, size) in sizes {
        if fs::metadata(folder.join(&name)).ok().map(|m| m.len()) != Some(size) {
            return Err(torn(&format!("{name} is missing or cut short")));
        }
    }
    Ok(())
}

fn sync(path: &Path) -> Result<()> {
    File::open(path).io("open", path)?.sync_all().io("sync", path)
}

/// A hash of the files' contents, in order, and of `names` beside them where the name matters; never of where they lie.
///
/// The result is remembered under the files' paths, sizes and times, so an unchanged corpus isn't read again.
pub(super) fn contents(root: &Path, files: &[PathBuf], names: &[String]) -> Result<String> {
    let mut key = blake3::Hasher::new();
    let mut newest = SystemTime::UNIX_EPOCH;
    for path in files {
        let meta = fs::metadata(path).io("read", path)?;
        let modified = meta.modified().unwrap_or(SystemTime::now());
        newest = newest.max(modified);
        let time = modified.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let path = std::path::absolute(path).io("resolve", path)?;
        part(&mut key, path.as_os_str().as_encoded_bytes());
        part(&mut key, &meta.len().to_le_bytes());
        part(&mut key, &time.as_nanos().to_le_bytes());
    }
    names.iter().for_each(|name| part(&mut key, name.as_bytes()));
    let memo = root.join("hashes").join(key.finalize().to_hex().as_str());
    let known = fs::read_to_string(&memo).ok().filter(|h| h.len() == 64 && h.bytes().all(|b| b.is_ascii_hexdigit()));
    if let Some(known) = known {
        return Ok(known);
    }
    let hash = hash(files, names)?;
    if newest.elapsed().is_ok_and(|age| age > SETTLED) {
        remember(&memo, &hash)?;
    }
    Ok(hash)
}

fn hash(files: &[PathBuf], names: &[String]) -> Result<String> {
    let mut all = blake3::Hasher::new();
    for (i, path) in files.iter().enumerate() {
        let mut one = blake3::Hasher::new();
        one.update_reader(File::open(path).io("open", path)?).io("read", path)?;
        part(&mut all, one.finalize().as_bytes());
        part(&mut all, names.get(i).map_or(&[], |name| name.as_bytes()));
    }
    Ok(all.finalize().to_hex().to_string())
}

/// A length before each part, so that no two lists of parts make the same bytes.
fn part(hasher: &mut blake3::Hasher, bytes: &[u8]) {
    hasher.update(&(bytes.len() as u64).to_le_bytes()).update(bytes);
}

fn remember(memo: &Path, hash: &str) -> Result<()> {
    let folder = memo.parent().unwrap_or(memo);
    fs::create_dir_all(folder).io("create", folder)?;
    let mut file = tempfile::NamedTempFile::new_in(folder).io("create", folder)?;
    file.write_all(hash.as_bytes()).io("write", memo)?;
    file.persist(memo).map_err(|e| Error::io("write", memo, e.error))?;
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
