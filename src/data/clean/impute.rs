//! What takes the place of a missing value.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ColumnType;

/// How a missing value is filled; learned on the training split.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Impute {
    /// The mean (numbers, dates).
    Mean,
    /// The median (numbers, dates): exact up to 100,000 training rows, beyond them of a uniform sample.
    Median,
    /// The most frequent value, the smallest among equals.
    Mode,
    /// Missing is a category of its own.
    Category,
    /// The mean of so many nearest training rows that have the value, by all numeric columns (numbers).
    Knn(usize),
    /// This value.
    Constant(Constant),
}

/// A value that a config names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Constant {
    /// For numbers.
    Number(f64),
    /// For categories and booleans.
    Text(String),
}

impl Impute {
    /// Whether a column of this type can be filled so.
    pub(super) fn fits(&self, kind: ColumnType) -> bool {
        match (self, kind) {
            (Self::Mean | Self::Median, ColumnType::Numeric | ColumnType::Date) => true,
            (Self::Knn(_), ColumnType::Numeric) => true,
            (Self::Mode, ColumnType::Numeric | ColumnType::Boolean | ColumnType::Categorical) => true,
            (Self::Category, ColumnType::Categorical) => true,
            (Self::Constant(Constant::Number(_)), ColumnType::Numeric | ColumnType::Categorical) => true,
            (Self::Constant(Constant::Text(_)), ColumnType::Categorical) => true,
            (Self::Constant(Constant::Text(text)), ColumnType::Boolean) => boolean(text).is_some(),
            _ => false,
        }
    }

    /// As a config spells it.
    pub(super) fn word(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// What a column of this type can be filled with.
    pub(super) fn words(kind: ColumnType) -> &'static str {
        match kind {
            ColumnType::Numeric => "`mean`, `median`, `mode`, `{ knn = 5 }`, `{ constant = 0.0 }`",
            ColumnType::Date => "`mean`, `median`",
            ColumnType::Boolean => "`mode`, `{ constant = \"false\" }`",
            _ => "`category`, `mode`, `{ constant = \"...\" }`",
        }
    }
}

/// The most frequent of `(value, count)`, the first among equals.
pub(super) fn mode<T: Clone>(counts: impl Iterator<Item = (T, u64)>) -> Option<T> {
    let best = counts.fold(None, |best: Option<(T, u64)>, (value, count)| match best {
        Some((_, most)) if most >= count => best,
        _ => Some((value, count)),
    });
    best.map(|(value, _)| value)
}

pub(super) fn boolean(text: &str) -> Option<bool> {
    super::Cell::Text(text).boolean().ok()
}
