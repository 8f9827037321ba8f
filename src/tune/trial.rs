//! A trial, as the journal tells of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Objective, Values};
use crate::track::number;

/// Where a trial stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Somebody works on it, or will go on with it.
    Running,
    /// Trained to its end.
    Complete,
    /// Stopped early, saved: the pruner saw no hope.
    Pruned,
    /// It crashed, ran out of memory, or diverged.
    Failed,
    /// The config refuses its values.
    Invalid,
}

/// What a trial sets: written once, by whoever claims it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Claim {
    /// Counts from 1.
    pub number: u64,
    /// Keys of the config with their values as TOML.
    pub values: Values,
    /// Who works on it, unless somebody took it over.
    pub owner: Owner,
    /// Seconds since 1970-01-01 UTC.
    pub time: u64,
}

/// Who works on a trial.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// The machine's name.
    pub host: String,
    /// The process that watches over the trial's own.
    pub pid: u32,
}

/// An evaluation of a trial: written once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rung {
    /// Updates done.
    pub step: u64,
    /// Updates in all.
    pub steps: u64,
    /// Metrics of the validation split.
    #[serde(with = "number::map")]
    pub metrics: BTreeMap<String, f64>,
}

/// How a trial ended: written once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct End {
    /// Anything but running.
    pub state: State,
    /// Why, in words; empty for a complete trial.
    #[serde(default)]
    pub reason: String,
    /// Updates done.
    #[serde(default)]
    pub step: u64,
    /// Metrics of the validation split at the run's best checkpoint, with `parameters`, `ms_per_step` and `train_s`.
    #[serde(default, with = "number::map")]
    pub metrics: BTreeMap<String, f64>,
}

/// Everything that is known of one trial.
#[derive(Debug, Clone, PartialEq)]
pub struct Trial {
    /// Counts from 1.
    pub number: u64,
    /// Keys of the config with their values as TOML.
    pub values: Values,
    /// Its evaluations, by step.
    pub rungs: Vec<Rung>,
    /// How it ended, if it did.
    pub end: Option<End>,
}

impl End {
    /// The end of a trial without a value.
    pub fn without_value(state: State, reason: impl Into<String>) -> Self {
        Self { state, reason: reason.into(), step: 0, metrics: BTreeMap::new() }
    }
}

impl Trial {
    /// A trial that trained to its end, with what it measured.
    pub fn complete<'a>(number: u64, values: Values, metrics: impl IntoIterator<Item = (&'a str, f64)>) -> Self {
        let metrics = metrics.into_iter().map(|(name, value)| (name.to_string(), value)).collect();
        let end = End { state: State::Complete, reason: String::new(), step: 0, metrics };
        Self { number, values, rungs: Vec::new(), end: Some(end) }
    }

    /// Where it stands.
    pub fn state(&self) -> State {
        self.end.as_ref().map_or(State::Running, |end| end.state)
    }

    /// A metric at its end.
    pub fn metric(&self, name: &str) -> Option<f64> {
        self.end.as_ref()?.metrics.get(name).copied()
    }

    /// The share of its training after which it was last evaluated.
    pub fn share(&self) -> f64 {
        self.rungs.last().map_or(0.0, Rung::share)
    }

    /// The lowest cost of its evaluations; infinite without any.
    pub fn best_cost(&self, objective: &Objective) -> f64 {
        self.curve(objective).last().map_or(f64::INFINITY, |(_, best)| *best)
    }

    /// For each evaluation the share of the training done, and the lowest cost so far.
    pub fn curve(&self, objective: &Objective) -> Vec<(f64, f64)> {
        let cost = |rung: &Rung| objective.cost(rung.metrics.get(&objective.metric).copied().unwrap_or(f64::NAN));
        let mut best = f64::INFINITY;
        self.rungs
            .iter()
            .map(|rung| {
                best = best.min(cost(rung));
                (rung.share(), best)
            })
            .collect()
    }
}

impl Rung {
    /// The share of the training done.
    pub fn share(&self) -> f64 {
        self.step as f64 / self.steps.max(1) as f64
    }
}
