//! The tables within `[data]`: holdout, anomalies, windows.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::TaskKind;

/// What decides which rows of a table are held out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum HoldoutBy {
    /// A hash of the row's number.
    #[default]
    Row,
    /// The same within every class, so that each split has every class's exact share.
    Class,
    /// A hash of `column`: rows of one group (a patient, a customer) are in one split.
    Group,
    /// `column`, a date or a number: the last rows are the test split, those before them validation.
    Time,
}

/// Fractions held out, by a hash of the row (tables, images) or by position (text: the end).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Holdout {
    /// Fraction for validation, `[0, 1)`.
    pub validation: f64,
    /// Fraction for test, `[0, 1)`; a data set with its own test split keeps that and ignores this.
    pub test: f64,
    /// Tables: what decides which rows are held out.
    pub by: HoldoutBy,
    /// Tables: the column of `by = "group"` or `by = "time"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
}

impl Holdout {
    /// Fractions for validation and test, by the row.
    pub const fn of(validation: f64, test: f64) -> Self {
        Self { validation, test, by: HoldoutBy::Row, column: None }
    }
}

impl Default for Holdout {
    fn default() -> Self {
        Self::of(0.1, 0.0)
    }
}

/// `[data.anomaly]`: which rows are normal, and how many of them may be told to be not.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AnomalyConfig {
    /// Values of the target column that mean a normal row; every other one is an anomaly.
    pub normal: Vec<String>,
    /// Train on rows that the target column says are normal, not on all.
    pub only_normal: bool,
    /// Share of training rows whose scores lie below the threshold.
    pub quantile: f64,
}

impl Default for AnomalyConfig {
    fn default() -> Self {
        let normal = ["0", "false", "no", "normal"].map(String::from).to_vec();
        Self { normal, only_normal: false, quantile: 0.99 }
    }
}

/// `[data.window]`: windows over the rows of a table, in the order of time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WindowConfig {
    /// Rows of a window.
    pub length: usize,
    /// Rows after the window: their values are what is forecast (1 by default), and the class of the last of them what is
    /// told (0 by default: that of the window's own last row).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub horizon: Option<usize>,
    /// Rows from the beginning of a window to that of the next.
    #[serde(default = "one")]
    pub stride: usize,
    /// The column of when, which the file is sorted by; unless `data.holdout.by` says otherwise, the last rows by it are
    /// held out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// The column of whose rows they are: rows of each make windows among themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Forecasts: rows after which values come again, as 24 for hours of days; the seasonal forecast repeats them, and
    /// MASE compares with them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub season: Option<usize>,
}

impl WindowConfig {
    /// Rows after a window.
    pub fn horizon(&self, task: TaskKind) -> usize {
        self.horizon.unwrap_or(usize::from(task == TaskKind::Regression))
    }
}

fn one() -> usize {
    1
}
