//! TPE against random search, and against Optuna's TPE: `cargo bench --bench tune -- [functions] [real] [optuna]`.
//!
//! Test functions as in Surjanovic and Bingham's library (sfu.ca/~ssurjano): Branin (1972), Hartmann (1973) in six
//! dimensions, Ackley (1987) and Rosenbrock (1960). What is compared is the best value after so many trials, over seeds.
//! `real` searches `configs/winequality-tune.toml` with few trials; `optuna` needs `pip install optuna`.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{f64::consts::TAU, process::Command};

use kiln::{
    config::{Direction, SamplerKind, TuneConfig},
    tune::{Objective, Space, Trial, Values, ask},
};

const SEEDS: u64 = 30;
const TRIALS: [usize; 2] = [50, 100];

/// A function of places in the unit cube, with its least value.
struct Function {
    name: &'static str,
    dims: usize,
    of: fn(&[f64]) -> f64,
    least: f64,
}

const FUNCTIONS: [Function; 4] = [
    Function { name: "branin", dims: 2, of: branin, least: 0.397_887 },
    Function { name: "hartmann6", dims: 6, of: hartmann6, least: -3.322_37 },
    Function { name: "rosenbrock4", dims: 4, of: rosenbrock, least: 0.0 },
    Function { name: "ackley5", dims: 5, of: ackley, least: 0.0 },
];

fn branin(u: &[f64]) -> f64 {
    let (x, y, pi) = (15.0 * u[0] - 5.0, 15.0 * u[1], TAU / 2.0);
    let parabola = y - 5.1 / (4.0 * pi * pi) * x * x + 5.0 / pi * x - 6.0;
    parabola * parabola + 10.0 * (1.0 - 1.0 / (8.0 * pi)) * x.cos() + 10.0
}

fn hartmann6(u: &[f64]) -> f64 {
    const WEIGHTS: [f64; 4] = [1.0, 1.2, 3.0, 3.2];
    const NARROW: [[f64; 6]; 4] = [
        [10.0, 3.0, 17.0, 3.5, 1.7, 8.0],
        [0.05, 10.0, 17.0, 0.1, 8.0, 14.0],
        [3.0, 3.5, 1.7, 10.0, 17.0, 8.0],
        [17.0, 8.0, 0.05, 10.0, 0.1, 14.0],
    ];
    const CENTRES: [[f64; 6]; 4] = [
        [0.1312, 0.1696, 0.5569, 0.0124, 0.8283, 0.5886],
        [0.2329, 0.4135, 0.8307, 0.3736, 0.1004, 0.9991],
        [0.2348, 0.1451, 0.3522, 0.2883, 0.3047, 0.6650],
        [0.4047, 0.8828, 0.8732, 0.5743, 0.1091, 0.0381],
    ];
    let hill = |i: usize| -> f64 {
        let distance: f64 = (0..6).map(|j| NARROW[i][j] * (u[j] - CENTRES[i][j]).powi(2)).sum();
        WEIGHTS[i] * (-distance).exp()
    };
    -(0..4).map(hill).sum::<f64>()
}

fn rosenbrock(u: &[f64]) -> f64 {
    let x: Vec<f64> = u.iter().map(|u| 15.0 * u - 5.0).collect();
    x.windows(2).map(|x| 100.0 * (x[1] - x[0] * x[0]).powi(2) + (1.0 - x[0]).powi(2)).sum()
}

fn ackley(u: &[f64]) -> f64 {
    let x: Vec<f64> = u.iter().map(|u| 65.536 * u - 32.768).collect();
    let n = x.len() as f64;
    let far = (x.iter().map(|x| x * x).sum::<f64>() / n).sqrt();
    let waves = x.iter().map(|x| (TAU * x).cos()).sum::<f64>() / n;
    -20.0 * (-0.2 * far).exp() - waves.exp() + 20.0 + std::f64::consts::E
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    let wants = |what: &str| args.iter().any(|arg| arg == what);
    let optuna = wants("optuna");
    if args.is_empty() || wants("functions") || optuna {
        functions(optuna);
    }
    if wants("real") {
        real(optuna);
    }
}

