//! Files that are there whole or not at all, whatever moment the machine stops at.

use std::{
    ffi::OsString,
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use crate::error::{IoContext, Result};

/// Writes `bytes` to `path`: temporary file beside it, fsync, rename, fsync of the folder.
///
/// # Errors
/// Any I/O failure; the file at `path` is then the old one, and the temporary file is gone.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    replace(path, |file| file.write_all(bytes))
}

/// As [`write`], with the content coming from `fill`.
///
/// # Errors
/// As [`write`].
pub fn replace(path: &Path, fill: impl FnOnce(&mut File) -> io::Result<()>) -> Result<()> {
    let temporary = sibling(path);
    let filled = File::create(&temporary).and_then(|mut file| {
        fill(&mut file)?;
        file.sync_all()
    });
    if let Err(e) = filled.and_then(|()| fs::rename(&temporary, path)) {
        let _ = fs::remove_file(&temporary);
        return Err(e).io("write", path);
    }
    sync_folder(path.parent().unwrap_or(Path::new(".")))
}

/// Makes the names in `folder` durable; a rename survives a power cut only after this.
///
/// # Errors
/// The folder can't be opened or flushed.
pub fn sync_folder(folder: &Path) -> Result<()> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    if cfg!(windows) {
        return Ok(()); // a folder is no file there
    }
    File::open(folder).and_then(|f| f.sync_all()).io("flush", folder)
}

fn sibling(path: &Path) -> PathBuf {
    let mut name = OsString::from(".tmp-");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!("-{}", std::process::id()));
    path.with_file_name(name)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn replaces_whole_or_leaves_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("best");
        write(&path, b"old").unwrap();
        let failed = replace(&path, |file| {
            file.write_all(b"ne")?;
            Err(io::ErrorKind::StorageFull.into())
        });
        assert!(failed.unwrap_err().to_string().contains("the disk is full"));
        assert_eq!(fs::read(&path).unwrap(), b"old");
        write(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file is left");
    }
}
