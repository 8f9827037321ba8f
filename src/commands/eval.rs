//! `kiln eval`: a checkpoint over a whole split, and what its metrics are worth.

use std::collections::BTreeMap;

use super::{Console, Trained, console::table};
use crate::{
    baseline::Comparison,
    data::InputSchema,
    error::{Error, Result},
    eval::{Aimed, Assessment, Cutting},
    judge::{Asked, Baselines, Found, judge},
    metric::{Aim, Estimate},
    report,
};

/// What `kiln eval` is asked for, as typed.
#[derive(Debug, Clone, Default)]
pub struct EvalArgs {
    /// `train`, `validation` or `test`.
    pub split: String,
    /// `f1`, `accuracy` or `balanced_accuracy`.
    pub threshold: Option<String>,
    /// The prices of a false positive and a false negative, as `1,5`.
    pub cost: Option<String>,
    /// Columns to tell apart by.
    pub slices: Vec<String>,
    /// How much every column matters.
    pub importance: bool,
    /// Write the page, with importance and the slices of the columns that matter most.
    pub html: bool,
}

/// Measures a checkpoint over a split.
pub fn eval(trained: &Trained, args: &EvalArgs, console: &Console) -> Result<()> {
    let table = matches!(trained.schema()?.input, InputSchema::Table { .. });
    let asked = Asked {
        aim: args.aim()?,
        slices: args.slices.clone(),
        importance: args.importance || args.html && table,
        most_important: if args.html { 3 } else { 0 },
    };
    let found = judge(trained, args.split.parse()?, &asked, &|text| console.say(text))?;
    let (name, unit) = (trained.dir.name(), if found.predictions.is_some() { "rows" } else { "tokens" });
    console.say(&format!("{name} at step {}: {}, {} {unit}", found.step, found.split, found.report.count));
    if args.html {
        console.say(&format!("the page is {}", report::write(trained, &found)?.display()));
    }
    console.result(&found, || text(&found))
}

impl EvalArgs {
    fn aim(&self) -> Result<Option<Aimed>> {
        match (&self.threshold, &self.cost) {
            (Some(name), None) => {
                let aim = match name.replace('-', "_").as_str() {
                    "f1" => Aim::F1,
                    "accuracy" => Aim::Accuracy,
                    "balanced_accuracy" => Aim::BalancedAccuracy,
                    _ => {
                        return Err(Error::input(format!("--threshold {name} is no aim"))
                            .next("choose f1, accuracy or balanced_accuracy, or give --cost"));
                    }
                };
                Ok(Some(Aimed { name: name.clone(), aim }))
            }
            (None, Some(prices)) => {
                let parsed: Option<Vec<f64>> = prices.split(',').map(|price| price.trim().parse().ok()).collect();
                match parsed.as_deref() {
                    Some(&[a, b]) if a >= 0.0 && b >= 0.0 && (a + b).is_finite() && a + b > 0.0 => {
                        Ok(Some(Aimed { name: format!("cost {prices}"), aim: Aim::Cost(a, b) }))
                    }
                    _ => Err(Error::input(format!("--cost {prices} is not two prices"))
                        .next("give what a false positive and a false negative cost, as in --cost 1,5")),
                }
            }
            (None, None) => Ok(None),
            (Some(_), Some(_)) => Err(Error::input("--threshold and --cost are two aims").next("give one of them")),
        }
    }
}

fn text(found: &Found) -> String {
    let mut parts = vec![metrics(found)];
    if let Some(assessment) = &found.assessment {
        parts.extend(worth(assessment));
        parts.extend(assessment.threshold.as_ref().map(threshold));
    }
    parts.extend(found.baselines.as_ref().map(baselines));
    parts.extend(found.gate.as_ref().map(|Comparison { words, .. }| words.clone()));
    if !found.importance.is_empty() {
        let line = |i: &crate::eval::Importance| {
            vec![i.column.clone(), format!("{:+.4}", i.drop), format!("± {:.4}", i.spread)]
        };
        let rows: Vec<_> = found.importance.iter().map(line).collect();
        parts.push(format!("importance: how much worse without the column\n{}", table(&rows)));
    }
    parts.extend(found.slices.iter().map(|sliced| {
        let names: Vec<&str> = sliced.slices.first().map(|s| s.figures.keys().copied().collect()).unwrap_or_default();
        let head =
            [sliced.column.as_str(), "rows"].into_iter().chain(names.iter().copied()).map(String::from).collect();
        let line = |slice: &crate::eval::Slice| {
            let figures = names.iter().map(|name| slice.figures.get(name).map_or("-".into(), shown));
            [slice.name.clone(), slice.rows.to_string()].into_iter().chain(figures).collect::<Vec<_>>()
        };
        table(&std::iter::once(head).chain(sliced.slices.iter().map(line)).collect::<Vec<_>>())
    }));
    parts.join("\n\n")
}

