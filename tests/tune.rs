//! `kiln tune` through the real binary: searches that end, are killed, are shared, and are refused.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use std::{
    collections::BTreeSet,
    fs,
    path::PathBuf,
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use common::{Bench, TABLE};
use serde_json::Value;

/// The classifier of `common`, with a space: 10 trials of well under a second each.
const SPACE: &str = r#"
[tune]
metric = "log_loss"
trials = 10
startup = 4

[tune.space]
"optim.lr" = { log = [1e-4, 1e-1] }
"model.hidden" = { choice = [[4], [8, 4]] }
"train.batch" = { int = [8, 32], log = true }
"#;

fn bench(more: &str) -> Bench {
    let bench = Bench::new();
    bench.write("rows.csv", &common::rows());
    bench.write("t.toml", &format!("{}{more}", TABLE.replace("steps = 6", "steps = 12 # short")));
    bench
}

/// The journal's files with this ending.
fn files(bench: &Bench, ending: &str) -> Vec<String> {
    let Ok(entries) = fs::read_dir(bench.path("checkpoints/t-tune/journal")) else { return Vec::new() };
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| name.ends_with(ending) && !name.starts_with('.')).collect();
    names.sort();
    names
}

fn numbers(result: &Value) -> Vec<u64> {
    let trials = result["trials"].as_array().unwrap();
    let mut numbers: Vec<u64> = trials.iter().map(|trial| trial["trial"].as_u64().unwrap()).collect();
    numbers.sort_unstable();
    numbers
}

fn start(bench: &Bench, args: &[&str]) -> Child {
    let mut command = bench.command(args);
    command.stdout(Stdio::null()).stderr(Stdio::null()).stdin(Stdio::null()).spawn().unwrap()
}

fn until(what: &str, holds: impl Fn() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(120), "{what} did not happen");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn kill(child: &mut Child, signal: &str) {
    let done = std::process::Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
    assert!(done.success());
}

#[test]
fn a_search_ends_in_a_config_that_trains_what_its_best_trial_trained() {
    let bench = bench(SPACE);
    let result = bench.json(&["tune", "t.toml"]);
    assert_eq!(numbers(&result), (1..=10).collect::<Vec<_>>());
    let trials = result["trials"].as_array().unwrap();
    let losses: Vec<f64> = trials.iter().map(|trial| trial["metrics"]["log_loss"].as_f64().unwrap()).collect();
    assert!(losses.is_sorted() && losses[0] < losses[9], "{losses:?}");
    assert_eq!(result["best"]["trial"], trials[0]["trial"]);
    for key in ["parameters", "ms_per_step", "train_s"] {
        assert!(trials[0]["metrics"][key].as_f64().unwrap() > 0.0, "{key}");
    }
    assert!(result["importance"]["optim.lr"].as_f64().is_some_and(|weight| (0.0..=1.0).contains(&weight)));

    let best = fs::read_to_string(bench.path("checkpoints/t-tune/best.toml")).unwrap();
    assert!(best.contains("steps = 12 # short"), "comments are kept: {best}");
    let trained = bench.json(&["train", "checkpoints/t-tune/best.toml"]);
    assert_eq!(trained["metrics"]["log_loss"].as_f64(), Some(losses[0]), "{trained}");
    assert!(bench.path("checkpoints/t-best/plan.toml").is_file());

    // A trial is an ordinary run.
    let trial = trials[0]["run"].as_str().unwrap();
    let evaluated = bench.json(&["eval", trial]);
    let (there, here) = (evaluated["metrics"]["log_loss"].as_f64().unwrap(), losses[0]);
    assert!((there - here).abs() < 1e-6, "{there} and {here}");
    assert_eq!(bench.json(&["runs", "--dir", "checkpoints/t-tune"]).as_array().unwrap().len(), 10);

    // The same command again finds it done; more trials go on from there.
    let again = bench.json(&["tune", "t.toml"]);
    assert_eq!(again["trials"], result["trials"]);
    let more = bench.json(&["tune", "t.toml", "--trials", "12"]);
    assert_eq!(numbers(&more), (1..=12).collect::<Vec<_>>());
    let said = bench.kiln(&["tune", "t.toml", "--set", "tune.seed=2"]);
    assert!(said.code == 2 && said.err.contains("holds a search with another config of [tune]"), "{}", said.err);
    let said = bench.kiln(&["tune", "t.toml", "--fresh", "--trials", "2", "--set", "tune.seed=2"]);
    assert!(said.code == 0 && said.err.contains("the old search is now checkpoints/t-tune.old-1"), "{}", said.err);
    assert!(said.out.contains("TRIAL  LOG_LOSS") && said.out.contains("2 complete"), "{}", said.out);
    assert!(said.err.contains("trial 1: log_loss ") && said.err.contains("next: kiln train"), "{}", said.err);
}

