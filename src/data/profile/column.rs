//! One column, value by value: what its training rows hold, and how they go with the target.

use std::collections::HashMap;

use serde::Serialize;

use super::{
    Target,
    relation::{NumberSums, Relation, cramers_v, ratio},
    sketch::{Distinct, hash},
};
use crate::data::cell::Cell;
use crate::data::clean::{CleanConfig, ColumnType, Moments, Sample, quantile};

/// Categories that are counted one by one; a column with more has its first ones counted, and no relation.
const COUNTED: usize = 10_000;
/// Most frequent categories that are told.
const TOLD: usize = 12;
/// Bars of a histogram.
pub(super) const BARS: usize = 30;
/// Shares of the values that quantiles are told for.
const SHARES: [f64; 7] = [0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99];
const DAY: f64 = 86_400_000_000.0;

/// What the numbers of a column are.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Numbers {
    /// `""`, `days since 1970`, or `characters`.
    pub unit: &'static str,
    /// Their mean.
    pub mean: f64,
    /// The population's deviation.
    pub deviation: f64,
    /// The smallest.
    pub min: f64,
    /// The largest.
    pub max: f64,
    /// `(share, value)`: so much of the values lies below; exact up to 100,000 rows, beyond of a uniform sample.
    pub quantiles: Vec<(f64, f64)>,
    /// Share of the values outside Tukey's fences, 1.5 interquartile ranges from the quartiles.
    pub outliers: f64,
    /// Share of the values that are 0.
    pub zeros: f64,
    /// Whether all of them are whole.
    pub whole: bool,
    /// Counts in bars of equal width.
    pub histogram: Histogram,
}

/// Counts in bars of equal width; the outer bars hold what lies beyond, too.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Histogram {
    /// Where the first bar begins.
    pub low: f64,
    /// Where the last one ends.
    pub high: f64,
    /// Share of the values in each.
    pub shares: Vec<f64>,
}

/// A category and its training rows.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Common {
    /// Its name.
    pub name: String,
    /// Rows that have it.
    pub rows: u64,
}

/// What was seen of a column.
pub(super) struct Look {
    pub(super) kind: ColumnType,
    pub(super) rows: u64,
    pub(super) missing: u64,
    pub(super) bad: u64,
    pub(super) distinct: Distinct,
    numbers: Option<NumberLook>,
    names: Option<NameLook>,
}

struct NumberLook {
    unit: &'static str,
    moments: Moments,
    ends: (f64, f64),
    zeros: u64,
    whole: bool,
    sample: Sample,
    sums: NumberSums,
}

struct NameLook {
    tallies: HashMap<String, Tally>,
    overflow: bool,
    related: bool,
}

/// Rows of a category with their targets.
#[derive(Default)]
struct Tally {
    rows: u64,
    classes: Vec<u32>,
    values: Moments,
}

impl Look {
    pub(super) fn new(kind: ColumnType, target: Target, columns: usize) -> Self {
        let unit = match kind {
            ColumnType::Numeric | ColumnType::Boolean => Some(""),
            ColumnType::Date => Some("days since 1970"),
            ColumnType::Text => Some("characters"),
            _ => None,
        };
        let numbers = unit.map(|unit| NumberLook {
            unit,
            moments: Moments::default(),
            ends: (f64::INFINITY, f64::NEG_INFINITY),
            zeros: 0,
            whole: true,
            sample: Sample::new(columns),
            sums: NumberSums::new(target),
        });
        let named = matches!(kind, ColumnType::Categorical | ColumnType::Boolean | ColumnType::Constant);
        let names = named.then(|| NameLook {
            tallies: HashMap::new(),
            overflow: false,
            related: kind == ColumnType::Categorical,
        });
        Self { kind, rows: 0, missing: 0, bad: 0, distinct: Distinct::default(), numbers, names }
    }

    /// Adds a training row's value, and gives it as a number for the sample of rows: a category is its hash's.
    pub(super) fn add(&mut self, cell: &Cell<'_>, target: Option<Target>, settings: &CleanConfig) {
        self.rows += 1;
        if cell.is_missing(settings.markers()) {
            self.missing += 1;
            return;
        }
        self.distinct.add(hash(cell));
        if let Some(numbers) = &mut self.numbers {
            match number(self.kind, cell, settings) {
                Some(value) => numbers.add(value, target),
                None => self.bad += 1,
            }
        }
        if let Some(names) = &mut self.names {
            match cell.name() {
                Ok(name) => names.add(&name, target),
                Err(_) => self.bad += 1,
            }
        }
    }

    /// The value as a number for the sample of rows, a category as its hash's first bits; NaN for none.
    pub(super) fn code(&self, cell: &Cell<'_>, settings: &CleanConfig) -> f64 {
        if cell.is_missing(settings.markers()) {
            return f64::NAN;
        }
        match self.kind {
            ColumnType::Numeric | ColumnType::Boolean | ColumnType::Date => {
                number(self.kind, cell, settings).unwrap_or(f64::NAN)
            }
            _ => (hash(cell) >> 12) as f64,
        }
    }

