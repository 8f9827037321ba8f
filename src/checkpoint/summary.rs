//! What a checkpoint holds, from its headers alone.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::{EMA, Manifest, OPTIM, State, WEIGHTS, tensors};
use crate::error::Result;

/// A tensor of a checkpoint.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TensorSummary {
    /// The file that holds it.
    pub file: &'static str,
    /// Dotted path.
    pub name: String,
    /// As SafeTensors spells it, such as `F32`.
    pub dtype: String,
    /// Length of every dimension.
    pub shape: Vec<usize>,
    /// Size of its values.
    pub bytes: u64,
}

/// A checkpoint at a glance.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// Its folder.
    pub path: PathBuf,
    /// Optimizer updates done.
    pub step: u64,
    /// Numbers in `weights.safetensors`: parameters and running buffers.
    pub parameters: u64,
    /// Size of all files.
    pub bytes: u64,
    /// Every tensor, file by file, ordered by name.
    pub tensors: Vec<TensorSummary>,
    /// Where training stood.
    pub state: State,
}

/// Summarises the checkpoint in `dir`. Checks sizes, not values: [`super::verify`] does.
///
/// # Errors
/// A file is missing or isn't what the manifest says.
pub fn summary(dir: &Path) -> Result<Summary> {
    let manifest = Manifest::read(dir)?;
    let (mut all, mut parameters) = (Vec::new(), 0);
    for file in [WEIGHTS, OPTIM, EMA].into_iter().filter(|file| manifest.files.contains_key(*file)) {
        let (metadata, _) = tensors::open(&dir.join(file))?;
        let mut infos = tensors::in_order(&metadata);
        infos.sort_by(|a, b| a.0.cmp(&b.0));
        for (name, info) in infos {
            if file == WEIGHTS {
                parameters += info.shape.iter().product::<usize>() as u64;
            }
            let bytes = (info.data_offsets.1 - info.data_offsets.0) as u64;
            all.push(TensorSummary {
                file,
                name,
                dtype: format!("{:?}", info.dtype),
                shape: info.shape.clone(),
                bytes,
            });
        }
    }
    let state = super::state(dir)?;
    Ok(Summary { path: dir.into(), step: manifest.step, parameters, bytes: manifest.bytes(), tensors: all, state })
}
