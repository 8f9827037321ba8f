//! What folds come to: mean and spread, and whether the network differs from the best classic model.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{FoldResult, Folds};
use crate::{
    baseline::BaselineKind,
    metric::{Headline, PairedTest, corrected_t},
};

/// Mean and standard deviation (of a sample) of a model's figures.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Spread {
    /// Mean.
    pub mean: f64,
    /// Standard deviation; absent for a single value.
    pub std: Option<f64>,
    /// Values.
    pub count: usize,
}

impl Spread {
    /// Of these values.
    pub fn of(values: &[f64]) -> Self {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n.max(1.0);
        let squares = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>();
        let std = (values.len() > 1).then(|| (squares / (n - 1.0)).sqrt());
        Self { mean, std, count: values.len() }
    }
}

/// A cross-validation.
#[derive(Debug, Clone, Serialize)]
pub struct CvReport {
    /// What models are compared by.
    pub figure: Headline,
    /// Every fold, repeat and seed.
    pub folds: Vec<FoldResult>,
    /// The network over all of them.
    pub network: Spread,
    /// The network seed by seed, where there are several: the spread is over folds.
    pub by_seed: BTreeMap<u64, Spread>,
    /// How far the means of the seeds lie apart.
    pub between_seeds: Option<Spread>,
    /// The classic models over folds and repeats.
    pub baselines: Vec<(BaselineKind, Spread)>,
    /// The one with the best mean.
    pub best: Option<BaselineKind>,
    /// The network less the best baseline, fold by fold (the mean over seeds); absent below two folds.
    pub test: Option<PairedTest>,
    /// The same in words.
    pub words: String,
}

impl CvReport {
    pub(super) fn new(figure: Headline, level: f64, folds: &Folds, results: Vec<FoldResult>) -> Self {
        let network: Vec<f64> = results.iter().map(|r| r.network).collect();
        let of_seed =
            |seed: u64| -> Vec<f64> { results.iter().filter(|r| r.seed == seed).map(|r| r.network).collect() };
        let by_seed: BTreeMap<u64, Spread> =
            folds.seeds.iter().map(|&seed| (seed, Spread::of(&of_seed(seed)))).collect();
        let means: Vec<f64> = by_seed.values().map(|spread| spread.mean).collect();
        let baselines = baselines(&results);
        let merit = |mean: f64| if figure.higher_is_better() { mean } else { -mean };
        let best = baselines.iter().max_by(|a, b| merit(a.1.mean).total_cmp(&merit(b.1.mean))).map(|(kind, _)| *kind);
        let test = best.filter(|_| folds.of > 1).and_then(|best| {
            let (train, judged) = results.iter().fold((0, 0), |s, r| (s.0 + r.train_rows, s.1 + r.judged_rows));
            corrected_t(&differences(&results, best), train as f64, judged as f64, level)
        });
        let network = Spread::of(&network);
        let words = words(figure, level, &network, &baselines, best, test.as_ref());
        Self {
            figure,
            network,
            between_seeds: (means.len() > 1).then(|| Spread::of(&means)),
            by_seed,
            baselines,
            best,
            test,
            words,
            folds: results,
        }
    }
}

/// The classic models that every fold could fit.
fn baselines(results: &[FoldResult]) -> Vec<(BaselineKind, Spread)> {
    let mut values: BTreeMap<BaselineKind, Vec<f64>> = BTreeMap::new();
    for (kind, value) in results.iter().flat_map(|r| &r.baselines) {
        values.entry(*kind).or_default().push(*value);
    }
    values.retain(|_, values| values.len() == results.len());
    values.into_iter().map(|(kind, values)| (kind, Spread::of(&values))).collect()
}

/// The network less `best`, one difference a fold and repeat: seeds are not folds, so they are averaged first.
fn differences(results: &[FoldResult], best: BaselineKind) -> Vec<f64> {
    let mut by_fold: BTreeMap<(usize, usize), Vec<f64>> = BTreeMap::new();
    for result in results {
        if let Some((_, value)) = result.baselines.iter().find(|(kind, _)| *kind == best) {
            by_fold.entry((result.repeat, result.fold)).or_default().push(result.network - value);
        }
    }
    by_fold.values().map(|gaps| gaps.iter().sum::<f64>() / gaps.len() as f64).collect()
}

fn words(
    figure: Headline,
    level: f64,
    network: &Spread,
    baselines: &[(BaselineKind, Spread)],
    best: Option<BaselineKind>,
    test: Option<&PairedTest>,
) -> String {
    let name = figure.name();
    let Some((kind, theirs)) = best.and_then(|best| baselines.iter().find(|(kind, _)| *kind == best)) else {
        return format!("the network's {name} is {:.4}; no baseline is beside it", network.mean);
    };
    let both = format!("the best baseline ({}): {name} {:.4} against {:.4}", kind.name(), network.mean, theirs.mean);
    let Some(test) = test else { return format!("the network beside {both}; one fold is too few for a test") };
    let better = (test.mean > 0.0) == figure.higher_is_better();
    let verdict = match (test.p < 1.0 - level, better) {
        (true, true) => "the network wins over",
        (true, false) => "the network loses to",
        (false, _) => "the network is within noise of",
    };
    format!(
        "{verdict} {both}, difference {:+.4} {} at {}% (corrected resampled t-test over {} folds, p = {:.4})",
        test.mean,
        test.interval,
        level * 100.0,
        test.folds,
        test.p
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::data::FoldBy;

    fn result(fold: usize, seed: u64, network: f64, forest: f64) -> FoldResult {
        FoldResult {
            repeat: 0,
            fold,
            seed,
            run: "r".into(),
            train_rows: 80,
            judged_rows: 20,
            network,
            baselines: vec![(BaselineKind::Forest, forest), (BaselineKind::Linear, forest - 0.2)],
            metrics: BTreeMap::new(),
        }
    }

    fn report(results: Vec<FoldResult>, figure: Headline) -> CvReport {
        let folds = Folds { of: 3, by: FoldBy::Shuffled, column: String::new(), repeats: 1, seeds: vec![1, 2] };
        CvReport::new(figure, 0.95, &folds, results)
    }

    #[test]
    fn seeds_are_averaged_before_folds_are_tested() {
        let rows = [(0, 0.9, 0.8), (1, 0.92, 0.81), (2, 0.9, 0.79)];
        let of = |seed: u64, shift: f64| rows.map(|(fold, a, b)| result(fold, seed, a + shift, b));
        let report = report([of(1, 0.0), of(2, 0.02)].concat(), Headline::Accuracy);
        assert_eq!(report.best, Some(BaselineKind::Forest));
        let test = report.test.unwrap();
        assert_eq!(test.folds, 3, "two seeds of three folds are three differences");
        assert!((test.mean - (0.32 / 3.0 + 0.01)).abs() < 1e-12, "{}", test.mean);
        let between = report.between_seeds.unwrap();
        assert!((between.mean - (2.72 / 3.0 + 0.01)).abs() < 1e-12 && between.count == 2);
        assert!(report.words.starts_with("the network wins over the best baseline (forest)"), "{}", report.words);
    }

    #[test]
    fn less_is_better_for_an_error() {
        let rows = [(0, 0.9, 0.8), (1, 0.92, 0.81), (2, 0.9, 0.79)].map(|(fold, a, b)| result(fold, 1, a, b));
        let report = report(rows.to_vec(), Headline::Rmse);
        assert_eq!(report.best, Some(BaselineKind::Linear));
        assert!(report.words.starts_with("the network loses to the best baseline (linear)"), "{}", report.words);
    }
}
