//! Optimizers with parameter groups, schedules as pure functions of the step, the global clip, EMA.

mod config;

pub use config::{OptimConfig, OptimKind, ScheduleConfig, ScheduleKind};
