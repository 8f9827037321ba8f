//! What a run tells: its journal, and the files it writes whole or not at all.

pub mod atomic;
mod journal;
mod number;

pub use journal::{Event, Journal, MAX_LINE, read};
