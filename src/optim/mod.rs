//! Optimizers with parameter groups, schedules as pure functions of the step, the global clip, EMA.

mod check;
mod config;
mod ema;
mod flat;
mod grads;
mod group;
mod optimizer;
mod schedule;
mod taken;

#[cfg(test)]
mod tests;

pub use config::{OptimConfig, OptimKind, ScheduleConfig, ScheduleKind};
pub use ema::Ema;
pub use grads::{Accumulator, clip_factor, global_norm};
pub use optimizer::{Optimizer, Scale};
