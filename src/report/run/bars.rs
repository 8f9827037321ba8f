//! Figures as bars: the classic models, what matters, parts of the rows.

use super::{Bar, Parts};
use crate::{eval::Slice, judge::Found};

/// Columns of the importance card.
const MAX_COLUMNS: usize = 12;

/// The classic models' figures on the validation rows; the network's stands beside them where those are the rows.
pub(super) fn beside(found: &Found) -> Vec<Bar> {
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

pub(super) fn baselines_note(found: &Found) -> String {
    found.baselines.as_ref().map_or(String::new(), |b| {
        format!("{} on the validation rows, fitted on {} of {} training rows.", b.figure.name(), b.rows, b.of)
    })
}

pub(super) fn importance(found: &Found) -> Vec<Bar> {
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

pub(super) fn parts(found: &Found) -> Vec<Parts> {
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