#[test]
fn the_same_seed_searches_the_same_whatever_happens_in_between() {
    let (straight, killed) = (bench(SPACE), bench(SPACE));
    let straight = straight.json(&["tune", "t.toml"]);
    let mut child = start(&killed, &["tune", "t.toml", "--quiet"]);
    until("the fourth trial", || files(&killed, "trial.json").len() >= 4);
    kill(&mut child, "-KILL");
    child.wait().unwrap();
    let claimed = files(&killed, "trial.json");
    assert!(claimed.len() < 10, "it was killed in the middle: {claimed:?}");
    let before: Vec<Vec<u8>> =
        claimed.iter().map(|name| fs::read(killed.path("checkpoints/t-tune/journal").join(name)).unwrap()).collect();
    let resumed = killed.json(&["tune", "t.toml"]);
    for (name, before) in claimed.iter().zip(before) {
        let path = killed.path("checkpoints/t-tune/journal").join(name);
        assert_eq!(fs::read(path).unwrap(), before, "{name} is the trial that it was");
    }
    let told = |result: &Value| -> Vec<(Value, Value, Value)> {
        let trials = result["trials"].as_array().unwrap().iter();
        trials.map(|t| (t["trial"].clone(), t["values"].clone(), t["metrics"]["log_loss"].clone())).collect()
    };
    assert_eq!(told(&straight), told(&resumed), "none lost, none doubled, each with the same result");
}

#[test]
fn workers_and_processes_share_one_search() {
    let bench = bench(SPACE);
    let mut other = start(&bench, &["tune", "t.toml", "--quiet", "--workers", "2"]);
    until("the first trial", || !files(&bench, "trial.json").is_empty());
    let result = bench.json(&["tune", "t.toml", "--workers", "2"]);
    assert!(other.wait().unwrap().success());
    assert_eq!(numbers(&result), (1..=10).collect::<Vec<_>>());
    assert_eq!(files(&bench, "end.json").len(), 10);
    assert_eq!(files(&bench, "owner-1.json").len(), 0, "no trial was taken from a worker that lives");
    let mut pids = BTreeSet::new();
    for name in files(&bench, "trial.json") {
        let path = bench.path("checkpoints/t-tune/journal").join(&name);
        let claim: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
        pids.insert(claim["owner"]["pid"].as_u64().unwrap());
        let journal = bench.path("checkpoints/t-tune").join(format!("trial-{}/journal.jsonl", &name[..4]));
        let text = fs::read_to_string(journal).unwrap();
        assert_eq!(text.matches("\"event\":\"started\"").count(), 1, "{name} was trained once");
        assert_eq!(text.matches("\"event\":\"finished\"").count(), 1, "{name} was trained once");
    }
    assert_eq!(pids.len(), 2, "both processes worked");
}

