//! Data: where rows come from, how they are prepared once into memory-mapped shards, and how batches are drawn.

mod batch;
mod cache;
mod cell;
mod clean;
mod config;
mod dataset;
mod derive;
mod describe;
pub mod fetch;
mod fingerprint;
mod fold;
mod interactions;
mod loader;
mod prepare;
pub mod profile;
mod record;
mod resample;
mod sampler;
mod schema;
mod shard;
mod sink;
pub mod source;
mod split;
mod tokenize;
mod tokenizer;

pub use batch::{HostBatch, HostInput, HostTarget, IGNORE, PADDING, Wanted};
pub use cache::root as cache_root;
pub use clean::{
    Bag, Categories, Category, CleanConfig, Codes, Column, ColumnConfig, ColumnType, Constant, Date, DateParts, Encode,
    Fence, Impute, Isolation, IsolationConfig, Joint, Neighbours, Number, OnIsolated, OnOutlier, OnUnseen, Outliers,
    Policies, Policy, Scaler, Scaling, TableSchema, TextConfig, TextKind, TextUnit, Transform,
};
pub use config::{
    AnomalyConfig, DataConfig, Format, Holdout, HoldoutBy, Source, SqlSource, TaskKind, TokenizerKind, WindowConfig,
};
pub use dataset::Dataset;
pub use derive::{Derived, check as check_expression};
pub use fold::{Fold, FoldBy};
pub use interactions::{InteractionsConfig, RankingLoss, SplitPerUser};
pub use loader::Loader;
pub use prepare::{prepare, prepare_as};
pub use record::RecordWriter;
pub use resample::Resample;
pub use sampler::Sampler;
pub use schema::{Forecast, InputSchema, Scale, Schema, Split, TargetSchema};
pub use sink::{Features, RecordSink, Records, Target};
#[cfg(feature = "sql")]
pub use source::connect;
pub use source::{check_sql, forget, from_base, is_object};
pub use tokenizer::{Alphabet, Characters, TextEncoder, Tokenizer, WordCounts, Words};
