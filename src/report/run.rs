//! What the page of a run shows, worded and drawn; the template only places it.

mod bars;
mod pictures;
mod tables;

use askama::Template;

use super::charts::bounds;
use crate::{
    baseline::{Comparison, Outcome},
    data::TargetSchema,
    error::Result,
    judge::Found,
    metric::Estimate,
    track::Event,
    train::Trained,
};
use bars::{baselines_note, beside, importance, parts};
use pictures::pictures;
use tables::{confusion, errors, per_class, threshold};

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
