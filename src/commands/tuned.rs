//! What a search came to: the table, the front, what mattered, and the config to train.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{Console, console::table, tune::best_path};
use crate::{
    config::Plan,
    error::Result,
    track::atomic,
    train::human_seconds,
    tune::{Search, State, Trial, best_config, importance, pareto, ranked},
};

/// Rows of the table; `--json` has all of them.
const ROWS: usize = 15;

/// Groups that numbers fall into when their importance is judged.
const GROUPS: usize = 4;

/// Writes `best.toml`, if a trial has a value; with several objectives it is the front's best by the first one.
pub(super) fn write_best(search: &Search, trials: &[Trial]) -> Result<Option<PathBuf>> {
    let Some(best) = pareto(trials, &search.objectives).first().copied() else { return Ok(None) };
    let metrics: Vec<String> = search
        .objectives
        .iter()
        .filter_map(|o| Some(format!("{} {}", o.metric, number(best.metric(&o.metric)?))))
        .collect();
    let name = &search.plan.run.name;
    let ended = trials.iter().filter(|trial| trial.end.is_some()).count();
    let remark =
        format!("Trial {} of {ended} of the search over {name}: validation {}.", best.number, metrics.join(", "));
    let text = best_config(&search.plan, &best.values, &remark)?;
    Plan::parse(&text, "best.toml", &search.dir, &[])?; // what `kiln train` will read
    let path = best_path(search);
    atomic::write(&path, text.as_bytes())?;
    Ok(Some(path))
}

/// Prints the table and says what to do next.
pub(super) fn conclude(search: &Search, trials: &[Trial], best: Option<&Path>, console: &Console) -> Result<()> {
    let front = pareto(trials, &search.objectives);
    let weights = weights(search, trials);
    let result = json!({
        "search": search.dir, "objectives": search.objectives, "best_config": best,
        "best": front.first().map(|trial| row(search, trial)),
        "pareto": front.iter().map(|trial| trial.number).collect::<Vec<_>>(),
        "importance": weights.iter().map(|(key, weight)| (key.clone(), json!(weight))).collect::<serde_json::Map<_, _>>(),
        "trials": ranked(trials, &search.objectives).iter().map(|trial| row(search, trial)).collect::<Vec<_>>(),
    });
    console.result(&result, || text(search, trials, &weights))?;
    console.say(&format!("everything lies in {}", search.dir.display()));
    if let Some(best) = best {
        console.say(&format!("next: kiln train {}", best.display()));
    }
    Ok(())
}

fn text(search: &Search, trials: &[Trial], weights: &[(String, Option<f64>)]) -> String {
    let front: Vec<u64> = pareto(trials, &search.objectives).iter().map(|trial| trial.number).collect();
    let several = search.objectives.len() > 1;
    let mut head: Vec<String> = vec!["TRIAL".into()];
    head.extend(search.objectives.iter().map(|o| o.metric.to_uppercase()));
    head.extend(search.space.keys().map(String::from));
    head.extend(["STATE", "TIME"].map(String::from));
    let mut rows = vec![head];
    for trial in ranked(trials, &search.objectives).into_iter().take(ROWS) {
        let mark = if several && front.contains(&trial.number) { "*" } else { "" };
        let mut cells = vec![format!("{}{mark}", trial.number)];
        cells.extend(search.objectives.iter().map(|o| trial.metric(&o.metric).map(number).unwrap_or_default()));
        cells.extend(search.space.keys().map(|key| trial.values.get(key).cloned().unwrap_or("-".into())));
        cells.push(word(trial.state()));
        cells.push(trial.metric("train_s").map(human_seconds).unwrap_or_default());
        rows.push(cells);
    }
    let mut text = table(&rows);
    if trials.len() > ROWS {
        text.push_str(&format!("\n... and {} more", trials.len() - ROWS));
    }
    if several {
        text.push_str("\n* on the Pareto front: no trial is better in every objective");
    }
    let known: Vec<String> =
        weights.iter().filter_map(|(key, weight)| weight.map(|weight| format!("{key} {weight:.2}"))).collect();
    if !known.is_empty() {
        let by = search.objectives.first().map(|o| o.metric.as_str()).unwrap_or_default();
        text.push_str(&format!("\nshare of the ranks of {by} that each key alone explains: {}", known.join(", ")));
    }
    text + "\n" + &counts(trials)
}