#[test]
fn an_interrupt_saves_and_the_same_command_goes_on() {
    let bench = bench(&SPACE.replace("trials = 10", "trials = 2"));
    let long = ["tune", "t.toml", "--quiet", "--set", "train.steps=40000", "--set", "checkpoint.every=100000"];
    let mut child = start(&bench, &long);
    let steps = || {
        let journal = bench.path("checkpoints/t-tune/trial-0001/journal.jsonl");
        fs::read_to_string(journal).unwrap_or_default().matches("\"event\":\"step\"").count()
    };
    until("a step", || steps() > 0);
    kill(&mut child, "-INT");
    assert_eq!(child.wait().unwrap().code(), Some(3));
    let run = fs::read_dir(bench.path("checkpoints/t-tune/trial-0001")).unwrap();
    let saved = run.filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().starts_with("step-")).count();
    assert_eq!(saved, 1, "the trial saved");
    let result = bench.json(&long[..2].iter().chain(&long[3..]).copied().collect::<Vec<_>>());
    assert_eq!(numbers(&result), [1, 2]);
    let journal = fs::read_to_string(bench.path("checkpoints/t-tune/trial-0001/journal.jsonl")).unwrap();
    assert_eq!(journal.matches("\"event\":\"resumed\"").count(), 1, "it went on from its checkpoint");
}

#[test]
fn a_budget_ends_a_search_that_can_go_on() {
    let bench = bench(SPACE);
    let long = ["--set", "train.steps=1000000"];
    let result = bench.json(&[&["tune", "t.toml", "--budget", "1s"], &long[..]].concat());
    assert_eq!(result["trials"][0]["state"], "running");
    assert_eq!(result["best"], Value::Null);
    assert!(!files(&bench, "trial.json").is_empty() && files(&bench, "end.json").is_empty());
}

#[test]
fn a_hopeless_trial_is_stopped_early() {
    let grid = SPACE.replace("startup = 4", "sampler = \"grid\"\npruner = \"asha\"\ndirection = \"minimize\"");
    let space = "[tune.space]\n\"optim.lr\" = { choice = [3e-2, 1e-5, 3e-3, 1e-6] }\n[eval]\nevery = 4\n";
    let bench = bench(&format!("{}{space}", &grid[..grid.find("[tune.space]").unwrap()]));
    let result = bench.json(&["tune", "t.toml", "--set", "train.steps=120"]);
    let trials = result["trials"].as_array().unwrap();
    let of = |lr: f64| trials.iter().find(|trial| trial["values"]["optim.lr"] == lr).unwrap();
    assert_eq!(of(3e-2)["state"], "complete");
    for lr in [1e-5, 1e-6] {
        let pruned = of(lr);
        assert_eq!(pruned["state"], "pruned", "{result}");
        assert!(pruned["step"].as_u64().unwrap() < 120, "{pruned}");
        assert!(pruned["reason"].as_str().unwrap().contains("were better at the rung"), "{pruned}");
        let run: PathBuf = pruned["run"].as_str().unwrap().into();
        let text = fs::read_to_string(bench.path("").join(run).join("journal.jsonl")).unwrap();
        assert!(text.contains("\"reason\":\"pruned\""), "{text}");
    }
}

