//! What a single column tells of the target, and which columns tell the same: both on a sample of the training rows.

use std::collections::{HashMap, HashSet};

use serde::Serialize;

use super::{Target, sketch::RowSample};
use crate::data::{clean::ColumnType, sampler::mix};
use crate::metric::areas;

/// Parts that a number's range is cut into, of equally many rows.
const PARTS: usize = 64;
/// Rows of a class that a judgement needs at least.
const FEWEST: usize = 5;
/// Distinct values up to which a number is compared as a category, too.
const NAMES: usize = 200;
/// Columns that are compared with each other.
const COMPARED: usize = 1_000;
/// Rows that categories are compared on.
const PAIRED: usize = 5_000;

/// How well a column alone tells the target of rows that it was not learned on: its values' mean targets (numbers in 64
/// parts), learned on one half of the sample and judged on the other.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Alone {
    /// `auroc` of two classes, `accuracy_gain` of more (0: as good as the commonest class, 1: all right), `r2` of values.
    pub figure: &'static str,
    /// Its value.
    pub value: f64,
}

/// Two columns that say nearly the same.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Pair {
    /// One column.
    pub a: String,
    /// The other.
    pub b: String,
    /// `pearson`, or `one-to-one`: every value of one goes with one value of the other.
    pub measure: &'static str,
    /// The correlation; 1 for one-to-one.
    pub value: f64,
}

/// What the column at `at` tells alone; `classes` is their number, 0 for values. The sample's last column is the target.
pub(super) fn alone(sample: &RowSample, at: usize, kind: ColumnType, classes: usize) -> Option<Alone> {
    let rows: Vec<(f64, f64)> = sample.column(at).zip(sample.column(sample.width - 1)).collect();
    let (mut learned, mut judged) = (Vec::new(), Vec::new());
    for (i, row) in (0u64..).zip(rows).filter(|(_, row)| !row.1.is_nan()) {
        if mix(i) & 1 == 0 { learned.push(row) } else { judged.push(row) }
    }
    let cut = match kind {
        ColumnType::Numeric | ColumnType::Boolean | ColumnType::Date => cuts(&learned),
        ColumnType::Categorical => Vec::new(),
        _ => return None,
    };
    let part = |value: f64| match () {
        () if value.is_nan() => u64::MAX,
        () if cut.is_empty() => value.to_bits(),
        () => cut.partition_point(|edge| *edge < value) as u64,
    };
    match classes {
        0 => values(&learned, &judged, part),
        classes => ids(&learned, &judged, part, classes),
    }
}

/// The values that part the numbers into parts of equally many rows.
fn cuts(rows: &[(f64, f64)]) -> Vec<f64> {
    let mut sorted: Vec<f64> = rows.iter().map(|row| row.0).filter(|value| !value.is_nan()).collect();
    sorted.sort_unstable_by(f64::total_cmp);
    let mut cuts: Vec<f64> = (1..PARTS).filter_map(|part| sorted.get(part * sorted.len() / PARTS)).copied().collect();
    cuts.dedup();
    if cuts.is_empty() { vec![f64::INFINITY] } else { cuts }
}

fn values(learned: &[(f64, f64)], judged: &[(f64, f64)], part: impl Fn(f64) -> u64) -> Option<Alone> {
    let mut sums: HashMap<u64, (f64, f64)> = HashMap::new();
    for (value, target) in learned {
        let sum = sums.entry(part(*value)).or_default();
        *sum = (sum.0 + 1.0, sum.1 + target);
    }
    let mean = |rows: &[(f64, f64)]| rows.iter().map(|row| row.1).sum::<f64>() / rows.len().max(1) as f64;
    let (overall, centre) = (mean(learned), mean(judged));
    let (mut missed, mut spread) = (0.0, 0.0);
    for (value, target) in judged {
        // One row's worth of the overall mean keeps rare values from overfitting.
        let told = sums.get(&part(*value)).map_or(overall, |(n, sum)| (sum + overall) / (n + 1.0));
        missed += (target - told).powi(2);
        spread += (target - centre).powi(2);
    }
    let value = 1.0 - missed / spread;
    (judged.len() >= 2 * FEWEST && value.is_finite()).then_some(Alone { figure: "r2", value })
}

