//! Two models on the same folds: is the difference more than the folds' own noise?

use serde::Serialize;
use statrs::distribution::{ContinuousCDF, StudentsT};

use super::Interval;

/// The corrected resampled t-test of Nadeau and Bengio (2003).
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PairedTest {
    /// Mean difference over the folds.
    pub mean: f64,
    /// Student's t.
    pub t: f64,
    /// Two-sided.
    pub p: f64,
    /// Of the mean difference.
    pub interval: Interval,
    /// Folds.
    pub folds: usize,
}

/// Tests whether the differences of `folds` have mean 0, when the folds train on `train` rows and are judged on `test`
/// others. Folds share their training rows, so the plain t-test is too sure; the variance grows by `test / train`.
///
/// `None` for fewer than two folds, or differences that are all alike, which no test can weigh.
pub fn corrected_t(differences: &[f64], train: f64, test: f64, level: f64) -> Option<PairedTest> {
    let folds = differences.len();
    let n = folds as f64;
    let mean = differences.iter().sum::<f64>() / n;
    let variance = differences.iter().map(|d| (d - mean).powi(2)).sum::<f64>() / (n - 1.0);
    let error = ((1.0 / n + test / train) * variance).sqrt();
    if folds < 2 || !error.is_finite() || error <= 0.0 {
        return None;
    }
    let t = mean / error;
    let student = StudentsT::new(0.0, 1.0, n - 1.0).ok()?;
    let reach = student.inverse_cdf(0.5 + level / 2.0) * error;
    let interval = Interval { low: mean - reach, high: mean + reach };
    Some(PairedTest { mean, t, p: 2.0 * student.cdf(-t.abs()), interval, folds })
}
