//! Columns of mean 0 and deviation 1.

use serde::{Deserialize, Serialize};

use super::{Fault, Rows};

/// Mean and deviation of every column, learned on the training rows; a constant column has deviation 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Standard {
    pub(crate) mean: Vec<f64>,
    std: Vec<f64>,
}

impl Standard {
    pub(crate) fn of(rows: Rows<'_>) -> Self {
        let n = rows.len() as f64;
        let mean: Vec<f64> = (0..rows.columns).map(|c| rows.column(c).sum::<f64>() / n).collect();
        let std = mean.iter().enumerate().map(|(c, mean)| {
            let variance = rows.column(c).map(|v| (v - mean).powi(2)).sum::<f64>() / n;
            let std = variance.sqrt();
            // Rounding noise of a constant column must not be blown up to unit variance.
            if std > mean.abs() * 1e-7 && std > f64::from(f32::MIN_POSITIVE) { std } else { 1.0 }
        });
        Self { std: std.collect(), mean }
    }

    pub(crate) fn apply(&self, row: &[f32]) -> Vec<f64> {
        row.iter().zip(self.mean.iter().zip(&self.std)).map(|(&v, (mean, std))| (f64::from(v) - mean) / std).collect()
    }

    pub(crate) fn check(&self, columns: usize) -> Result<(), Fault> {
        let whole = self.mean.iter().all(|v| v.is_finite()) && self.std.iter().all(|v| *v > 0.0 && v.is_finite());
        if self.mean.len() == columns && self.std.len() == columns && whole {
            Ok(())
        } else {
            Err(Fault("the scale does not fit the columns".into()))
        }
    }
}
