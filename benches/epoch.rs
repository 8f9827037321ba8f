//! An epoch of the small vision models on Fashion-MNIST, kiln beside PyTorch: `cargo bench --bench epoch -- --help`.
//!
//! Both sides draw the same number of shuffled batches out of the real pictures, which lie in memory or in mapped
//! shards; the time is that of all steps with their batches, and the accuracy that on the 10,000 test pictures after it.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use common::median;
use serde_json::Value;

const HELP: &str = "usage: cargo bench --bench epoch -- [mlp|cnn|vit..] [--rounds N]

all three and 3 rounds by default; the interpreter is $PYTHON or python3, which needs torch and numpy.";
const KIND: [&str; 3] = ["mlp", "cnn", "vit"];
const BATCH: usize = 128;

/// Seconds of an epoch, and the share of test pictures that are right after it.
#[derive(Clone, Copy)]
struct Epoch {
    seconds: f64,
    accuracy: f64,
}

fn main() {
    let (mut kinds, mut rounds) = (vec![], 3);
    let mut args = std::env::args().skip(1).filter(|arg| arg != "--bench");
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--rounds" => rounds = args.next().and_then(|n| n.parse().ok()).expect("--rounds takes a number"),
            "--help" | "-h" => return println!("{HELP}"),
            kind if KIND.contains(&kind) => kinds.push(kind.to_string()),
            other => panic!("no model `{other}`\n\n{HELP}"),
        }
    }
    if kinds.is_empty() {
        kinds = KIND.map(String::from).to_vec();
    }
    json(Command::new(env!("CARGO_BIN_EXE_kiln")).args(["data", "fetch", "fashion-mnist", "--json", "--quiet"]));
    println!(
        "| model | PyTorch, s an epoch | kiln | ratio | test accuracy after it: PyTorch, kiln |\n|---|---|---|---|---|"
    );
    for kind in kinds {
        let pairs: Vec<(Epoch, Epoch)> = (0..rounds).map(|_| round(&kind)).collect();
        let of = |f: fn(&(Epoch, Epoch)) -> f64| median(pairs.iter().map(f).collect());
        println!(
            "| {kind} | {:.1} | {:.1} | {:.2} | {:.1} %, {:.1} % |",
            of(|pair| pair.1.seconds),
            of(|pair| pair.0.seconds),
            of(|pair| pair.1.seconds / pair.0.seconds),
            of(|pair| pair.1.accuracy) * 100.0,
            of(|pair| pair.0.accuracy) * 100.0,
        );
    }
}

/// One epoch of each side, the peer with as many steps.
fn round(kind: &str) -> (Epoch, Epoch) {
    let (ours, steps) = kiln(kind);
    let theirs = torch(kind, steps);
    eprintln!("{kind}: {steps} steps, kiln {:.1} s, PyTorch {:.1} s", ours.seconds, theirs.seconds);
    (ours, theirs)
}

fn kiln(kind: &str) -> (Epoch, u64) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let config = format!("configs/fashion-mnist-{kind}.toml");
    let dir = format!("run.dir={}", folder.path().display());
    let sets =
        [dir.as_str(), "run.name=epoch", "train.epochs=1", "train.device=flex", "eval.every=0", "checkpoint.every=0"];
    let sets = sets.iter().flat_map(|set| ["--set", set]);
    let run = json(command("train").arg(config).args(sets));
    let tested = json(command("eval").arg(folder.path().join("epoch")).args(["--split", "test"]));
    let number = |value: &Value| value.as_f64().expect("a number");
    let epoch = Epoch { seconds: number(&run["train_s"]), accuracy: number(&tested["metrics"]["accuracy"]) };
    (epoch, run["step"].as_u64().expect("a step"))
}

fn torch(kind: &str, steps: u64) -> Epoch {
    let args = [kind, &BATCH.to_string(), &steps.to_string(), pictures().to_str().expect("a path")].map(String::from);
    let line = common::peer_says("vision_torch.py", &args, None);
    Epoch { seconds: common::before(&line, " s an epoch"), accuracy: common::before(&line, " % right") / 100.0 }
}

/// The folder with the four files that kiln has fetched.
fn pictures() -> PathBuf {
    let cache = std::env::var_os("KILN_CACHE")
        .map_or_else(|| Path::new(&std::env::var("HOME").expect("a home")).join(".cache/kiln"), PathBuf::from);
    let folders = std::fs::read_dir(cache.join("downloads")).expect("kiln's cache").flatten();
    let named = |folder: &std::fs::DirEntry| folder.file_name().to_string_lossy().starts_with("fashion-mnist");
    folders.filter(named).map(|folder| folder.path()).next().expect("kiln has fetched fashion-mnist")
}

fn command(verb: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kiln"));
    command.args([verb, "--json", "--quiet"]);
    command
}

fn json(command: &mut Command) -> Value {
    serde_json::from_str(&common::stdout(command)).unwrap_or_default()
}
