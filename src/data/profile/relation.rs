//! How a column goes with the target: one number between 0 and 1 (Pearson: -1 and 1), by the types of the two.

use serde::Serialize;

use super::Target;
use crate::data::clean::Moments;

/// Categories times classes that are counted; with more the measure says nothing.
const CELLS: usize = 200_000;

/// What a relation is measured by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Measure {
    /// Pearson's correlation of two numbers, in `[-1, 1]`.
    Pearson,
    /// The correlation ratio (eta) of a category and a number, in `[0, 1]`: the share of the number's deviation between
    /// categories.
    CorrelationRatio,
    /// Cramér's V of two categories, in `[0, 1]`, corrected for chance (Bergsma 2013).
    CramersV,
}

impl Measure {
    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pearson => "Pearson",
            Self::CorrelationRatio => "correlation ratio",
            Self::CramersV => "Cramér's V",
        }
    }
}

/// A measured relation.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Relation {
    /// What it is measured by.
    pub measure: Measure,
    /// Its value.
    pub value: f64,
}

impl std::fmt::Display for Relation {
    /// Three digits; a sign where it says something.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.measure {
            Measure::Pearson => write!(f, "{:+.3}", self.value),
            _ => write!(f, "{:.3}", self.value),
        }
    }
}

/// Sums of a column of numbers with the target, row by row.
#[derive(Debug)]
pub(super) enum NumberSums {
    /// Count, means of both, and sums of squares and products around them.
    Values { n: f64, x: f64, y: f64, xx: f64, yy: f64, xy: f64 },
    /// The number's moments in every class.
    Classes(Vec<Moments>),
}

impl NumberSums {
    pub(super) fn new(target: Target) -> Self {
        match target {
            Target::Value(_) => Self::Values { n: 0.0, x: 0.0, y: 0.0, xx: 0.0, yy: 0.0, xy: 0.0 },
            Target::Class(_) => Self::Classes(Vec::new()),
        }
    }

    pub(super) fn add(&mut self, value: f64, target: Target) {
        match (self, target) {
            (Self::Values { n, x, y, xx, yy, xy }, Target::Value(target)) => {
                *n += 1.0;
                let (dx, dy) = (value - *x, target - *y);
                *x += dx / *n;
                *y += dy / *n;
                *xx += dx * (value - *x);
                *yy += dy * (target - *y);
                *xy += dx * (target - *y);
            }
            (Self::Classes(classes), Target::Class(class)) => {
                if classes.len() <= class {
                    classes.resize(class + 1, Moments::default());
                }
                if let Some(moments) = classes.get_mut(class) {
                    moments.add(value);
                }
            }
            _ => {}
        }
    }

    pub(super) fn relation(&self) -> Option<Relation> {
        match self {
            Self::Values { n, xx, yy, xy, .. } => {
                let value = xy / (xx * yy).sqrt();
                let sound = *n > 2.0 && value.is_finite();
                sound.then_some(Relation { measure: Measure::Pearson, value: value.clamp(-1.0, 1.0) })
            }
            Self::Classes(classes) => ratio(classes.iter().map(|m| (m.count(), m.mean(), m.squares()))),
        }
    }
}

/// The correlation ratio of groups, each `(count, mean, sum of squares around it)`.
pub(super) fn ratio(groups: impl Iterator<Item = (f64, f64, f64)> + Clone) -> Option<Relation> {
    let n: f64 = groups.clone().map(|group| group.0).sum();
    let mean = groups.clone().map(|(count, mean, _)| count * mean).sum::<f64>() / n;
    let between: f64 = groups.clone().map(|(count, group, _)| count * (group - mean).powi(2)).sum();
    let within: f64 = groups.map(|group| group.2).sum();
    let value = (between / (between + within)).sqrt();
    (n > 2.0 && value.is_finite()).then_some(Relation { measure: Measure::CorrelationRatio, value: value.min(1.0) })
}

/// Cramér's V of a table of counts, a row a category, corrected for the chance that grows with the number of cells.
pub(super) fn cramers_v<'a>(rows: impl Iterator<Item = &'a [u32]> + Clone) -> Option<Relation> {
    let classes = rows.clone().map(<[u32]>::len).max().unwrap_or(0);
    let mut columns = vec![0.0; classes];
    for row in rows.clone() {
        columns.iter_mut().zip(row).for_each(|(sum, count)| *sum += f64::from(*count));
    }
    let n: f64 = columns.iter().sum();
    let categories = rows.clone().count();
    let classes = columns.iter().filter(|sum| **sum > 0.0).count();
    if categories < 2 || classes < 2 || categories * columns.len() > CELLS {
        return None;
    }
    // chi² / n = sum of count² / (row * column) - 1
    let mut phi = -1.0;
    for row in rows {
        let sum: f64 = row.iter().map(|count| f64::from(*count)).sum();
        let of = |(count, column): (&u32, &f64)| f64::from(*count).powi(2) / (sum * column);
        phi += row.iter().zip(&columns).filter(|(count, _)| **count > 0).map(of).sum::<f64>();
    }
    let (r, k) = (categories as f64, classes as f64);
    let corrected = (phi - (r - 1.0) * (k - 1.0) / (n - 1.0)).max(0.0);
    let (r, k) = (r - (r - 1.0).powi(2) / (n - 1.0), k - (k - 1.0).powi(2) / (n - 1.0));
    let value = (corrected / (r.min(k) - 1.0)).sqrt();
    value.is_finite().then_some(Relation { measure: Measure::CramersV, value: value.min(1.0) })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn near(relation: Option<Relation>, measure: Measure, value: f64) {
        let found = relation.unwrap();
        assert!(found.measure == measure && (found.value - value).abs() < 1e-9, "{found:?} is not {value}");
    }

    /// Figures by NumPy and SciPy: `corrcoef`, sums of squares by hand, `contingency.association` corrected by hand.
    #[test]
    fn relations_are_the_published_ones() {
        let rows = [(1.0, 2.0), (2.0, 1.0), (3.0, 4.0), (4.0, 3.0), (5.0, 6.0)];
        let mut sums = NumberSums::new(Target::Value(0.0));
        rows.iter().for_each(|(x, y)| sums.add(*x, Target::Value(*y)));
        near(sums.relation(), Measure::Pearson, 0.821_994_936_526_786);
        let mut sums = NumberSums::new(Target::Class(0));
        rows.iter().zip([0, 0, 1, 1, 1]).for_each(|((x, _), class)| sums.add(*x, Target::Class(class)));
        near(sums.relation(), Measure::CorrelationRatio, 0.75f64.sqrt());
        let table: [&[u32]; 2] = [&[30, 10], &[5, 55]];
        near(cramers_v(table.into_iter()), Measure::CramersV, cramer(30.0, 10.0, 5.0, 55.0));
        assert_eq!(cramers_v([&[3u32, 4][..]].into_iter()), None);
    }

    /// Of two by two, by the textbook's formula.
    fn cramer(a: f64, b: f64, c: f64, d: f64) -> f64 {
        let n = a + b + c + d;
        let phi = (a * d - b * c).powi(2) / ((a + b) * (c + d) * (a + c) * (b + d));
        ((phi - 1.0 / (n - 1.0)) / (2.0 - 1.0 / (n - 1.0) - 1.0)).sqrt()
    }
}