    pub(super) fn numbers(&self) -> Option<Numbers> {
        let look = self.numbers.as_ref().filter(|look| look.moments.count() > 0.0)?;
        let sorted = look.sample.sorted(0.0, 0);
        let of = |share| quantile(&sorted, share);
        let (q1, q3) = (of(0.25), of(0.75));
        let fence = (q1 - 1.5 * (q3 - q1), q3 + 1.5 * (q3 - q1));
        let outside = sorted.iter().filter(|value| **value < fence.0 || **value > fence.1).count();
        let n = sorted.len().max(1) as f64;
        Some(Numbers {
            unit: look.unit,
            mean: look.moments.mean(),
            deviation: (look.moments.squares() / look.moments.count()).sqrt(),
            min: look.ends.0,
            max: look.ends.1,
            quantiles: SHARES.into_iter().map(|share| (share, of(share))).collect(),
            outliers: if self.kind == ColumnType::Boolean { 0.0 } else { outside as f64 / n },
            zeros: look.zeros as f64 / look.moments.count(),
            whole: look.whole,
            histogram: histogram(&sorted, look.ends),
        })
    }

    /// The most frequent categories, and the number of all others' rows.
    pub(super) fn common(&self) -> Vec<Common> {
        let Some(names) = &self.names else { return Vec::new() };
        let mut all: Vec<(&String, u64)> = names.tallies.iter().map(|(name, tally)| (name, tally.rows)).collect();
        all.sort_unstable_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        all.into_iter().take(TOLD).map(|(name, rows)| Common { name: name.chars().take(60).collect(), rows }).collect()
    }

    pub(super) fn relation(&self) -> Option<Relation> {
        match (&self.names, &self.numbers, self.kind) {
            (Some(names), ..) if names.related => names.relation(),
            (_, Some(numbers), ColumnType::Numeric | ColumnType::Boolean | ColumnType::Date) => numbers.sums.relation(),
            _ => None,
        }
    }
}

/// The number in a cell: of a date the days, of a text its length.
fn number(kind: ColumnType, cell: &Cell<'_>, settings: &CleanConfig) -> Option<f64> {
    match kind {
        ColumnType::Boolean => cell.boolean().ok().map(|value| f64::from(u8::from(value))),
        ColumnType::Date => cell.time(settings.format.as_deref()).ok().map(|micros| micros as f64 / DAY),
        ColumnType::Text => cell.name().ok().map(|text| text.chars().count() as f64),
        _ => cell.number().ok(),
    }
}

impl NumberLook {
    fn add(&mut self, value: f64, target: Option<Target>) {
        self.moments.add(value);
        self.ends = (self.ends.0.min(value), self.ends.1.max(value));
        self.zeros += u64::from(value == 0.0);
        self.whole &= value.fract() == 0.0;
        self.sample.add(value);
        if let Some(target) = target {
            self.sums.add(value, target);
        }
    }
}

impl NameLook {
    fn add(&mut self, name: &str, target: Option<Target>) {
        if !self.tallies.contains_key(name) {
            if self.tallies.len() >= COUNTED {
                self.overflow = true;
                return;
            }
            self.tallies.insert(name.to_owned(), Tally::default());
        }
        let Some(tally) = self.tallies.get_mut(name) else { return };
        tally.rows += 1;
        match target {
            Some(Target::Class(class)) => {
                if tally.classes.len() <= class {
                    tally.classes.resize(class + 1, 0);
                }
                if let Some(count) = tally.classes.get_mut(class) {
                    *count = count.saturating_add(1);
                }
            }
            Some(Target::Value(value)) => tally.values.add(value),
            None => {}
        }
    }

    fn relation(&self) -> Option<Relation> {
        if self.overflow {
            return None;
        }
        // In a fixed order: sums of floats depend on it.
        let mut tallies: Vec<(&String, &Tally)> = self.tallies.iter().collect();
        tallies.sort_unstable_by_key(|(name, _)| *name);
        if tallies.iter().any(|(_, tally)| !tally.classes.is_empty()) {
            return cramers_v(tallies.iter().map(|(_, tally)| tally.classes.as_slice()));
        }
        ratio(tallies.iter().map(|(_, tally)| (tally.values.count(), tally.values.mean(), tally.values.squares())))
    }
}

/// Bars between the outermost values, or, where those lie far out, around 99 % of them.
pub(super) fn histogram(sorted: &[f64], ends: (f64, f64)) -> Histogram {
    let (inner_low, inner_high) = (quantile(sorted, 0.005), quantile(sorted, 0.995));
    let far = ends.1 - ends.0 > 3.0 * (inner_high - inner_low) && inner_high > inner_low;
    let (low, high) = if far { (inner_low, inner_high) } else { ends };
    let (low, high) = if high > low { (low, high) } else { (low - 0.5, low + 0.5) };
    let mut shares = vec![0.0; BARS];
    let each = 1.0 / sorted.len().max(1) as f64;
    for value in sorted {
        let bar = ((value - low) / (high - low) * BARS as f64).max(0.0) as usize;
        if let Some(share) = shares.get_mut(bar.min(BARS - 1)) {
            *share += each;
        }
    }
    Histogram { low, high, shares }
}
