//! Every verb does its work through the real binary: data on stdout, words on stderr.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "../common/mod.rs"]
mod common;

mod data;
mod eval;
mod predict;
mod text;
mod texts;
mod train;

use common::{Bench, TABLE};

#[test]
fn every_help_has_an_example() {
    let bench = Bench::new();
    let verbs = [
        "train",
        "resume",
        "eval",
        "cv",
        "generate",
        "predict",
        "data",
        "data fetch",
        "data profile",
        "data show",
        "check",
        "tune",
        "devices",
        "models",
        "runs",
        "runs show",
        "runs list",
        "inspect",
        "verify-resume",
        "bench",
        "completions",
        "schema",
    ];
    let listed = bench.ok(&["--help"]);
    for verb in verbs {
        let words: Vec<&str> = verb.split(' ').collect();
        assert!(listed.contains(words[0]), "kiln --help lists {verb}");
        let args: Vec<&str> = words.iter().copied().chain(["--help"]).collect();
        let help = bench.ok(&args);
        assert!(help.contains(&format!("Example:\n  kiln {}", words[0])), "kiln {verb} --help\n{help}");
    }
}

#[test]
fn what_needs_no_run_answers_in_json() {
    let bench = Bench::tiny();
    let devices = bench.json(&["devices"]);
    assert!(devices.as_array().unwrap().iter().any(|device| device["spec"] == "flex" && device["present"] == true));
    let models = bench.json(&["models"]);
    let kinds: Vec<&str> = models.as_array().unwrap().iter().filter_map(|model| model["kind"].as_str()).collect();
    assert_eq!(kinds[..5], ["linear", "mlp", "cnn", "gpt", "vit"]);
    assert!(kinds.contains(&"ft-transformer") && kinds.contains(&"encoder"));
    let gpt = bench.json(&["models", "gpt"]);
    assert!(gpt["keys"].as_array().unwrap().iter().any(|key| key["key"] == "kv_heads" && key["default"] == 0));
    assert_eq!(bench.json(&["schema"])["title"], "kiln config");
    assert!(bench.json(&["data", "fetch"]).as_array().unwrap().iter().any(|set| set["name"] == "shakespeare"));
    assert_eq!(bench.json(&["runs"]).as_array().map(Vec::len), Some(0));
    for shell in ["bash", "zsh", "fish"] {
        assert!(bench.ok(&["completions", shell]).contains("verify-resume"), "{shell}");
    }
}

#[test]
fn check_bench_and_show_write_no_run() {
    let bench = Bench::tiny();
    let check = bench.json(&["check", "tiny.toml"]);
    assert_eq!(check["parameters"], 3840);
    assert_eq!(check["steps"], 6);
    assert!(check["loss"].as_f64().unwrap() > 2.0 && check["step_s"].as_f64().unwrap() > 0.0);
    let speed = bench.json(&["bench", "tiny.toml", "--steps", "3", "--warmup", "1"]);
    assert_eq!(speed["steps"], 3);
    for key in ["ms_per_step", "tokens_per_s", "peak_mib", "first_step_ms"] {
        assert!(speed[key].as_f64().unwrap() > 0.0, "{key}: {speed}");
    }
    let data = bench.json(&["data", "show", "tiny.toml", "--rows", "1"]);
    assert_eq!(data["schema"]["input"]["vocab"], 25);
    assert_eq!(data["splits"][0]["rows"], 1741);
    let fetched = bench.json(&["data", "fetch", "tiny.toml"]);
    assert_eq!(fetched["fingerprint"], data["fingerprint"]);
    assert!(!bench.path("checkpoints").exists(), "nothing was written");
}

#[test]
fn an_error_is_an_object_too() {
    let bench = Bench::tiny();
    let said = bench.kiln(&["train", "tniy.toml", "--json", "--quiet"]);
    let object: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!((said.code, &object["exit_code"]), (2, &2.into()));
    assert!(object["error"].as_str().unwrap().contains("did you mean tiny.toml?"), "{object}");
    assert!(said.err.starts_with("error: there is no config"), "quiet still tells errors: {}", said.err);
}

#[test]
fn quiet_is_quiet_and_words_keep_off_stdout() {
    let bench = Bench::tiny();
    bench.write("table.toml", TABLE);
    bench.write("rows.csv", &common::rows());
    let quiet = bench.kiln(&["train", "tiny.toml", "--quiet"]);
    assert_eq!((quiet.code, quiet.err.as_str()), (0, ""));
    let table = bench.kiln(&["train", "table.toml"]);
    assert_eq!((table.code, table.out.as_str()), (0, ""), "a classifier has nothing to print");
    for word in
        ["run ", "device ", "data ", "model ", "step 1/6", "validation:", "warm-up", "samples/s", "next: kiln eval"]
    {
        assert!(table.err.contains(word), "`{word}`: {}", table.err);
    }
    assert!(table.err.contains("--split validation"), "there is no test split to name: {}", table.err);
    let verbose = bench.kiln(&["train", "table.toml", "--fresh", "--verbose"]);
    assert!(verbose.err.contains("saved checkpoints/table/step-00000006"), "{}", verbose.err);
    let list = bench.kiln(&["runs", "--quiet"]);
    assert!(list.out.contains("tiny") && list.out.contains("finished") && list.err.is_empty(), "{}", list.out);
}
