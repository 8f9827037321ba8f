//! Metrics: numbers only, in f64, streamed over a whole split and exact whatever the batches' sizes.
//!
//! The figures and conventions are scikit-learn's with `zero_division=0`; `tests/fixtures/metrics.py` compares. A figure
//! that isn't defined (a class that never occurs, an AUROC with one class) is `None` and left out of `metrics()`.
//! A prediction that isn't finite makes every figure undefined and is counted in `non_finite`.

mod anomaly;
mod bootstrap;
mod calibration;
mod classification;
mod curves;
mod folds;
mod headline;
mod language;
mod predictions;
mod ranked;
mod regression;
mod threshold;

use std::collections::BTreeMap;

pub use anomaly::{Anomalies, flagged, score_threshold};
pub(crate) use bootstrap::splitmix;
pub use bootstrap::{Estimate, Interval, Paired, Resampling, estimates, paired, percentile_interval, resamples};
pub use calibration::{BINS, Calibration, ReliabilityBin, Temperature, calibration, fit_temperature};
pub use classification::{Averages, ClassReport, Classification, ClassificationReport, TopK};
pub use curves::{Ranking, areas};
pub use folds::{PairedTest, corrected_t};
pub use headline::{Counted, Figures, Headline};
pub use language::{Language, LanguageReport};
pub use predictions::{Predictions, Truth};
pub use ranked::{Ranked, RankedReport, USER_FIGURES, places, top, user_figures};
pub use regression::{Regression, RegressionReport, TargetReport};
pub use threshold::{Aim, Cut, choose_threshold, cut};

/// The defined ones of `figures`, by name.
fn defined<const N: usize>(figures: [(&str, Option<f64>); N]) -> BTreeMap<String, f64> {
    figures.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

fn ratio(part: f64, whole: f64) -> Option<f64> {
    (whole > 0.0).then(|| part / whole)
}

/// Mean of the defined values, each with its weight.
fn weighted_mean(values: impl Iterator<Item = (Option<f64>, f64)>) -> Option<f64> {
    let (mut sum, mut weights) = (0.0, 0.0);
    for (value, weight) in values.filter_map(|(value, weight)| Some((value?, weight))) {
        sum += value * weight;
        weights += weight;
    }
    ratio(sum, weights)
}

/// The value below which the share `at` of sorted values lies, interpolated linearly (as numpy's default); `None` for
/// none.
pub fn quantile(sorted: &[f64], at: f64) -> Option<f64> {
    let place = at.clamp(0.0, 1.0) * sorted.len().checked_sub(1)? as f64;
    let (below, above) = (sorted.get(place.floor() as usize)?, sorted.get(place.ceil() as usize)?);
    Some(below + (above - below) * place.fract())
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_compared;
