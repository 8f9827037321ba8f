//! Where to cut a binary score.

use serde::Serialize;

use super::{curves::Ranking, ratio};

/// What a threshold is chosen for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Aim {
    /// The largest F1 of class 1.
    F1,
    /// The largest share of right rows.
    Accuracy,
    /// The largest mean of the two classes' recalls (the same cut as Youden's J, 1950).
    BalancedAccuracy,
    /// The least cost: of a false positive, and of a false negative.
    Cost(f64, f64),
}

/// Rows on either side of a threshold; class 1 is predicted from the threshold on.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Cut {
    /// The least probability of class 1 that predicts it.
    pub threshold: f64,
    /// Class 1, predicted.
    pub true_positives: u64,
    /// Class 0, predicted as 1.
    pub false_positives: u64,
    /// Class 1, predicted as 0.
    pub false_negatives: u64,
    /// Class 0, predicted.
    pub true_negatives: u64,
    /// Precision of class 1.
    pub precision: Option<f64>,
    /// Recall of class 1.
    pub recall: Option<f64>,
    /// F1 of class 1.
    pub f1: Option<f64>,
    /// Share of right rows.
    pub accuracy: Option<f64>,
    /// Mean of the two classes' recalls.
    pub balanced_accuracy: Option<f64>,
}

impl Cut {
    fn new(threshold: f64, taken: (u64, u64), all: (u64, u64)) -> Self {
        let (tp, fp) = taken;
        let (r#fn, tn) = (all.0.saturating_sub(tp), all.1.saturating_sub(fp));
        let share = |part: u64, whole: u64| ratio(part as f64, whole as f64);
        let (recall, specificity) = (share(tp, tp + r#fn), share(tn, tn + fp));
        Self {
            threshold,
            true_positives: tp,
            false_positives: fp,
            false_negatives: r#fn,
            true_negatives: tn,
            precision: share(tp, tp + fp),
            recall,
            f1: share(2 * tp, 2 * tp + fp + r#fn),
            accuracy: share(tp + tn, tp + tn + fp + r#fn),
            balanced_accuracy: recall.zip(specificity).map(|(a, b)| 0.5 * (a + b)),
        }
    }

    /// How well it serves `aim`; more is better.
    fn merit(&self, aim: Aim) -> Option<f64> {
        match aim {
            Aim::F1 => self.f1,
            Aim::Accuracy => self.accuracy,
            Aim::BalancedAccuracy => self.balanced_accuracy,
            Aim::Cost(fp, r#fn) => Some(-self.cost(fp, r#fn)),
        }
    }

    /// Its false positives and negatives at a price each.
    pub fn cost(&self, false_positive: f64, false_negative: f64) -> f64 {
        self.false_positives as f64 * false_positive + self.false_negatives as f64 * false_negative
    }
}

/// The cut at `threshold`: a row counts as class 1 from it on.
pub fn cut(scored: &[(f32, bool)], threshold: f64) -> Cut {
    let count = |rows: &mut dyn Iterator<Item = &(f32, bool)>| {
        rows.fold((0, 0), |(p, n), (_, positive)| if *positive { (p + 1, n) } else { (p, n + 1) })
    };
    let taken = count(&mut scored.iter().filter(|(score, _)| f64::from(*score) >= threshold));
    Cut::new(threshold, taken, count(&mut scored.iter()))
}

/// The best cut for `aim` among those at a score, the highest one among equals; `None` where the aim is not defined.
pub fn choose_threshold(scored: &[(f32, bool)], aim: Aim) -> Option<Cut> {
    let points = Ranking::new(scored.iter().copied()).points();
    let &(_, positives, negatives) = points.last()?;
    let cuts = points.iter().map(|&(score, tp, fp)| Cut::new(f64::from(score), (tp, fp), (positives, negatives)));
    let rated = cuts.filter_map(|cut| Some((cut.merit(aim)?, cut)));
    let best = rated.reduce(|best, other| if other.0 > best.0 { other } else { best });
    // Taking nothing at all is a cut above every probability.
    best.map(|(_, cut)| if cut.threshold.is_finite() { cut } else { Cut { threshold: 1.0f64.next_up(), ..cut } })
}