fn shown(estimate: &Estimate) -> String {
    let interval = estimate.interval.map(|i| format!(" {i}")).unwrap_or_default();
    format!("{:.4}{interval}", estimate.value)
}

fn metrics(found: &Found) -> String {
    let none = BTreeMap::new();
    let figures = found.assessment.as_ref().map_or(&none, |a| &a.figures);
    let line = |(name, value): (&String, &f64)| {
        let interval = figures.get(name.as_str()).and_then(|e| e.interval);
        vec![name.clone(), format!("{value:.6}"), interval.map(|i| i.to_string()).unwrap_or_default()]
    };
    table(&found.report.metrics.iter().map(line).collect::<Vec<_>>())
}

/// Intervals, calibration and residuals, a line each.
fn worth(assessment: &Assessment) -> Vec<String> {
    let mut lines = Vec::new();
    if assessment.resamples > 0 {
        let (level, times) = (assessment.level * 100.0, assessment.resamples);
        lines.push(format!("in brackets: {level}% of {times} resamples of the rows"));
    }
    if let Some(calibration) = &assessment.calibration {
        let after = assessment.calibrated.as_ref().zip(assessment.adjusted.as_ref().and_then(|a| a.temperature));
        let after = after.map(|(c, t)| format!(", {:.4} with temperature {:.3} learned on validation", c.ece, t.0));
        lines.push(format!("calibration error {:.4}{}", calibration.ece, after.unwrap_or_default()));
    }
    for (residuals, target) in assessment.residuals.iter().zip(1..) {
        let quantiles: Vec<_> =
            residuals.quantiles.iter().map(|(share, v)| format!("{}% {v:.4}", share * 100.0)).collect();
        let level = assessment.adjusted.as_ref().map_or(0.0, |a| a.level * 100.0);
        lines.push(format!(
            "target {target}: within ±{:.4} of the prediction in {:.1}% of rows (meant: {level}%); errors: {}",
            residuals.half_width,
            residuals.coverage * 100.0,
            quantiles.join(", ")
        ));
    }
    if lines.is_empty() { Vec::new() } else { vec![lines.join("\n")] }
}

fn threshold(cutting: &Cutting) -> String {
    let row = |name: &str, c: &crate::metric::Cut, cost: Option<f64>| {
        let share = |v: Option<f64>| v.map_or("-".into(), |v| format!("{v:.4}"));
        let counts = [c.true_positives, c.false_positives, c.false_negatives, c.true_negatives].map(|n| n.to_string());
        let mut cells = vec![name.to_string(), format!("{:.4}", c.threshold)];
        cells.extend([share(c.precision), share(c.recall), share(c.f1), share(c.accuracy)]);
        cells.extend(counts);
        cells.extend(cost.map(|cost| format!("{cost:.1}")));
        cells
    };
    let head = ["", "threshold", "precision", "recall", "f1", "accuracy", "tp", "fp", "fn", "tn"].map(String::from);
    let mut head = head.to_vec();
    head.extend(cutting.cost.map(|_| "cost".to_string()));
    let (chosen, half) = (cutting.cost.map(|c| c.0), cutting.cost.map(|c| c.1));
    table(&[
        head,
        row(&format!("best for {}", cutting.aim), &cutting.cut, chosen),
        row("plain", &cutting.at_half, half),
    ])
}

fn baselines(baselines: &Baselines) -> String {
    let line = |c: &crate::baseline::Candidate| {
        let value = c.value.map_or_else(|| c.fault.clone().unwrap_or_default(), |value| format!("{value:.4}"));
        vec![c.kind.name().to_string(), value, format!("fitted in {:.1} s", c.seconds)]
    };
    let head = format!(
        "baselines: {} on validation, fitted on {} of {} training rows",
        baselines.figure.name(),
        baselines.rows,
        baselines.of
    );
    format!("{head}\n{}", table(&baselines.candidates.iter().map(line).collect::<Vec<_>>()))
}
