//! bf16, gradient checkpointing, label smoothing and dropout, through the real binary.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::{Bench, host_devices, say, steps};

/// Losses of 40 steps of the tiny GPT with these settings.
fn losses(bench: &Bench, name: &str, settings: &[&str]) -> Vec<f64> {
    let name = format!("run.name={name}");
    let always = ["train.steps=40", "train.batch=16", "optim.lr=1e-2", "checkpoint.every=0", &name];
    let settings: Vec<&str> = always.iter().chain(settings).flat_map(|setting| ["--set", setting]).collect();
    bench.ok(&[&["train", "tiny.toml", "--quiet"], &settings[..]].concat());
    let journal = bench.path("checkpoints").join(&name["run.name=".len()..]).join("journal.jsonl");
    let losses: Vec<f64> = steps(&journal).into_iter().map(|(_, loss, _)| loss).collect();
    assert_eq!(losses.len(), 40);
    assert!(losses[39] < losses[0] - 0.5, "{name} learns: {losses:?}");
    losses
}

/// The largest relative distance.
fn apart(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b).abs() / b.abs()).fold(0.0, f64::max)
}

#[test]
fn bf16_follows_f32() {
    for device in host_devices() {
        let (bench, device) = (Bench::tiny(), format!("train.device={device}"));
        let wide = losses(&bench, "f32", &[&device]);
        let narrow = losses(&bench, "bf16", &[&device, "train.precision=bf16"]);
        let distance = apart(&narrow, &wide);
        say(&format!("{device}: bf16 is within {:.2} % of f32 over 40 steps", distance * 100.0));
        assert!(distance > 1e-6, "bf16 was computed");
        // A bf16 has 8 significant bits, so a product is off by up to 0.4 %; sums, weights and moments in f32 average
        // that out. Seen: 0.07 %.
        assert!(distance < 0.005, "{distance}");
    }
}

#[test]
fn gradient_checkpointing_changes_no_bit() {
    let bench = Bench::tiny();
    for (name, dropout) in [("plain", "model.dropout=0"), ("dropped", "model.dropout=0.1")] {
        let kept = losses(&bench, name, &[dropout]);
        let again = losses(&bench, &format!("{name}-again"), &[dropout, "train.gradient_checkpointing=true"]);
        assert_eq!(again, kept, "the same operations on the same numbers, {dropout}");
    }
}

#[test]
fn smoothing_and_dropout_train_and_evaluation_knows_neither() {
    let bench = Bench::tiny();
    let plain = losses(&bench, "plain", &[]);
    let smooth = losses(&bench, "smooth", &["train.label_smoothing=0.2"]);
    let dropped = losses(&bench, "dropped", &["model.dropout=0.3"]);
    // Logits start near zero, where smoothing moves nothing; it costs what a sure model would save.
    assert!((smooth[0] - plain[0]).abs() < 0.05, "{} {}", smooth[0], plain[0]);
    assert!(smooth[39] > plain[39] + 0.1, "{} {}", smooth[39], plain[39]);
    assert!(dropped[39] > plain[39], "{} {}", dropped[39], plain[39]);
    let twice = ["eval", "dropped"].map(|_| bench.json(&["eval", "dropped"])["metrics"]["loss"].as_f64().unwrap());
    assert_eq!(twice[0], twice[1], "evaluation draws nothing");
    let smooth = bench.json(&["eval", "smooth"])["metrics"]["loss"].as_f64().unwrap();
    assert!(smooth < plain[0], "evaluation's loss has no smoothing: {smooth}");
}