#[test]
fn a_grid_tries_every_combination_once() {
    let space = "[tune]\nsampler = \"grid\"\n[tune.space]\n\"optim.lr\" = { log = [1e-3, 1e-1], points = 3 }\n\
                 \"optim.kind\" = { choice = [\"adamw\", \"sgd\"] }\n\
                 \"optim.momentum\" = { choice = [0.0, 0.9], when = { \"optim.kind\" = \"sgd\" } }\n";
    let bench = bench(space);
    let result = bench.json(&["tune", "t.toml", "--workers", "2"]);
    let values: BTreeSet<String> =
        result["trials"].as_array().unwrap().iter().map(|trial| trial["values"].to_string()).collect();
    assert_eq!((numbers(&result).len(), values.len()), (9, 9), "3 rates for adamw, 3 x 2 for sgd");
    assert!(values.contains(r#"{"optim.kind":"sgd","optim.lr":0.01,"optim.momentum":0.9}"#), "{values:?}");
    assert!(result["objectives"][0]["metric"] == "accuracy" && result["objectives"][0]["direction"] == "maximize");
}

#[test]
fn a_refused_or_crashed_trial_is_recorded_and_the_search_goes_on() {
    let space = "[tune]\nsampler = \"grid\"\n[tune.space]\n\"optim.lr\" = { choice = [0.01, 1e30] }\n\
                 \"optim.schedule.floor\" = { choice = [0.0, 1.0] }\n";
    let bench = bench(space);
    let result = bench.json(&["tune", "t.toml"]);
    let state = |lr: f64, floor: f64| {
        let trials = result["trials"].as_array().unwrap();
        let of = |t: &&Value| t["values"]["optim.lr"] == lr && t["values"]["optim.schedule.floor"] == floor;
        let trial = trials.iter().find(of).unwrap();
        (trial["state"].as_str().unwrap(), trial["reason"].as_str().unwrap_or_default())
    };
    assert_eq!(state(0.01, 0.0), ("complete", ""));
    let (refused, why) = state(0.01, 1.0);
    assert!(refused == "invalid" && why.contains("`optim.schedule.floor` = 1 is above the peak rate"), "{why}");
    let (failed, why) = state(1e30, 0.0);
    assert!(failed == "failed" && why.contains("halted at step"), "{why}");
}

#[test]
fn a_trial_that_the_system_kills_takes_nothing_along() {
    let bench = bench(SPACE);
    let mut command = bench.command(&["tune", "t.toml", "--trials", "2", "--json", "--quiet"]);
    let said = common::Said::from(command.env("KILN_KILL_AFTER_STEP", "5").output().unwrap());
    assert_eq!(said.code, 1, "{}", said.err);
    assert!(
        said.err.contains("error: no trial has a value: killed by signal 9: the machine ran out of memory"),
        "{}",
        said.err
    );
    let result = bench.json(&["tune", "t.toml", "--trials", "3"]);
    let state = |number: u64| {
        let trials = result["trials"].as_array().unwrap();
        trials.iter().find(|trial| trial["trial"] == number).unwrap()["state"].clone()
    };
    assert_eq!([1, 2, 3].map(state), ["failed", "failed", "complete"], "{result}");
    assert_eq!(result["best"]["trial"], 3);
}

#[test]
fn several_objectives_give_a_front() {
    let space = "[tune]\nmetrics = [\"log_loss\", \"parameters\"]\nsampler = \"grid\"\n[tune.space]\n\
                 \"model.hidden\" = { choice = [[2], [16], [16, 16]] }\n";
    let bench = bench(space);
    let said = bench.kiln(&["tune", "t.toml"]);
    assert!(said.code == 0 && said.out.contains("LOG_LOSS") && said.out.contains("PARAMETERS"), "{}", said.out);
    assert!(said.out.contains("* on the Pareto front"), "{}", said.out);
    let result = bench.json(&["tune", "t.toml"]);
    let front: Vec<u64> = result["pareto"].as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).collect();
    assert!(front.contains(&1), "nothing is smaller than [2]: {result}");
    assert_eq!(result["best"]["trial"], front[0]);
}

#[test]
fn what_cannot_be_searched_is_refused_with_its_place() {
    let head = "[tune.space]\n";
    for (space, says) in [
        (
            "\"optim.lrr\" = { log = [1e-4, 1e-1] }",
            &["unknown key `optim.lrr`", "^^^^^^^^^^^ did you mean `optim.lr`?"][..],
        ),
        (
            "optim.lr = { log = [1e-4, 1e-1] }",
            &["is taken apart at its dot", "put the key in quotes: `\"optim.lr\" = ...`"],
        ),
        ("\"optim.lr\" = { log = [1e-1, 1e-4] }", &["goes from 0.1 to 0.0001", "the lower one first"]),
        ("\"optim.lr\" = { lgo = [1e-4, 1e-1] }", &["unknown key `lgo`", "did you mean `log`?"]),
        ("\"optim.lr\" = {}", &["must have exactly one of `uniform`, `log`, `int` and `choice`"]),
        (
            "\"train.batch\" = { uniform = [1.5, 2.5] }",
            &["`train.batch` cannot be 1.5", "must be a non-negative integer"],
        ),
        (
            "\"model.hidden\" = { choice = [[8], \"8\"] }",
            &["`model.hidden` cannot be \"8\"", "must be a list, found a string"],
        ),
        (
            "\"model.depth\" = { int = [1, 2] }",
            &["`model.depth` cannot be 1", "unknown key `depth` in [model] of kind \"mlp\""],
        ),
        ("\"run.name\" = { choice = [\"a\"] }", &["`run.name` cannot be searched"]),
        (
            "\"optim.kind\" = { choice = [\"adam\"] }",
            &["`optim.kind` cannot be \"adam\"", "unknown `optim.kind` `adam`"],
        ),
        ("\"optim.lr\" = { log = [1e-4, 1e-1], when = { \"optim.kind\" = \"sgd\" } }", &["depends on `optim.kind`"]),
    ] {
        let bench = bench(&format!("{head}{space}\n"));
        let said = bench.kiln(&["tune", "t.toml"]);
        assert_eq!(said.code, 2, "{space}\n{}", said.err);
        says.iter().for_each(|text| assert!(said.err.contains(text), "{space}: `{text}`\n{}", said.err));
        assert!(said.err.contains("t.toml:") && said.err.contains('^'), "{space}\n{}", said.err);
        assert!(!bench.path("checkpoints").exists(), "nothing was written");
    }
    let bench = bench(SPACE);
    for (args, says) in [
        (&["--set", "tune.metric=log_los"][..], &["no metric `log_los`", "did you mean `log_loss`?"][..]),
        (&["--set", "tune.pruner=median"], &["`eval.every` = 0 makes none"]),
        (&["--set", "tune.sampler=grid"], &["needs to know how many values of `optim.lr`", "points = 5"]),
        (&["--set", "tune.budget=soon"], &["`tune.budget` is not a length of time"]),
        (&["--set", "tune.sampler=tep"], &["did you mean `tpe`?"]),
        (&["--set", "data.holdout.validation=0"], &["no validation split"]),
    ] {
        let said = bench.kiln(&[&["tune", "t.toml"], args].concat());
        assert_eq!(said.code, 2, "{args:?}\n{}", said.err);
        says.iter().for_each(|text| assert!(said.err.contains(text), "{args:?}: `{text}`\n{}", said.err));
        assert!(!bench.path("checkpoints").exists(), "nothing was written");
    }
    let plain = Bench::table();
    let said = plain.kiln(&["tune", "table.toml"]);
    assert!(said.code == 2 && said.err.contains("no [tune.space]"), "{}", said.err);
}

#[test]
fn a_trial_over_folds_is_the_mean_of_its_folds() {
    let bench = bench(&SPACE.replace("trials = 10", "trials = 2\nfolds = 3"));
    let result = bench.json(&["tune", "t.toml"]);
    let best = &result["trials"][0];
    let number = best["trial"].as_u64().unwrap();
    let run = |fold: u64| format!("checkpoints/t-tune/trial-{number:04}-cv/fold{fold}of3-repeat0-seed1");
    let losses: Vec<f64> = (0..3)
        .map(|fold| {
            let shown = bench.json(&["eval", &run(fold), "--checkpoint", "latest"]);
            shown["metrics"]["log_loss"].as_f64().unwrap_or_else(|| panic!("{shown}"))
        })
        .collect();
    let mean = losses.iter().sum::<f64>() / 3.0;
    assert!((best["metrics"]["log_loss"].as_f64().unwrap() - mean).abs() < 1e-9, "{losses:?} {best}");
    let std = (losses.iter().map(|loss| (loss - mean).powi(2)).sum::<f64>() / 2.0).sqrt();
    assert!((best["metrics"]["log_loss_std"].as_f64().unwrap() - std).abs() < 1e-9);
    let said = bench.kiln(&["check", "t.toml", "--set", "tune.pruner=median"]);
    assert_eq!(said.code, 2);
    assert!(said.err.contains("tune.folds"), "{}", said.err);
}
