//! Writing: temporary folder → files → fsync → rename → fsync of the run's folder.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    process,
};

use super::{EMA, FileEntry, MANIFEST, Manifest, OPTIM, STATE, Snapshot, WEIGHTS, folder, tensors};
use crate::{
    error::{Error, IoContext, Result},
    track::atomic,
};

/// Writes `snapshot` to `run/step-<step>` and names it in `run/latest`; returns the folder.
///
/// A checkpoint of the same step is replaced.
///
/// # Errors
/// Any I/O failure, a full disk by name. What was written of it is removed; older checkpoints are untouched.
pub fn save(run: &Path, snapshot: &Snapshot) -> Result<PathBuf> {
    tensors::require_f32(&snapshot.weights)?;
    snapshot.ema.as_ref().map_or(Ok(()), tensors::require_f32)?;
    fs::create_dir_all(run).io("create", run)?;
    folder::recover(run)?;
    let step = snapshot.state.step;
    let staged = folder::temporary(run, "tmp", step);
    let published = stage(&staged, snapshot).and_then(|()| publish(run, &staged, step));
    if published.is_err() {
        let _ = fs::remove_dir_all(&staged);
    }
    let path = published?;
    atomic::write(&run.join("latest"), format!("{}\n", folder::folder_name(step)).as_bytes())?;
    Ok(path)
}

/// Writes and flushes a whole checkpoint under a name that nothing reads.
pub(super) fn stage(folder: &Path, snapshot: &Snapshot) -> Result<()> {
    // Our own leftover, where a restarted container gives out the same process id.
    if folder.try_exists().io("read", folder)? {
        fs::remove_dir_all(folder).io("remove", folder)?;
    }
    fs::create_dir(folder).io("create", folder)?;
    let step = snapshot.state.step;
    let mut files = BTreeMap::new();
    let mut write = |name: &str, fill: &dyn Fn(&mut Hashed<File>) -> io::Result<()>| {
        files.insert(name.to_owned(), write_file(&folder.join(name), fill)?);
        Ok::<_, Error>(())
    };
    write(WEIGHTS, &|out| tensors::write(out, &snapshot.weights, step))?;
    write(OPTIM, &|out| tensors::write(out, &snapshot.optim, step))?;
    if let Some(ema) = &snapshot.ema {
        write(EMA, &|out| tensors::write(out, ema, step))?;
    }
    let state = serde_json::to_string_pretty(&snapshot.state)
        .map_err(|e| Error::failed(format!("cannot write the state of step {step}: {e}")))?;
    write(STATE, &|out| writeln!(out, "{state}"))?;
    let manifest = Manifest::new(step, files).text();
    write_file(&folder.join(MANIFEST), &|out| out.write_all(manifest.as_bytes()))?;
    atomic::sync_folder(folder)
}

fn publish(run: &Path, staged: &Path, step: u64) -> Result<PathBuf> {
    let path = run.join(folder::folder_name(step));
    let old = folder::temporary(run, "old", step);
    let replaces = path.try_exists().io("read", &path)?;
    if replaces {
        fs::rename(&path, &old).io("move", &path)?;
    }
    if let Err(e) = fs::rename(staged, &path) {
        if replaces {
            let _ = fs::rename(&old, &path);
        }
        return Err(e).io("create", &path);
    }
    atomic::sync_folder(run)?;
    if replaces {
        fs::remove_dir_all(&old).io("remove", &old)?;
    }
    Ok(path)
}

fn write_file(path: &Path, fill: &dyn Fn(&mut Hashed<File>) -> io::Result<()>) -> Result<FileEntry> {
    let file = File::create(path).io("create", path)?;
    let mut out = Hashed { out: BufWriter::with_capacity(1 << 20, file), hasher: blake3::Hasher::new(), bytes: 0 };
    fill(&mut out).and_then(|()| out.flush()).and_then(|()| out.out.get_ref().sync_all()).io("write", path)?;
    Ok(FileEntry { bytes: out.bytes, blake3: out.hasher.finalize().to_hex().to_string() })
}

/// Counts and hashes what passes through, so that a file is never read back to be summed.
struct Hashed<W: Write> {
    out: BufWriter<W>,
    hasher: blake3::Hasher,
    bytes: u64,
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.hasher.update(bytes.get(..written).unwrap_or(bytes));
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Whether another process of this id runs here; an id that was given out again counts as running.
pub fn alive(pid: u32) -> bool {
    use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};
    let pid = Pid::from_u32(pid);
    pid.as_u32() != process::id()
        && System::new().refresh_processes_specifics(
            ProcessesToUpdate::Some(&[pid]),
            false,
            ProcessRefreshKind::nothing(),
        ) > 0
}
