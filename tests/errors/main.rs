//! Bad input through the real binary: the exit code, one clear message with its place and next action, no backtrace.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "../common/mod.rs"]
mod common;

mod config;
mod data;
mod device;
mod disk;
mod runs;
mod sampling;

use common::{Bench, Said};

/// What is typed, the exit code, and what the message must say.
type Case<'a> = (&'a [&'a str], i32, &'a [&'a str]);

/// Runs every case in `bench`, and reports all that differ at once.
fn refuse(bench: &Bench, cases: &[Case]) {
    let faults: Vec<String> = cases
        .iter()
        .flat_map(|(args, code, says)| {
            let said = bench.kiln(args);
            faults(&said, *code, says).into_iter().map(move |fault| format!("kiln {}\n{fault}", args.join(" ")))
        })
        .collect();
    assert!(faults.is_empty(), "{} faults\n\n{}", faults.len(), faults.join("\n\n"));
}

/// The same for a process that already spoke.
fn refused(said: &Said, code: i32, says: &[&str]) {
    let faults = faults(said, code, says);
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

fn faults(said: &Said, code: i32, says: &[&str]) -> Vec<String> {
    let mut faults = Vec::new();
    let mut expect = |holds: bool, what: String| {
        if !holds {
            faults.push(format!("{what}\nexit {}, stderr:\n{}", said.code, said.err));
        }
    };
    expect(said.code == code, format!("the exit code is not {code}"));
    for text in says {
        expect(said.err.contains(text), format!("it does not say `{text}`"));
    }
    let messages = said.err.lines().filter(|line| line.starts_with("error: ")).count();
    expect(messages == 1, format!("{messages} messages"));
    let message = said.err.split("error: ").last().unwrap_or_default();
    let acts = ["; ", "\nnext: ", "\n  tip: ", "try '--help'"];
    expect(acts.iter().any(|act| message.contains(act)), "it does not say what to do".into());
    for noise in ["panicked", "RUST_BACKTRACE", "stack backtrace", "os error", "Some(", "Err("] {
        expect(!said.err.contains(noise), format!("it says `{noise}`"));
    }
    expect(said.out.is_empty(), format!("stdout is not empty: {}", said.out));
    faults
}
