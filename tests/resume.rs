//! Resume is exact: killed, interrupted, torn and damaged runs go on as if nothing had happened.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use std::{fs, process::Stdio, time::Duration};

use common::{Bench, steps};

const JOURNAL: &str = "checkpoints/tiny/journal.jsonl";

#[test]
fn a_run_killed_by_sigkill_continues_bit_for_bit() {
    let bench = Bench::tiny();
    let proof = bench.json(&["verify-resume", "tiny.toml", "--steps", "10", "--set", "model.dropout=0.1"]);
    assert_eq!(proof["identical"], true, "{proof}");
    assert_eq!(proof["losses_equal"], 10);
    assert_eq!(proof["batches_equal"], 10);
    assert_eq!(proof["tensors_equal"], proof["tensors"]);
    assert!(proof["tensors"].as_u64().unwrap() > 30);
}

#[test]
fn every_optimizer_and_the_average_continue_bit_for_bit() {
    for kind in ["sgd", "lion", "muon"] {
        let bench = Bench::tiny();
        let kind = format!("optim.kind={kind}");
        let proof = bench.json(&[
            "verify-resume",
            "tiny.toml",
            "--steps",
            "6",
            "--set",
            &kind,
            "--set",
            "optim.ema=0.9",
            "--set",
            "train.accumulate=2",
        ]);
        assert_eq!(proof["identical"], true, "{kind}: {proof}");
    }
}

#[test]
fn one_batch_of_32_equals_8_of_4_within_rounding() {
    let bench = Bench::tiny();
    bench.ok(&["train", "tiny.toml", "-q", "--set", "train.batch=32", "--set", "run.name=one"]);
    bench.ok(&[
        "train",
        "tiny.toml",
        "-q",
        "--set",
        "train.batch=4",
        "--set",
        "train.accumulate=8",
        "--set",
        "run.name=many",
    ]);
    let one = steps(&bench.path("checkpoints/one/journal.jsonl"));
    let many = steps(&bench.path("checkpoints/many/journal.jsonl"));
    assert_eq!(one.len(), 6);
    for ((step, a, batch_a), (_, b, batch_b)) in one.iter().zip(&many) {
        assert_eq!(batch_a, batch_b, "the same rows");
        // f32 sums in another order: 1e-5 relative is some hundred roundings.
        assert!((a - b).abs() < 1e-5 * a.abs(), "step {step}: {a} against {b}");
    }
}

#[test]
fn sigterm_finishes_the_step_saves_and_exits_3_and_resume_ends_as_the_straight_run() {
    let bench = Bench::tiny();
    let long = ["--set", "train.steps=10000000", "--set", "checkpoint.every=0", "--set", "run.name=tiny"];
    let mut args = vec!["train", "tiny.toml"];
    args.extend(long);
    let mut child = bench.command(&args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    while !bench.path(JOURNAL).is_file() || !fs::read_to_string(bench.path(JOURNAL)).unwrap().contains("\"step\"") {
        std::thread::sleep(Duration::from_millis(20));
        assert!(child.try_wait().unwrap().is_none(), "it trains until it is asked to stop");
    }
    std::process::Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("progress is saved") && said.contains("kiln resume"), "{said}");
    let before = steps(&bench.path(JOURNAL));
    let stop = before.last().unwrap().0 + 20;
    bench.ok(&[
        "resume",
        "tiny",
        "--quiet",
        "--set",
        &format!("train.steps={stop}"),
        "--set",
        "optim.schedule.kind=constant",
    ]);
    assert_eq!(steps(&bench.path(JOURNAL)).last().unwrap().0, stop);
}

#[test]
fn a_torn_or_flipped_checkpoint_is_passed_over_and_nothing_is_lost() {
    let bench = Bench::tiny();
    bench.ok(&["train", "tiny.toml", "--quiet"]);
    let straight = steps(&bench.path(JOURNAL));
    let weights = bench.path("checkpoints/tiny/step-00000006/weights.safetensors");
    let mut bytes = fs::read(&weights).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&weights, bytes).unwrap();
    let said = bench.kiln(&["inspect", "checkpoints/tiny/step-00000006"]);
    assert_eq!(said.code, 1, "{}", said.err);
    assert!(said.err.contains("weights.safetensors"), "{}", said.err);
    let said = bench.kiln(&["resume", "tiny"]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.err.contains("passed over") && said.err.contains("resuming at step 3"), "{}", said.err);
    assert_eq!(steps(&bench.path(JOURNAL)), straight, "the steps after the last good one are lived again, equally");
}

#[test]
fn a_bad_loss_is_judged_before_the_weights_move() {
    let bench = Bench::tiny();
    let blow_up = ["--set", "optim.lr=1e30", "--set", "optim.clip=0", "--set", "optim.schedule.warmup=0"];
    let run = |name: &str, policy: &str| {
        let (name, policy) = (format!("run.name={name}"), format!("guard.non_finite={policy}"));
        let mut args = vec!["train", "tiny.toml", "--set", &name, "--set", &policy, "--set", "guard.max_faults=3"];
        args.extend(blow_up);
        bench.kiln(&args)
    };
    for policy in ["halt", "skip", "rollback"] {
        let said = run(policy, policy);
        assert_eq!(said.code, 1, "{policy}: {}", said.err);
        assert!(said.err.contains("halted at step"), "{policy}: {}", said.err);
        let journal = fs::read_to_string(bench.path(&format!("checkpoints/{policy}/journal.jsonl"))).unwrap();
        let faults: Vec<serde_json::Value> = journal
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
            .filter(|line| line["event"] == "fault")
            .collect();
        assert!(faults.iter().all(|fault| fault["rows"].as_array().unwrap().len() == 4), "the rows are kept");
        assert_eq!(faults.len(), if policy == "halt" { 1 } else { 4 }, "{policy}: {journal}");
    }
}
