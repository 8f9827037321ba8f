//! What the next trial tries: a pure function of the seed, its number, and the trials before it.

use std::collections::BTreeSet;

use super::{
    Objective, Random, Space, State, Trial, Values, ranked,
    tpe::{self, Point},
};
use crate::config::{SamplerKind, TuneConfig};

/// Draws before a place that was tried already is taken again.
const DRAWS: usize = 200;

/// The values of trial `number`; `None` when every combination has its trial.
pub fn ask(
    config: &TuneConfig,
    space: &Space,
    objectives: &[Objective],
    trials: &[Trial],
    number: u64,
) -> Option<Values> {
    if config.sampler == SamplerKind::Grid {
        return space.grid().into_iter().nth(usize::try_from(number).ok()?.checked_sub(1)?);
    }
    let tried: BTreeSet<&Values> = trials.iter().map(|trial| &trial.values).collect();
    if space.size().is_some_and(|size| size <= 100_000 && tried.len() as u64 >= size.min(space.grid().len() as u64)) {
        return None;
    }
    let random = &mut Random::new(config.seed, number);
    let fresh = |values: &Values| !tried.contains(values);
    if config.sampler == SamplerKind::Tpe
        && let Some((good, bad)) = divided(config, space, objectives, trials)
    {
        let axes = space.axes();
        let settle = |point| {
            let values = space.values(&point);
            fresh(&values).then(|| space.point(&values)) // rounded, and without what is not in play
        };
        if let Some(point) = tpe::suggest(&axes, &good, &bad, &settle, random) {
            return Some(space.values(&point));
        }
    }
    let mut drawn = (0..DRAWS).map(|_| space.values(&tpe::uniform(&space.axes(), random)));
    let first = drawn.next();
    first.clone().filter(fresh).or_else(|| drawn.find(fresh)).or(first)
}

/// Good and bad trials, each in the order of their numbers; `None` while there are too few to learn from.
///
/// A trial that failed or was refused is among the worst, so its region is avoided; one that is still going counts as
/// bad, so that workers keep apart (the "constant liar" of Ginsbourger et al. 2010).
fn divided(
    config: &TuneConfig,
    space: &Space,
    objectives: &[Objective],
    trials: &[Trial],
) -> Option<(Vec<Point>, Vec<Point>)> {
    let ended = trials.iter().filter(|trial| trial.state() != State::Running).count();
    if ended < config.startup {
        return None;
    }
    let useful = |trial: &&Trial| matches!(trial.state(), State::Complete | State::Pruned);
    let good: BTreeSet<u64> = ranked(trials, objectives)
        .into_iter()
        .filter(useful)
        .take(tpe::good_of(ended))
        .map(|trial| trial.number)
        .collect();
    let (good, bad): (Vec<&Trial>, Vec<&Trial>) = trials.iter().partition(|trial| good.contains(&trial.number));
    let points = |trials: Vec<&Trial>| trials.into_iter().map(|trial| space.point(&trial.values)).collect();
    Some((points(good), points(bad)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::config::Direction;

    fn setup(sampler: SamplerKind, space: &str) -> (TuneConfig, Space, Vec<Objective>) {
        let config = TuneConfig { sampler, space: toml::from_str(space).unwrap(), ..TuneConfig::default() };
        let space = Space::new(&config).unwrap();
        (config, space, vec![Objective { metric: "loss".into(), direction: Direction::Minimize }])
    }

    fn number(values: &Values, key: &str) -> f64 {
        values[key].parse().unwrap()
    }

    /// Asks for `count` trials, each costing what `cost` says of its values.
    fn search(sampler: SamplerKind, space: &str, count: u64, cost: impl Fn(&Values) -> Option<f64>) -> Vec<Trial> {
        let (config, space, objectives) = setup(sampler, space);
        let mut trials: Vec<Trial> = Vec::new();
        for n in 1..=count {
            let Some(values) = ask(&config, &space, &objectives, &trials, n) else { break };
            let mut trial = Trial::complete(n, values.clone(), cost(&values).map(|cost| ("loss", cost)));
            if trial.metric("loss").is_none() {
                trial.end.as_mut().unwrap().state = State::Failed;
            }
            trials.push(trial);
        }
        trials
    }

    const PLANE: &str = "'x' = { uniform = [0.0, 1.0] }\n'k' = { choice = ['a', 'b', 'c'] }";

    #[test]
    fn the_same_history_gives_the_same_trial() {
        let cost = |values: &Values| Some((number(values, "x") - 0.3).abs());
        assert_eq!(search(SamplerKind::Tpe, PLANE, 30, cost), search(SamplerKind::Tpe, PLANE, 30, cost));
    }

    #[test]
    fn tpe_gathers_where_it_is_good() {
        let cost =
            |values: &Values| Some((number(values, "x") - 0.7).abs() + f64::from(u8::from(values["k"] != "\"b\"")));
        let near = |trials: &[Trial]| {
            let late = trials.iter().skip(20);
            late.filter(|t| t.values["k"] == "\"b\"" && (number(&t.values, "x") - 0.7).abs() < 0.2).count()
        };
        let (tpe, random) = (search(SamplerKind::Tpe, PLANE, 60, cost), search(SamplerKind::Random, PLANE, 60, cost));
        assert!(near(&tpe) > 2 * near(&random), "{} against {}", near(&tpe), near(&random));
    }

    #[test]
    fn the_region_of_failures_is_avoided() {
        let cost = |values: &Values| (number(values, "x") < 0.5).then_some(1.0);
        let failed = |trials: &[Trial]| trials.iter().skip(20).filter(|t| t.state() == State::Failed).count();
        let (tpe, random) = (search(SamplerKind::Tpe, PLANE, 80, cost), search(SamplerKind::Random, PLANE, 80, cost));
        assert!(failed(&tpe) * 2 < failed(&random), "{} against {}", failed(&tpe), failed(&random));
    }

    #[test]
    fn a_small_space_is_tried_once_and_then_ends() {
        let space = "'n' = { int = [1, 4] }\n'k' = { choice = ['a', 'b', 'c'] }";
        for sampler in [SamplerKind::Tpe, SamplerKind::Random, SamplerKind::Grid] {
            let trials = search(sampler, space, 100, |values| Some(number(values, "n")));
            let distinct: BTreeSet<_> = trials.iter().map(|trial| &trial.values).collect();
            assert_eq!((trials.len(), distinct.len()), (12, 12), "{sampler:?}");
        }
    }

    #[test]
    fn a_condition_leaves_a_key_out() {
        let space = "'k' = { choice = ['a', 'b'] }\n'w' = { uniform = [0.0, 1.0], when = { k = 'b' } }";
        let cost = |values: &Values| Some(values.get("w").map_or(0.5, |w| (w.parse::<f64>().unwrap() - 0.2).abs()));
        let trials = search(SamplerKind::Tpe, space, 50, cost);
        assert!(trials.iter().all(|trial| trial.values.contains_key("w") == (trial.values["k"] == "\"b\"")));
        let late = trials.iter().skip(20).filter(|trial| trial.metric("loss").unwrap() < 0.2).count();
        assert!(late > 15, "{late} of 30");
    }
}
