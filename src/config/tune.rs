//! `[tune]`: what `kiln tune` searches, and how.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use toml::Value;

/// Which way a metric is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// Less is better.
    Minimize,
    /// More is better.
    Maximize,
}

/// How the next trial is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SamplerKind {
    /// The tree-structured Parzen estimator (Bergstra et al. 2011), multivariate.
    Tpe,
    /// Anywhere in the space, by chance.
    Random,
    /// Every combination, in order.
    Grid,
}

/// How a hopeless trial is recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PrunerKind {
    /// Every trial trains to its end.
    None,
    /// Stop a trial whose best value is worse than the median of the others' at the same share of their training
    /// (Golovin et al. 2017).
    Median,
    /// Asynchronous successive halving (Li et al. 2020): only the best `1 / reduction` go on past each rung.
    Asha,
}

/// `[tune]`: the search that `kiln tune` makes; `kiln train` passes it over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TuneConfig {
    /// The metric of the validation split to search by, or `parameters`, `ms_per_step`, `train_s`; empty means the task's
    /// main one: `loss`, `accuracy` or `rmse`.
    pub metric: String,
    /// Which way `metric` is better; left out, its name decides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub direction: Option<Direction>,
    /// Several metrics instead of one: the search then looks for the Pareto front.
    pub metrics: Vec<String>,
    /// Which way each of `metrics` is better; empty, their names decide.
    pub directions: Vec<Direction>,
    /// Trials in all; 0 means 50, or the whole grid.
    pub trials: usize,
    /// Stop, saved, after this long: `90s`, `30m`, `2h`; empty means no limit.
    pub budget: String,
    /// How the next trial is chosen.
    pub sampler: SamplerKind,
    /// Trials by chance before `tpe` begins to learn from them.
    pub startup: usize,
    /// How a hopeless trial is recognised, at every evaluation (`eval.every`).
    pub pruner: PrunerKind,
    /// `median`: trials that must have come as far before one is stopped.
    pub warmup: usize,
    /// `asha`: of how many trials one goes on past a rung.
    pub reduction: usize,
    /// The choice of trials is a function of this, of a trial's number, and of the trials before it.
    pub seed: u64,
    /// Where workers on several machines share the search's journal: `postgres://user@host/database`, its password in the
    /// environment variable PGPASSWORD; empty means the search's own folder.
    pub journal: String,
    /// Train every trial on so many folds, and search by the mean of each metric over them; 0 or 1 means one training,
    /// judged on the validation split.
    pub folds: usize,
    /// The keys to search, each in quotes, with what it may be.
    pub space: BTreeMap<String, Dimension>,
}

impl Default for TuneConfig {
    fn default() -> Self {
        Self {
            metric: String::new(),
            direction: None,
            metrics: Vec::new(),
            directions: Vec::new(),
            trials: 0,
            budget: String::new(),
            sampler: SamplerKind::Tpe,
            startup: 10,
            pruner: PrunerKind::None,
            warmup: 5,
            reduction: 3,
            seed: 1,
            journal: String::new(),
            folds: 0,
            space: BTreeMap::new(),
        }
    }
}

impl TuneConfig {
    /// Whether the config says nothing about a search.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// What one key may be: exactly one of `uniform`, `log`, `int` and `choice`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Dimension {
    /// A fraction between the two, both included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uniform: Option<[f64; 2]>,
    /// A fraction between the two, every order of magnitude alike; with `int`, `true` does the same for integers.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "serde_json::Value")]
    pub log: Option<Value>,
    /// An integer between the two, both included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub int: Option<[i64; 2]>,
    /// One of these values, of whatever type the key has.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Vec<serde_json::Value>>")]
    pub choice: Option<Vec<Value>>,
    /// `uniform` and `int`: only every so far from the lower end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<f64>,
    /// `uniform`, `log` and `int`: only so many values, evenly spread with both ends; the grid needs it of fractions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub points: Option<usize>,
    /// In play only where these other keys of the space have these values (or one of a list of values).
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(with = "BTreeMap<String, serde_json::Value>")]
    pub when: BTreeMap<String, Value>,
}

/// A dimension, checked.
#[derive(Debug, Clone, PartialEq)]
pub enum Domain {
    /// Numbers between two ends, both included.
    Range(Range),
    /// One of several values.
    Choice(Vec<Value>),
}

/// Numbers between two ends, both included.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Range {
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
    /// Every order of magnitude alike.
    pub log: bool,
    /// Whole numbers only.
    pub whole: bool,
    /// How many values there are, if not every one in between.
    pub points: Option<u64>,
}

/// Why a dimension is none: the key at fault, what is wrong, what to do.
pub type Unsound = (&'static str, String, &'static str);

/// Combinations beyond these are no grid that anybody waits for, and values beyond these no list.
pub const MOST: u64 = 1_000_000;

