//! A language model from training to text.

use std::{fs, io::Write, process::Stdio};

use crate::common::Bench;

#[test]
fn train_eval_inspect_generate() {
    let bench = Bench::tiny();
    let trained = bench.json(&["train", "tiny.toml"]);
    assert_eq!((&trained["step"], &trained["reason"]), (&6.into(), &"finished".into()));
    assert!(trained["metrics"]["perplexity"].as_f64().unwrap() > 1.0);
    assert!(!trained["sample"].as_str().unwrap().is_empty());
    assert!(trained["warm_up_s"].as_f64().unwrap() <= trained["first_step_s"].as_f64().unwrap());

    let eval = bench.json(&["eval", "tiny"]);
    assert_eq!((&eval["step"], &eval["split"]), (&6.into(), &"validation".into()));
    assert_eq!(eval["metrics"]["loss"], trained["metrics"]["loss"]);
    let whole = bench.json(&["eval", "checkpoints/tiny", "--split", "train", "--checkpoint", "3"]);
    assert_eq!(whole["step"], 3);

    let inspect = bench.json(&["inspect", "checkpoints/tiny/step-00000006"]);
    assert_eq!(inspect["state"]["step"], 6);
    assert_eq!(bench.json(&["inspect", "checkpoints/tiny"])["parameters"], inspect["parameters"]);

    let shown = bench.json(&["runs", "show", "tiny"]);
    assert_eq!(shown["checkpoints"], serde_json::json!([3, 6]));
    assert_eq!((&shown["best"], &shown["summary"]["state"]), (&6.into(), &"finished".into()));
    let journal = fs::read_to_string(bench.path("checkpoints/tiny/journal.jsonl")).unwrap();
    assert_eq!(journal.matches("\"event\":\"compiled\"").count(), 1, "{journal}");
}

#[test]
fn text_is_a_function_of_the_seed_and_of_the_checkpoint() {
    let bench = Bench::tiny();
    bench.ok(&["train", "tiny.toml", "--quiet"]);
    let text = |extra: &[&str]| {
        let args = ["generate", "tiny", "--quiet", "--prompt", "line ", "--tokens", "40"];
        bench.ok(&[&args[..], extra].concat())
    };
    let first = text(&["--seed", "7"]);
    assert!(first.starts_with("line ") && first.chars().count() > 40, "{first}");
    assert_eq!(first, text(&["--seed", "7"]));
    assert_ne!(first, text(&["--seed", "8"]));
    let likeliest = text(&["--temperature", "0", "--seed", "1"]);
    assert_eq!(likeliest, text(&["--temperature", "0", "--seed", "2"]));
    assert_eq!(likeliest, text(&["--top-k", "1"]));
    assert_eq!(first, text(&["--seed", "7", "--checkpoint", "latest"]), "the best one is the latest one here");
    assert_ne!(first, text(&["--seed", "7", "--checkpoint", "3"]));
    let object = bench.json(&["generate", "tiny", "--prompt", "line ", "--tokens", "40", "--seed", "7"]);
    assert_eq!(format!("line {}\n", object["text"].as_str().unwrap()), first);
}

#[test]
fn a_config_and_a_prompt_come_from_stdin() {
    let bench = Bench::tiny();
    let fed = |args: &[&str], text: &str| {
        let mut child =
            bench.command(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    fed(&["train", "-", "--set", "run.name=piped", "--quiet"], crate::common::TINY);
    assert!(fed(&["generate", "piped", "--prompt", "-", "--tokens", "5"], "a text").starts_with("a text"));
}
