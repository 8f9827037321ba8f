//! What the loop writes into the journal.

use std::{path::Path, time::Duration};

use super::{Reason, Run, StepReport};
use crate::{
    data::Split,
    error::{Kind, Result},
    task::Report,
    track::{Event, Journal},
};

/// The run's journal, in the loop's words.
pub struct Record {
    journal: Journal,
    every: u64,
    seconds: f64,
    warm: bool,
}

impl Record {
    /// A full disk keeps the line for later: the journal stops no run that could go on.
    fn append(&mut self, event: &Event) -> Result<()> {
        match self.journal.append(event) {
            Err(e) if e.kind() == Kind::DiskFull => Ok(()),
            other => other,
        }
    }

    /// Opens the journal for a run that goes on from `step`; later lines are set aside.
    pub fn open(path: &Path, step: u64, every: u64, seconds: f64) -> Result<Self> {
        Ok(Self { journal: Journal::open(path, step)?, every: every.max(1), seconds, warm: false })
    }

    /// The run begins.
    pub fn started(&mut self, run: &super::Setup, params: u64) -> Result<()> {
        self.append(&Event::Started {
            time: std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs()),
            version: env!("CARGO_PKG_VERSION").into(),
            device: run.opened.spec.clone(),
            params,
            plan_hash: run.plan.hash()?,
            dataset: run.dataset.fingerprint().into(),
            class_weights: run.task.class_weights(),
        })
    }

    /// The run goes on.
    pub fn resumed(&mut self, step: u64, from: &Path, device: &str) -> Result<()> {
        self.append(&Event::Resumed { step, from: from.display().to_string(), device: device.into() })
    }

    /// A step whose weights moved; the first one of a process also compiled and tuned the kernels.
    pub fn step(&mut self, report: &StepReport, took: Duration) -> Result<()> {
        self.seconds += took.as_secs_f64();
        if !std::mem::replace(&mut self.warm, true) {
            self.append(&Event::Compiled { seconds: took.as_secs_f64() })?;
        }
        let step = report.step + 1;
        if !step.is_multiple_of(self.every) {
            return Ok(());
        }
        self.append(&Event::Step {
            step,
            epoch: report.epoch,
            loss: report.loss,
            lr: report.lr,
            norm: report.norm,
            rate: report.valid as f64 / took.as_secs_f64().max(1e-9),
            seconds: self.seconds,
            batch: report.batch_id(),
        })
    }

    /// A step whose weights did not move.
    pub fn skipped(&mut self, report: &StepReport, why: &str) -> Result<()> {
        self.fault(report, why, "skip")
    }

    /// A step that led back to the last good checkpoint.
    pub fn rolled_back(&mut self, report: &StepReport, why: &str) -> Result<()> {
        self.fault(report, why, "rollback")
    }

    /// A step that stopped the run.
    pub fn halted(&mut self, report: &StepReport, why: &str) -> Result<()> {
        self.fault(report, why, "halt")
    }

    fn fault(&mut self, report: &StepReport, why: &str, action: &str) -> Result<()> {
        self.append(&Event::Fault {
            step: report.step + 1,
            reason: why.into(),
            action: action.into(),
            rows: report.rows.clone(),
            loss: report.loss,
            norm: report.norm,
        })
    }

    /// Forgets what comes after `step`, which the run lives through again.
    pub fn rewind(&mut self, step: u64, seconds: f64) -> Result<()> {
        self.seconds = seconds;
        self.journal.rewind(step)
    }

    /// An evaluation.
    pub fn eval(&mut self, step: u64, split: Split, report: &Report) -> Result<()> {
        self.append(&Event::Eval { step, split: split.to_string(), metrics: report.metrics.clone() })
    }

    /// A checkpoint.
    pub fn saved(&mut self, step: u64, path: &Path) -> Result<()> {
        self.append(&Event::Saved { step, path: path.display().to_string() })
    }

    /// The run stops.
    pub fn finish(&mut self, step: u64, reason: Reason, seconds: f64) -> Result<()> {
        self.append(&Event::Finished { step, reason: reason.to_string(), seconds })
    }
}

impl Run {
    /// What is known of a step before its batch is drawn.
    pub(super) fn facts(&self) -> StepReport {
        let optim = &self.setup.plan.optim;
        let step = self.state.step;
        StepReport {
            step,
            epoch: self.state.position as f64 / self.setup.training.len(Split::Train).max(1) as f64,
            lr: optim.lr * optim.schedule.factor(optim.lr, step, self.steps),
            ..StepReport::default()
        }
    }
}
