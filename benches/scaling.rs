//! How the cost of a step grows, for kiln and for PyTorch: `cargo bench --bench scaling -- OUT.json`.
//!
//! One dimension of the small language model varies at a time; the peer runs beside each point. `benches/plot.py`
//! draws the result.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::process::Command;

use common::{Measured, median};
use serde_json::json;

/// The small model, as `configs/shakespeare-char.toml` has it.
#[derive(Clone, Copy)]
struct Point {
    layers: usize,
    width: usize,
    context: usize,
    batch: usize,
    threads: usize,
}

const ROUNDS: usize = 3;
const VOCABULARY: usize = 84;

fn main() {
    let out = std::env::args().skip(1).find(|arg| !arg.starts_with("--")).expect("name a file for the result");
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let base = Point { layers: 4, width: 128, context: 64, batch: 12, threads };
    let mut sweeps: Vec<(&str, Vec<(usize, Point)>)> = vec![
        ("width", [64, 128, 256, 512, 1024].map(|width| (width, Point { width, ..base })).to_vec()),
        ("layers", [1, 2, 4, 8, 16].map(|layers| (layers, Point { layers, ..base })).to_vec()),
        ("batch", [1, 3, 12, 48, 192].map(|batch| (batch, Point { batch, ..base })).to_vec()),
        // As many tokens a step throughout: what a matrix of all positions would cost shows.
        (
            "context",
            [64, 128, 256, 512, 1024, 2048].map(|t| (t, Point { context: t, batch: 2048 / t, ..base })).to_vec(),
        ),
    ];
    let counts: Vec<usize> = std::iter::successors(Some(1), |n| Some(n * 2)).take_while(|n| *n <= threads).collect();
    sweeps.push(("threads", counts.into_iter().map(|threads| (threads, Point { threads, ..base })).collect()));

    let mut rows = vec![];
    for (dimension, points) in sweeps {
        for (value, point) in points {
            let (ours, theirs) = measure(point);
            eprintln!("{dimension} {value}: kiln {:.0}, PyTorch {:.0} tokens/s", ours.rate, theirs.rate);
            let side = |m: Measured| json!({ "tokens_per_s": m.rate, "ms": m.ms, "peak_mib": m.peak_mib });
            rows.push(json!({
                "dimension": dimension, "value": value, "flops_per_token": flops_per_token(point),
                "kiln": side(ours), "torch": side(theirs),
            }));
        }
    }
    let machine = kiln_kernels::ceilings();
    let result = json!({
        "rows": rows, "threads": threads,
        "peak_gflop_per_s": machine.f32_flops / 1e9, "copy_gb_per_s": machine.copy_bytes_per_second / 1e9,
    });
    std::fs::write(&out, serde_json::to_string_pretty(&result).unwrap()).expect("the result can be written");
}

/// Forward and twice that backward, two FLOPs a multiply-add: the matrices, and full attention.
fn flops_per_token(Point { layers, width, context, .. }: Point) -> f64 {
    let matrices = (layers * 12 * width * width + VOCABULARY * width) as f64;
    6.0 * (matrices + (layers * 2 * context * width) as f64)
}

/// The medians of both sides over alternating rounds.
fn measure(point: Point) -> (Measured, Measured) {
    let rounds: Vec<(Measured, Measured)> = (0..ROUNDS).map(|_| (kiln(point), torch(point))).collect();
    let of = |side: fn(&(Measured, Measured)) -> Measured| {
        let values = |f: fn(Measured) -> f64| median(rounds.iter().map(|round| f(side(round))).collect());
        Measured { ms: values(|m| m.ms), rate: values(|m| m.rate), peak_mib: values(|m| m.peak_mib) }
    };
    (of(|round| round.0), of(|round| round.1))
}

/// Enough for a median, and not minutes for the largest.
fn steps(point: Point) -> usize {
    let gflop = flops_per_token(point) * (point.batch * point.context) as f64 / 1e9;
    ((600.0 / gflop) as usize).clamp(6, 60)
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
