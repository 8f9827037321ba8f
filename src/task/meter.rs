//! A task's metrics, accumulated batch by batch over a split; uneven last batches count by their rows.

use std::collections::BTreeMap;

use burn::{prelude::*, tensor::activation};
use serde::Serialize;

use super::{Targets, Task, anomaly_scores, in_units, summed_loss};
use crate::{
    data::{Forecast, TargetSchema, TaskKind},
    error::{Error, Result},
    metric::{
        Anomalies, Classification, Language, Predictions, Ranked, Regression, Truth, USER_FIGURES, places, user_figures,
    },
    model::Outputs,
};

/// Everything that an evaluation found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Scalars by name; `loss` is always among them.
    pub metrics: BTreeMap<String, f64>,
    /// Tables such as the confusion matrix, as the metric defines them.
    pub detail: serde_json::Value,
    /// Targets that were judged: tokens or rows.
    pub count: u64,
}

impl Report {
    /// Mean loss a target: nats, or squared error.
    pub fn loss(&self) -> f64 {
        self.metrics.get("loss").copied().unwrap_or(f64::NAN)
    }
}

/// Accumulates one split.
pub struct Meter {
    metric: Metric,
    count: u64,
    kept: Option<Kept>,
}

/// Outputs and targets, for what needs all of them at once.
#[derive(Default)]
struct Kept {
    outputs: Vec<f32>,
    ids: Vec<u32>,
    values: Vec<f32>,
}

enum Metric {
    Language { metric: Language, bytes_per_token: Option<f64> },
    Classification(Classification),
    Regression { metric: Regression, names: Vec<String>, forecast: Option<Forecast> },
    Ranked(Ranked),
    Anomalies(Anomalies),
}

impl Meter {
    pub(super) fn new(task: &Task) -> Self {
        let metric = match (task.kind(), &task.schema().target) {
            (TaskKind::Classification, TargetSchema::Classes { names }) => {
                Metric::Classification(Classification::new(names.len()))
            }
            (TaskKind::Regression, TargetSchema::Values { names }) => {
                let forecast = task.schema().forecast().cloned();
                Metric::Regression { metric: Regression::new(names.len()), names: names.clone(), forecast }
            }
            (TaskKind::Recommendation, _) => Metric::Ranked(Ranked::default()),
            (TaskKind::Anomaly, target) => {
                Metric::Anomalies(Anomalies::new(matches!(target, TargetSchema::Itself { labelled: true })))
            }
            _ => Metric::Language { metric: Language::new(), bytes_per_token: task.schema().bytes_per_token },
        };
        Self { metric, count: 0, kept: None }
    }

    /// Keeps what it is given, for [`Meter::finish_kept`]: 4 bytes a row and output.
    pub(super) fn keeping(self) -> Self {
        Self { kept: Some(Kept::default()), ..self }
    }

    /// Adds a batch: its outputs and its targets, `valid` of which count.
    pub fn add(&mut self, outputs: Outputs, targets: Targets, valid: usize) -> Result<()> {
        match (&mut self.metric, targets) {
            (Metric::Language { metric, bytes_per_token }, Targets::Classes(ids)) => {
                let loss = summed_loss(outputs, ids, 0.0, 1.0);
                let nats = f64::from(host::<1>(loss)?.first().copied().unwrap_or(f32::NAN));
                let bytes = bytes_per_token.map_or(0.0, |bytes| bytes * valid as f64);
                metric.add(nats, valid as u64, bytes.round() as u64);
            }
            (Metric::Classification(metric), Targets::Classes(ids)) => {
                let probabilities = host(activation::softmax(outputs.logits(), 1))?;
                let ids: Vec<i32> = ids.try_into_vec_as().map_err(read_error)?;
                let ids: Vec<u32> = ids.into_iter().filter_map(|id| u32::try_from(id).ok()).collect();
                metric.add(&probabilities, &ids)?;
                if let Some(kept) = &mut self.kept {
                    kept.outputs.extend(probabilities);
                    kept.ids.extend(ids);
                }
            }
            (Metric::Regression { metric, forecast, .. }, Targets::Values(values)) => {
                let outputs = in_units(outputs.logits(), forecast.as_ref());
                let (outputs, values) = (host(outputs)?, host(values)?);
                metric.add(&outputs, &values)?;
                if let Some(kept) = &mut self.kept {
                    kept.outputs.extend(outputs);
                    kept.values.extend(values);
                }
            }
            (Metric::Anomalies(metric), Targets::Itself { x, anomalies }) => {
                let scores = host(anomaly_scores(outputs.logits(), x))?;
                metric.add(&scores, &anomalies);
            }
            (Metric::Ranked(metric), Targets::Ranked { relevant, seen }) => {
                let outputs = outputs.logits();
                let items = outputs.dims()[1];
                let scores = host(outputs)?;
                for ((scores, seen), chosen) in scores.chunks_exact(items.max(1)).zip(&seen).zip(&relevant) {
                    let places = places(scores, seen, chosen);
                    metric.add(places.as_deref());
                    if let Some(kept) = &mut self.kept {
                        kept.outputs.extend(places.map_or([f32::NAN; USER_FIGURES], |places| user_figures(&places)));
                    }
                }
            }
            (Metric::Ranked(_), _) => {
                return Err(Error::input(
                    "what users chose for training is left out of every ranking, so none can be judged on it",
                )
                .next("evaluate --split validation or test"));
            }
            _ => return Err(Error::failed("the targets of a batch are not of its task's kind")),
        }
        self.count += valid as u64;
        Ok(())
    }

