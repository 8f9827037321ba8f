//! What a search looks for: one metric, or several whose Pareto front counts.

use std::cmp::Ordering;

use super::{State, Trial};
use crate::{
    config::{Direction, Plan},
    data::TaskKind,
};

/// A metric and which way it is better.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Objective {
    /// Its name.
    pub metric: String,
    /// Which way it is better.
    pub direction: Direction,
}

/// Metrics of which less is better; of every other, more.
const LESS: [&str; 15] = [
    "loss",
    "log_loss",
    "perplexity",
    "bits_per_byte",
    "mse",
    "mae",
    "rmse",
    "mape",
    "ece",
    "brier",
    "cost",
    "parameters",
    "ms_per_step",
    "train_s",
    "steps",
];

impl Objective {
    fn named(metric: &str, direction: Option<Direction>) -> Self {
        let by_name = if LESS.contains(&metric) { Direction::Minimize } else { Direction::Maximize };
        Self { metric: metric.into(), direction: direction.unwrap_or(by_name) }
    }

    /// The objectives of a plan, the first one first.
    pub fn all(plan: &Plan) -> Vec<Self> {
        let tune = &plan.tune;
        if !tune.metrics.is_empty() {
            let direction = |index: usize| tune.directions.get(index).copied();
            return tune.metrics.iter().enumerate().map(|(i, metric)| Self::named(metric, direction(i))).collect();
        }
        let main = match plan.data.task {
            TaskKind::LanguageModel => "loss",
            TaskKind::Classification => "accuracy",
            TaskKind::Regression => "rmse",
            TaskKind::Recommendation => "ndcg@10",
            TaskKind::Anomaly => "auroc",
        };
        vec![Self::named(if tune.metric.is_empty() { main } else { &tune.metric }, tune.direction)]
    }

    /// A value such that less is better.
    pub fn cost(&self, value: f64) -> f64 {
        match self.direction {
            _ if value.is_nan() => f64::INFINITY,
            Direction::Minimize => value,
            Direction::Maximize => -value,
        }
    }
}

/// What a finished trial costs by each objective.
fn costs(trial: &Trial, objectives: &[Objective]) -> Vec<f64> {
    objectives.iter().map(|o| o.cost(trial.metric(&o.metric).unwrap_or(f64::NAN))).collect()
}

/// Whether `a` is nowhere worse and somewhere better.
fn dominates(a: &[f64], b: &[f64]) -> bool {
    a.iter().zip(b).all(|(a, b)| a <= b) && a.iter().zip(b).any(|(a, b)| a < b)
}

/// The trials, best first: complete ones by value (several objectives: by front, then by the first one), then pruned ones
/// by how far they came, then those that are still going, then those without a value.
pub fn ranked<'a>(trials: &'a [Trial], objectives: &[Objective]) -> Vec<&'a Trial> {
    let complete: Vec<&Trial> = trials.iter().filter(|trial| trial.state() == State::Complete).collect();
    let fronts = fronts(&complete.iter().map(|trial| costs(trial, objectives)).collect::<Vec<_>>());
    let front = |trial: &Trial| {
        complete.iter().position(|other| other.number == trial.number).and_then(|i| fronts.get(i).copied()).unwrap_or(0)
    };
    let place = |state: State| match state {
        State::Complete => 0,
        State::Pruned => 1,
        State::Running => 2,
        State::Failed | State::Invalid => 3,
    };
    let mut order: Vec<&Trial> = trials.iter().collect();
    let compare = |a: &&Trial, b: &&Trial| {
        let kinds = place(a.state()).cmp(&place(b.state()));
        kinds.then_with(|| match (a.state(), objectives) {
            (State::Complete, _) => front(a).cmp(&front(b)).then_with(|| compare_costs(a, b, objectives)),
            (State::Pruned, [objective]) => {
                b.share().total_cmp(&a.share()).then(a.best_cost(objective).total_cmp(&b.best_cost(objective)))
            }
            _ => Ordering::Equal,
        })
    };
    order.sort_by(compare);
    order
}

fn compare_costs(a: &Trial, b: &Trial, objectives: &[Objective]) -> Ordering {
    let pairs = costs(a, objectives).into_iter().zip(costs(b, objectives));
    pairs.map(|(a, b)| a.total_cmp(&b)).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
}

/// For each point the number of its front: 0 is dominated by none, 1 only by those of 0, and so on.
fn fronts(costs: &[Vec<f64>]) -> Vec<usize> {
    if costs.first().is_some_and(|first| first.len() == 1) {
        return vec![0; costs.len()]; // with one objective the values alone decide
    }
    let mut found = vec![usize::MAX; costs.len()];
    for number in 0..costs.len() {
        let open = |i: usize| found.get(i) == Some(&usize::MAX);
        let dominated = |b: &Vec<f64>| costs.iter().enumerate().any(|(i, a)| open(i) && dominates(a, b));
        let next: Vec<usize> =
            costs.iter().enumerate().filter(|(i, cost)| open(*i) && !dominated(cost)).map(|(i, _)| i).collect();
        if next.is_empty() {
            break;
        }
        for i in next {
            if let Some(slot) = found.get_mut(i) {
                *slot = number;
            }
        }
    }
    found
}

