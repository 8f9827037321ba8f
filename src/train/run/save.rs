//! How a run is saved.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use super::{Run, json};
use crate::{
    checkpoint::{self, Snapshot},
    error::{Kind, Result},
    nn,
    optim::Ema,
    train::Progress,
};

impl Run {
    /// Keeps the weights of this step as the best ones, if they are.
    pub(in crate::train) fn judge_best(&mut self, loss: f64, progress: &Progress) -> Result<()> {
        if self.state.best.is_some_and(|best| loss >= best) || !loss.is_finite() {
            self.state.stale += 1;
            return Ok(());
        }
        self.state.best = Some(loss);
        self.state.stale = 0;
        self.write_snapshot(progress)?;
        checkpoint::mark_best(self.dir.path(), self.state.step)
    }

    /// Saves, and removes what retention does not keep.
    pub(in crate::train) fn save(&mut self, progress: &mut Progress) -> Result<()> {
        if self.saved != Some(self.state.step) {
            self.write_snapshot(progress)?;
        }
        checkpoint::prune(self.dir.path(), self.setup.plan.checkpoint.keep)?;
        Ok(())
    }

    /// A full disk pauses the run, with everything in memory, for as long as `checkpoint.wait_for_space` says.
    fn save_when_there_is_space(&self, snapshot: &Snapshot, progress: &Progress) -> Result<PathBuf> {
        let patience = Duration::from_secs_f64(self.setup.plan.space_seconds()?.unwrap_or(0.0));
        let began = Instant::now();
        let mut told = false;
        loop {
            match checkpoint::save(self.dir.path(), snapshot) {
                Err(e) if e.kind() == Kind::DiskFull && began.elapsed() < patience && !self.stop.raised() => {
                    if !std::mem::replace(&mut told, true) {
                        progress.warn(&format!(
                            "paused at step {}: {}; waiting for space",
                            self.state.step,
                            e.message()
                        ));
                    }
                    std::thread::sleep(Duration::from_secs(1));
                }
                other => return other,
            }
        }
    }

    /// See [`KILL_AFTER`].
    pub(in crate::train) fn die_if_asked(&self) {
        if self.kill_after == Some(self.state.step) {
            // The signal ends the process before it could fail.
            let _ = signal_hook::low_level::raise(9);
        }
    }

    fn write_snapshot(&mut self, progress: &Progress) -> Result<()> {
        self.state.guard = serde_json::to_value(&self.guard).map_err(json)?;
        self.state.device = self.setup.opened.spec.clone();
        let snapshot = Snapshot {
            weights: nn::tensors_of(&self.model)?,
            optim: self.optimizer.tensors()?,
            ema: self.ema.as_ref().map(Ema::tensors).transpose()?,
            state: self.state.clone(),
        };
        let path = self.save_when_there_is_space(&snapshot, progress)?;
        self.saved = Some(self.state.step);
        self.record.saved(self.state.step, &path)?;
        progress.saved(self.state.step, &path);
        Ok(())
    }
}
