//! The verbs, one a file. Each takes resolved input, never clap types; data goes to stdout, words for people to stderr.

mod bench;
mod check;
mod console;
mod contain;
mod cv;
mod data;
mod devices;
mod eval;
mod generate;
mod inspect;
mod models;
mod predict;
mod profile;
mod runs;
mod train;
mod verify_resume;

pub use crate::train::Trained;
pub use bench::bench;
pub use check::check;
pub use console::Console;
pub use contain::contained;
pub use cv::{CvArgs, cv};
pub use data::{data_fetch, data_show};
pub use devices::devices;
pub use eval::{EvalArgs, eval};
pub use generate::{Sampling, generate};
pub use inspect::inspect;
pub use models::{models, schema};
pub use predict::predict;
pub use profile::profile;
pub use runs::{runs_list, runs_show};
pub use train::{resume, train};
pub use verify_resume::verify_resume;
