//! What happens to a value that the training rows did not prepare for: a stated policy, never a guess.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A value that is missing, of another type, or whose column is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Policy {
    /// Put what was learned for a missing value in its place, and count it.
    Impute,
    /// Refuse the data, with the rows named.
    Refuse,
}

/// A category that no training row has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnUnseen {
    /// What the encoding has for none of its categories: zeros, the overall mean, a code of its own.
    Fallback,
    /// Put what was learned for a missing value in its place.
    Impute,
    /// Refuse the data, with the rows named.
    Refuse,
}

/// A column's policies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policies {
    /// The value is missing.
    pub on_missing: Policy,
    /// The category is new.
    pub on_unseen: OnUnseen,
    /// The value is of another type.
    pub on_bad: Policy,
    /// The whole column is gone.
    pub on_absent: Policy,
}

/// How often a column's policies were used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Used {
    /// Values that were missing, and imputed.
    pub missing: u64,
    /// Categories that no training row has.
    pub unseen: u64,
    /// Values of another type, imputed.
    pub bad: u64,
    /// Outliers that were clipped, marked or dropped.
    pub outliers: u64,
}

impl Used {
    /// Adds how often they were used elsewhere.
    pub(in crate::data) fn add(&mut self, more: &Self) {
        let Self { missing, unseen, bad, outliers } = more;
        self.missing += missing;
        self.unseen += unseen;
        self.bad += bad;
        self.outliers += outliers;
    }
}
