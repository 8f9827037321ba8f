//! Regression: MSE, MAE, RMSE, R², per target and averaged.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{defined, ratio, weighted_mean};
use crate::error::{Error, Result};

/// Streams predictions and targets; memory does not grow with rows.
#[derive(Debug, Clone)]
pub struct Regression {
    rows: u64,
    non_finite: u64,
    targets: Vec<Sums>,
}

/// `mean` and `m2` as Welford (1962): the targets' deviation without cancellation.
#[derive(Debug, Clone, Default)]
struct Sums {
    squared: f64,
    absolute: f64,
    mean: f64,
    m2: f64,
}

/// Figures of one target column.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TargetReport {
    /// Mean squared error.
    pub mse: Option<f64>,
    /// Mean absolute error.
    pub mae: Option<f64>,
    /// Root of `mse`.
    pub rmse: Option<f64>,
    /// Coefficient of determination; undefined below two rows. A constant target scores 1 if predicted exactly, else 0.
    pub r2: Option<f64>,
}

/// Figures over a split.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RegressionReport {
    /// Rows seen.
    pub rows: u64,
    /// Rows with a prediction or target that isn't finite.
    pub non_finite: u64,
    /// Per target column.
    pub per_target: Vec<TargetReport>,
    /// The plain mean over target columns.
    pub mean: TargetReport,
}

impl Regression {
    /// For rows of `targets` columns.
    pub fn new(targets: usize) -> Self {
        Self { rows: 0, non_finite: 0, targets: vec![Sums::default(); targets] }
    }

    /// Adds a batch of any number of rows, both `[rows, targets]`.
    ///
    /// # Errors
    /// The two differ in length or aren't whole rows.
    pub fn add(&mut self, predictions: &[f32], targets: &[f32]) -> Result<()> {
        let columns = self.targets.len().max(1);
        if predictions.len() != targets.len() || !targets.len().is_multiple_of(columns) {
            let (p, t) = (predictions.len(), targets.len());
            return Err(Error::failed(format!("{p} predictions for {t} targets in rows of {columns}")));
        }
        for (row, truth) in predictions.chunks_exact(columns).zip(targets.chunks_exact(columns)) {
            self.rows += 1;
            if row.iter().chain(truth).any(|v| !v.is_finite()) {
                self.non_finite += 1;
                continue;
            }
            for (sums, (&p, &t)) in self.targets.iter_mut().zip(row.iter().zip(truth)) {
                sums.add(f64::from(p), f64::from(t), self.rows as f64);
            }
        }
        Ok(())
    }

    /// The figures.
    pub fn finish(self) -> RegressionReport {
        let rows = if self.non_finite == 0 { self.rows } else { 0 };
        let per_target: Vec<_> = self.targets.iter().map(|sums| sums.finish(rows)).collect();
        let mean = |of: fn(&TargetReport) -> Option<f64>| weighted_mean(per_target.iter().map(|t| (of(t), 1.0)));
        let mean =
            TargetReport { mse: mean(|t| t.mse), mae: mean(|t| t.mae), rmse: mean(|t| t.rmse), r2: mean(|t| t.r2) };
        RegressionReport { rows: self.rows, non_finite: self.non_finite, per_target, mean }
    }
}

impl Sums {
    fn add(&mut self, prediction: f64, target: f64, rows: f64) {
        let error = prediction - target;
        self.squared += error * error;
        self.absolute += error.abs();
        let delta = target - self.mean;
        self.mean += delta / rows;
        self.m2 += delta * (target - self.mean);
    }

    fn finish(&self, rows: u64) -> TargetReport {
        let mse = ratio(self.squared, rows as f64);
        let r2 = match ratio(self.squared, self.m2) {
            Some(unexplained) => 1.0 - unexplained,
            None => f64::from(u8::from(self.squared == 0.0)),
        };
        TargetReport {
            mse,
            mae: ratio(self.absolute, rows as f64),
            rmse: mse.map(f64::sqrt),
            r2: (rows >= 2).then_some(r2),
        }
    }
}

impl RegressionReport {
    /// Mean absolute scaled error (Hyndman and Koehler 2006): errors over those of repeating the value of a season before,
    /// `naive`, one for each of the series whose steps ahead follow each other among the targets; the mean over targets.
    pub fn mase(&self, naive: &[f64]) -> Option<f64> {
        let scaled = |(target, naive): (&TargetReport, &f64)| (target.mae.and_then(|mae| ratio(mae, *naive)), 1.0);
        weighted_mean(self.per_target.iter().zip(naive.iter().cycle()).map(scaled))
    }

    /// `mse`, `mae`, `rmse`, `r2`, averaged over targets.
    pub fn metrics(&self) -> BTreeMap<String, f64> {
        let mean = &self.mean;
        defined([("mse", mean.mse), ("mae", mean.mae), ("rmse", mean.rmse), ("r2", mean.r2)])
    }
}
