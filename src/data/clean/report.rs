//! All values that do not fit, in one report.

use std::fmt::Display;

use super::Fault;
use crate::error::{Error, Result};

/// Faults that are shown; the rest is counted.
const SHOWN: usize = 20;

/// Collects the faults of a pass over the rows.
#[derive(Debug, Default)]
pub(in crate::data) struct Report {
    shown: Vec<String>,
    total: u64,
    next: String,
}

impl Report {
    /// Whether every value fitted.
    pub(in crate::data) fn is_empty(&self) -> bool {
        self.total == 0
    }

    /// Adds a value of `column` at `place`.
    pub(in crate::data) fn add(&mut self, place: impl Display, column: &str, fault: Fault) {
        self.total += 1;
        if self.shown.len() >= SHOWN {
            return;
        }
        let (what, next) = match fault {
            Fault::Missing => (
                "has no value".to_owned(),
                format!(
                    "fill or remove such rows, leave the column out of `data.features`, or let `data.columns.{column}.on_missing` impute"
                ),
            ),
            Fault::Bad(found, wanted) => (
                format!("is {found}, not {wanted}"),
                format!(
                    "correct it, set `data.columns.{column}` to its type, or let `data.columns.{column}.on_bad` impute"
                ),
            ),
            Fault::Unseen(found) => (
                format!("is {found}, a category that no training row has"),
                format!("correct it, or let `data.columns.{column}.on_unseen` fall back"),
            ),
            Fault::NoClass(found) => (
                format!("is {found}, not a class"),
                "name the class column in `data.target`, or set `data.task` to \"regression\"".to_owned(),
            ),
        };
        self.shown.push(format!("{place}: column `{column}` {what}"));
        if self.next.is_empty() {
            self.next = next;
        }
    }

    /// Adds a target at `place`, which nothing can be put in the place of.
    pub(in crate::data) fn add_target(&mut self, place: impl Display, column: &str, fault: Fault) {
        if self.next.is_empty() {
            match &fault {
                Fault::Missing => self.next = "fill or remove such rows: a target is never imputed".to_owned(),
                Fault::Bad(..) => self.next = "correct it, or name another column in `data.target`".to_owned(),
                Fault::Unseen(_) => self.next = "remove such rows: the model has no such class".to_owned(),
                Fault::NoClass(_) => {}
            }
        }
        self.add(place, column, fault);
    }

    /// Adds what another report holds.
    pub(in crate::data) fn join(&mut self, other: Self) {
        let room = SHOWN.saturating_sub(self.shown.len());
        self.shown.extend(other.shown.into_iter().take(room));
        self.total += other.total;
        if self.next.is_empty() {
            self.next = other.next;
        }
    }

    /// The report, if there is anything to report.
    pub(in crate::data) fn finish(self) -> Result<()> {
        let error = match (self.total, self.shown.first()) {
            (0, _) | (_, None) => return Ok(()),
            (1, Some(only)) => Error::input(only),
            (total, _) => {
                let more = total - self.shown.len() as u64;
                let more = if more > 0 { format!("\n... and {more} more") } else { String::new() };
                Error::input(format!("{total} values do not fit their columns\n{}{more}", self.shown.join("\n")))
            }
        };
        Err(error.next(self.next))
    }
}