fn ids(learned: &[(f64, f64)], judged: &[(f64, f64)], part: impl Fn(f64) -> u64, classes: usize) -> Option<Alone> {
    let count = |rows: &mut dyn Iterator<Item = f64>| {
        let mut counts = vec![0.0; classes];
        rows.for_each(|id| counts.get_mut(id as usize).into_iter().for_each(|count| *count += 1.0));
        counts
    };
    let overall = count(&mut learned.iter().map(|row| row.1));
    let of_judged = count(&mut judged.iter().map(|row| row.1));
    if of_judged.iter().filter(|rows| **rows >= FEWEST as f64).count() < 2 {
        return None;
    }
    let mut parts: HashMap<u64, Vec<f64>> = HashMap::new();
    for (value, id) in learned {
        let counts = parts.entry(part(*value)).or_insert_with(|| vec![0.0; classes]);
        counts.get_mut(*id as usize).into_iter().for_each(|count| *count += 1.0);
    }
    let told = |value: f64| parts.get(&part(value)).unwrap_or(&overall);
    if classes == 2 {
        let n = learned.len().max(1) as f64;
        let prior = overall.get(1).copied().unwrap_or(0.0) / n;
        let score = |value: f64| {
            let counts = told(value);
            let (zero, one) = (counts.first().copied().unwrap_or(0.0), counts.get(1).copied().unwrap_or(0.0));
            ((one + prior) / (zero + one + 1.0)) as f32
        };
        let (auroc, _) = areas(judged.iter().map(|(value, id)| (score(*value), *id > 0.5)));
        return auroc.map(|value| Alone { figure: "auroc", value });
    }
    let best = |counts: &[f64]| counts.iter().enumerate().fold(0, |b, (i, n)| if *n > counts[b] { i } else { b });
    let right = judged.iter().filter(|(value, id)| best(told(*value)) == *id as usize).count() as f64;
    let common = of_judged.get(best(&overall)).copied().unwrap_or(0.0);
    let value = (right - common) / (judged.len() as f64 - common);
    value.is_finite().then_some(Alone { figure: "accuracy_gain", value })
}

/// Pairs of columns that are correlated by `least` at least, or that go one to one; the strongest first.
pub(super) fn pairs(sample: &RowSample, columns: &[(String, ColumnType)], least: f64) -> Vec<Pair> {
    let numeric = |kind: ColumnType| matches!(kind, ColumnType::Numeric | ColumnType::Date | ColumnType::Boolean);
    let columns: Vec<(usize, &(String, ColumnType))> = columns.iter().enumerate().take(COMPARED).collect();
    let standard: Vec<Option<Vec<f32>>> =
        columns.iter().map(|(at, (_, kind))| numeric(*kind).then(|| standardised(sample, *at)).flatten()).collect();
    let names: Vec<Option<(Vec<u64>, usize)>> = columns
        .iter()
        .map(|(at, (_, kind))| {
            (numeric(*kind) || *kind == ColumnType::Categorical).then(|| coded(sample, *at)).flatten()
        })
        .collect();
    let mut found = Vec::new();
    for (i, (_, (a, _))) in columns.iter().enumerate() {
        for (j, (_, (b, _))) in columns.iter().enumerate().skip(i + 1) {
            let pair = |measure, value| Pair { a: a.clone(), b: b.clone(), measure, value };
            let correlation = match (&standard[i], &standard[j]) {
                (Some(x), Some(y)) => x.iter().zip(y).map(|(x, y)| x * y).sum::<f32>() / x.len().max(1) as f32,
                _ => 0.0,
            };
            if f64::from(correlation.abs()) >= least {
                found.push(pair("pearson", f64::from(correlation.clamp(-1.0, 1.0))));
            } else if let (Some(x), Some(y)) = (&names[i], &names[j])
                && x.1 == y.1
                && x.0.iter().zip(&y.0).collect::<HashSet<_>>().len() == x.1
            {
                found.push(pair("one-to-one", 1.0));
            }
        }
    }
    found.sort_by(|a, b| b.value.abs().total_cmp(&a.value.abs()));
    found
}

