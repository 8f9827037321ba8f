//! What the page shows, worded and drawn; the template only places it.

use askama::Template;

use super::charts::{self, Axes, bounds};
use crate::{
    baseline::{Comparison, Outcome},
    data::TargetSchema,
    error::Result,
    eval::{Residuals, Slice, residuals},
    judge::Found,
    metric::{Estimate, Predictions, Truth},
    track::Event,
    train::Trained,
};

#[derive(Template)]
#[template(path = "run.html")]
pub(super) struct Page {
    name: String,
    split: String,
    facts: Vec<(&'static str, String)>,
    verdict: Option<Verdict>,
    cards: Vec<Card>,
    confidence: String,
    baselines: Vec<Bar>,
    baselines_note: String,
    charts: Vec<Chart>,
    confusion: Option<Confusion>,
    per_class: Vec<Vec<String>>,
    threshold: Vec<Vec<String>>,
    threshold_head: String,
    residuals: Vec<Vec<String>>,
    importance: Vec<Bar>,
    slices: Vec<Parts>,
    metrics: Vec<(String, String)>,
    plan: String,
}

struct Verdict {
    /// `wins`, `loses` or `noise`.
    tone: &'static str,
    title: &'static str,
    words: String,
    /// Where the interval, its middle and 0 lie, in percent of the bar's width.
    low: f64,
    width: f64,
    middle: f64,
    zero: f64,
}

struct Card {
    name: String,
    value: String,
    interval: String,
}

/// A named bar, in percent of the longest.
struct Bar {
    name: String,
    value: String,
    width: f64,
    tone: &'static str,
    note: String,
}

struct Chart {
    title: &'static str,
    note: String,
    svg: String,
}

struct Confusion {
    names: Vec<String>,
    /// A row a target: count, and the strength of its colour from 0 to 1.
    rows: Vec<(String, Vec<(u64, f64)>)>,
}

struct Parts {
    column: String,
    figure: String,
    rows: Vec<Bar>,
}

/// Columns of the importance card.
const MAX_COLUMNS: usize = 12;

/// More classes than this make a matrix that nobody reads.
const MAX_CONFUSION: usize = 20;

impl Page {
    pub(super) fn new(trained: &Trained, found: &Found, events: &[Event]) -> Result<Self> {
        let schema = trained.schema()?;
        let names: Vec<String> = match &schema.target {
            TargetSchema::Classes { names } | TargetSchema::Values { names } => names.clone(),
            TargetSchema::NextToken | TargetSchema::Items | TargetSchema::Itself { .. } => Vec::new(),
        };
        let assessment = found.assessment.as_ref();
        let confidence = assessment
            .filter(|a| a.resamples > 0)
            .map(|a| format!("Intervals hold {}% of {} resamples of the rows.", a.level * 100.0, a.resamples));
        Ok(Self {
            name: trained.dir.name(),
            split: found.split.to_string(),
            facts: facts(trained, found, events),
            verdict: found.gate.as_ref().map(verdict),
            cards: cards(found),
            confidence: confidence.unwrap_or_default(),
            baselines: beside(found),
            baselines_note: baselines_note(found),
            charts: pictures(found, events, &names)?,
            confusion: confusion(found, &names),
            per_class: per_class(found, &names),
            threshold: threshold(found),
            threshold_head: assessment
                .and_then(|a| a.threshold.as_ref())
                .map(|t| format!("Threshold for {}", t.aim))
                .unwrap_or_default(),
            residuals: assessment.map(|a| errors(&a.residuals, &names)).unwrap_or_default(),
            importance: importance(found),
            slices: parts(found),
            metrics: found.report.metrics.iter().map(|(name, v)| (name.clone(), format!("{v:.6}"))).collect(),
            plan: trained.plan.to_toml()?,
        })
    }
}

fn facts(trained: &Trained, found: &Found, events: &[Event]) -> Vec<(&'static str, String)> {
    let plan = &trained.plan;
    let mut facts = vec![
        ("task", plan.data.task.name().to_string()),
        ("model", plan.model.name().to_string()),
        ("checkpoint", format!("step {}", found.step)),
        ("judged on", format!("{} {} rows", found.report.count, found.split)),
    ];
    for event in events {
        if let Event::Started { params, device, .. } = event {
            facts.push(("parameters", indicatif::HumanCount(*params).to_string()));
            facts.push(("device", device.clone()));
        }
    }
    let finished = events.iter().rev().find_map(|event| match event {
        Event::Finished { seconds, .. } => Some(crate::train::human_seconds(*seconds)),
        _ => None,
    });
    facts.extend(finished.map(|time| ("trained in", time)));
    facts
}

fn verdict(gate: &Comparison) -> Verdict {
    let (tone, title) = match gate.outcome {
        Outcome::Wins => ("wins", "The network earns its place"),
        Outcome::Loses => ("loses", "A classic model is better"),
        Outcome::WithinNoise => ("noise", "No better than a classic model, as far as these rows can tell"),
    };
    let gap = &gate.difference;
    let (low, high) = gap.interval.map_or((gap.value, gap.value), |i| (i.low, i.high));
    let (left, right) = bounds([low, high, 0.0].into_iter());
    let room = 0.08 * (right - left);
    let place = |v: f64| 100.0 * (v - left + room) / (right - left + 2.0 * room);
    let mut words = gate.words.clone();
    if let Some(first) = words.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    Verdict {
        tone,
        title,
        words,
        low: place(low),
        width: place(high) - place(low),
        middle: place(gap.value),
        zero: place(0.0),
    }
}

fn cards(found: &Found) -> Vec<Card> {
    let card = |name: &str, estimate: &Estimate| Card {
        name: name.replace('_', " "),
        value: format!("{:.4}", estimate.value),
        interval: estimate.interval.map(|i| format!("{:.4} – {:.4}", i.low, i.high)).unwrap_or_default(),
    };
    match &found.assessment {
        Some(assessment) => assessment.figures.iter().map(|(name, e)| card(name, e)).collect(),
        None => {
            let plain = |v: &f64| Estimate { value: *v, interval: None };
            found.report.metrics.iter().map(|(name, v)| card(name, &plain(v))).collect()
        }
    }
}

/// The classic models' figures on the validation rows; the network's stands beside them where those are the rows.
fn beside(found: &Found) -> Vec<Bar> {
    let Some(baselines) = &found.baselines else { return Vec::new() };
    let largest = baselines.candidates.iter().filter_map(|c| c.value).fold(f64::MIN, f64::max).max(1e-12);
    let bar = |c: &crate::baseline::Candidate| Bar {
        name: c.kind.name().into(),
        value: c.value.map_or("–".into(), |v| format!("{v:.4}")),
        width: c.value.map_or(0.0, |v| (100.0 * v / largest).clamp(0.0, 100.0)),
        tone: if c.kind == baselines.best { "best" } else { "plain" },
        note: c.fault.clone().unwrap_or_else(|| format!("fitted in {:.1} s", c.seconds)),
    };
    baselines.candidates.iter().map(bar).collect()
}

fn baselines_note(found: &Found) -> String {
    found.baselines.as_ref().map_or(String::new(), |b| {
        format!("{} on the validation rows, fitted on {} of {} training rows.", b.figure.name(), b.rows, b.of)
    })
}

fn pictures(found: &Found, events: &[Event], names: &[String]) -> Result<Vec<Chart>> {
    let mut all = Vec::new();
    let predictions = found.predictions.as_ref().filter(|p| p.is_finite());
    if let Some((roc, pr)) = predictions.map(charts::ranking_curves).transpose()?.flatten() {
        let note = match names {
            [zero, one] => format!("{one} against {zero}."),
            _ => "Every class against the rest, in the order of the classes.".to_string(),
        };
        all.push(Chart { title: "ROC", note: note.clone(), svg: roc });
        all.push(Chart { title: "Precision and recall", note, svg: pr });
    }
    if let Some(assessment) = &found.assessment
        && let Some(plain) = &assessment.calibration
    {
        let scaled = assessment.calibrated.as_ref();
        let temperature = assessment.adjusted.as_ref().and_then(|a| a.temperature);
        let after = scaled.zip(temperature).map(|(c, t)| format!("; orange: {:.4} with temperature {:.2}", c.ece, t.0));
        let note = format!("Calibration error {:.4}{}.", plain.ece, after.unwrap_or_default());
        all.push(Chart { title: "Reliability", note, svg: charts::reliability(plain, scaled)? });
    }
    if let Some((truth, errors)) = predictions.and_then(first_target) {
        all.push(Chart {
            title: "Prediction and truth",
            note: "A dot a row, on the dashed line where both agree.".into(),
            svg: truth_chart(&truth)?,
        });
        all.push(Chart {
            title: "Errors",
            note: "The truth less the prediction.".into(),
            svg: charts::histogram(&errors, "error")?,
        });
    }
    let (train, validation) = losses(events);
    if train.len() > 1 {
        let note = "Blue: training, a step each. Orange: validation.".into();
        all.push(Chart { title: "Training", note, svg: charts::training(train, validation)? });
    }
    Ok(all)
}

/// Prediction and truth of the first target column, at most some thousand rows, and all its errors.
fn first_target(predictions: &Predictions) -> Option<(Points, Vec<f64>)> {
    const SEEN: usize = 2000;
    let Truth::Values(truth) = &predictions.truth else { return None };
    let every = predictions.len().div_ceil(SEEN).max(1) * predictions.width;
    let pairs = predictions.outputs.iter().zip(truth).step_by(every);
    let points = pairs.map(|(p, t)| (f64::from(*p), f64::from(*t))).collect();
    Some((points, residuals(predictions).into_iter().next()?))
}

fn truth_chart(points: &[(f64, f64)]) -> Result<String> {
    let (low, high) = bounds(points.iter().flat_map(|p| [p.0, p.1]));
    let room = 0.04 * (high - low);
    let span = (low - room, high + room);
    charts::scatter(&Axes { x: span, y: span, x_name: "prediction", y_name: "truth" }, points)
}

type Points = Vec<(f64, f64)>;

fn losses(events: &[Event]) -> (Points, Points) {
    let (mut train, mut validation) = (Vec::new(), Vec::new());
    for event in events {
        match event {
            Event::Step { step, loss, .. } if loss.is_finite() => train.push((*step as f64, *loss)),
            Event::Eval { step, split, metrics } if split == "validation" => {
                let loss = metrics.get("loss").filter(|loss| loss.is_finite());
                validation.extend(loss.map(|loss| (*step as f64, *loss)));
            }
            _ => {}
        }
    }
    (train, validation)
}

fn confusion(found: &Found, names: &[String]) -> Option<Confusion> {
    if names.len() > MAX_CONFUSION {
        return None;
    }
    let cells: Vec<Vec<u64>> = serde_json::from_value(found.report.detail.get("confusion")?.clone()).ok()?;
    let row = |(name, row): (&String, Vec<u64>)| {
        let sum = row.iter().sum::<u64>().max(1) as f64;
        (
            name.clone(),
            row.into_iter().map(|count| (count, (count as f64 / sum * 0.9 * 100.0).round() / 100.0)).collect(),
        )
    };
    Some(Confusion { names: names.to_vec(), rows: names.iter().zip(cells).map(row).collect() })
}

fn per_class(found: &Found, names: &[String]) -> Vec<Vec<String>> {
    let Some(classes) = found.report.detail.get("per_class").and_then(|c| c.as_array()) else { return Vec::new() };
    let cell = |class: &serde_json::Value, key: &str| match class.get(key).and_then(serde_json::Value::as_f64) {
        Some(value) if key == "support" => format!("{value}"),
        Some(value) => format!("{value:.4}"),
        None => "–".into(),
    };
    let keys = ["support", "precision", "recall", "f1", "auroc", "average_precision"];
    let row = |(name, class): (&String, &serde_json::Value)| {
        std::iter::once(name.clone()).chain(keys.map(|key| cell(class, key))).collect()
    };
    names.iter().zip(classes).take(100).map(row).collect()
}

fn threshold(found: &Found) -> Vec<Vec<String>> {
    let Some(cutting) = found.assessment.as_ref().and_then(|a| a.threshold.as_ref()) else { return Vec::new() };
    let row = |name: &str, c: &crate::metric::Cut, cost: Option<f64>| {
        let share = |v: Option<f64>| v.map_or("–".into(), |v| format!("{v:.4}"));
        let mut cells = vec![name.to_string(), format!("{:.4}", c.threshold)];
        cells.extend([share(c.precision), share(c.recall), share(c.f1), share(c.accuracy)]);
        cells.extend([c.false_positives.to_string(), c.false_negatives.to_string()]);
        cells.push(cost.map_or("–".into(), |cost| format!("{cost:.1}")));
        cells
    };
    vec![
        row("chosen on validation", &cutting.cut, cutting.cost.map(|c| c.0)),
        row("plain", &cutting.at_half, cutting.cost.map(|c| c.1)),
    ]
}

fn errors(residuals: &[Residuals], names: &[String]) -> Vec<Vec<String>> {
    let row = |(name, r): (&String, &Residuals)| {
        let quantiles = r.quantiles.iter().map(|(_, v)| format!("{v:+.4}"));
        let last = [format!("±{:.4}", r.half_width), format!("{:.1}%", r.coverage * 100.0)];
        std::iter::once(name.clone()).chain(quantiles).chain(last).collect()
    };
    names.iter().zip(residuals).map(row).collect()
}

fn importance(found: &Found) -> Vec<Bar> {
    let largest = found.importance.iter().map(|i| i.drop).fold(1e-12, f64::max);
    let bar = |i: &crate::eval::Importance| Bar {
        name: i.column.clone(),
        value: format!("{:+.4}", i.drop),
        width: (100.0 * i.drop / largest).clamp(0.0, 100.0),
        tone: "best",
        note: format!("± {:.4}", i.spread),
    };
    found.importance.iter().take(MAX_COLUMNS).map(bar).collect()
}

fn parts(found: &Found) -> Vec<Parts> {
    let figure =
        found.gate.as_ref().map(|g| g.figure).or(found.predictions.as_ref().map(crate::metric::Headline::usual));
    let Some(figure) = figure.map(crate::metric::Headline::name) else { return Vec::new() };
    let of = |slice: &Slice| slice.figures.get(figure).cloned();
    let all = found.slices.iter().flat_map(|s| &s.slices).filter_map(of);
    let largest = all.map(|e| e.value).fold(1e-12, f64::max);
    let bar = |slice: &Slice| {
        let estimate = of(slice);
        let interval = estimate.as_ref().and_then(|e| e.interval);
        Bar {
            name: slice.name.clone(),
            value: estimate.as_ref().map_or("–".into(), |e| format!("{:.4}", e.value)),
            width: estimate.map_or(0.0, |e| (100.0 * e.value / largest).clamp(0.0, 100.0)),
            tone: "plain",
            note: interval.map(|i| format!("{:.3} – {:.3} · ", i.low, i.high)).unwrap_or_default()
                + &format!("{} rows", slice.rows),
        }
    };
    let part = |sliced: &crate::eval::Sliced| Parts {
        column: sliced.column.clone(),
        figure: figure.replace('_', " "),
        rows: sliced.slices.iter().map(bar).collect(),
    };
    found.slices.iter().map(part).collect()
}
