//! From the start of a process to the end of its first training step, kiln beside PyTorch: `cargo bench --bench start`.
//!
//! The small language model with its data prepared, and everything that is read in the page cache; medians of rounds
//! that alternate. A process's end counts too.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::{process::Command, time::Instant};

use common::median;

const ROUNDS: usize = 7;

fn main() {
    let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".into());
    let step = ["benches/peers/gpt_torch.py", "84", "64", "4", "4", "128", "12", "1", "fp32"];
    let ours = ["bench", "configs/shakespeare-char.toml", "--steps", "1", "--warmup", "0", "--quiet"];
    let command = |program: &str, args: &[&str]| {
        let mut command = Command::new(program);
        command.args(args);
        command
    };
    let mut contenders = [
        ("kiln, first step", command(env!("CARGO_BIN_EXE_kiln"), &ours)),
        ("PyTorch, first step", command(&python, &step)),
        ("PyTorch, import alone", command(&python, &["-c", "import torch"])),
    ];
    let mut took = vec![vec![]; contenders.len()];
    for round in 0..=ROUNDS {
        for ((_, command), took) in contenders.iter_mut().zip(&mut took) {
            let start = Instant::now();
            common::stdout(command);
            // The first round fills caches.
            if round > 0 {
                took.push(start.elapsed().as_secs_f64());
            }
        }
    }
    println!("| from the process's start to its end | s |\n|---|---|");
    for ((name, _), took) in contenders.iter().zip(took) {
        println!("| {name} | {:.2} |", median(took));
    }
}
