//! Hyper-parameter search: trials are ordinary runs, and everything about them is decided from a journal of small files.
//!
//! A worker asks the sampler what to try (`sampler`, `tpe`), claims it (`journal`), and runs it (`worker`); the trial asks
//! the pruner at every evaluation whether it is worth going on (`pruner`). Samplers and pruners are pure functions of the
//! journal, so any number of workers can come, die and come back.

mod best;
#[cfg(feature = "sql")]
mod database;
mod journal;
mod objective;
mod pruner;
mod random;
mod sampler;
mod search;
mod space;
mod store;
mod tpe;
mod trial;
mod worker;

pub use best::best_config;
pub use journal::{Journal, STALE};
pub use objective::{Objective, importance, pareto, ranked};
pub use pruner::hopeless;
pub use random::Random;
pub use sampler::ask;
pub use search::{Search, journal_of, trial_number};
pub use space::{Space, Values};
pub use store::Store;
pub use trial::{Claim, End, Owner, Rung, State, Trial};
pub use worker::Worker;
