//! Architectures, one a file.

mod config;

pub use config::*;
