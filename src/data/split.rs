//! Which split a row belongs to: a function of the seed and of the row's place, class, group or time.

use std::collections::HashMap;

use super::{
    Holdout, HoldoutBy, Sampler, Split,
    cell::{Cell, Fault},
    clean::{Sample, quantile},
    fold::Role,
    sampler::mix,
};

/// Assigns rows to splits.
pub(super) struct Splitter {
    holdout: Holdout,
    seed: u64,
    /// Rows of every class.
    classes: HashMap<String, u64>,
    times: Sample,
    /// The first times of validation and of test.
    cuts: (f64, f64),
    /// What the rows outside the test split are for instead, in their order.
    roles: Option<Vec<Role>>,
}

/// One pass over the rows, from the first one.
pub(super) struct Pass<'a> {
    splitter: &'a Splitter,
    ordinal: u64,
    seen: HashMap<String, u64>,
    /// Rows outside the test split so far.
    pooled: usize,
}

impl Splitter {
    pub fn new(holdout: &Holdout, seed: u64) -> Self {
        let (classes, times) = (HashMap::new(), Sample::new(1));
        Self { holdout: holdout.clone(), seed, classes, times, cuts: (f64::INFINITY, f64::INFINITY), roles: None }
    }

    /// Whether all rows must be shown to [`Splitter::survey`] first.
    pub fn needs_survey(&self) -> bool {
        matches!(self.holdout.by, HoldoutBy::Class | HoldoutBy::Time)
    }

    /// Shows a row's class or time, before any is assigned.
    pub fn survey(&mut self, cell: &Cell<'_>) {
        match self.holdout.by {
            HoldoutBy::Time => {
                if let Ok(time) = time(cell) {
                    self.times.add(time);
                }
            }
            _ => {
                if let Ok(class) = cell.class() {
                    *self.classes.entry(class.into_owned()).or_default() += 1;
                }
            }
        }
    }

    /// After the last row was shown: finds the times at which validation and test begin, within the accuracy of a
    /// sample of 100,000 rows.
    pub fn surveyed(&mut self) {
        let Holdout { validation, test, .. } = self.holdout;
        let sorted = self.times.sorted(0.0, 0);
        let cut = |held: f64| if held > 0.0 { quantile(&sorted, 1.0 - held) } else { f64::INFINITY };
        self.cuts = (cut(validation + test), cut(test));
    }

    /// Makes these the splits of the rows outside the test split, as a fold has shared them out.
    pub fn fold(&mut self, roles: Vec<Role>) {
        self.roles = Some(roles);
    }

    /// The split of the row at `ordinal` by a hash.
    pub fn row(&self, ordinal: u64) -> Split {
        self.uniform((mix(mix(self.seed) ^ ordinal) >> 11) as f64 / (1u64 << 53) as f64)
    }

    pub fn start(&self) -> Pass<'_> {
        Pass { splitter: self, ordinal: 0, seen: HashMap::new(), pooled: 0 }
    }

    fn uniform(&self, uniform: f64) -> Split {
        let Holdout { validation, test, .. } = self.holdout;
        match uniform {
            u if u < test => Split::Test,
            u if u < test + validation => Split::Validation,
            _ => Split::Train,
        }
    }

    fn hash(&self, name: &str) -> u64 {
        let hash = blake3::hash(name.as_bytes());
        mix(mix(self.seed) ^ hash.as_bytes().first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes)))
    }
}