/// The complete trials that no other one beats in every objective, in order of the first one.
pub fn pareto<'a>(trials: &'a [Trial], objectives: &[Objective]) -> Vec<&'a Trial> {
    let complete: Vec<&Trial> =
        ranked(trials, objectives).into_iter().filter(|trial| trial.state() == State::Complete).collect();
    let all: Vec<Vec<f64>> = complete.iter().map(|trial| costs(trial, objectives)).collect();
    let beaten = |cost: &Vec<f64>| all.iter().any(|other| dominates(other, cost));
    complete.iter().zip(&all).filter(|(_, cost)| !beaten(cost)).map(|(trial, _)| *trial).collect()
}

/// The share of the variation in the ranks of the objective that a key's values explain, for each key of `values`.
///
/// Epsilon squared of Kruskal and Wallis's test (Kelley 1935; Tomczak and Tomczak 2014), over the complete trials grouped by
/// the key's value: by each choice, and numbers in at most four groups of equal size. 0 where chance explains as much; a key
/// that acts only together with another one shows less than it does. `None` with fewer than ten trials that set the key.
pub fn importance(groups: &[Vec<f64>]) -> Option<f64> {
    let all: Vec<f64> = groups.iter().flatten().copied().collect();
    let (n, k) = (all.len() as f64, groups.iter().filter(|group| !group.is_empty()).count() as f64);
    if n < 10.0 || k < 2.0 || n <= k {
        return None;
    }
    // The mean rank of a value among equals.
    let rank = |x: f64| {
        let less = all.iter().filter(|y| **y < x).count() as f64;
        less + (all.iter().filter(|y| **y == x).count() as f64 + 1.0) / 2.0
    };
    let centre = (n + 1.0) / 2.0;
    let total: f64 = all.iter().map(|x| (rank(*x) - centre).powi(2)).sum();
    if total == 0.0 {
        return Some(0.0);
    }
    let between: f64 = groups
        .iter()
        .filter(|group| !group.is_empty())
        .map(|group| {
            let mean = group.iter().map(|x| rank(*x)).sum::<f64>() / group.len() as f64;
            group.len() as f64 * (mean - centre).powi(2)
        })
        .sum();
    Some((1.0 - (total - between) / total * (n - 1.0) / (n - k)).max(0.0))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn objectives(names: &[&str]) -> Vec<Objective> {
        names.iter().map(|name| Objective::named(name, None)).collect()
    }

    #[test]
    fn a_metrics_name_says_which_way_is_better() {
        assert_eq!(Objective::named("rmse", None).cost(2.0), 2.0);
        assert_eq!(Objective::named("auroc", None).cost(0.9), -0.9);
        assert_eq!(Objective::named("auroc", Some(Direction::Minimize)).cost(0.9), 0.9);
        assert_eq!(Objective::named("auroc", None).cost(f64::NAN), f64::INFINITY);
    }

    #[test]
    fn the_front_is_what_no_other_beats() {
        let trial = |number, accuracy, parameters| {
            Trial::complete(number, Default::default(), [("accuracy", accuracy), ("parameters", parameters)])
        };
        let trials = [trial(1, 0.9, 100.0), trial(2, 0.8, 10.0), trial(3, 0.7, 50.0), trial(4, 0.95, 900.0)];
        let numbers = |trials: Vec<&Trial>| trials.iter().map(|trial| trial.number).collect::<Vec<_>>();
        let both = objectives(&["accuracy", "parameters"]);
        assert_eq!(numbers(pareto(&trials, &both)), [4, 1, 2]);
        assert_eq!(numbers(ranked(&trials, &both)), [4, 1, 2, 3]);
        assert_eq!(numbers(pareto(&trials, &objectives(&["accuracy"]))), [4]);
        assert_eq!(numbers(ranked(&trials, &objectives(&["parameters"]))), [2, 3, 1, 4]);
    }

    #[test]
    fn importance_sees_a_valley_and_not_noise() {
        let valley = [vec![9.0, 9.5, 8.0, 8.5], vec![1.0, 1.5, 2.0, 2.5], vec![7.0, 7.5, 6.0, 6.5]];
        assert!(importance(&valley).unwrap() > 0.8);
        let noise = [vec![1.0, 5.0, 9.0, 4.0], vec![2.0, 6.0, 8.0, 3.0], vec![1.5, 5.5, 8.5, 3.5]];
        assert_eq!(importance(&noise), Some(0.0));
        assert_eq!(importance(&[vec![1.0, 2.0], vec![3.0]]), None);
        // 1 - within/total · (n - 1)/(n - k) over ranks 1..10 in two halves: between 62.5 of 82.5.
        let halves = [vec![1.0, 2.0, 3.0, 4.0, 5.0], vec![6.0, 7.0, 8.0, 9.0, 10.0]];
        assert!((importance(&halves).unwrap() - (1.0 - 20.0 / 82.5 * 9.0 / 8.0)).abs() < 1e-12);
    }
}
