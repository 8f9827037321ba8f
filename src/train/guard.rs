//! The guard: judges a step's loss and gradient norm before the weights move.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::config::{GuardConfig, OnFault};

/// What to do with a step.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// Move the weights.
    Apply,
    /// Leave the weights as they are.
    Skip(String),
    /// Go back to the last good checkpoint.
    Rollback(String),
    /// Stop the run.
    Halt(String),
}

/// The recent losses that a spike is judged against; travels in the checkpoint.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Guard {
    /// As bits: a resumed run must judge by the very same numbers.
    recent: VecDeque<u64>,
    in_a_row: usize,
    /// The furthest step with a fault: only a good step beyond it ends the row, or a roll-back would go on for ever.
    faulty: u64,
}

/// Losses before the mean and deviation mean anything.
const FEWEST: usize = 10;

impl Guard {
    /// Judges the step after `step` others. Only losses of applied steps enter the recent window.
    pub fn judge(&mut self, config: &GuardConfig, step: u64, loss: f64, norm: f64) -> Verdict {
        let fault = self.fault(config, loss, norm);
        let Some((policy, why)) = fault else {
            if step > self.faulty {
                self.in_a_row = 0;
            }
            self.recent.push_back(loss.to_bits());
            while self.recent.len() > config.window.max(FEWEST) {
                self.recent.pop_front();
            }
            return Verdict::Apply;
        };
        self.in_a_row += 1;
        self.faulty = self.faulty.max(step);
        if self.in_a_row > config.max_faults {
            return Verdict::Halt(format!("{why}, the {} fault in a row", ordinal(self.in_a_row)));
        }
        match policy {
            OnFault::Halt => Verdict::Halt(why),
            OnFault::Skip => Verdict::Skip(why),
            OnFault::Rollback => Verdict::Rollback(why),
        }
    }

    /// A roll-back does not forget how many faults came in a row, or it would never give up.
    pub fn keep_faults_of(&mut self, other: &Guard) {
        (self.in_a_row, self.faulty) = (other.in_a_row, other.faulty);
    }

    fn fault(&self, config: &GuardConfig, loss: f64, norm: f64) -> Option<(OnFault, String)> {
        if !loss.is_finite() {
            return Some((config.non_finite, format!("the loss is {loss}")));
        }
        if !norm.is_finite() {
            return Some((config.non_finite, format!("the gradient norm is {norm}")));
        }
        if config.spike_z <= 0.0 || self.recent.len() < FEWEST {
            return None;
        }
        let n = self.recent.len() as f64;
        let losses = || self.recent.iter().copied().map(f64::from_bits);
        let mean = losses().sum::<f64>() / n;
        let deviation = (losses().map(|x| (x - mean).powi(2)).sum::<f64>() / n).sqrt();
        let z = (loss - mean) / deviation.max(f64::EPSILON);
        (z > config.spike_z)
            .then(|| (config.spike, format!("the loss {loss:.4} is {z:.1} deviations above its recent mean {mean:.4}")))
    }
}

fn ordinal(n: usize) -> String {
    let ending = match (n % 10, n % 100) {
        (1, r) if r != 11 => "st",
        (2, r) if r != 12 => "nd",
        (3, r) if r != 13 => "rd",
        _ => "th",
    };
    format!("{n}{ending}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> GuardConfig {
        GuardConfig { spike_z: 4.0, max_faults: 2, non_finite: OnFault::Rollback, ..GuardConfig::default() }
    }

    #[test]
    fn a_number_that_is_none_never_passes() {
        let mut guard = Guard::default();
        assert!(matches!(guard.judge(&config(), 1, f64::NAN, 1.0), Verdict::Rollback(_)));
        assert!(matches!(guard.judge(&config(), 2, 1.0, f64::INFINITY), Verdict::Rollback(_)));
        assert!(matches!(guard.judge(&config(), 3, f64::NAN, 1.0), Verdict::Halt(why) if why.contains("3rd")));
    }

    #[test]
    fn a_good_step_beyond_ends_a_row_of_faults() {
        let mut guard = Guard::default();
        for step in 0..5 {
            assert!(matches!(guard.judge(&config(), 2 * step, f64::NAN, 1.0), Verdict::Rollback(_)));
            assert_eq!(guard.judge(&config(), 2 * step + 1, 1.0, 1.0), Verdict::Apply);
        }
    }

    #[test]
    fn a_step_that_fails_after_every_roll_back_halts() {
        let mut guard = Guard::default();
        let mut verdicts = Vec::new();
        for _ in 0..3 {
            assert_eq!(guard.judge(&config(), 6, 1.0, 1.0), Verdict::Apply);
            verdicts.push(guard.judge(&config(), 7, f64::NAN, 1.0));
        }
        assert!(matches!(verdicts[..], [Verdict::Rollback(_), Verdict::Rollback(_), Verdict::Halt(_)]));
    }

    #[test]
    fn a_spike_is_judged_against_the_recent_losses_and_never_joins_them() {
        let mut guard = Guard::default();
        for i in 0..20 {
            assert_eq!(guard.judge(&config(), i, 2.0 + 0.01 * (i % 3) as f64, 1.0), Verdict::Apply);
        }
        let before = guard.recent.clone();
        assert!(matches!(guard.judge(&config(), 20, 3.0, 1.0), Verdict::Skip(_)));
        assert_eq!(guard.recent, before);
        assert_eq!(guard.judge(&config(), 21, 2.01, 1.0), Verdict::Apply);
    }
}
