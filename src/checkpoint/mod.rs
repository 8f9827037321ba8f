//! Checkpoints: a folder a step, complete or invisible. `checkpoints/README.md` tells the format.
//!
//! A checkpoint is written into a temporary folder, flushed to the disk and renamed, so a step folder is whole at
//! whatever moment the machine stops; `manifest.json` tells later damage. A snapshot is opaque: no model is named here.

mod folder;
mod lock;
mod manifest;
mod summary;
mod tensors;
mod write;

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, Result},
    nn::Tensors,
    track::number::exact,
};

pub use folder::{Entry, best, folder_name, latest, latest_good, list, mark_best, prune};
pub use lock::RunLock;
pub use manifest::{FileEntry, Manifest, verify};
pub use summary::{Summary, TensorSummary, summary};
pub use write::{alive, save};

const WEIGHTS: &str = "weights.safetensors";
const OPTIM: &str = "optim.safetensors";
const EMA: &str = "ema.safetensors";
const STATE: &str = "state.json";
const MANIFEST: &str = "manifest.json";

/// The largest JSON file of a checkpoint that is read, in bytes.
const MAX_JSON: u64 = 16 << 20;

/// Where training stands, apart from the tensors: `state.json`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    /// Optimizer updates done.
    pub step: u64,
    /// Rows that the sampler has drawn since the start of training.
    pub position: u64,
    /// Valid targets seen.
    pub tokens: u64,
    /// The run's seed.
    pub seed: u64,
    /// The best validation loss so far.
    #[serde(with = "exact")]
    pub best: Option<f64>,
    /// Evaluations since the best one.
    pub stale: usize,
    /// Training time so far, in seconds.
    pub seconds: f64,
    /// The guard's own state, which only the guard reads.
    pub guard: serde_json::Value,
    /// The prepared data's fingerprint.
    pub dataset: String,
    /// The device that wrote this.
    pub device: String,
}

/// Everything that a run needs to go on exactly.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// Parameters and running buffers, f32.
    pub weights: Tensors,
    /// The optimizer's state, in its own dtypes.
    pub optim: Tensors,
    /// The moving average of the weights, f32, where the run keeps one.
    pub ema: Option<Tensors>,
    /// The rest.
    pub state: State,
}

/// Reads the checkpoint in `dir`, after [`verify`].
///
/// # Errors
/// A file is missing, damaged or not what kiln writes; the message names it.
pub fn load(dir: &Path) -> Result<Snapshot> {
    let manifest = verify(dir)?;
    let ema = manifest.files.contains_key(EMA).then(|| tensors::read(&dir.join(EMA), true)).transpose()?;
    Ok(Snapshot {
        weights: tensors::read(&dir.join(WEIGHTS), true)?,
        optim: tensors::read(&dir.join(OPTIM), false)?,
        ema,
        state: state(dir)?,
    })
}

fn state(dir: &Path) -> Result<State> {
    let path = dir.join(STATE);
    serde_json::from_slice(&manifest::read_small(&path)?).map_err(|e| damaged(&path, e))
}

/// A file of a checkpoint isn't what was written.
fn damaged(path: &Path, why: impl std::fmt::Display) -> Error {
    Error::failed(format!("{} is damaged: {why}", path.display()))
        .next("use an older checkpoint; `kiln resume` takes the newest good one by itself")
}

#[cfg(test)]
mod tests;
