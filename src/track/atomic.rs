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

/// Writes `bytes` to a new file at `path`, whole or not at all; `false` when there is one already, whoever wrote it.
///
/// Of several processes, on one machine or on many that share the folder, exactly one is told `true`.
///
/// # Errors
/// Any I/O failure; nothing is left of the file then.
pub fn create(path: &Path, bytes: &[u8]) -> Result<bool> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    builder.prefix(".tmp-");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666)); // as the umask has it: others may join
    let mut file = builder.tempfile_in(folder).io("create", path)?;
    file.write_all(bytes).and_then(|()| file.as_file().sync_all()).io("write", path)?;
    match file.persist_noclobber(path) {
        Ok(_) => sync_folder(folder).map(|()| true),
        Err(e) if e.error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(e) => Err(e.error).io("create", path),
    }
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
    fn of_many_who_create_one_wins() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("claim");
        let won = std::thread::scope(|scope| {
            let all: Vec<_> = (0..8)
                .map(|i| {
                    scope.spawn({
                        let path = &path;
                        move || create(path, &[i]).unwrap().then_some(i)
                    })
                })
                .collect();
            all.into_iter().filter_map(|one| one.join().unwrap()).collect::<Vec<u8>>()
        });
        assert_eq!(won.len(), 1);
        assert_eq!(fs::read(&path).unwrap(), won);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file is left");
    }

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
