//! Class weights: what a row of a class counts in the training loss.

use std::collections::BTreeMap;

use burn::{prelude::*, tensor::activation};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Task;
use crate::{
    data::{Dataset, TargetSchema},
    error::{Error, Result},
};

/// `train.class_weights`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum ClassWeights {
    /// By a rule.
    By(Weighting),
    /// A weight for every class named, 1 for the others.
    Table(BTreeMap<String, f64>),
}

/// A rule for weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Weighting {
    /// `rows / (classes * rows of the class)`, as scikit-learn's `class_weight="balanced"`: 1 on average over the rows.
    Balanced,
}

impl Task {
    /// The same with a training loss that weighs classes; `counts` are the rows of each that an epoch draws.
    ///
    /// # Errors
    /// A task without classes, a class that is not there, or a weight that is none.
    pub fn weighted(mut self, weights: &ClassWeights, counts: &[u64]) -> Result<Self> {
        let TargetSchema::Classes { names } = &self.schema.target else {
            return Err(Error::input("`train.class_weights` weighs classes, but the targets are none")
                .next("remove it, or set `data.task` to \"classification\""));
        };
        self.weights = match weights {
            ClassWeights::By(Weighting::Balanced) => balanced(counts),
            ClassWeights::Table(table) => {
                if let Some(unknown) = table.keys().find(|name| !names.contains(name)) {
                    let shown = names.iter().take(20).map(String::as_str).collect::<Vec<_>>().join(", ");
                    return Err(Error::input(format!("`train.class_weights.{unknown}` is no class"))
                        .next(format!("the classes are {shown}")));
                }
                if let Some((name, weight)) = table.iter().find(|(_, weight)| !(**weight >= 0.0 && weight.is_finite()))
                {
                    return Err(Error::input(format!("`train.class_weights.{name}` = {weight} is no weight"))
                        .next("give a number that is 0 or more"));
                }
                names.iter().map(|name| table.get(name).map_or(1.0, |weight| *weight as f32)).collect()
            }
        };
        Ok(self)
    }

    /// The weights by class; empty where all count the same.
    pub fn class_weights(&self) -> BTreeMap<String, f64> {
        self.schema.target.names().iter().cloned().zip(self.weights.iter().map(|weight| f64::from(*weight))).collect()
    }

    /// What a person should know of weights and of resampled rows.
    ///
    /// # Errors
    /// A damaged shard.
    pub fn about_classes(&self, training: &Dataset, resampled: bool) -> Result<Vec<String>> {
        /// Classes that a line names.
        const NAMED: usize = 8;
        let names = self.schema.target.names();
        let listed = |values: Vec<String>| {
            let shown = names.iter().zip(&values).take(NAMED).map(|(name, value)| format!("{name} {value}"));
            let more = if names.len() > NAMED { ", ..." } else { "" };
            shown.collect::<Vec<_>>().join(", ") + more
        };
        let mut lines = Vec::new();
        if !self.weights.is_empty() {
            let weights = self.weights.iter().map(|weight| format!("{weight:.4}")).collect();
            lines.push(format!("the training loss weighs classes: {}", listed(weights)));
        }
        if resampled {
            let counts = training.class_counts()?.iter().map(u64::to_string).collect();
            lines.push(format!("an epoch draws of each class: {}", listed(counts)));
        }
        Ok(lines)
    }

    /// `scale` times the sum of cross-entropies, each times its class's weight; the sum is over rows, so that a step's
    /// mean is over rows too, whatever their weights.
    ///
    /// # Shapes
    /// logits `[n, v]`, ids `[n]`; the result is `[1]` in f32.
    pub(super) fn weighted_loss(&self, logits: Tensor<2>, ids: Tensor<1, Int>, scale: f64) -> Tensor<1> {
        let log_p = activation::log_softmax(logits, 1);
        let weights = Tensor::<1>::from_floats(self.weights.as_slice(), &log_p.device()).select(0, ids.clone());
        let n = weights.dims()[0];
        let own = log_p.clone().gather(1, ids.reshape([n, 1])).reshape([n]);
        let nats = match self.smoothing {
            0.0 => -own,
            share => own * (share - 1.0) - log_p.mean_dim(1).reshape([n]) * share,
        };
        (nats * weights).sum() * scale
    }
}

fn balanced(counts: &[u64]) -> Vec<f32> {
    let rows: u64 = counts.iter().sum();
    let there = counts.iter().filter(|count| **count > 0).count().max(1);
    // A class without rows has none to weigh.
    let weight = |count: &u64| if *count == 0 { 1.0 } else { (rows as f64 / (there as f64 * *count as f64)) as f32 };
    counts.iter().map(weight).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::data::{InputSchema, Schema, TaskKind};
    use crate::model::Outputs;
    use crate::task::Targets;

    fn task(smoothing: f64) -> Task {
        let schema = Schema {
            input: InputSchema::Table { columns: vec!["x".into()] },
            target: TargetSchema::Classes { names: ["a", "b", "c"].map(String::from).to_vec() },
            table: None,
            scale: None,
            bytes_per_token: None,
        };
        Task::new(TaskKind::Classification, &schema, smoothing).unwrap()
    }

    fn loss(task: &Task) -> f32 {
        let device = Device::flex();
        let logits = Tensor::<2>::from_floats([[1.0, 0.0, -1.0], [0.5, 2.0, 0.0], [0.0, 0.0, 3.0]], &device);
        let ids = Tensor::<1, Int>::from_ints([0, 1, 0], &device);
        task.loss(Outputs::Logits(logits), Targets::Classes(ids), 1.0).into_scalar::<f32>()
    }

    /// PyTorch: `cross_entropy(logits, ids, weight, reduction="none").sum()`.
    #[test]
    fn weights_multiply_the_rows_losses() {
        let table = |a: f64, b: f64| ClassWeights::Table([("a".to_string(), a), ("b".to_string(), b)].into());
        let of = |weights: &ClassWeights, smoothing| loss(&task(smoothing).weighted(weights, &[2, 1, 0]).unwrap());
        let near = |a: f32, b: f32| assert!((a - b).abs() < 1e-4, "{a} is not {b}");
        near(of(&table(2.0, 0.5), 0.0), 7.158_2);
        near(of(&table(1.0, 1.0), 0.0), loss(&task(0.0)));
        near(of(&table(1.0, 1.0), 0.1), loss(&task(0.1)));
        near(of(&ClassWeights::By(Weighting::Balanced), 0.0), of(&table(0.75, 1.5), 0.0));
    }

    #[test]
    fn weights_of_no_class_are_refused() {
        let unknown = ClassWeights::Table([("d".to_string(), 1.0)].into());
        assert!(task(0.0).weighted(&unknown, &[1, 1, 1]).unwrap_err().to_string().contains("a, b, c"));
        let negative = ClassWeights::Table([("a".to_string(), -1.0)].into());
        assert!(task(0.0).weighted(&negative, &[1, 1, 1]).is_err());
    }
}
