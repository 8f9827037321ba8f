//! Figures as rows of cells.

use super::Confusion;
use crate::{eval::Residuals, judge::Found};

/// More classes than this make a matrix that nobody reads.
const MAX_CONFUSION: usize = 20;

pub(super) fn confusion(found: &Found, names: &[String]) -> Option<Confusion> {
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

pub(super) fn per_class(found: &Found, names: &[String]) -> Vec<Vec<String>> {
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

pub(super) fn threshold(found: &Found) -> Vec<Vec<String>> {
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

pub(super) fn errors(residuals: &[Residuals], names: &[String]) -> Vec<Vec<String>> {
    let row = |(name, r): (&String, &Residuals)| {
        let quantiles = r.quantiles.iter().map(|(_, v)| format!("{v:+.4}"));
        let last = [format!("±{:.4}", r.half_width), format!("{:.1}%", r.coverage * 100.0)];
        std::iter::once(name.clone()).chain(quantiles).chain(last).collect()
    };
    names.iter().zip(residuals).map(row).collect()
}
