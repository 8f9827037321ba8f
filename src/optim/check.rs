//! Which values of `[optim]` make sense.

use super::{OptimConfig, OptimKind, ScheduleKind};
use crate::error::{Error, Result};

impl OptimConfig {
    /// Checks every key of the section by itself and against the others.
    ///
    /// # Errors
    /// The first key that is out of range, by name, with its range.
    pub fn check(&self) -> Result<()> {
        let schedule = &self.schedule;
        positive("optim.lr", self.lr)?;
        positive("optim.eps", self.eps)?;
        not_negative("optim.weight_decay", self.weight_decay)?;
        not_negative("optim.clip", self.clip)?;
        not_negative("optim.schedule.floor", schedule.floor)?;
        below_one("optim.betas[0]", self.betas[0])?;
        below_one("optim.betas[1]", self.betas[1])?;
        below_one("optim.momentum", self.momentum)?;
        below_one("optim.ema", self.ema)?;
        if self.kind == OptimKind::Muon {
            positive("optim.muon_lr", self.muon_lr)?;
        }
        if schedule.floor > self.lr {
            let message = format!("`optim.schedule.floor` ({}) is above `optim.lr` ({})", schedule.floor, self.lr);
            return Err(Error::input(message).next("the floor is a rate: lower it to `optim.lr` or less"));
        }
        if self.kind == OptimKind::Sgd && self.nesterov && self.momentum == 0.0 {
            return Err(Error::input("`optim.nesterov` needs `optim.momentum` above 0")
                .next("set `optim.nesterov = false` for plain SGD"));
        }
        Ok(())
    }

    /// Checks the schedule's parts against the length of the run.
    ///
    /// # Errors
    /// A warm-up, or a warm-up and a `wsd` decay together, longer than `steps`.
    pub fn check_against(&self, steps: u64) -> Result<()> {
        let schedule = &self.schedule;
        if schedule.warmup > steps {
            let message =
                format!("`optim.schedule.warmup` ({}) is longer than `train.steps` ({steps})", schedule.warmup);
            return Err(Error::input(message).next("shorten the warm-up, or train for more steps"));
        }
        let decay = schedule.decay_steps(steps);
        if schedule.kind == ScheduleKind::Wsd && decay > steps - schedule.warmup {
            let message = format!(
                "`optim.schedule.warmup` ({}) and `optim.schedule.decay` ({decay}) are together longer than \
                 `train.steps` ({steps})",
                schedule.warmup
            );
            return Err(Error::input(message).next("shorten one of them, or train for more steps"));
        }
        Ok(())
    }
}

fn range(key: &str, value: f64, holds: bool, range: &str) -> Result<()> {
    if holds && value.is_finite() {
        return Ok(());
    }
    Err(Error::input(format!("`{key}` must be {range}, but is {value}")).next("correct it in the config"))
}

fn positive(key: &str, value: f64) -> Result<()> {
    range(key, value, value > 0.0, "positive")
}

fn not_negative(key: &str, value: f64) -> Result<()> {
    range(key, value, value >= 0.0, "0 or more")
}

fn below_one(key: &str, value: f64) -> Result<()> {
    range(key, value, (0.0..1.0).contains(&value), "at least 0 and below 1")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;
    use crate::{error::Kind, optim::ScheduleConfig};

    fn wrong(change: impl FnOnce(&mut OptimConfig)) -> String {
        let mut config = OptimConfig::default();
        config.check().unwrap();
        change(&mut config);
        let error = config.check().unwrap_err();
        assert_eq!(error.kind(), Kind::Input);
        error.to_string()
    }

    #[test]
    fn every_key_is_named_with_its_range() {
        assert!(wrong(|c| c.lr = 0.0).contains("`optim.lr` must be positive, but is 0"));
        assert!(wrong(|c| c.lr = f64::NAN).contains("`optim.lr` must be positive"));
        assert!(wrong(|c| c.lr = f64::INFINITY).contains("`optim.lr` must be positive"));
        assert!(wrong(|c| c.eps = -1e-8).contains("`optim.eps`"));
        assert!(wrong(|c| c.weight_decay = -0.1).contains("`optim.weight_decay` must be 0 or more"));
        assert!(wrong(|c| c.clip = -1.0).contains("`optim.clip`"));
        assert!(wrong(|c| c.betas = [1.0, 0.9]).contains("`optim.betas[0]` must be at least 0 and below 1, but is 1"));
        assert!(wrong(|c| c.betas = [0.9, -0.1]).contains("`optim.betas[1]`"));
        assert!(wrong(|c| c.momentum = 1.5).contains("`optim.momentum`"));
        assert!(wrong(|c| c.ema = 1.0).contains("`optim.ema`"));
        assert!(wrong(|c| (c.kind, c.muon_lr) = (OptimKind::Muon, 0.0)).contains("`optim.muon_lr`"));
        let floor = wrong(|c| c.schedule.floor = 1.0);
        assert!(floor.contains("`optim.schedule.floor` (1) is above `optim.lr` (0.001)"), "{floor}");
        assert!(wrong(|c| (c.kind, c.momentum) = (OptimKind::Sgd, 0.0)).contains("`optim.nesterov` needs"));
    }

    #[test]
    fn the_schedule_fits_the_run() {
        let schedule = |kind, warmup, decay| OptimConfig {
            schedule: ScheduleConfig { kind, warmup, floor: 0.0, decay },
            ..OptimConfig::default()
        };
        assert!(schedule(ScheduleKind::Cosine, 100, 0).check_against(100).is_ok());
        let long = schedule(ScheduleKind::Cosine, 101, 0).check_against(100).unwrap_err().to_string();
        assert!(long.contains("`optim.schedule.warmup` (101) is longer than `train.steps` (100)"), "{long}");
        assert!(schedule(ScheduleKind::Wsd, 50, 50).check_against(100).is_ok());
        let both = schedule(ScheduleKind::Wsd, 50, 51).check_against(100).unwrap_err().to_string();
        assert!(both.contains("`optim.schedule.decay` (51)"), "{both}");
    }
}
