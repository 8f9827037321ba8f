//! Running kiln and its peers as processes, and reading what they measured.

// Each bench uses some of it.
#![allow(dead_code)]

use std::process::Command;

/// What one run of a contender measured.
#[derive(Clone, Copy)]
pub struct Measured {
    pub ms: f64,
    pub rate: f64,
    pub peak_mib: f64,
    /// Processor time of a step on all threads, where the contender tells it.
    pub cpu_ms: f64,
}

/// Runs `kiln bench CONFIG --json` with these further arguments; `unit` is `tokens` or `samples`.
pub fn kiln(command: &mut Command, config: &str, args: &[String], unit: &str) -> Measured {
    command.args(["bench", config, "--json", "--quiet"]).args(args);
    let out: serde_json::Value = serde_json::from_str(&stdout(command)).expect("kiln's measurement is JSON");
    let number = |key: &str| out[key].as_f64().unwrap_or(f64::NAN);
    Measured {
        ms: number("ms_per_step"),
        rate: number(&format!("{unit}_per_s")),
        peak_mib: number("peak_mib"),
        cpu_ms: number("cpu_ms_per_step"),
    }
}

/// Runs a script of `benches/peers`; on that many threads, or as many as it likes.
pub fn peer(script: &str, args: &[String], unit: &str, threads: Option<usize>) -> Measured {
    // torch 2.9.0 fp32: 30.6 ms/step, 25065 tokens/s, peak 683 MiB, 58.1 ms of processor
    let line = peer_says(script, args, threads);
    Measured {
        ms: before(&line, " ms/step"),
        rate: before(&line, &format!(" {unit}/s")),
        peak_mib: before(&line, " MiB"),
        cpu_ms: if line.contains(" ms of processor") { before(&line, " ms of processor") } else { f64::NAN },
    }
}

/// What a script of `benches/peers` prints.
pub fn peer_says(script: &str, args: &[String], threads: Option<usize>) -> String {
    let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".into());
    let mut command = Command::new(python);
    command.arg(format!("benches/peers/{script}")).args(args);
    if let Some(threads) = threads {
        command.env("OMP_NUM_THREADS", threads.to_string());
    }
    stdout(&mut command)
}

/// The number before a word.
pub fn before(line: &str, word: &str) -> f64 {
    let head = &line[..line.find(word).unwrap_or_else(|| panic!("no `{word}` in what the peer said: {line}"))];
    head.rsplit([' ', ':']).find_map(|number| number.parse().ok()).unwrap_or(f64::NAN)
}

pub fn stdout(command: &mut Command) -> String {
    let out = command.output().unwrap_or_else(|e| panic!("cannot run {command:?}: {e}"));
    assert!(out.status.success(), "{command:?} failed:\n{}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).into_owned()
}

pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
