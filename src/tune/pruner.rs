//! Which trial is hopeless: a pure function of what the journal tells of all of them.
//!
//! Trials are compared at the same share of their training, not at the same step: a larger batch takes fewer steps.

use super::{Objective, Trial};
use crate::config::{PrunerKind, TuneConfig};

/// Shares that differ by less are one: 50 of 150 steps and a third.
const SAME: f64 = 1e-9;

/// Why trial `number` should stop at its last evaluation, if it should.
pub fn hopeless(config: &TuneConfig, objective: &Objective, trials: &[Trial], number: u64) -> Option<String> {
    let own = trials.iter().find(|trial| trial.number == number)?.curve(objective);
    let others: Vec<_> =
        trials.iter().filter(|trial| trial.number != number).map(|trial| trial.curve(objective)).collect();
    match config.pruner {
        PrunerKind::None => None,
        PrunerKind::Median => median(&own, &others, config.warmup),
        PrunerKind::Asha => asha(&own, &others, config.reduction),
    }
}

/// Worse than the median of the best values that the others had at this share of their training.
fn median(own: &[(f64, f64)], others: &[Vec<(f64, f64)>], warmup: usize) -> Option<String> {
    let (share, best) = *own.last()?;
    let reached = others.iter().filter(|curve| curve.last().is_some_and(|(last, _)| *last >= share - SAME));
    let mut there: Vec<f64> = reached
        .filter_map(|curve| curve.iter().rev().find(|(at, _)| *at <= share + SAME).or(curve.first()))
        .map(|(_, cost)| *cost)
        .collect();
    if there.len() < warmup {
        return None;
    }
    there.sort_by(f64::total_cmp);
    let (low, high) = (there.get((there.len() - 1) / 2)?, there.get(there.len() / 2)?);
    let median = low + (high - low) / 2.0; // of infinities too
    let worse = if median.is_nan() { false } else { best > median };
    worse.then(|| format!("worse than the median of {} trials at {:.0} % of the training", there.len(), share * 100.0))
}

/// Not among the best one in `reduction` at the rung that its last evaluation reached.
///
/// Rungs lie at `reduction^-k` of the training: 1/3, 1/9, 1/27 ...
fn asha(own: &[(f64, f64)], others: &[Vec<(f64, f64)>], reduction: usize) -> Option<String> {
    let (share, best) = *own.last()?;
    let before = own.iter().rev().nth(1).map_or(0.0, |(share, _)| *share);
    let factor = reduction.max(2) as f64;
    let mut rung = 1.0 / factor;
    while rung > share + SAME {
        rung /= factor;
    }
    if rung <= before + SAME {
        return None; // it has passed this one
    }
    let there: Vec<f64> = others
        .iter()
        .filter_map(|curve| curve.iter().find(|(at, _)| *at >= rung - SAME).map(|(_, cost)| *cost))
        .collect();
    let go_on = ((there.len() + 1) / reduction.max(2)).max(1);
    let better = there.iter().filter(|cost| **cost < best).count();
    (better >= go_on).then(|| {
        format!("{} of {} trials were better at the rung of {:.0} % of the training", better, there.len(), rung * 100.0)
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::BTreeMap;

    use super::{super::Rung, *};
    use crate::config::Direction;

    fn trial(number: u64, steps: u64, costs: &[(u64, f64)]) -> Trial {
        let rung =
            |(step, loss): &(u64, f64)| Rung { step: *step, steps, metrics: BTreeMap::from([("loss".into(), *loss)]) };
        Trial { number, values: BTreeMap::new(), rungs: costs.iter().map(rung).collect(), end: None }
    }

    fn judge(pruner: PrunerKind, trials: &[Trial]) -> Option<String> {
        let config = TuneConfig { pruner, warmup: 3, ..TuneConfig::default() };
        let objective = Objective { metric: "loss".into(), direction: Direction::Minimize };
        hopeless(&config, &objective, trials, trials.last().unwrap().number)
    }

    fn field(own: Trial) -> Vec<Trial> {
        let others = [1.0, 2.0, 3.0]
            .iter()
            .zip(1..)
            .map(|(cost, number)| trial(number, 100, &[(10, cost + 5.0), (50, *cost), (90, cost - 0.5)]));
        others.chain([own]).collect()
    }

    #[test]
    fn median_stops_the_worse_half_at_the_same_share() {
        assert_eq!(judge(PrunerKind::Median, &field(trial(9, 100, &[(50, 1.9)]))), None);
        let why = judge(PrunerKind::Median, &field(trial(9, 100, &[(50, 2.1)]))).unwrap();
        assert!(why.contains("median of 3 trials at 50 %"), "{why}");
        assert_eq!(judge(PrunerKind::Median, &field(trial(9, 20, &[(10, 1.9)]))), None, "half of a shorter training");
        assert_eq!(judge(PrunerKind::Median, &field(trial(9, 100, &[(10, 1.0), (50, 9.0)]))), None, "its best counts");
        assert_eq!(judge(PrunerKind::Median, &field(trial(9, 100, &[(95, 9.0)]))), None, "nobody came as far");
        assert!(judge(PrunerKind::Median, &field(trial(9, 100, &[(50, f64::NAN)]))).is_some());
    }

    #[test]
    fn median_waits_for_enough_trials() {
        let few = [trial(1, 100, &[(50, 1.0)]), trial(2, 100, &[(50, 1.0)]), trial(3, 100, &[(50, 9.0)])];
        assert_eq!(judge(PrunerKind::Median, &few), None);
    }

    #[test]
    fn asha_lets_one_of_three_past_a_rung() {
        let at = |number, cost| trial(number, 90, &[(30, cost)]);
        let asha = |trials: &[Trial]| judge(PrunerKind::Asha, trials);
        assert_eq!(asha(&[at(1, 5.0)]), None, "the first one goes on");
        assert_eq!(asha(&[at(1, 5.0), at(2, 4.0)]), None, "the best one goes on");
        assert!(asha(&[at(1, 5.0), at(2, 6.0)]).is_some());
        let six: Vec<Trial> = (1..=5).map(|i| at(i, i as f64)).chain([at(6, 1.5)]).collect();
        assert_eq!(asha(&six), None, "second of six");
        let six: Vec<Trial> = (1..=5).map(|i| at(i, i as f64)).chain([at(6, 2.5)]).collect();
        assert!(asha(&six).is_some_and(|why| why.contains("rung of 33 %")));
    }

    #[test]
    fn asha_judges_once_a_rung() {
        let others = |own| [trial(1, 100, &[(34, 1.0), (60, 0.5), (99, 0.1)]), own];
        assert!(judge(PrunerKind::Asha, &others(trial(2, 100, &[(20, 0.9), (34, 1.1)]))).is_none(), "0.9 at its best");
        assert!(
            judge(PrunerKind::Asha, &others(trial(2, 100, &[(34, 0.9), (60, 0.8)]))).is_none(),
            "no rung in between"
        );
        assert!(judge(PrunerKind::Asha, &others(trial(2, 100, &[(34, 1.1)]))).is_some());
    }
}
