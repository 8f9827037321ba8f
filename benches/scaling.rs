//! How the cost of a step grows, for kiln and for PyTorch: `cargo bench --bench scaling -- OUT.json [DIMENSION..] [--rounds N] [--alone]`.
//!
//! One dimension of the small language model varies at a time (width, layers, batch, context, threads; all of them by
//! default); the peer runs beside each point, and the machine's ceiling is measured in the same rounds, for it moves with
//! what else runs. With `--alone` each runs on one thread and its processor time counts, which other processes on a busy
//! machine change little. Other dimensions that OUT.json has are kept. `benches/plot.py` draws the result.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::process::Command;

use common::{Measured, median};
use serde_json::{Value, json};

/// The small model, as `configs/shakespeare-char.toml` has it.
#[derive(Clone, Copy)]
struct Point {
    layers: usize,
    width: usize,
    context: usize,
    batch: usize,
    threads: usize,
}

const VOCABULARY: usize = 84;

fn main() {
    let mut args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let alone = args.iter().position(|arg| arg == "--alone").map(|at| args.remove(at)).is_some();
    let mut rounds = 3;
    if let Some(at) = args.iter().position(|arg| arg == "--rounds") {
        rounds = args.drain(at..).nth(1).and_then(|n| n.parse().ok()).expect("--rounds takes a number, and comes last");
    }
    let mut args = args.into_iter();
    let out = args.next().expect("name a file for the result");
    let wanted: Vec<String> = args.collect();
    let threads = if alone { 1 } else { std::thread::available_parallelism().map_or(1, usize::from) };
    let mut rows: Vec<Value> = std::fs::read_to_string(&out).ok().map_or_else(Vec::new, |old| {
        let old: Value = serde_json::from_str(&old).expect("what is there is an earlier result");
        old["rows"].as_array().cloned().unwrap_or_default()
    });
    for (dimension, points) in sweeps(threads) {
        if !wanted.is_empty() && !wanted.iter().any(|wanted| wanted == dimension) {
            continue;
        }
        rows.retain(|row| row["dimension"] != dimension);
        for (value, point) in points {
            let Measurement { ours, theirs, peak } = measure(point, rounds, alone);
            eprintln!("{dimension} {value}: kiln {:.0}, PyTorch {:.0} tokens/s", ours.rate, theirs.rate);
            let side = |m: Measured| json!({ "tokens_per_s": m.rate, "ms": m.ms, "peak_mib": m.peak_mib });
            rows.push(json!({
                "dimension": dimension, "value": value, "flops_per_token": flops_per_token(point),
                "peak_gflop_per_s": peak / 1e9, "kiln": side(ours), "torch": side(theirs),
            }));
            let result = json!({ "rows": rows, "threads": threads, "alone": alone });
            std::fs::write(&out, serde_json::to_string_pretty(&result).unwrap()).expect("the result can be written");
        }
    }
}

/// Each dimension with its values.
fn sweeps(threads: usize) -> Vec<(&'static str, Vec<(usize, Point)>)> {
    let base = Point { layers: 4, width: 128, context: 64, batch: 12, threads };
    let counts: Vec<usize> = std::iter::successors(Some(1), |n| Some(n * 2)).take_while(|n| *n <= threads).collect();
    vec![
        ("width", [64, 128, 256, 512, 1024].map(|width| (width, Point { width, ..base })).to_vec()),
        ("layers", [1, 2, 4, 8, 16].map(|layers| (layers, Point { layers, ..base })).to_vec()),
        ("batch", [1, 3, 12, 48, 192].map(|batch| (batch, Point { batch, ..base })).to_vec()),
        // As many tokens a step throughout: what a matrix of all positions would cost shows.
        (
            "context",
            [64, 128, 256, 512, 1024, 2048].map(|t| (t, Point { context: t, batch: 2048 / t, ..base })).to_vec(),
        ),
        ("threads", counts.into_iter().map(|threads| (threads, Point { threads, ..base })).collect()),
    ]
}

/// Medians over alternating rounds.
struct Measurement {
    ours: Measured,
    theirs: Measured,
    /// f32 operations a second in a large product on all threads.
    peak: f64,
}

/// Forward and twice that backward, two FLOPs a multiply-add: the matrices, and attention to what a token sees.
fn flops_per_token(Point { layers, width, context, .. }: Point) -> f64 {
    let matrices = (layers * 12 * width * width + VOCABULARY * width) as f64;
    6.0 * (matrices + (layers * (context + 1) * width) as f64)
}

fn measure(point: Point, rounds: usize, alone: bool) -> Measurement {
    let rounds: Vec<_> = (0..rounds).map(|_| (kiln(point), torch(point), peak(alone))).collect();
    let of = |side: fn(&(Measured, Measured, f64)) -> Measured| {
        let values = |f: fn(Measured) -> f64| median(rounds.iter().map(|round| f(side(round))).collect());
        let cpu_ms = values(|m| m.cpu_ms);
        let tokens = (point.batch * point.context) as f64;
        let (ms, rate) = if alone { (cpu_ms, 1e3 * tokens / cpu_ms) } else { (values(|m| m.ms), values(|m| m.rate)) };
        Measured { ms, rate, peak_mib: values(|m| m.peak_mib), cpu_ms }
    };
    let peak = median(rounds.iter().map(|round| round.2).collect());
    Measurement { ours: of(|round| round.0), theirs: of(|round| round.1), peak }
}

/// f32 operations a second in a large product: on all threads, or in a second of one thread's processor time.
fn peak(alone: bool) -> f64 {
    if !alone {
        return kiln_kernels::ceilings().f32_flops;
    }
    const N: usize = 1024;
    const TIMES: usize = 20;
    let values = vec![0.5f32; N * N];
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let run = || kiln_kernels::ceiling::product(&values, &values, [N; 3], [false; 2], false);
    pool.install(run);
    let begin = kiln::device::processor_time().expect("a system that counts processor time");
    (0..TIMES).for_each(|_| drop(pool.install(run)));
    let seconds = kiln::device::processor_time().unwrap() - begin;
    2.0 * (TIMES * N.pow(3)) as f64 / seconds
}

/// Enough for a median, and not minutes for the largest.
fn steps(point: Point) -> usize {
    let gflop = flops_per_token(point) * (point.batch * point.context) as f64 / 1e9;
    ((100.0 / gflop) as usize).clamp(3, 40)
}

fn kiln(point: Point) -> Measured {
    let sets = [
        format!("model.layers={}", point.layers),
        format!("model.width={}", point.width),
        format!("data.context={}", point.context),
        format!("train.batch={}", point.batch),
        "model.bias=true".into(),
    ];
    let mut args = vec!["--steps".to_string(), steps(point).to_string()];
    args.extend(sets.into_iter().flat_map(|set| ["--set".to_string(), set]));
    let mut command = Command::new(env!("CARGO_BIN_EXE_kiln"));
    command.env("RAYON_NUM_THREADS", point.threads.to_string());
    common::kiln(&mut command, "configs/shakespeare-char.toml", &args, "tokens")
}

fn torch(point: Point) -> Measured {
    let sizes = [VOCABULARY, point.context, point.layers, 4, point.width, point.batch, steps(point) * 3 / 2];
    let mut args: Vec<String> = sizes.iter().map(usize::to_string).collect();
    args.push("fp32".into());
    common::peer("gpt_torch.py", &args, "tokens", Some(point.threads))
}
