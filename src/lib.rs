//! kiln: a deep-learning training engine. A run is one config file.
//!
//! Modules are floors; imports run strictly downward (`tests/floors.rs` enforces it).

pub mod baseline;
pub mod checkpoint;
pub mod commands;
pub mod config;
pub mod cv;
pub mod data;
pub mod device;
pub mod error;
pub mod eval;
pub mod judge;
pub mod metric;
pub mod model;
pub mod nn;
pub mod optim;
pub mod report;
pub mod task;
pub mod track;
pub mod train;
pub mod tune;
