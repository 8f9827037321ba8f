//! The run's folder: which checkpoints there are, which are good, and which may go.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::Read,
    path::{Path, PathBuf},
    process,
};

use super::{Manifest, verify, write};
use crate::{
    error::{Error, IoContext, Result},
    track::atomic,
};

/// A complete checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Optimizer updates done.
    pub step: u64,
    /// Its folder.
    pub path: PathBuf,
    /// Size of its files.
    pub bytes: u64,
}

/// `step-00000500`: sorted by name is sorted by step.
pub fn folder_name(step: u64) -> String {
    format!("step-{step:08}")
}

/// The complete checkpoints of `run`, ascending by step; torn and temporary ones are left out.
///
/// Complete means a sound manifest and files of the right sizes; [`verify`] also reads the files.
///
/// # Errors
/// The run's folder can't be read.
pub fn list(run: &Path) -> Result<Vec<Entry>> {
    let complete = |(step, path): (u64, PathBuf)| {
        let manifest = Manifest::read(&path).ok().filter(|m| m.step == step)?;
        Some(Entry { step, path, bytes: manifest.bytes() })
    };
    Ok(steps(run)?.into_iter().filter_map(complete).collect())
}

/// The newest checkpoint of `run` that verifies; each newer one that doesn't is told to `report` and passed over.
///
/// # Errors
/// The run's folder can't be read.
pub fn latest_good(run: &Path, report: &mut dyn FnMut(&Error)) -> Result<Option<PathBuf>> {
    recover(run)?;
    for (step, path) in steps(run)?.into_iter().rev() {
        match good(step, &path) {
            Ok(()) => return Ok(Some(path)),
            Err(error) => report(&error),
        }
    }
    Ok(None)
}

/// Names the checkpoint of `step` as the best one, which [`prune`] keeps.
///
/// # Errors
/// There is no such checkpoint, or `run/best` can't be written.
pub fn mark_best(run: &Path, step: u64) -> Result<()> {
    let path = run.join(folder_name(step));
    Manifest::read(&path).map_err(|e| e.at("the best checkpoint"))?;
    atomic::write(&run.join("best"), format!("{}\n", folder_name(step)).as_bytes())
}

/// The step of the best checkpoint, if one was named and is still there.
///
/// # Errors
/// `run/best` can't be read or names no step.
pub fn best(run: &Path) -> Result<Option<u64>> {
    pointer(run, "best")
}

/// The step that was saved last, if it is still there. Resume from [`latest_good`] instead.
///
/// # Errors
/// `run/latest` can't be read or names no step.
pub fn latest(run: &Path) -> Result<Option<u64>> {
    pointer(run, "latest")
}

/// Removes all checkpoints but the newest `keep` (at least 1), the best, and the newest that verifies.
///
/// Returns the steps that were removed, ascending. Folders that aren't complete are left to a person to judge.
///
/// # Errors
/// The run's folder or `best` can't be read, or a folder can't be removed.
pub fn prune(run: &Path, keep: usize) -> Result<Vec<u64>> {
    let entries = list(run)?;
    let old = entries.len().saturating_sub(keep.max(1));
    let mut kept: BTreeSet<u64> = entries.iter().skip(old).map(|e| e.step).collect();
    if old == 0 {
        return Ok(Vec::new());
    }
    kept.extend(best(run)?);
    kept.extend(entries.iter().rev().find(|e| verify(&e.path).is_ok()).map(|e| e.step));
    let mut removed = Vec::new();
    for entry in entries.iter().filter(|e| !kept.contains(&e.step)) {
        // Out of sight first: a kill half-way through the removal must not leave a torn checkpoint.
        let gone = temporary(run, "tmp", entry.step);
        fs::rename(&entry.path, &gone).io("move", &entry.path)?;
        fs::remove_dir_all(&gone).io("remove", &gone)?;
        removed.push(entry.step);
    }
    Ok(removed)
}

/// `run/.tmp-step-00000500-<pid>`; kind `old` is a complete checkpoint that is being replaced.
pub(super) fn temporary(run: &Path, kind: &str, step: u64) -> PathBuf {
    run.join(format!(".{kind}-{}-{}", folder_name(step), process::id()))
}

/// Clears up after processes that died: an interrupted replacement is undone, other leftovers are removed.
pub(super) fn recover(run: &Path) -> Result<()> {
    for name in names(run)? {
        let Some((kind, step, pid)) = parse_temporary(&name) else { continue };
        if write::alive(pid) {
            continue;
        }
        let (leftover, path) = (run.join(&name), run.join(folder_name(step)));
        if kind == "old" && !path.try_exists().io("read", &path)? {
            fs::rename(&leftover, &path).io("move", &leftover)?;
        } else {
            fs::remove_dir_all(&leftover).io("remove", &leftover)?;
        }
    }
    Ok(())
}

fn good(step: u64, path: &Path) -> Result<()> {
    let manifest = verify(path)?;
    if manifest.step == step {
        return Ok(());
    }
    Err(super::damaged(path, format!("its manifest is that of step {}", manifest.step)))
}

/// Step folders, complete or not, ascending.
fn steps(run: &Path) -> Result<Vec<(u64, PathBuf)>> {
    let mut steps: Vec<_> =
        names(run)?.into_iter().filter_map(|name| Some((parse_step(&name)?, run.join(name)))).collect();
    steps.sort();
    Ok(steps)
}

fn names(run: &Path) -> Result<Vec<String>> {
    let entries = fs::read_dir(run).io("read", run)?.collect::<std::io::Result<Vec<_>>>().io("read", run)?;
    Ok(entries.into_iter().filter_map(|e| e.file_name().into_string().ok()).collect())
}

fn parse_step(name: &str) -> Option<u64> {
    let step = name.strip_prefix("step-")?.parse().ok()?;
    (folder_name(step) == name).then_some(step)
}

fn parse_temporary(name: &str) -> Option<(&str, u64, u32)> {
    let (kind, rest) = name.strip_prefix('.')?.split_once('-')?;
    let (step, pid) = rest.rsplit_once('-')?;
    matches!(kind, "tmp" | "old").then_some((kind, parse_step(step)?, pid.parse().ok()?))
}

fn pointer(run: &Path, name: &str) -> Result<Option<u64>> {
    let path = run.join(name);
    if !path.try_exists().io("read", &path)? {
        return Ok(None);
    }
    let mut text = String::new();
    File::open(&path).and_then(|f| f.take(64).read_to_string(&mut text)).io("read", &path)?;
    let step = parse_step(text.trim_end()).ok_or_else(|| {
        Error::failed(format!("{} names no checkpoint", path.display()))
            .next("write the name of a step folder into it, such as step-00000500, or delete it")
    })?;
    Ok(run.join(folder_name(step)).is_dir().then_some(step))
}
