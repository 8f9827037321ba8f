//! Golden losses: ten steps of a tiny config on flex, to the last digit. A refactor changes none.
//!
//! `KILN_BLESS=1` writes the file anew; that is a commit of its own with its reason.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use std::{fs, path::Path};

#[test]
fn ten_steps_give_the_golden_losses() {
    let bench = common::Bench::tiny();
    bench.ok(&["train", "tiny.toml", "--quiet", "--set", "train.steps=10", "--set", "model.dropout=0.1"]);
    let found: Vec<String> = common::steps(&bench.path("checkpoints/tiny/journal.jsonl"))
        .iter()
        .map(|(step, loss, batch)| format!("{step} {loss} {batch}"))
        .collect();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/tiny.txt");
    if std::env::var_os("KILN_BLESS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, found.join("\n") + "\n").unwrap();
    }
    let golden = fs::read_to_string(&path).expect("tests/golden/tiny.txt");
    let golden: Vec<&str> = golden.lines().collect();
    assert_eq!(found.len(), 10);
    for (found, golden) in found.iter().zip(&golden) {
        let parts = |line: &str| line.split(' ').map(str::to_string).collect::<Vec<_>>();
        let (found, golden) = (parts(found), parts(golden));
        assert_eq!((&found[0], &found[2]), (&golden[0], &golden[2]), "the batches are the golden ones");
        let (a, b): (f64, f64) = (found[1].parse().unwrap(), golden[1].parse().unwrap());
        // Another processor's vector width sums in another order; on one machine every digit is equal.
        assert!((a - b).abs() <= 2e-5 * b.abs(), "step {}: {a} is not the golden {b}", found[0]);
    }
}
