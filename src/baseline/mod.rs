//! The baseline gate: does the network earn its place beside classic models fitted on the same rows?

mod config;
mod fit;
mod naive;
mod rows;
mod store;
mod texts;
mod users;
mod verdict;

pub use config::{BaselineConfig, BaselineKind, When};
pub use fit::{Candidate, Gate, applies, fit_gate};
pub use rows::{Table, predictions_of, read_rows};
pub use store::{FILE, load, store};
pub use texts::Terms;
pub use verdict::{Comparison, Outcome, compare};
