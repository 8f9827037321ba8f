//! Training steps of kiln and of PyTorch, alternating in one run: `cargo bench --bench pytorch -- --help`.
//!
//! Machines drift by tens of percent within minutes, so each round runs every contender once, one after the other, and
//! the ratio is taken within the round; medians over the rounds are printed. The peers are in `benches/peers`.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::process::Command;

use common::{Measured, median};

const HELP: &str = "usage: cargo bench --bench pytorch -- [WORKLOAD..] [--rounds N] [--device DEVICE] [--modes MODES]

WORKLOAD   small, gpt2-64, gpt2-256, mlp, cnn, vit; all of them by default
--rounds   how often each contender runs (5)
--device   kiln's device (flex); tch needs `cargo bench --features tch`
--modes    PyTorch's: fp32, bf16, fp32-compile, bf16-compile, joined by commas (fp32)
--kiln     the binary to measure, in place of the one that cargo built
The interpreter is $PYTHON or python3; it needs torch and numpy.";

/// A model and a batch, as both sides are told it.
struct Workload {
    name: &'static str,
    /// What a rate counts.
    unit: &'static str,
    config: &'static str,
    overrides: &'static [&'static str],
    peer: &'static str,
    peer_args: &'static [&'static str],
    /// Steps that count, and of the peer the same and half as many to warm up.
    steps: usize,
}

const GPT2: [&str; 3] = ["model.dropout=0", "train.accumulate=1", "optim.clip=1"];

const WORKLOADS: [Workload; 6] = [
    Workload {
        name: "small",
        unit: "tokens",
        config: "configs/shakespeare-char.toml",
        overrides: &["model.bias=true"],
        peer: "gpt_torch.py",
        peer_args: &["84", "64", "4", "4", "128", "12"],
        steps: 100,
    },
    Workload {
        name: "gpt2-64",
        unit: "tokens",
        config: "configs/gpt2-124m.toml",
        overrides: &[GPT2[0], GPT2[1], GPT2[2], "data.context=64"],
        peer: "gpt_torch.py",
        peer_args: &["50257", "64", "12", "12", "768", "4"],
        steps: 6,
    },
    Workload {
        name: "gpt2-256",
        unit: "tokens",
        config: "configs/gpt2-124m.toml",
        overrides: &[GPT2[0], GPT2[1], GPT2[2], "data.context=256"],
        peer: "gpt_torch.py",
        peer_args: &["50257", "256", "12", "12", "768", "4"],
        steps: 3,
    },
    Workload {
        name: "mlp",
        unit: "samples",
        config: "configs/fashion-mnist-mlp.toml",
        overrides: &[],
        peer: "vision_torch.py",
        peer_args: &["mlp", "128"],
        steps: 200,
    },
    Workload {
        name: "cnn",
        unit: "samples",
        config: "configs/fashion-mnist-cnn.toml",
        overrides: &[],
        peer: "vision_torch.py",
        peer_args: &["cnn", "128"],
        steps: 30,
    },
    Workload {
        name: "vit",
        unit: "samples",
        config: "configs/fashion-mnist-vit.toml",
        overrides: &[],
        peer: "vision_torch.py",
        peer_args: &["vit", "128"],
        steps: 20,
    },
];

struct Options {
    workloads: Vec<&'static Workload>,
    rounds: usize,
    device: String,
    modes: Vec<String>,
    kiln: String,
}

fn main() {
    let options = options();
    println!("| workload | contender | rate | ms a step | peak MiB | times PyTorch {} |", options.modes[0]);
    println!("|---|---|---|---|---|---|");
    for workload in &options.workloads {
        compare(workload, &options);
    }
}

fn options() -> Options {
    let mut options = Options {
        workloads: vec![],
        rounds: 5,
        device: "flex".into(),
        modes: vec!["fp32".into()],
        kiln: env!("CARGO_BIN_EXE_kiln").into(),
    };
    let mut args = std::env::args().skip(1).filter(|arg| arg != "--bench");
    while let Some(arg) = args.next() {
        let mut value = || args.next().unwrap_or_else(|| panic!("{arg} needs a value\n\n{HELP}"));
        match arg.as_str() {
            "--rounds" => options.rounds = value().parse().expect("--rounds takes a number"),
            "--device" => options.device = value(),
            "--modes" => options.modes = value().split(',').map(str::to_string).collect(),
            "--kiln" => options.kiln = value(),
            "--help" | "-h" => {
                println!("{HELP}");
                std::process::exit(0);
            }
            name => match WORKLOADS.iter().find(|workload| workload.name == name) {
                Some(workload) => options.workloads.push(workload),
                None => panic!("no workload `{name}`\n\n{HELP}"),
            },
        }
    }
    if options.workloads.is_empty() {
        options.workloads = WORKLOADS.iter().collect();
    }
    options
}

/// Runs every contender once a round and prints a row for each.
fn compare(workload: &Workload, options: &Options) {
    let precisions: &[&str] =
        if options.modes.iter().any(|mode| mode.contains("bf16")) { &["f32", "bf16"] } else { &["f32"] };
    let peers = options.modes.iter().map(|mode| (format!("PyTorch {mode}"), Contender::Torch(mode)));
    let ours =
        precisions.iter().map(|precision| (format!("kiln {} {precision}", options.device), Contender::Kiln(precision)));
    let contenders: Vec<(String, Contender)> = peers.chain(ours).collect();
    let mut rounds: Vec<Vec<Measured>> = vec![];
    for round in 1..=options.rounds {
        eprintln!("{}: round {round} of {}", workload.name, options.rounds);
        rounds.push(contenders.iter().map(|(_, contender)| contender.run(workload, options)).collect());
    }
    for (i, (name, _)) in contenders.iter().enumerate() {
        let of = |f: fn(&Measured) -> f64| median(rounds.iter().map(|round| f(&round[i])).collect());
        let ratio = median(rounds.iter().map(|round| round[i].rate / round[0].rate).collect());
        println!(
            "| {} | {name} | {:.0} {}/s | {:.1} | {:.0} | {ratio:.2} |",
            workload.name,
            of(|m| m.rate),
            workload.unit,
            of(|m| m.ms),
            of(|m| m.peak_mib),
        );
    }
}

enum Contender<'a> {
    /// With its mode.
    Torch(&'a str),
    /// With its precision.
    Kiln(&'a str),
}

impl Contender<'_> {
    fn run(&self, workload: &Workload, options: &Options) -> Measured {
        match self {
            Self::Torch(mode) => torch(workload, mode),
            Self::Kiln(precision) => kiln(workload, precision, options),
        }
    }
}

fn kiln(workload: &Workload, precision: &str, options: &Options) -> Measured {
    let mut args = vec!["--device".to_string(), options.device.clone(), "--steps".into(), workload.steps.to_string()];
    for over in workload.overrides.iter().map(|over| over.to_string()).chain([format!("train.precision={precision}")]) {
        args.extend(["--set".to_string(), over]);
    }
    common::kiln(&mut Command::new(&options.kiln), workload.config, &args, workload.unit)
}

fn torch(workload: &Workload, mode: &str) -> Measured {
    let mut args: Vec<String> = workload.peer_args.iter().map(|arg| arg.to_string()).collect();
    args.push((workload.steps * 3 / 2).to_string());
    if workload.peer == "gpt_torch.py" {
        args.push(mode.to_string());
    }
    common::peer(workload.peer, &args, workload.unit, None)
}