impl Pass<'_> {
    /// The split of the next row, whose class, group or time is `cell`; none of a row that a fold has no use for.
    ///
    /// # Errors
    /// A cell that holds none.
    pub fn next(&mut self, cell: &Cell<'_>) -> Result<Option<Split>, Fault> {
        let split = self.held_out(cell)?;
        let (Some(roles), true) = (&self.splitter.roles, split != Split::Test) else { return Ok(Some(split)) };
        self.pooled += 1;
        Ok(match roles.get(self.pooled - 1) {
            Some(Role::Train) => Some(Split::Train),
            Some(Role::Validate) => Some(Split::Validation),
            Some(Role::Neither) | None => None,
        })
    }

    fn held_out(&mut self, cell: &Cell<'_>) -> Result<Split, Fault> {
        let splitter = self.splitter;
        let ordinal = self.ordinal;
        self.ordinal += 1;
        match splitter.holdout.by {
            HoldoutBy::Row => Ok(splitter.row(ordinal)),
            HoldoutBy::Group if cell.is_missing(&[]) => Err(Fault::Missing),
            HoldoutBy::Group => {
                let hash = splitter.hash(&cell.name()?);
                Ok(splitter.uniform((hash >> 11) as f64 / (1u64 << 53) as f64))
            }
            HoldoutBy::Time => {
                let (validation, test) = splitter.cuts;
                Ok(match time(cell)? {
                    at if at >= test => Split::Test,
                    at if at >= validation => Split::Validation,
                    _ => Split::Train,
                })
            }
            HoldoutBy::Class => {
                // A row without a class is told of later, with the others.
                let Ok(class) = cell.class() else { return Ok(Split::Train) };
                let nth = self.seen.entry(class.to_string()).or_default();
                let rows = splitter.classes.get(class.as_ref()).copied().unwrap_or(0);
                let (_, rank) = Sampler::new(splitter.hash(&class), rows).at(*nth);
                *nth += 1;
                let rounded = |share: f64| (share * rows as f64).round() as u64;
                let test = rounded(splitter.holdout.test);
                Ok(match rank {
                    rank if rank < test => Split::Test,
                    rank if rank < test + rounded(splitter.holdout.validation) => Split::Validation,
                    _ => Split::Train,
                })
            }
        }
    }
}

/// A date or a number as something to sort by.
pub(super) fn time(cell: &Cell<'_>) -> Result<f64, Fault> {
    match cell.number() {
        Ok(number) => Ok(number),
        Err(_) => cell.time(None).map(|micros| micros as f64),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn counts(by: HoldoutBy, cell: impl Fn(u64) -> String) -> (Vec<Split>, [usize; 3]) {
        let holdout = Holdout { validation: 0.2, test: 0.1, by, column: None };
        let mut splitter = Splitter::new(&holdout, 7);
        (0..1000).for_each(|i| splitter.survey(&Cell::Text(&cell(i))));
        splitter.surveyed();
        let mut pass = splitter.start();
        let splits: Vec<Split> = (0..1000).map(|i| pass.next(&Cell::Text(&cell(i))).unwrap().unwrap()).collect();
        let counts = Split::ALL.map(|split| splits.iter().filter(|s| **s == split).count());
        (splits, counts)
    }

    #[test]
    fn classes_keep_their_shares_exactly() {
        let class = |i: u64| if i.is_multiple_of(10) { "rare".to_owned() } else { "common".to_owned() };
        let (splits, counts) = counts(HoldoutBy::Class, class);
        assert_eq!(counts, [700, 200, 100]);
        let rare = splits.iter().step_by(10);
        assert_eq!(rare.clone().filter(|s| **s == Split::Test).count(), 10);
        assert_eq!(rare.filter(|s| **s == Split::Validation).count(), 20);
    }

    #[test]
    fn groups_stay_together() {
        let (splits, counts) = counts(HoldoutBy::Group, |i| format!("patient {}", i % 100));
        assert!((0..1000).all(|i| splits[i] == splits[i % 100]));
        assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
    }

    #[test]
    fn time_runs_from_training_to_test() {
        let (splits, counts) = counts(HoldoutBy::Time, |i| format!("2026-01-01 {:02}:{:02}", i / 60, i % 60));
        assert_eq!(counts, [700, 200, 100]);
        assert!(splits.is_sorted_by_key(|split| Split::ALL.iter().position(|s| s == split)));
    }
}
