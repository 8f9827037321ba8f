//! What a journal's line can say.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::number;

/// A line of the journal. `step` counts optimizer updates done, so the first step's line says 1.
///
/// Losses, norms and metrics that aren't finite are the strings `"NaN"`, `"inf"` and `"-inf"`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A fresh run.
    Started {
        /// Seconds since 1970-01-01 UTC.
        time: u64,
        /// kiln's version.
        version: String,
        /// The device, as `--device` takes it.
        device: String,
        /// Trainable parameters.
        params: u64,
        /// blake3 of the resolved plan.
        plan_hash: String,
        /// The prepared data's fingerprint.
        dataset: String,
        /// What a row of each class counts in the training loss, where not 1.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        class_weights: BTreeMap<String, f64>,
    },
    /// The first step of a process, in which kernels are compiled and tuned.
    Compiled {
        /// How long that step took.
        #[serde(with = "number")]
        seconds: f64,
    },
    /// An optimizer update.
    Step {
        /// Updates done.
        step: u64,
        /// Passes over the training split, as a fraction.
        #[serde(with = "number")]
        epoch: f64,
        /// Mean training loss over the step's valid targets.
        #[serde(with = "number")]
        loss: f64,
        /// Learning rate.
        #[serde(with = "number")]
        lr: f64,
        /// Global gradient norm before the clip.
        #[serde(with = "number")]
        norm: f64,
        /// Tokens (language) or samples per second.
        #[serde(with = "number")]
        rate: f64,
        /// Training time so far.
        #[serde(with = "number")]
        seconds: f64,
        /// A hash of the rows that the step drew.
        #[serde(default)]
        batch: String,
    },
    /// Metrics over a split.
    Eval {
        /// Updates done.
        step: u64,
        /// `validation`, `test`, ...
        split: String,
        /// By name, such as `loss` or `f1_macro`.
        #[serde(with = "number::map")]
        metrics: BTreeMap<String, f64>,
    },
    /// A loss or norm that the guard judged bad.
    Fault {
        /// The step that would have been.
        step: u64,
        /// Why, in words.
        reason: String,
        /// `halt`, `skip` or `rollback`.
        action: String,
        /// The offending batch's rows in the training split.
        rows: Vec<u64>,
        /// The loss that was judged.
        #[serde(with = "number")]
        loss: f64,
        /// The gradient norm that was judged.
        #[serde(with = "number")]
        norm: f64,
    },
    /// A checkpoint.
    Saved {
        /// Updates done.
        step: u64,
        /// Its folder.
        path: String,
    },
    /// The run goes on from a checkpoint.
    Resumed {
        /// The checkpoint's step.
        step: u64,
        /// Its folder.
        from: String,
        /// The device it goes on with.
        device: String,
    },
    /// The run ended, whether done or stopped.
    Finished {
        /// Updates done.
        step: u64,
        /// Why, in words.
        reason: String,
        /// Training time.
        #[serde(with = "number")]
        seconds: f64,
    },
}

impl Event {
    /// The step that the line tells of.
    pub fn step(&self) -> Option<u64> {
        match self {
            Self::Started { .. } | Self::Compiled { .. } => None,
            Self::Step { step, .. }
            | Self::Eval { step, .. }
            | Self::Fault { step, .. }
            | Self::Saved { step, .. }
            | Self::Resumed { step, .. }
            | Self::Finished { step, .. } => Some(*step),
        }
    }

    /// Whether a run that goes on from `step` will live through this again.
    pub(super) fn beyond(&self, step: u64) -> bool {
        match self {
            // A rollback's batches are never drawn again, so its line is the only record of them.
            Self::Fault { action, .. } if action == "rollback" => false,
            event => event.step().is_some_and(|s| s > step),
        }
    }
}
