//! Runs that are missing, in use, changed or damaged.

use std::{fs, process::Stdio, time::Duration};

use crate::{
    common::{Bench, Said},
    refuse, refused,
};

#[test]
fn a_run_that_is_not_there_or_has_another_config() {
    let bench = Bench::tiny();
    bench.ok(&["train", "tiny.toml", "--quiet"]);
    bench.write("more.txt", &"other words, other letters: QXZ\n".repeat(200));
    refuse(
        &bench,
        &[
            (&["resume", "tniy"], 2, &["no run `tniy`", "checkpoints", "did you mean `tiny`?"]),
            (&["runs", "show", "tniy"], 2, &["no run `tniy`", "did you mean `tiny`?"]),
            (&["resume", "tiny", "--dir", "nowhere"], 2, &["no run `tiny`", "nowhere", "--dir"]),
            (
                &["train", "tiny.toml", "--set", "train.batch=5"],
                2,
                &["run `tiny` exists", "`batch = 4` there, `batch = 5` here", "--fresh", "run.name"],
            ),
            (
                &["resume", "tiny", "--set", "data.source.path=../../more.txt", "--set", "train.steps=9"],
                2,
                &["the data of run `tiny` is not what it was trained on", "run.name"],
            ),
            (&["train", "tiny.toml", "--set", "run.dir=text.txt"], 2, &["text.txt/tiny", "a file, not a folder"]),
        ],
    );
}

#[test]
fn a_config_that_no_longer_fits_the_weights_changes_nothing() {
    let bench = Bench::tiny();
    bench.ok(&["train", "tiny.toml", "--quiet"]);
    let plan = fs::read(bench.path("checkpoints/tiny/plan.toml")).unwrap();
    let wider = ["resume", "tiny", "--set", "model.width=32", "--set", "train.steps=9"];
    refuse(&bench, &[(&wider, 2, &["no longer fits", "step-00000006", "[25, 32] is needed", "drop the --set"])]);
    assert_eq!(fs::read(bench.path("checkpoints/tiny/plan.toml")).unwrap(), plan, "the plan of the weights stays");
    bench.ok(&["resume", "tiny", "--quiet", "--set", "train.steps=9"]);
}

#[test]
fn a_run_in_use_names_the_process() {
    let bench = Bench::tiny();
    let long = ["train", "tiny.toml", "--quiet", "--set", "train.steps=1000000"];
    let mut child = bench.command(&long).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    while !bench.path("checkpoints/tiny/journal.jsonl").is_file() {
        assert!(child.try_wait().unwrap().is_none(), "it trains");
        std::thread::sleep(Duration::from_millis(20));
    }
    let second: Said = bench.kiln(&long);
    let fresh: Said = bench.kiln(&["train", "tiny.toml", "--fresh"]);
    child.kill().unwrap();
    child.wait().unwrap();
    for said in [second, fresh] {
        refused(
            &said,
            2,
            &["checkpoints/tiny is in use", &format!("process {}", child.id()), "wait for it or stop it"],
        );
    }
}

#[test]
fn a_damaged_file_of_a_run_is_named() {
    let bench = Bench::tiny();
    bench.ok(&["train", "tiny.toml", "--quiet"]);
    let run = bench.path("checkpoints/tiny");
    let damage = |file: &str, text: &str, args: &[&str], code: i32, says: &[&str]| {
        let good = fs::read(run.join(file)).unwrap();
        fs::write(run.join(file), text).unwrap();
        refuse(&bench, &[(args, code, says)]);
        fs::write(run.join(file), good).unwrap();
    };
    let generate = ["generate", "tiny", "--tokens", "3"];
    damage("plan.toml", "{]", &["resume", "tiny"], 2, &["checkpoints/tiny/plan.toml:1:1", "TOML"]);
    damage("schema.json", "{", &generate, 2, &["checkpoints/tiny/schema.json is damaged", "`kiln resume`"]);
    damage("tokenizer.json", "{]", &generate, 2, &["checkpoints/tiny/tokenizer.json is damaged", "`kiln resume`"]);
    damage("best", "the good one", &generate, 1, &["checkpoints/tiny/best names no checkpoint", "step-00000500"]);
    let weights = "step-00000006/weights.safetensors";
    damage(weights, "torn", &generate, 1, &["step-00000006/weights.safetensors is damaged", "older checkpoint"]);
    damage(weights, "torn", &["inspect", "checkpoints/tiny/step-00000006"], 1, &["weights.safetensors is damaged"]);
    damage("step-00000006/manifest.json", "{}", &["eval", "tiny"], 1, &["manifest.json is damaged"]);
    bench.ok(&generate);
}
