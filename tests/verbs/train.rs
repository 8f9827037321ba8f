//! How a run stops, and how it goes on.

use std::fs;

use crate::common::{Bench, steps};

const JOURNAL: &str = "checkpoints/tiny/journal.jsonl";

#[test]
fn max_time_saves_and_exits_3() {
    let bench = Bench::tiny();
    let said = bench.kiln(&["train", "tiny.toml", "--set", "train.steps=1000000", "--set", "train.max_time=1s"]);
    assert_eq!(said.code, 3, "{}", said.err);
    assert!(!said.err.contains("error:"), "nothing failed: {}", said.err);
    assert!(said.err.contains("out of time") && said.err.contains("progress is saved"), "{}", said.err);
    let reached = steps(&bench.path(JOURNAL)).last().unwrap().0;
    let on = ["resume", "tiny", "--set", &format!("train.steps={}", reached + 5), "--set", "train.max_time="];
    bench.ok(&on);
    assert_eq!(steps(&bench.path(JOURNAL)).len() as u64, reached + 5);
}

#[test]
fn patience_stops_early_and_exits_0() {
    let bench = Bench::tiny();
    // A rate this small leaves the loss where it is, or worse.
    let args = ["train", "tiny.toml", "--set", "train.steps=500", "--set", "train.patience=2", "--set", "eval.every=2"];
    let more = ["--set", "optim.lr=1e-30", "--set", "checkpoint.every=0"];
    let stopped = bench.json(&[&args[..], &more].concat());
    assert_eq!(stopped["reason"], "early-stop", "{stopped}");
    assert_eq!((&stopped["step"], &stopped["best_step"]), (&6.into(), &2.into()));
    assert_eq!(bench.json(&["eval", "tiny"])["step"], 2, "the best one is kept");
}

#[test]
fn an_averaged_run_evaluates_and_resumes() {
    let bench = Bench::tiny();
    let trained = bench.json(&["train", "tiny.toml", "--set", "optim.ema=0.9"]);
    let eval = bench.json(&["eval", "tiny"]);
    assert_eq!(eval["metrics"]["loss"], trained["metrics"]["loss"], "both measure the average");
    bench.ok(&["resume", "tiny", "--quiet", "--set", "train.steps=9"]);
    assert_eq!(steps(&bench.path(JOURNAL)).len(), 9);
    assert!(bench.path("checkpoints/tiny/step-00000009/ema.safetensors").is_file());
}

#[test]
fn a_finished_run_says_so_goes_on_or_begins_afresh() {
    let bench = Bench::tiny();
    bench.ok(&["train", "tiny.toml", "--quiet"]);
    let before = fs::read(bench.path(JOURNAL)).unwrap();
    let again = bench.kiln(&["train", "tiny.toml"]);
    assert_eq!(again.code, 0, "{}", again.err);
    for words in ["run `tiny` is finished: 6 steps", "kiln resume tiny --set train.steps=N", "--fresh"] {
        assert!(again.err.contains(words), "{}", again.err);
    }
    assert_eq!(bench.json(&["train", "tiny.toml"])["reason"], "finished");
    assert_eq!(steps(&bench.path(JOURNAL)).len(), 6);
    let on = bench.kiln(&["resume", "tiny", "--set", "train.steps=8"]);
    assert!(on.code == 0 && on.err.contains("resuming at step 6 of 8"), "{}", on.err);
    assert_eq!(steps(&bench.path(JOURNAL)).len(), 8);

    let fresh = bench.kiln(&["train", "tiny.toml", "--fresh"]);
    assert!(fresh.code == 0 && fresh.err.contains("the old run is now checkpoints/tiny.old-1"), "{}", fresh.err);
    let kept = fs::read(bench.path("checkpoints/tiny.old-1/journal.jsonl")).unwrap();
    assert!(kept.starts_with(&before[..before.len() / 2]), "the old journal went along");
    assert_eq!(steps(&bench.path(JOURNAL)).len(), 6);
    assert_eq!(bench.json(&["runs"]).as_array().unwrap().len(), 2);
}