fn functions(optuna: bool) {
    println!(
        "median distance to the least value over {SEEDS} seeds, and in how many of them TPE was nearer than random"
    );
    for function in &FUNCTIONS {
        for trials in TRIALS {
            let all =
                |sampler| -> Vec<f64> { (0..SEEDS).map(|seed| search(function, sampler, trials, seed)).collect() };
            let (tpe, random) = (all(SamplerKind::Tpe), all(SamplerKind::Random));
            let peer = if optuna { optuna_on(function, trials) } else { Vec::new() };
            report(&format!("{} {trials} trials", function.name), &tpe, &random, &peer);
        }
    }
}

/// The distance to the least value after so many trials.
fn search(function: &Function, sampler: SamplerKind, trials: usize, seed: u64) -> f64 {
    // Random search draws with seeds of its own, or its first trials would be TPE's.
    let seed = if sampler == SamplerKind::Random { seed + 1000 } else { seed };
    let dims: String = (0..function.dims).map(|i| format!("x{i} = {{ uniform = [0.0, 1.0] }}\n")).collect();
    let config = TuneConfig { sampler, seed, space: toml::from_str(&dims).unwrap(), ..TuneConfig::default() };
    let space = Space::new(&config).unwrap();
    let objectives = [Objective { metric: "value".into(), direction: Direction::Minimize }];
    let mut done: Vec<Trial> = Vec::new();
    for number in 1..=trials as u64 {
        let values: Values = ask(&config, &space, &objectives, &done, number).unwrap();
        let place: Vec<f64> = (0..function.dims).map(|i| values[&format!("x{i}")].parse().unwrap()).collect();
        done.push(Trial::complete(number, values, [("value", (function.of)(&place))]));
    }
    done.iter().filter_map(|trial| trial.metric("value")).fold(f64::INFINITY, f64::min) - function.least
}

fn optuna_on(function: &Function, trials: usize) -> Vec<f64> {
    let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".into());
    let mut command = Command::new(python);
    command.args(["benches/peers/tune_optuna.py", function.name, &trials.to_string(), &SEEDS.to_string()]);
    let out = command.output().expect("python runs");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let text = String::from_utf8(out.stdout).unwrap();
    text.split_whitespace().map(|value| value.parse::<f64>().unwrap() - function.least).collect()
}

/// `rmse` of the best of so many trials on a real table, over seeds of the search.
fn real(_: bool) {
    const REAL_SEEDS: u64 = 10;
    const REAL_TRIALS: usize = 30;
    let folder = tempfile::tempdir().unwrap();
    println!("configs/winequality-tune.toml, best validation rmse of {REAL_TRIALS} trials, {REAL_SEEDS} seeds");
    let run = |sampler: &str, seed: u64| -> f64 {
        let seed = if sampler == "random" { seed + 1000 } else { seed };
        let sets = [
            format!("run.dir={}", folder.path().display()),
            format!("run.name={sampler}-{seed}"),
            format!("tune.sampler={sampler}"),
            format!("tune.seed={seed}"),
            format!("tune.trials={REAL_TRIALS}"),
            "tune.pruner=none".into(),
        ];
        let mut command = Command::new(env!("CARGO_BIN_EXE_kiln"));
        command.args(["tune", "configs/winequality-tune.toml", "--json", "--quiet", "--workers", "2"]);
        command.args(sets.iter().flat_map(|set| ["--set", set]));
        let out = command.output().unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        let result: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
        result["best"]["metrics"]["rmse"].as_f64().unwrap()
    };
    let pairs: Vec<(f64, f64)> = (1..=REAL_SEEDS).map(|seed| (run("tpe", seed), run("random", seed))).collect();
    let (tpe, random): (Vec<f64>, Vec<f64>) = pairs.into_iter().unzip();
    report("winequality", &tpe, &random, &[]);
}

fn report(name: &str, tpe: &[f64], random: &[f64], optuna: &[f64]) {
    let wins = |a: &[f64], b: &[f64]| a.iter().zip(b).filter(|(a, b)| a < b).count();
    let mut line = format!(
        "{name:24} tpe {:9.4}  random {:9.4}  tpe better in {} of {}",
        median(tpe),
        median(random),
        wins(tpe, random),
        tpe.len()
    );
    if !optuna.is_empty() {
        line += &format!("  optuna {:9.4}, tpe better than it in {}", median(optuna), wins(tpe, optuna));
    }
    println!("{line}");
}

fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    let at = |i: usize| values[i];
    (at((values.len() - 1) / 2) + at(values.len() / 2)) / 2.0
}
