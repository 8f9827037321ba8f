//! Every file in `configs/` resolves, finds its data and takes a step of its model, through the real binary.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use std::{fs, path::Path, time::Instant};

use common::{Bench, say, skip};

/// What makes a step of a large model quick; the model itself stays as it is.
const SHRUNK: [(&str, &[&str]); 1] = [("gpt2-124m", &["train.batch=1", "train.accumulate=1", "data.context=64"])];

/// Data sets that this machine cannot fetch: their client is missing, or answers with a fault of its own.
const UNREACHABLE: [&str; 4] = ["which is not installed", "could not fetch", "did not fetch", "cannot run"];

/// Why the data set cannot be had here, if it cannot; any other failure is kiln's.
fn unreachable(bench: &Bench, dataset: &str) -> Option<String> {
    if dataset == "rust-crates" {
        return None; // cargo has put it there to build this very test
    }
    let said = bench.kiln(&["data", "fetch", dataset]);
    if said.code == 0 {
        return None;
    }
    let known = UNREACHABLE.iter().any(|reason| said.err.contains(reason));
    assert!(known, "kiln data fetch {dataset}: {}", said.err);
    Some(said.err.trim().to_string())
}

/// Takes a step of `configs/name.toml`.
fn check(bench: &Bench, name: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs").join(name).with_extension("toml");
    let path = path.to_str().unwrap();
    let shrunk = SHRUNK.iter().find(|(file, _)| *file == name).map_or(&[][..], |(_, overrides)| overrides);
    let overrides = shrunk.iter().flat_map(|over| ["--set", over]);
    let args: Vec<&str> = ["check", path, "--set", "train.device=flex"].into_iter().chain(overrides).collect();
    let started = Instant::now();
    let found = bench.json(&args);
    let number = |key: &str| found[key].as_f64().unwrap_or_else(|| panic!("no {key}: {found}"));
    assert_eq!(found["config"], name);
    assert!(number("loss").is_finite() && number("loss") > 0.0, "{found}");
    assert!(number("steps") > 0.0 && found["rows"]["train"].as_u64().unwrap() > 0, "{found}");
    if name == "gpt2-124m" {
        assert_eq!(found["parameters"], 124_439_808 - (1024 - 64) * 768, "GPT-2 small, with 64 positions");
    }
    let (parameters, loss, seconds) = (number("parameters"), number("loss"), started.elapsed().as_secs_f64());
    say(&format!("configs/{name}.toml: {parameters} parameters, first loss {loss:.4}, checked in {seconds:.1} s"));
}

#[test]
fn every_config_takes_a_step() {
    let bench = Bench::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|ending| ending == "toml"));
    files.sort();
    assert!(files.len() >= 8, "{files:?}");
    let mut checked = 0;
    for file in files {
        let name = file.file_stem().unwrap().to_str().unwrap();
        let config: toml::Table = toml::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
        let named = |table: Option<&toml::Value>| table?.get("dataset")?.as_str().map(str::to_string);
        let datasets = [named(config["data"].get("source")), named(config["model"].get("pretrained"))];
        match datasets.into_iter().flatten().find_map(|dataset| unreachable(&bench, &dataset)) {
            Some(why) => skip(&format!("configs/{name}.toml: {why}")),
            None => {
                check(&bench, name);
                checked += 1;
            }
        }
    }
    assert!(checked >= 2, "debug.toml and rust-code.toml need nothing but cargo");
}
