//! What a pass over any number of rows keeps in bounded memory: distinct values, rows at random, rows that repeat.

use std::collections::{BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::data::Split;
use crate::data::cell::Cell;
use crate::data::sampler::mix;

/// Hashes that a column's count of distinct values keeps: exact up to here, within 1.6 % (one deviation) beyond.
const HASHES: usize = 4096;

/// How many distinct values a stream has, by its smallest hashes (Bar-Yossef et al. 2002, "k minimum values").
#[derive(Debug, Default)]
pub(in crate::data) struct Distinct {
    smallest: BTreeSet<u64>,
}

impl Distinct {
    pub(in crate::data) fn add(&mut self, hash: u64) {
        if self.smallest.len() < HASHES {
            self.smallest.insert(hash);
        } else if self.smallest.last().is_some_and(|last| hash < *last) && self.smallest.insert(hash) {
            self.smallest.pop_last();
        }
    }

    /// The count, and whether it is exact.
    pub(in crate::data) fn count(&self) -> (u64, bool) {
        match self.smallest.last() {
            Some(last) if self.smallest.len() >= HASHES => {
                let share = (*last as f64 + 1.0) / 2f64.powi(64);
                (((HASHES - 1) as f64 / share).round() as u64, false)
            }
            _ => (self.smallest.len() as u64, true),
        }
    }
}

/// The hash of a value as the file holds it.
pub(in crate::data) fn hash(cell: &Cell<'_>) -> u64 {
    let mut hasher = DefaultHasher::new();
    write(cell, &mut hasher);
    // SipHash's bits are even; one more step costs nothing and keeps small integers apart.
    mix(hasher.finish())
}

fn write(cell: &Cell<'_>, hasher: &mut DefaultHasher) {
    match cell {
        Cell::Number(value) => value.to_bits().hash(hasher),
        Cell::Integer(value) | Cell::Time(value) => value.hash(hasher),
        Cell::Bool(value) => value.hash(hasher),
        Cell::Text(text) => text.trim().hash(hasher),
        Cell::Missing | Cell::Other(_) => u64::MAX.hash(hasher),
    }
}

/// The hash of all of a row's values.
pub(in crate::data) fn row_hash<'a, 'c: 'a>(cells: impl Iterator<Item = &'a Cell<'c>>) -> u64 {
    let mut hasher = DefaultHasher::new();
    cells.for_each(|cell| write(cell, &mut hasher));
    hasher.finish()
}

/// A uniform sample of rows of numbers (Vitter's algorithm R, 1985), a pure function of the stream.
#[derive(Debug, Clone)]
pub(in crate::data) struct RowSample {
    /// `[rows, width]`
    pub(in crate::data) values: Vec<f64>,
    pub(in crate::data) width: usize,
    pub(in crate::data) seen: u64,
    most: usize,
}

impl RowSample {
    pub(in crate::data) fn new(width: usize, most: usize) -> Self {
        Self { values: Vec::new(), width: width.max(1), seen: 0, most: most.max(1) }
    }

    /// Offers the next row; `fill` writes its numbers where it is taken.
    pub(in crate::data) fn offer(&mut self, fill: impl FnOnce(&mut [f64])) {
        self.seen += 1;
        let rows = self.values.len() / self.width;
        let row = if rows < self.most {
            self.values.resize((rows + 1) * self.width, f64::NAN);
            rows
        } else {
            (mix(self.seen) % self.seen) as usize
        };
        if let Some(row) = self.values.get_mut(row * self.width..(row + 1) * self.width) {
            fill(row);
        }
    }

    pub(in crate::data) fn rows(&self) -> impl ExactSizeIterator<Item = &[f64]> {
        self.values.chunks(self.width)
    }

    /// One column of the sample.
    pub(in crate::data) fn column(&self, column: usize) -> impl Iterator<Item = f64> + Clone + '_ {
        self.values.iter().skip(column).step_by(self.width).copied()
    }
}

/// Rows whose repetition is followed at once.
const FOLLOWED: usize = 1 << 19;

/// How often rows repeat, within the splits and across them. Exact up to [`FOLLOWED`] distinct rows; beyond them only
/// rows whose hash falls into a share of all hashes are followed, all of their copies, and counts are scaled by the
/// share (Gibbons 2001, "distinct sampling").
#[derive(Debug, Default)]
pub(super) struct Repeats {
    rows: HashMap<u64, Seen>,
    /// Hashes that end in this many zero bits are followed.
    level: u32,
}

