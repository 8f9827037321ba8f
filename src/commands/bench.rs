//! `kiln bench`: the steady time of a step, warm-up told apart.

use std::time::Instant;

use serde::Serialize;

use super::Console;
use crate::{
    config::Plan,
    device,
    error::{Error, Result},
    train::{Run, Setup, human_count},
};

/// A measured step.
#[derive(Debug, Serialize)]
struct Measured {
    device: String,
    precision: crate::config::Precision,
    steps: u64,
    ms_per_step: f64,
    ms_fastest: f64,
    ms_slowest: f64,
    /// Mean of the processor time on all threads: what other processes take does not count.
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu_ms_per_step: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tokens_per_s: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    samples_per_s: Option<f64>,
    peak_mib: Option<f64>,
    first_step_ms: f64,
    warmup_ms: f64,
}

/// Trains `warmup` and then `steps` steps in a folder that is removed after; the median counts.
pub fn bench(plan: Plan, warmup: u64, steps: u64, console: &Console) -> Result<()> {
    let (plan, _folder) = scratch(plan, warmup + steps)?;
    let setup = Setup::new(plan, &|text| console.detail(text))?;
    if let Some(bf16) = setup.about_bf16() {
        console.say(&format!("bf16: {bf16}"));
    }
    let mut run = Run::resume_or_fresh(setup, &mut console.progress())?;
    let mut took = Vec::new();
    let mut valid = 0;
    let mut cpu = None;
    for step in 0..warmup + steps {
        if step == warmup {
            cpu = device::processor_time();
        }
        let clock = Instant::now();
        let report;
        (run, report) = run.measured_step()?;
        valid = report.valid;
        took.push(clock.elapsed().as_secs_f64() * 1e3);
    }
    let cpu = cpu.zip(device::processor_time()).map(|(from, to)| (to - from) * 1e3 / steps.max(1) as f64);
    let measured = Measured { cpu_ms_per_step: cpu, ..measure(&run, &took, warmup as usize, valid) };
    console.result(&measured, || {
        format!(
            "{}: {:.2} ms a step (median of {steps}; {:.2} to {:.2}), {} {}/s, peak {:.0} MiB; first step {:.0} ms",
            measured.device,
            measured.ms_per_step,
            measured.ms_fastest,
            measured.ms_slowest,
            human_count(measured.tokens_per_s.or(measured.samples_per_s).unwrap_or_default()),
            run.setup.task.unit(),
            measured.peak_mib.unwrap_or_default(),
            measured.first_step_ms,
        )
    })
}

/// The plan with `steps` steps in a folder of its own, which goes when the second value does.
pub(super) fn scratch(mut plan: Plan, steps: u64) -> Result<(Plan, tempfile::TempDir)> {
    let folder = tempfile::tempdir().map_err(|e| Error::failed(format!("cannot make a scratch folder: {e}")))?;
    plan.run.dir = folder.path().to_path_buf();
    plan.run.name = "bench".into();
    plan.train.steps = steps;
    plan.train.epochs = 0.0;
    Ok((plan, folder))
}

fn measure(run: &Run, took: &[f64], warmup: usize, valid: usize) -> Measured {
    let (cold, steady) = took.split_at(warmup.min(took.len()));
    let mut sorted = steady.to_vec();
    sorted.sort_by(f64::total_cmp);
    let median = sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN);
    let rate = valid as f64 / (median / 1e3);
    let is_text = run.setup.task.unit() == "tokens";
    Measured {
        device: run.setup.opened.name.clone(),
        precision: run.setup.plan.train.precision,
        steps: steady.len() as u64,
        ms_per_step: median,
        ms_fastest: sorted.first().copied().unwrap_or(f64::NAN),
        ms_slowest: sorted.last().copied().unwrap_or(f64::NAN),
        cpu_ms_per_step: None,
        tokens_per_s: is_text.then_some(rate),
        samples_per_s: (!is_text).then_some(rate),
        peak_mib: device::peak_memory().map(|bytes| bytes as f64 / f64::from(1 << 20)),
        first_step_ms: took.first().copied().unwrap_or(f64::NAN),
        warmup_ms: cold.iter().sum(),
    }
}
