//! The learning rate as a pure function of the step.

use std::f64::consts::PI;

use super::{ScheduleConfig, ScheduleKind};

impl ScheduleConfig {
    /// The rate of `step` (from 0) in a run of `steps`, divided by the peak rate `lr`.
    ///
    /// The warm-up climbs as `(step + 1) / warmup`. After it, progress is 0 at step `warmup` and would be 1 at step
    /// `steps`, one past the last, so that no step is spent at a floor of 0; beyond that the factor stays.
    pub fn factor(&self, lr: f64, step: u64, steps: u64) -> f64 {
        if step < self.warmup {
            return (step + 1) as f64 / self.warmup as f64;
        }
        let floor = if lr > 0.0 { (self.floor / lr).min(1.0) } else { 0.0 };
        // 1 at the peak, 0 at the floor.
        let height = match self.kind {
            ScheduleKind::Constant => 1.0,
            ScheduleKind::Linear => 1.0 - progress(self.warmup, steps, step),
            ScheduleKind::Cosine => (1.0 + (PI * progress(self.warmup, steps, step)).cos()) / 2.0,
            ScheduleKind::Wsd => 1.0 - progress(steps.saturating_sub(self.decay_steps(steps)), steps, step),
        };
        floor + (1.0 - floor) * height
    }

    /// Steps of `wsd`'s final decay in a run of `steps`.
    pub(super) fn decay_steps(&self, steps: u64) -> u64 {
        if self.decay == 0 { (steps / 5).max(1) } else { self.decay }
    }
}

/// How far `step` is from `start` (0) to `end` (1), clamped.
fn progress(start: u64, end: u64, step: u64) -> f64 {
    if step >= end {
        return 1.0;
    }
    step.saturating_sub(start) as f64 / end.saturating_sub(start).max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(schedule: ScheduleConfig, lr: f64, steps: u64, table: &[(u64, f64)]) {
        for (step, expected) in table {
            let found = schedule.factor(lr, *step, steps);
            assert!((found - expected).abs() < 1e-12, "step {step}: {found} where {expected} is due");
        }
    }

    #[test]
    fn constant_warms_up_and_stays() {
        let schedule = ScheduleConfig { kind: ScheduleKind::Constant, warmup: 4, floor: 0.0, decay: 0 };
        check(schedule, 1e-3, 10, &[(0, 0.25), (1, 0.5), (2, 0.75), (3, 1.0), (4, 1.0), (9, 1.0), (99, 1.0)]);
    }

    #[test]
    fn linear_falls_to_the_floor() {
        // Floor 2e-4 of 1e-3 is 0.2: 0.2 + 0.8 (1 - t/10).
        let schedule = ScheduleConfig { kind: ScheduleKind::Linear, warmup: 0, floor: 2e-4, decay: 0 };
        check(schedule, 1e-3, 10, &[(0, 1.0), (1, 0.92), (5, 0.6), (9, 0.28), (10, 0.2), (50, 0.2)]);
    }

    #[test]
    fn cosine_falls_to_the_floor() {
        // 0.1 + 0.9 (1 + cos(pi t/8)) / 2 with t counted from the end of the warm-up.
        let schedule = ScheduleConfig { kind: ScheduleKind::Cosine, warmup: 2, floor: 1e-4, decay: 0 };
        let half = 0.5f64.sqrt();
        let table = [
            (0, 0.5),
            (1, 1.0),
            (2, 1.0),
            (4, 0.1 + 0.45 * (1.0 + half)),
            (6, 0.55),
            (8, 0.1 + 0.45 * (1.0 - half)),
            (10, 0.1),
            (1000, 0.1),
        ];
        check(schedule, 1e-3, 10, &table);
    }

    #[test]
    fn wsd_stays_then_falls() {
        let schedule = ScheduleConfig { kind: ScheduleKind::Wsd, warmup: 2, floor: 0.0, decay: 4 };
        let table = [(0, 0.5), (2, 1.0), (15, 1.0), (16, 1.0), (17, 0.75), (19, 0.25), (20, 0.0), (21, 0.0)];
        check(schedule, 1e-3, 20, &table);
        let fifth = ScheduleConfig { kind: ScheduleKind::Wsd, warmup: 0, floor: 5e-4, decay: 0 };
        check(fifth, 1e-3, 20, &[(16, 1.0), (18, 0.75), (20, 0.5)]);
    }

    #[test]
    fn odd_lengths_stay_finite() {
        for kind in [ScheduleKind::Constant, ScheduleKind::Linear, ScheduleKind::Cosine, ScheduleKind::Wsd] {
            for (warmup, steps) in [(0, 0), (0, 1), (5, 5), (9, 5)] {
                let schedule = ScheduleConfig { kind, warmup, floor: 0.0, decay: 0 };
                for step in 0..12 {
                    let factor = schedule.factor(1e-3, step, steps);
                    assert!((0.0..=1.0).contains(&factor), "{kind:?} {warmup} {steps} {step}: {factor}");
                }
            }
        }
    }
}
