//! The config file: a tree as typed, with the place of every key (`tree`), checked against the schema (`shape`) and
//! across fields (`rules`), then resolved (`plan`). Every fault is shown with its line and a caret (`fault`).

mod fault;
mod plan;
mod pretrained;
mod read;
mod rules;
mod schema;
mod sections;
mod set;
mod shape;
mod suggest;
mod tree;
mod tune;

pub use plan::Plan;
pub use schema::{keys, schema};
pub use sections::{CheckpointConfig, EvalConfig, GuardConfig, OnFault, Precision, RunConfig, TrainConfig};
pub use tune::{Dimension, Direction, Domain, PrunerKind, Range, SamplerKind, TuneConfig};