/// A column with mean 0 and deviation 1, missing values as the mean; none where it does not vary.
fn standardised(sample: &RowSample, at: usize) -> Option<Vec<f32>> {
    let mut moments = crate::data::clean::Moments::default();
    sample.column(at).filter(|value| !value.is_nan()).for_each(|value| moments.add(value));
    let whole = sample.rows().len() as f64;
    // Over all rows, missing ones included as the mean.
    let deviation = (moments.squares() / whole.max(1.0)).sqrt();
    let varies = deviation > moments.mean().abs() * 1e-9 && deviation > f64::MIN_POSITIVE;
    let scaled = |value: f64| if value.is_nan() { 0.0 } else { ((value - moments.mean()) / deviation) as f32 };
    varies.then(|| sample.column(at).map(scaled).collect())
}

/// A column's values as they are, with the number of distinct ones; none where they are one, or too many to be names.
fn coded(sample: &RowSample, at: usize) -> Option<(Vec<u64>, usize)> {
    let codes: Vec<u64> = sample.column(at).take(PAIRED).map(f64::to_bits).collect();
    let distinct = codes.iter().collect::<HashSet<_>>().len();
    (2..=NAMES).contains(&distinct).then_some((codes, distinct))
}

/// A target as the sample holds it.
pub(super) fn code(target: Option<Target>) -> f64 {
    match target {
        Some(Target::Class(id)) => id as f64,
        Some(Target::Value(value)) => value,
        None => f64::NAN,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// Columns: noise, the target's own sign, its square, and the class by name; target 0 or 1.
    fn sample(rows: u32) -> RowSample {
        let mut sample = RowSample::new(4, 10_000);
        for i in 0..u64::from(rows) {
            let noise = (mix(i) % 1000) as f64;
            let class = f64::from(mix(i + 7).is_multiple_of(3));
            sample.offer(|row| row.copy_from_slice(&[noise, class * 10.0 + noise / 1000.0, class + 41.0, class]));
        }
        sample
    }

    #[test]
    fn a_leak_is_told_from_noise() {
        let sample = sample(4000);
        let of = |at, kind| alone(&sample, at, kind, 2).unwrap().value;
        assert!((0.4..0.6).contains(&of(0, ColumnType::Numeric)));
        assert!(of(1, ColumnType::Numeric) > 0.99 && of(2, ColumnType::Categorical) > 0.999);
        let r2 = alone(&sample, 1, ColumnType::Numeric, 0).unwrap();
        assert!(r2.figure == "r2" && r2.value > 0.98, "{r2:?}");
        assert!(alone(&sample, 0, ColumnType::Numeric, 0).unwrap().value < 0.05);
    }

    #[test]
    fn columns_that_say_the_same_are_found() {
        let mut sample = RowSample::new(4, 1000);
        for i in 0..500u64 {
            let (x, name) = ((mix(i) % 97) as f64, (mix(i) % 7) as f64);
            sample.offer(|row| row.copy_from_slice(&[x, -2.0 * x + 5.0, name, (name * 5.0 + 2.0) % 7.0]));
        }
        let kinds = [ColumnType::Numeric, ColumnType::Numeric, ColumnType::Categorical, ColumnType::Categorical];
        let columns: Vec<_> = ["x", "y", "n", "m"].iter().map(ToString::to_string).zip(kinds).collect();
        let found = pairs(&sample, &columns, 0.9);
        let found: Vec<_> = found.iter().map(|p| (p.a.as_str(), p.b.as_str(), p.measure)).collect();
        assert!(found.contains(&("x", "y", "pearson")) && found.contains(&("n", "m", "one-to-one")), "{found:?}");
        assert_eq!(found.len(), 2);
    }
}
