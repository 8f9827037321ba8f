//! Metrics: numbers only, in f64, streamed over a whole split and exact whatever the batches' sizes.
//!
//! The figures and conventions are scikit-learn's with `zero_division=0`; `tests/fixtures/metrics.py` compares. A figure
//! that isn't defined (a class that never occurs, an AUROC with one class) is `None` and left out of `metrics()`.
//! A prediction that isn't finite makes every figure undefined and is counted in `non_finite`.

mod classification;
mod curves;
mod language;
mod regression;

use std::collections::BTreeMap;

pub use classification::{Averages, ClassReport, Classification, ClassificationReport, TopK};
pub use language::{Language, LanguageReport};
pub use regression::{Regression, RegressionReport, TargetReport};

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

#[cfg(test)]
mod tests;
