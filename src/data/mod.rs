//! Data: where rows come from, how they are prepared once into memory-mapped shards, and how batches are drawn.

mod batch;
mod cache;
mod cell;
mod clean;
mod config;
mod dataset;
mod describe;
pub mod fetch;
mod fold;
mod loader;
mod prepare;
mod record;
mod sampler;
mod schema;
mod shard;
mod sink;
pub mod source;
mod split;
mod tokenize;
mod tokenizer;

pub use batch::{HostBatch, HostInput, HostTarget, IGNORE, PADDING};
pub use cache::root as cache_root;
pub use clean::{
    Categories, Category, CleanConfig, Codes, Column, ColumnConfig, ColumnType, Constant, Date, DateParts, Encode,
    Fence, Impute, Number, OnOutlier, OnUnseen, Outliers, Policies, Policy, Scaler, Scaling, TableSchema, Transform,
};
pub use config::{DataConfig, Format, Holdout, HoldoutBy, Source, TaskKind, TokenizerKind};
pub use dataset::Dataset;
pub use fold::{Fold, FoldBy};
pub use loader::Loader;
pub use prepare::{prepare, prepare_as};
pub use record::RecordWriter;
pub use sampler::Sampler;
pub use schema::{InputSchema, Scale, Schema, Split, TargetSchema};
pub use sink::{Features, RecordSink, Records, Target};
pub use tokenizer::{Alphabet, Characters, TextEncoder, Tokenizer, WordCounts, Words};
