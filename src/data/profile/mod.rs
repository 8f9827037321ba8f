//! A table before anything is learned of it: what its columns hold, how they go with the target, and what to mend.
//!
//! One look at the first training rows tells the types, one pass over all rows the rest, in memory that does not grow
//! with the rows. Columns are described by the training split alone, so that nothing chosen by a profile has seen a
//! held-out row; of those only classes and repeated rows are counted.

mod alone;
mod column;
mod findings;
mod relation;
mod single;
mod sketch;
mod survey;

use std::path::Path;

use serde::Serialize;

pub use alone::{Alone, Pair};
pub use column::{Common, Histogram, Numbers};
pub use findings::{Finding, Weight};
pub use relation::{Measure, Relation};
pub use sketch::Repeated;
pub(in crate::data) use sketch::RowSample;
pub(in crate::data) use survey::{Survey, TargetKind};

use super::{ColumnType, DataConfig, prepare, source};
use crate::error::{Error, Result};

/// A row's target, its class by the order in which classes come up.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::data) enum Target {
    Class(usize),
    Value(f64),
}

/// A table, described.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Profile {
    /// Where it comes from, in a few words.
    pub source: String,
    /// Rows of the training, validation and test split.
    pub rows: [u64; 3],
    /// What is to be learned.
    pub target: TargetProfile,
    /// The columns, in the order of the source.
    pub columns: Vec<ColumnProfile>,
    /// Columns that say nearly the same.
    pub pairs: Vec<Pair>,
    /// Rows whose columns are the same, identifiers aside.
    pub repeated: Repeated,
    /// Training rows that `alone` and `pairs` were judged on.
    pub sampled: usize,
    /// What to look at, the gravest first.
    pub findings: Vec<Finding>,
}

/// The target column; of several the first one.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TargetProfile {
    /// Its name.
    pub name: String,
    /// Rows without a target, or with one that is none.
    pub unusable: u64,
    /// Its classes, the commonest first, with their rows in every split.
    pub classes: Vec<Class>,
    /// Its values in the training split.
    pub numbers: Option<Numbers>,
}

/// A class and its rows.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Class {
    /// Its name.
    pub name: String,
    /// Rows of the training, validation and test split.
    pub rows: [u64; 3],
}

/// A column of the training split.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ColumnProfile {
    /// Its name.
    pub name: String,
    /// What it holds.
    #[serde(rename = "type")]
    pub kind: ColumnType,
    /// The config leaves it out.
    pub left_out: bool,
    /// Rows looked at.
    pub rows: u64,
    /// Values that are missing.
    pub missing: u64,
    /// Values of another type.
    pub bad: u64,
    /// Distinct values.
    pub unique: u64,
    /// Whether `unique` is exact, else an estimate within some 5 %.
    pub unique_exact: bool,
    /// Numbers, dates as days, texts as their lengths.
    pub numbers: Option<Numbers>,
    /// The commonest categories.
    pub common: Vec<Common>,
    /// How it goes with the target.
    pub relation: Option<Relation>,
    /// What it tells of the target alone.
    pub alone: Option<Alone>,
}

/// Profiles the table of a config. Relative paths start from `base`.
///
/// # Errors
/// Data that is no table; a source that cannot be read.
pub fn profile(config: &DataConfig, base: &Path, seed: u64, progress: &dyn Fn(&str)) -> Result<Profile> {
    prepare::check(config)?;
    let seed = config.seed.unwrap_or(seed);
    let source = source::resolve(config, base, progress)?;
    if !source.format.is_table() {
        return Err(Error::input("a profile is of a table, and these data are text or pictures")
            .next("use `kiln data show` to look at them"));
    }
    let request = source::table::Request { seed, learned: None, progress };
    source::table::profile(&source.files, &source.config, request)
}
