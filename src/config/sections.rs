//! The sections of a config that belong to the loop: `[run]`, `[train]`, `[guard]`, `[eval]`, `[checkpoint]`.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{data::Resample, metric::Headline, task::ClassWeights};

/// `[run]`: where the run lies and what its randomness starts from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RunConfig {
    /// The run's folder is `dir/name`; the config file's stem by default.
    pub name: String,
    /// Where runs go.
    pub dir: PathBuf,
    /// Everything random is a function of this and the step.
    pub seed: u64,
}

impl Default for RunConfig {
    fn default() -> Self {
        Self { name: String::new(), dir: "checkpoints".into(), seed: 1 }
    }
}

/// The number format of activations; weights, optimizer state and reductions are always f32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Precision {
    /// 32-bit floating point throughout.
    F32,
    /// bfloat16 activations and matrix products over f32 master weights.
    Bf16,
}

/// `[train]`: the loop.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TrainConfig {
    /// Optimizer updates in all; 0 with `epochs` set.
    pub steps: u64,
    /// Passes over the training split, instead of `steps`.
    pub epochs: f64,
    /// Rows of one micro-batch.
    pub batch: usize,
    /// Micro-batches a step; their gradients are weighted by valid tokens.
    pub accumulate: usize,
    /// `auto`, `flex`, `ndarray`, `wgpu[:n]`, `vulkan[:n]`, `metal`, `cuda[:n]`, `tch`, `tch:cuda[:n]`, `tch:mps`.
    pub device: String,
    /// The number format of activations.
    pub precision: Precision,
    /// Recompute activations in the backward pass instead of keeping them.
    pub gradient_checkpointing: bool,
    /// Share of the target's probability spread over all classes (Szegedy et al. 2015).
    pub label_smoothing: f64,
    /// What a row of a class counts in the training loss: `"balanced"`, so that all classes count the same in all, or a
    /// weight for every class named, 1 for the others. Metrics and the validation loss are never weighted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class_weights: Option<ClassWeights>,
    /// Which training rows an epoch draws, by class; each of them once by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resample: Option<Resample>,
    /// Stop, saved, after this long: `90s`, `30m`, `2h`; empty means no limit.
    pub max_time: String,
    /// Stop when the validation loss has not improved for this many evaluations; 0 turns it off.
    pub patience: usize,
    /// Write a journal line every so many steps.
    pub log_every: u64,
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            steps: 0,
            epochs: 0.0,
            batch: 32,
            accumulate: 1,
            device: "auto".into(),
            precision: Precision::F32,
            gradient_checkpointing: false,
            label_smoothing: 0.0,
            class_weights: None,
            resample: None,
            max_time: String::new(),
            patience: 0,
            log_every: 1,
        }
    }
}

/// What to do with a step whose loss or gradient norm is bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnFault {
    /// Save nothing of it and stop with exit code 1.
    Halt,
    /// Leave the weights as they are and go on.
    Skip,
    /// Go back to the last good checkpoint and pass over the batches since.
    Rollback,
}

/// `[guard]`: judges loss and gradient norm before the weights move.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GuardConfig {
    /// Loss or norm is not a number or infinite.
    pub non_finite: OnFault,
    /// Loss is this many standard deviations above its recent mean; 0 turns it off.
    pub spike_z: f64,
    /// What a spike leads to.
    pub spike: OnFault,
    /// Steps over which the recent mean and deviation are taken.
    pub window: usize,
    /// Halt after this many faults in a row, whatever the policy.
    pub max_faults: usize,
}

impl Default for GuardConfig {
    fn default() -> Self {
        Self { non_finite: OnFault::Halt, spike_z: 0.0, spike: OnFault::Skip, window: 100, max_faults: 10 }
    }
}

/// `[eval]`: watching the validation split.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EvalConfig {
    /// Steps between evaluations; 0 evaluates at the end only.
    pub every: u64,
    /// Batches an evaluation in training reads, evenly spread; 0 reads the whole split. The last one is always whole.
    pub batches: usize,
    /// Rows of a batch; 0 means `train.batch`.
    pub batch: usize,
    /// What models are compared by: `auroc` of two classes, `accuracy` of more, `rmse` of values by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub figure: Option<Headline>,
    /// Resamples of the rows that intervals come from; 0 gives none.
    pub resamples: usize,
    /// Confidence of intervals.
    pub level: f64,
}

impl Default for EvalConfig {
    fn default() -> Self {
        Self { every: 0, batches: 0, batch: 0, figure: None, resamples: 2000, level: 0.95 }
    }
}

/// `[checkpoint]`: what is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CheckpointConfig {
    /// Steps between checkpoints; 0 saves at the end only.
    pub every: u64,
    /// The newest ones to keep; the best by validation loss is kept beside them.
    pub keep: usize,
    /// How long a run waits for space when the disk is full, before it gives up with what was saved; empty: not at all.
    pub wait_for_space: String,
}

impl Default for CheckpointConfig {
    fn default() -> Self {
        Self { every: 500, keep: 3, wait_for_space: "10m".into() }
    }
}
