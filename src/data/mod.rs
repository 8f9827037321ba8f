//! Data: where rows come from, how they are prepared once into memory-mapped shards, and how batches are drawn.

mod batch;
mod config;
pub mod fetch;
mod schema;
mod sink;
pub mod source;

pub use batch::{HostBatch, HostInput, HostTarget, IGNORE};
pub use config::{DataConfig, Format, Holdout, Source, TaskKind, TokenizerKind};
pub use schema::{InputSchema, Scale, Schema, Split, TargetSchema};
pub use sink::{Features, RecordSink, Records, Target};
