//! The config file: as typed (`raw`), then resolved and cross-checked (`plan`).

mod sections;

pub use sections::{CheckpointConfig, EvalConfig, GuardConfig, OnFault, Precision, RunConfig, TrainConfig};
