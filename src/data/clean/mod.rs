//! Cleaning: the columns of a table become numbers, by transforms that are learned on the training split only and kept
//! with the model.
//!
//! A column's type is told by its first training rows (`infer`), or by the config. One look at the training split
//! learns fills, fences, scales and categories (`column::Profile`); a second one what needs those: moments of clipped
//! values, and target encodings. State is bounded: quantiles come from a sample of at most 100,000 values, categories
//! are the 1,000 most frequent ones.

mod category;
mod column;
mod config;
mod date;
mod hash;
mod impute;
mod infer;
mod isolation;
mod joint;
mod neighbours;
mod number;
mod outliers;
mod policy;
mod report;
mod sample;
mod scale;
mod table;
mod target;
mod words;

pub use category::{Categories, Category, Encode};
pub use column::{Column, Transform};
pub use config::{CleanConfig, ColumnConfig, ColumnType};
pub use date::{Date, DateParts};
pub use impute::{Constant, Impute};
pub use isolation::{Isolation, IsolationConfig, OnIsolated};
pub use joint::Joint;
pub use neighbours::Neighbours;
pub use number::Number;
pub use outliers::{Fence, OnOutlier, Outliers};
pub use policy::{OnUnseen, Policies, Policy, Used};
pub use scale::{Scaler, Scaling};
pub use table::{Codes, TableSchema};
pub use words::{Bag, TextConfig, TextKind, TextUnit};

use super::cell::{Cell, Fault};
pub(super) use category::sorted;
pub(super) use column::{Profile, Second};
pub(super) use config::Columns;
pub(super) use infer::{Guess, rows as inferred_rows};
pub(super) use joint::Filled;
pub(super) use number::value as number;
pub(super) use report::Report;
pub(super) use sample::{Moments, Sample, quantile};
pub(super) use target::fold;