#[derive(Debug, Default)]
struct Seen {
    copies: [u32; 3],
    /// The hash of the first copy's target.
    target: u64,
    /// Another copy has another target.
    disputed: bool,
}

/// Repeated rows, counted.
#[derive(Debug, Clone, Copy, PartialEq, Default, serde::Serialize)]
pub struct Repeated {
    /// Training rows that are copies of an earlier one.
    pub within_train: u64,
    /// Validation rows whose values a training row has too.
    pub validation_in_train: u64,
    /// Test rows whose values a training row has too.
    pub test_in_train: u64,
    /// Test rows whose values a validation row has too.
    pub test_in_validation: u64,
    /// Rows whose values another row has too, with another target.
    pub disputed: u64,
    /// Whether the counts are exact; else they are estimates from a sample of the rows.
    pub exact: bool,
}

impl Repeats {
    pub(super) fn add(&mut self, hash: u64, target: u64, split: Split) {
        if hash.trailing_zeros() < self.level {
            return;
        }
        let seen = self.rows.entry(hash).or_insert(Seen { target, ..Seen::default() });
        seen.disputed |= seen.target != target;
        let at = Split::ALL.iter().position(|s| *s == split).unwrap_or(0);
        if let Some(copies) = seen.copies.get_mut(at) {
            *copies = copies.saturating_add(1);
        }
        while self.rows.len() > FOLLOWED {
            self.level += 1;
            let level = self.level;
            self.rows.retain(|hash, _| hash.trailing_zeros() >= level);
        }
    }

    pub(super) fn count(&self) -> Repeated {
        let mut found = Repeated { exact: self.level == 0, ..Repeated::default() };
        let scaled = |count: u32| u64::from(count) << self.level.min(31);
        for Seen { copies: [train, validation, test], disputed, .. } in self.rows.values() {
            found.within_train += scaled(train.saturating_sub(1));
            found.validation_in_train += scaled(if *train > 0 { *validation } else { 0 });
            found.test_in_train += scaled(if *train > 0 { *test } else { 0 });
            found.test_in_validation += scaled(if *validation > 0 { *test } else { 0 });
            found.disputed += scaled(if *disputed { train + validation + test } else { 0 });
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distinct_values_are_exact_and_then_near() {
        let mut distinct = Distinct::default();
        (0..9000).for_each(|i| distinct.add(hash(&Cell::Integer(i % 3000))));
        assert_eq!(distinct.count(), (3000, true));
        (0..200_000).for_each(|i| distinct.add(hash(&Cell::Integer(i))));
        let (count, exact) = distinct.count();
        assert!(!exact && count.abs_diff(200_000) < 10_000, "{count}");
    }

    #[test]
    fn repeats_are_counted_within_and_across_splits() {
        let mut repeats = Repeats::default();
        let mut add = |row: i64, target: u64, split| repeats.add(hash(&Cell::Integer(row)), target, split);
        for row in 0..10 {
            add(row, 0, Split::Train);
        }
        add(3, 0, Split::Train);
        add(4, 1, Split::Validation);
        add(5, 0, Split::Test);
        add(99, 0, Split::Validation);
        add(99, 0, Split::Test);
        let found = repeats.count();
        let expected = Repeated {
            within_train: 1,
            validation_in_train: 1,
            test_in_train: 1,
            test_in_validation: 1,
            disputed: 2,
            exact: true,
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn repeats_are_estimated_in_bounded_memory() {
        let mut repeats = Repeats::default();
        let rows = 3 * FOLLOWED as i64;
        (0..rows).for_each(|row| repeats.add(hash(&Cell::Integer(row)), 0, Split::Train));
        (0..rows / 10).for_each(|row| repeats.add(hash(&Cell::Integer(row)), 0, Split::Test));
        let found = repeats.count();
        assert!(repeats.rows.len() <= FOLLOWED && !found.exact);
        let expected = rows as f64 / 10.0;
        assert!((found.test_in_train as f64 / expected - 1.0).abs() < 0.03, "{found:?}");
    }

    #[test]
    fn a_sample_of_rows_is_whole_while_it_fits() {
        let mut sample = RowSample::new(2, 100);
        (0..1000).for_each(|i| sample.offer(|row| row.copy_from_slice(&[f64::from(i), f64::from(-i)])));
        assert_eq!((sample.rows().len(), sample.seen), (100, 1000));
        assert!(sample.rows().all(|row| row[0] == -row[1]));
        let mean = sample.column(0).sum::<f64>() / 100.0;
        assert!((350.0..650.0).contains(&mean), "{mean}");
    }
}