impl Dimension {
    /// What the key may be.
    ///
    /// # Errors
    /// Not exactly one kind of range, or ends that are none.
    pub fn domain(&self) -> Result<Domain, Unsound> {
        let listed = matches!(self.log, Some(Value::Array(_)));
        match (self.uniform, listed, self.int, &self.choice) {
            (Some([low, high]), false, None, None) => self.range(low, high, "uniform"),
            (None, true, None, None) => {
                let [low, high] = ends(self.log.as_ref())?;
                self.range(low, high, "log")
            }
            (None, false, Some([low, high]), None) => self.range(low as f64, high as f64, "int"),
            (None, false, None, Some(values)) => self.choices(values),
            _ => Err((
                "",
                "must have exactly one of `uniform`, `log`, `int` and `choice`".into(),
                "write it as in `{ log = [1e-4, 1e-1] }`, `{ uniform = [0.0, 0.5] }`, `{ int = [16, 256], log = true }` \
                 or `{ choice = [1, 2] }`",
            )),
        }
    }

    fn range(&self, low: f64, high: f64, kind: &'static str) -> Result<Domain, Unsound> {
        let whole = kind == "int";
        let log = match &self.log {
            Some(Value::Boolean(log)) => *log,
            Some(Value::Array(_)) => true,
            Some(_) => {
                return Err(("log", "has a `log` that is neither two ends nor `true`".into(), "write `log = true`"));
            }
            None => false,
        };
        if !(low.is_finite() && high.is_finite() && low < high && high.abs().max(low.abs()) < 9e15) {
            return Err((kind, format!("goes from {low} to {high}"), "give two numbers, the lower one first"));
        }
        if log && low <= 0.0 {
            return Err((kind, format!("counts orders of magnitude from {low}"), "begin above 0, or leave out `log`"));
        }
        let points = match (self.points, self.step) {
            (Some(points), None) if (2..=MOST as usize).contains(&points) => Some(points as u64),
            (None, Some(step)) if step > 0.0 && !log && (high - low) / step <= MOST as f64 => {
                Some(((high - low) / step + 1e-9).floor() as u64 + 1)
            }
            (None, None) => None,
            (Some(_), None) => return Err(("points", "has `points` that are none".into(), "give from 2 to 1000000")),
            (Some(_), Some(_)) => return Err(("step", "has `points` and `step`".into(), "keep one of the two")),
            (None, Some(_)) => {
                return Err(("step", "has a `step` that does not fit".into(), "give a positive one, without `log`"));
            }
        };
        let high = match (self.step, points) {
            (Some(step), Some(points)) => low + step * (points - 1) as f64, // the last step may fall short of the end
            _ => high,
        };
        if whole && self.step.is_some_and(|step| step.fract() != 0.0) {
            return Err(("step", "has a `step` between integers".into(), "give a whole `step`"));
        }
        if points == Some(1) {
            return Err(("step", "has a `step` longer than its range".into(), "give a shorter one"));
        }
        Ok(Domain::Range(Range { low, high, log, whole, points }))
    }

    fn choices(&self, values: &[Value]) -> Result<Domain, Unsound> {
        if values.is_empty() || values.len() as u64 > MOST {
            return Err(("choice", "has no value to choose".into(), "give a list of values"));
        }
        if let Some(twice) =
            values.iter().enumerate().find(|(i, value)| values.iter().take(*i).any(|other| other == *value))
        {
            return Err(("choice", format!("has {} twice", twice.1), "keep one of the two"));
        }
        let only = [("log", self.log.is_some()), ("step", self.step.is_some()), ("points", self.points.is_some())];
        match only.iter().find(|(_, given)| *given) {
            Some((key, _)) => Err((key, format!("has `{key}` beside `choice`"), "remove it")),
            None => Ok(Domain::Choice(values.to_vec())),
        }
    }

    /// The values under which it is in play, by key.
    pub fn conditions(&self) -> impl Iterator<Item = (&str, Vec<&Value>)> {
        self.when.iter().map(|(key, value)| match value {
            Value::Array(values) => (key.as_str(), values.iter().collect()),
            value => (key.as_str(), vec![value]),
        })
    }
}

fn ends(value: Option<&Value>) -> Result<[f64; 2], Unsound> {
    let number = |value: &Value| value.as_float().or_else(|| value.as_integer().map(|n| n as f64));
    let numbers: Option<Vec<f64>> =
        value.and_then(Value::as_array).map(|list| list.iter().filter_map(number).collect());
    match numbers.as_deref() {
        Some([low, high]) if value.and_then(Value::as_array).is_some_and(|list| list.len() == 2) => Ok([*low, *high]),
        _ => Err(("log", "has a `log` that is not two numbers".into(), "write it as in `log = [1e-4, 1e-1]`")),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