/// `31 complete, 7 pruned, 2 failed`
fn counts(trials: &[Trial]) -> String {
    let states = [State::Complete, State::Pruned, State::Failed, State::Invalid, State::Running];
    let count = |state| trials.iter().filter(|trial| trial.state() == state).count();
    let parts = states.into_iter().map(|state| (count(state), word(state))).filter(|(n, _)| *n > 0);
    parts.map(|(n, word)| format!("{n} {word}")).collect::<Vec<_>>().join(", ")
}

fn row(search: &Search, trial: &Trial) -> Value {
    let typed = |text: &String| {
        let parsed = format!("v = {text}").parse::<toml::Table>().ok().and_then(|mut table| table.remove("v"));
        parsed.and_then(|value| serde_json::to_value(value).ok()).unwrap_or_else(|| json!(text))
    };
    let values: serde_json::Map<String, Value> = trial.values.iter().map(|(k, v)| (k.clone(), typed(v))).collect();
    let end = trial.end.as_ref();
    json!({
        "trial": trial.number, "state": trial.state(), "values": values, "run": search.run(trial.number).path(),
        "metrics": end.map(|end| &end.metrics), "step": end.map(|end| end.step),
        "reason": end.map(|end| end.reason.as_str()).filter(|reason| !reason.is_empty()),
    })
}

/// How much each key mattered to the first objective, most first.
fn weights(search: &Search, trials: &[Trial]) -> Vec<(String, Option<f64>)> {
    let Some(objective) = search.objectives.first() else { return Vec::new() };
    let complete = || trials.iter().filter(|trial| trial.state() == State::Complete);
    let weight = |key: &str| {
        let pairs: Vec<(&String, f64)> = complete()
            .filter_map(|trial| Some((trial.values.get(key)?, objective.cost(trial.metric(&objective.metric)?))))
            .collect();
        importance(&grouped(&pairs))
    };
    let mut all: Vec<(String, Option<f64>)> = search.space.keys().map(|key| (key.to_string(), weight(key))).collect();
    all.sort_by(|a, b| b.1.unwrap_or(-1.0).total_cmp(&a.1.unwrap_or(-1.0)));
    all
}

/// The costs by value where there are few of them, else by four groups of numbers.
fn grouped(pairs: &[(&String, f64)]) -> Vec<Vec<f64>> {
    let mut groups: std::collections::BTreeMap<&String, Vec<f64>> = Default::default();
    pairs.iter().for_each(|(value, cost)| groups.entry(value).or_default().push(*cost));
    let numbers: Option<Vec<(f64, f64)>> =
        pairs.iter().map(|(value, cost)| Some((value.parse().ok()?, *cost))).collect();
    match numbers {
        Some(mut numbers) if groups.len() > GROUPS => {
            numbers.sort_by(|a, b| a.0.total_cmp(&b.0));
            let size = numbers.len().div_ceil(GROUPS);
            numbers.chunks(size.max(1)).map(|chunk| chunk.iter().map(|(_, cost)| *cost).collect()).collect()
        }
        _ => groups.into_values().collect(),
    }
}

/// Whole numbers as they are, others with four or more significant digits.
pub(super) fn number(value: f64) -> String {
    match value.abs() {
        _ if value.fract() == 0.0 && value.abs() < 1e15 => format!("{value}"),
        size if size >= 1e-3 => format!("{value:.4}"),
        _ => format!("{value:.4e}"),
    }
}

fn word(state: State) -> String {
    serde_json::to_value(state).ok().and_then(|word| word.as_str().map(String::from)).unwrap_or_default()
}
