//! Scores of anomalies: how well they rank what is one, and what a threshold tells.

use std::collections::BTreeMap;

use super::{Cut, Headline, Predictions, Ranking, Truth, curves::areas_counted, cut, defined, quantile};
use crate::error::Result;

/// The scores of a split: 5 bytes a row.
#[derive(Debug, Clone)]
pub struct Anomalies {
    scores: Vec<f32>,
    flags: Vec<bool>,
    labelled: bool,
}

impl Anomalies {
    /// Of rows that say what they are, or not.
    pub fn new(labelled: bool) -> Self {
        Self { scores: Vec::new(), flags: Vec::new(), labelled }
    }

    /// Adds a batch: a score and whether it is an anomaly for every row.
    pub fn add(&mut self, scores: &[f32], flags: &[bool]) {
        self.scores.extend(scores);
        self.flags.extend(flags);
    }

    /// `loss`, the mean score of normal rows (of all, where none are said to be anomalies); `auroc` and
    /// `average_precision` where rows of both sorts are there.
    pub fn figures(&self) -> BTreeMap<String, f64> {
        let normal =
            self.scores.iter().zip(&self.flags).filter(|(_, flag)| !**flag).map(|(score, _)| f64::from(*score));
        let (sum, count) = normal.fold((0.0, 0.0), |(sum, count), score| (sum + score, count + 1.0));
        let finite = self.scores.iter().all(|score| score.is_finite());
        let (auroc, precision) = match self.labelled && finite {
            true => areas_counted(
                &Ranking::new(self.scores.iter().copied().zip(self.flags.iter().copied())),
                &vec![1; self.scores.len()],
            ),
            false => (None, None),
        };
        let loss = (count > 0.0).then(|| sum / count).or(Some(f64::NAN));
        defined([("loss", loss), (Headline::Auroc.name(), auroc), (Headline::AveragePrecision.name(), precision)])
    }

    /// The scores beside the truth.
    pub fn predictions(&self) -> Result<Predictions> {
        Predictions::new(self.scores.clone(), 1, Truth::Anomalies(self.flags.clone()))
    }
}

/// The score below which this share of `scores` lies; `None` of none, or where one is not a number.
pub fn score_threshold(scores: &[f32], share: f64) -> Option<f64> {
    let mut sorted: Vec<f64> = scores.iter().map(|&score| f64::from(score)).collect();
    if sorted.iter().any(|score| !score.is_finite()) {
        return None;
    }
    sorted.sort_by(f64::total_cmp);
    quantile(&sorted, share)
}

/// What a threshold tells of scored rows: those at or above it are flagged. `None` of other predictions.
pub fn flagged(predictions: &Predictions, threshold: f64) -> Option<Cut> {
    let Truth::Anomalies(flags) = &predictions.truth else { return None };
    Some(cut(&predictions.outputs.iter().copied().zip(flags.iter().copied()).collect::<Vec<_>>(), threshold))
}
