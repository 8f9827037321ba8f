//! A trained run, opened for evaluation, generation or prediction.

use std::{fs, path::PathBuf};

use burn::prelude::*;

use super::{RunDir, choose_checkpoint};
use crate::{
    checkpoint,
    config::Plan,
    data::{Schema, Tokenizer},
    device::{DeviceSpec, Opened},
    error::{Error, IoContext, Result},
    model::Model,
    nn::{self, Compute},
    task::Task,
};

/// A run, one of its checkpoints, and its plan with overrides.
pub struct Trained {
    /// The run's folder.
    pub dir: RunDir,
    /// The checkpoint's folder.
    pub checkpoint: PathBuf,
    /// The plan.
    pub plan: Plan,
}

/// A model ready to compute, without its data set.
pub struct Ready {
    /// The device's name and spec.
    pub opened: Opened,
    /// The averaged weights where the run kept any, else the last ones.
    pub model: Model,
    /// The task.
    pub task: Task,
    /// Steps that the weights were trained for.
    pub step: u64,
}

/// The largest `schema.json` that is read, in bytes: a table of 100,000 columns fits.
const MAX_SCHEMA: u64 = 16 << 20;

impl Trained {
    /// Opens `which` (`best`, `latest` or a step) of a run.
    pub fn new(dir: RunDir, which: &str, overrides: &[String]) -> Result<Self> {
        let plan = dir.load_plan(overrides)?;
        let checkpoint = choose_checkpoint(&dir, which)?;
        Ok(Self { dir, checkpoint, plan })
    }

    /// The data's description, as it was when the run began.
    pub fn schema(&self) -> Result<Schema> {
        let path = self.dir.schema();
        let size = fs::metadata(&path).io("read", &path)?.len();
        if size > MAX_SCHEMA {
            return Err(Error::input(format!("{} is larger than {MAX_SCHEMA} bytes", path.display())));
        }
        let text = fs::read(&path).io("read", &path)?;
        serde_json::from_slice(&text).map_err(|e| {
            Error::input(format!("{} is damaged: {e}", path.display())).next("`kiln resume` writes it anew")
        })
    }

    /// The tokenizer of a language model.
    pub fn tokenizer(&self) -> Result<Tokenizer> {
        if !self.dir.tokenizer().is_file() {
            return Err(Error::input(format!("run `{}` is no language model: it has no tokenizer", self.dir.name()))
                .next("use `kiln predict` for it"));
        }
        Tokenizer::load(&self.dir.tokenizer())
    }

    /// The model with the checkpoint's weights, on the plan's device.
    pub fn ready(&self) -> Result<Ready> {
        let opened = DeviceSpec::parse(&self.plan.train.device)?.open()?;
        let task = Task::new(self.plan.data.task, &self.schema()?, 0.0)?;
        let (model, step) = self.weights(&task, &opened.device)?;
        Ok(Ready { opened, model, task, step })
    }

    /// The model with the checkpoint's weights on `device`, and its step.
    pub fn weights(&self, task: &Task, device: &Device) -> Result<(Model, u64)> {
        let snapshot = checkpoint::load(&self.checkpoint)?;
        let model = self.plan.model.init(&task.signature(), device)?;
        let mut tensors = snapshot.weights;
        tensors.extend(snapshot.ema.unwrap_or_default()); // running buffers have no average
        let model = nn::load_tensors(model, &tensors).map_err(|e| e.at(self.checkpoint.display()))?;
        Ok((model.valid(), snapshot.state.step))
    }
}

/// Inference computes in f32 whatever the run was trained in.
pub const INFERENCE: Compute = Compute::F32;
