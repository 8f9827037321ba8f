//! THE loop. One turn is one optimizer step; everything below the fence only watches.

mod guard;
mod interrupt;
mod progress;
mod record;
mod run;
mod setup;
mod step;
mod store;
mod trained;

use std::time::Instant;

pub use guard::{Guard, Verdict};
pub use interrupt::Interrupt;
pub use progress::{Progress, Timing, Verbosity, human_bytes, human_count, human_seconds};
pub use run::{KILL_AFTER, Run, Watch};
pub use setup::Setup;
pub use step::{StepReport, accumulate};
pub use store::{RunDir, choose_checkpoint, find_run, list_runs};
pub use trained::{INFERENCE, Ready, Trained};

use crate::{
    data::Split,
    error::{Error, Result},
    eval::Pass,
    optim::global_norm,
    task::Report,
};

/// Why a run stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// Every step was taken.
    Finished,
    /// The validation loss stopped improving (`train.patience`).
    EarlyStop,
    /// `train.max_time` is over.
    MaxTime,
    /// SIGINT or SIGTERM.
    Interrupted,
    /// A search sees no hope in it (`tune.pruner`).
    Pruned,
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Finished => "finished",
            Self::EarlyStop => "stopped early",
            Self::MaxTime => "out of time",
            Self::Interrupted => "interrupted",
            Self::Pruned => "pruned",
        })
    }
}

/// How a run ended; its progress is saved.
#[derive(Debug)]
pub struct Outcome {
    /// Why it stopped.
    pub reason: Reason,
    /// Steps taken in all.
    pub step: u64,
    /// The last evaluation over the whole validation split, where there is one.
    pub report: Option<Report>,
}

/// Trains until the last step, a stop, or a fault that the guard does not let pass.
///
/// # Errors
/// A halt by the guard, a device or data failure, or a checkpoint that cannot be written.
pub fn train(run: Run, stop: &Interrupt, progress: &mut Progress) -> Result<Outcome> {
    kiln_kernels::on_kernel_threads(|| steps(run, stop, progress))
}

fn steps(mut run: Run, stop: &Interrupt, progress: &mut Progress) -> Result<Outcome> {
    let started = Instant::now();
    run.listen_to(stop);
    let reason = loop {
        if let Some(reason) = reason_to_stop(&run, stop, started) {
            break reason;
        }
        let clock = Instant::now();
        // Randomness is a function of (seed, step): a resumed run replays exactly.
        run.seed_step();
        let batch = accumulate(&mut run)?; // mean over valid targets, not over micro-batches
        let norm = global_norm(&run.model, &batch.grads);
        let report = batch.read(norm)?; // the step's one sync with the device

        // Judge before the weights move.
        let moved = match run.judge(&report) {
            Verdict::Apply => {
                run = run.apply(batch.grads, &report);
                true
            }
            Verdict::Skip(why) => {
                run.record.skipped(&report, &why)?;
                false
            }
            Verdict::Rollback(why) => {
                progress.note(&format!("step {}: {why}; rolling back", report.step));
                run.record.rolled_back(&report, &why)?;
                run = run.roll_back(progress)?;
                continue;
            }
            Verdict::Halt(why) => return halt(&mut run, &report, &why),
        };
        run.state.step += 1;
        run.state.seconds += clock.elapsed().as_secs_f64();

        // ---- the step is over; the rest only watches ----
        if moved {
            run.record.step(&report, clock.elapsed())?;
            progress.step(&report, clock.elapsed());
        }
        if run.eval_due() && run.state.step < run.steps {
            let batches = run.setup.plan.eval.batches;
            let report = watch(&mut run, progress, batches)?;
            run.judge_best(report.loss(), progress)?;
            if run.hopeless(&report)? {
                break Reason::Pruned;
            }
        }
        if run.save_due() {
            run.save(progress)?;
        }
        run.die_if_asked();
    };
    finish(run, reason, progress)
}

fn reason_to_stop(run: &Run, stop: &Interrupt, started: Instant) -> Option<Reason> {
    let plan = &run.setup.plan;
    if run.state.step >= run.steps {
        Some(Reason::Finished)
    } else if plan.train.patience > 0 && run.state.stale >= plan.train.patience {
        Some(Reason::EarlyStop)
    } else if stop.raised() {
        Some(Reason::Interrupted)
    } else if run.max_seconds.is_some_and(|max| started.elapsed().as_secs_f64() >= max) {
        Some(Reason::MaxTime)
    } else {
        None
    }
}

/// Evaluates on the validation split, says so, and keeps the line.
fn watch(run: &mut Run, progress: &mut Progress, batches: usize) -> Result<Report> {
    let split = Split::Validation;
    let report = progress.while_evaluating(|| run.evaluate(Pass { split, batch: run.eval_batch(), batches }))?;
    run.record.eval(run.state.step, split, &report)?;
    progress.evaluated(run.state.step, split, &report);
    Ok(report)
}

fn halt(run: &mut Run, report: &StepReport, why: &str) -> Result<Outcome> {
    run.record.halted(report, why)?;
    Err(Error::failed(format!(
        "halted at step {}: {why}; the weights of step {} are as they were, and the batch's rows are in {}",
        report.step + 1,
        report.step,
        run.dir.journal().display()
    ))
    .next("look at these rows, lower `optim.lr`, or set `guard.non_finite`/`guard.spike` to \"skip\" or \"rollback\""))
}

/// The last evaluation is over the whole split; an interrupt only saves.
fn finish(mut run: Run, reason: Reason, progress: &mut Progress) -> Result<Outcome> {
    let done = matches!(reason, Reason::Finished | Reason::EarlyStop);
    let mut report = None;
    if done && run.setup.dataset.len(Split::Validation) > 0 {
        let last = watch(&mut run, progress, 0)?;
        // The best one is chosen by losses over the same rows: those that every evaluation read.
        let batches = run.setup.plan.eval.batches;
        let same = match batches {
            0 => last.loss(),
            _ => run.evaluate(Pass { split: Split::Validation, batch: run.eval_batch(), batches })?.loss(),
        };
        run.judge_best(same, progress)?;
        report = Some(last);
    }
    run.save(progress)?;
    run.record.finish(run.state.step, reason, run.state.seconds)?;
    progress.finish();
    Ok(Outcome { reason, step: run.state.step, report })
}
