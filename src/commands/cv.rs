//! `kiln cv`: cross-validation of a config.

use super::{Console, console::table};
use crate::{
    config::Plan,
    cv::{CvReport, FoldResult, Folds, Spread, cross_validate},
    data::FoldBy,
    error::Result,
    train::Interrupt,
};

/// Which folds, as typed.
#[derive(Debug, Clone)]
pub struct CvArgs {
    /// Folds.
    pub folds: usize,
    /// How often the rows are shared out anew.
    pub repeats: usize,
    /// Seeds of the network; none means `run.seed`.
    pub seeds: Vec<u64>,
    /// The column whose values stay together.
    pub group: Option<String>,
    /// The column that orders rows.
    pub time: Option<String>,
    /// At random, whatever the classes.
    pub shuffled: bool,
}

/// Trains and judges every fold, network and classic models alike.
pub fn cv(plan: &Plan, args: &CvArgs, console: &Console) -> Result<()> {
    let (by, column) = match (&args.group, &args.time, args.shuffled) {
        (Some(column), ..) => (FoldBy::Grouped, column.clone()),
        (_, Some(column), _) => (FoldBy::Time, column.clone()),
        (.., true) => (FoldBy::Shuffled, String::new()),
        _ => FoldBy::usual(&plan.data),
    };
    let mut seeds = if args.seeds.is_empty() { vec![plan.run.seed] } else { args.seeds.clone() };
    seeds.sort_unstable();
    seeds.dedup();
    let folds = Folds { of: args.folds, by, column, repeats: args.repeats, seeds };
    let report = cross_validate(plan, &folds, &Interrupt::listen()?, &|text| console.say(text))?;
    console.result(&report, || text(&report))
}

fn text(report: &CvReport) -> String {
    let kinds: Vec<_> = report.baselines.iter().map(|(kind, _)| *kind).collect();
    let names = kinds.iter().map(|kind| kind.name().to_string());
    let head: Vec<String> =
        ["repeat", "fold", "seed", "rows", "network"].map(String::from).into_iter().chain(names).collect();
    let line = |r: &FoldResult| {
        let theirs = kinds.iter().map(|kind| r.baselines.iter().find(|(k, _)| k == kind).map_or(f64::NAN, |b| b.1));
        let figures = std::iter::once(r.network).chain(theirs).map(|v| format!("{v:.4}"));
        let place = [r.repeat.to_string(), r.fold.to_string(), r.seed.to_string(), r.judged_rows.to_string()];
        place.into_iter().chain(figures).collect::<Vec<_>>()
    };
    let spread = |s: &Spread| s.std.map_or(format!("{:.4}", s.mean), |std| format!("{:.4} ± {std:.4}", s.mean));
    let all = std::iter::once(&report.network).chain(report.baselines.iter().map(|(_, s)| s)).map(spread);
    let last = ["all", "", "", ""].map(String::from).into_iter().chain(all).collect();
    let mut rows = vec![head];
    rows.extend(report.folds.iter().map(line));
    rows.push(last);
    let mut text = format!("{} on validation folds\n{}\n", report.figure.name(), table(&rows));
    if let Some(between) = &report.between_seeds {
        text.push_str(&format!("\nmeans of {} seeds: {}\n", between.count, spread(between)));
    }
    format!("{text}\n{}", report.words)
}
