//! What a run tells: its journal, and the files it writes whole or not at all.

pub mod atomic;
mod event;
mod journal;
pub mod number;

pub use event::Event;
pub use journal::{Journal, MAX_LINE, read};
