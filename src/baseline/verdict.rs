//! The network beside the best baseline, on the same rows.

use serde::Serialize;

use super::{BaselineKind, Gate, predictions_of};
use crate::{
    data::{Dataset, Split},
    error::Result,
    metric::{Counted, Estimate, Headline, Paired, Predictions, Resampling, paired},
};

/// What the comparison comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The network is better, beyond noise.
    Wins,
    /// The baseline is better, beyond noise.
    Loses,
    /// The interval of the difference holds 0.
    WithinNoise,
}

/// The network beside the best baseline of its run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// The rows.
    pub split: Split,
    /// How many they are.
    pub rows: usize,
    /// The figure that is compared.
    pub figure: Headline,
    /// The network's.
    pub network: Estimate,
    /// Which baseline.
    pub best: BaselineKind,
    /// Its figure.
    pub baseline: Estimate,
    /// The network's less the baseline's.
    pub difference: Estimate,
    /// Confidence of the intervals.
    pub level: f64,
    /// Resamples that they come from.
    pub resamples: usize,
    /// What it comes to.
    pub outcome: Outcome,
    /// The same in words.
    pub words: String,
}

/// Compares the network's predictions on a whole split with the gate's best model on the same rows, by a paired
/// bootstrap over the rows; `None` where the figure is not defined on them.
///
/// # Errors
/// A model of other columns, or a damaged shard.
pub fn compare(
    gate: &Gate,
    network: &Predictions,
    dataset: &Dataset,
    split: Split,
    how: Resampling,
) -> Result<Option<Comparison>> {
    let theirs = predictions_of(&gate.model, gate.terms.as_ref(), dataset, split)?;
    let rows = network.len();
    let how = how.bounded(rows);
    let (ours, theirs) = (Counted::new(network), Counted::new(&theirs));
    let figure = gate.figure;
    let Some(Paired { ours: a, theirs: b, difference: gap }) = paired(&ours, &theirs, figure, rows, how) else {
        return Ok(None);
    };
    let outcome = outcome(&gap, figure);
    let words = words(outcome, gate.best, figure, &a, &b, &gap, how.level);
    Ok(Some(Comparison {
        split,
        rows,
        figure,
        network: a,
        best: gate.best,
        baseline: b,
        difference: gap,
        level: how.level,
        resamples: how.times,
        outcome,
        words,
    }))
}

fn outcome(gap: &Estimate, figure: Headline) -> Outcome {
    let Some(interval) = gap.interval else { return Outcome::WithinNoise };
    match (interval.low > 0.0, interval.high < 0.0, figure.higher_is_better()) {
        (true, _, true) | (_, true, false) => Outcome::Wins,
        (_, true, true) | (true, _, false) => Outcome::Loses,
        _ => Outcome::WithinNoise,
    }
}

fn words(
    outcome: Outcome,
    best: BaselineKind,
    figure: Headline,
    a: &Estimate,
    b: &Estimate,
    gap: &Estimate,
    level: f64,
) -> String {
    let (figure, best) = (figure.name(), best.name());
    let gap = match gap.interval {
        Some(i) => format!("{:+.4} [{:+.4}, {:+.4}] at {}%", gap.value, i.low, i.high, level * 100.0),
        None => format!("{:+.4}", gap.value),
    };
    let verdict = match outcome {
        Outcome::Wins => "the network wins over",
        Outcome::Loses => "the network loses to",
        Outcome::WithinNoise => "the network is within noise of",
    };
    format!("{verdict} the best baseline ({best}): {figure} {:.4} against {:.4}, difference {gap}", a.value, b.value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::Interval;

    #[test]
    fn an_outcome_follows_the_interval_and_the_figures_sense() {
        let gap = |low, high| Estimate { value: 0.5 * (low + high), interval: Some(Interval { low, high }) };
        for (low, high, figure, expected) in [
            (0.1, 0.3, Headline::Auroc, Outcome::Wins),
            (-0.3, -0.1, Headline::Auroc, Outcome::Loses),
            (-0.1, 0.3, Headline::Auroc, Outcome::WithinNoise),
            (0.1, 0.3, Headline::Rmse, Outcome::Loses),
            (-0.3, -0.1, Headline::LogLoss, Outcome::Wins),
            (0.0, 0.0, Headline::R2, Outcome::WithinNoise),
        ] {
            assert_eq!(outcome(&gap(low, high), figure), expected, "{low} {high} {figure:?}");
        }
        let none = Estimate { value: 0.5, interval: None };
        assert_eq!(outcome(&none, Headline::Auroc), Outcome::WithinNoise);
    }
}