    /// The metrics over everything that was added, and the predictions themselves; a language model's are not kept.
    ///
    /// # Errors
    /// When nothing was added.
    pub fn finish_kept(mut self) -> Result<(Report, Option<Predictions>)> {
        let kept = self.kept.take().unwrap_or_default();
        let predictions = match &self.metric {
            Metric::Language { .. } => None,
            Metric::Classification(metric) => {
                Some(Predictions::new(kept.outputs, metric.classes(), Truth::Classes(kept.ids))?)
            }
            Metric::Anomalies(metric) => Some(metric.predictions()?),
            Metric::Ranked(_) => {
                let users = kept.outputs.len() / USER_FIGURES;
                Some(Predictions::new(kept.outputs, USER_FIGURES, Truth::Users(users))?)
            }
            Metric::Regression { names, .. } => {
                Some(Predictions::new(kept.outputs, names.len(), Truth::Values(kept.values))?)
            }
        };
        Ok((self.finish()?, predictions))
    }

    /// The metrics over everything that was added.
    ///
    /// # Errors
    /// When nothing was added.
    pub fn finish(self) -> Result<Report> {
        let count = self.count;
        if count == 0 {
            return Err(
                Error::input("the split to evaluate is empty").next("raise `data.holdout`, or evaluate another")
            );
        }
        let (mut metrics, detail) = match self.metric {
            Metric::Language { metric, .. } => {
                let report = metric.finish();
                (report.metrics(), to_json(&report)?)
            }
            Metric::Classification(metric) => {
                let report = metric.finish();
                (report.metrics(), to_json(&report)?)
            }
            Metric::Anomalies(metric) => (metric.figures(), serde_json::Value::Null),
            Metric::Ranked(metric) => {
                let report = metric.finish();
                (report.figures.clone(), to_json(&report)?)
            }
            Metric::Regression { metric, names, forecast } => {
                let report = metric.finish();
                let mut metrics = report.metrics();
                let scaled = forecast.and_then(|forecast| report.mase(&forecast.naive));
                metrics.extend(scaled.map(|mase| ("mase".to_string(), mase)));
                (metrics, serde_json::json!({ "targets": names, "report": to_json(&report)? }))
            }
        };
        // What training minimises goes by one name in every task.
        if let Some(&loss) = metrics.get("log_loss").or(metrics.get("mse")) {
            metrics.insert("loss".into(), loss);
        }
        // A loss over drawn items says little of a ranking of all: what is short of a perfect one picks the best step.
        if let Some(&ndcg) = metrics.get("ndcg@10") {
            metrics.insert("loss".into(), 1.0 - ndcg);
        }
        Ok(Report { metrics, detail, count })
    }
}

fn to_json(report: &impl Serialize) -> Result<serde_json::Value> {
    serde_json::to_value(report).map_err(|e| Error::failed(format!("cannot write the metrics as JSON: {e}")))
}

/// Reads a float tensor back to the host.
pub(crate) fn host<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>> {
    tensor.try_into_vec_as().map_err(read_error)
}

fn read_error(error: impl std::fmt::Display) -> Error {
    Error::failed(format!("the device failed while computing: {error}"))
        .next("try a smaller `train.batch`, or another --device")
}
