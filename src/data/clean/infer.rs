//! What a column holds, told by its first training rows.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::{Cell, ColumnType};

/// Cells that are looked at in all, and rows at most: the sets of distinct values stay below some 100 MB.
const CELLS: u64 = 4_000_000;
const ROWS: u64 = 50_000;

/// Share of the values that must be of a type: the others are then faults to be told, not another type.
const MOSTLY: f64 = 0.9;

/// Training rows that the types of `columns` columns are told by.
pub(in crate::data) fn rows(columns: usize) -> u64 {
    (CELLS / columns.max(1) as u64).clamp(1_000, ROWS)
}

/// What was seen of a column.
#[derive(Debug, Default)]
pub(in crate::data) struct Guess {
    missing: u64,
    observed: u64,
    numbers: u64,
    integers: u64,
    booleans: u64,
    dates: u64,
    spaces: u64,
    /// Lists and objects.
    others: u64,
    distinct: HashSet<u64>,
}

impl Guess {
    /// Adds a training row's value.
    pub(in crate::data) fn add(&mut self, cell: &Cell<'_>, markers: &[String]) {
        if cell.is_missing(markers) {
            self.missing += 1;
            return;
        }
        self.observed += 1;
        let mut fraction = false;
        match cell {
            Cell::Time(_) => self.dates += 1,
            Cell::Other(_) => self.others += 1,
            cell if cell.is_boolean() => self.booleans += 1,
            cell => match cell.number() {
                Ok(number) => {
                    self.numbers += 1;
                    fraction = number.fract() != 0.0;
                    self.integers += u64::from(!fraction);
                }
                Err(_) => self.dates += u64::from(cell.time(None).is_ok()),
            },
        }
        if let Cell::Text(text) = cell {
            self.spaces += text.trim().bytes().filter(|byte| *byte == b' ').count() as u64;
        }
        // Fractions are no keys: a second value says all that matters, and the rest need not be kept.
        if fraction && self.distinct.len() > 1 {
            return;
        }
        let mut hasher = DefaultHasher::new();
        match cell {
            Cell::Number(value) => value.to_bits().hash(&mut hasher),
            Cell::Integer(value) | Cell::Time(value) => value.hash(&mut hasher),
            Cell::Bool(value) => value.hash(&mut hasher),
            Cell::Text(text) => text.trim().hash(&mut hasher),
            Cell::Missing | Cell::Other(_) => {}
        }
        self.distinct.insert(hasher.finish());
    }

    /// The type.
    pub(in crate::data) fn kind(&self, name: &str) -> ColumnType {
        let mostly = |count: u64| count as f64 >= MOSTLY * self.observed as f64;
        let unique = self.distinct.len() as f64 / self.observed.max(1) as f64;
        match () {
            () if self.observed == 0 => ColumnType::Constant,
            () if self.others > 0 => ColumnType::Categorical, // which says where they are
            () if self.distinct.len() == 1 && self.missing == 0 => ColumnType::Constant,
            () if mostly(self.booleans) => ColumnType::Boolean,
            () if mostly(self.integers) && unique == 1.0 && self.observed >= 20 && is_key(name) => {
                ColumnType::Identifier
            }
            () if mostly(self.numbers + self.booleans) => ColumnType::Numeric,
            () if mostly(self.dates) => ColumnType::Date,
            () if self.observed >= 20 && unique > 0.5 && self.spaces >= 3 * self.observed => ColumnType::Text,
            () if self.observed >= 20 && unique > 0.95 => ColumnType::Identifier,
            () => ColumnType::Categorical,
        }
    }
}

/// Whether a column of this name numbers the rows: only then is one whole number a row no measurement.
fn is_key(name: &str) -> bool {
    let name = name.to_lowercase();
    let last = name.rsplit(['_', '-', ' ', '.']).next().unwrap_or_default();
    matches!(last, "id" | "uuid" | "key" | "index" | "rowid") || name.starts_with("unnamed")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(name: &str, cell: impl Fn(usize) -> String) -> ColumnType {
        let mut guess = Guess::default();
        (0..100).for_each(|i| guess.add(&Cell::Text(&cell(i)), &[]));
        guess.kind(name)
    }

    #[test]
    fn types_are_told_by_values() {
        assert_eq!(kind("x", |i| i.to_string()), ColumnType::Numeric);
        assert_eq!(kind("user_id", |i| i.to_string()), ColumnType::Identifier);
        assert_eq!(kind("user_id", |i| (i % 7).to_string()), ColumnType::Numeric);
        assert_eq!(kind("x", |i| if i == 3 { "abc".into() } else { i.to_string() }), ColumnType::Numeric);
        assert_eq!(kind("x", |i| ["yes", "no", "?"][i % 3].into()), ColumnType::Boolean);
        assert_eq!(kind("x", |i| ["red", "blue", "NA"][i % 3].into()), ColumnType::Categorical);
        assert_eq!(kind("x", |i| format!("2026-01-{:02}", i % 28 + 1)), ColumnType::Date);
        assert_eq!(kind("x", |i| format!("a1b{i}")), ColumnType::Identifier);
        assert_eq!(kind("x", |i| format!("a text of some words {i}")), ColumnType::Text);
        assert_eq!(kind("x", |_| "1".into()), ColumnType::Constant);
        assert_eq!(kind("x", |_| String::new()), ColumnType::Constant);
        assert_eq!(kind("x", |i| ["1", ""][i % 2].into()), ColumnType::Numeric);
    }
}
