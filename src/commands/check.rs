//! `kiln check`: would this config train here, and how long would it take?

use std::time::Instant;

use serde_json::json;

use super::{Console, console::table};
use crate::{
    config::Plan,
    data::Split,
    device,
    error::{Error, Result},
    train::{Run, Setup, human_bytes, human_seconds},
};

/// Resolves the plan, loads a real batch and takes steps in a scratch folder that is removed after.
pub fn check(mut plan: Plan, console: &Console) -> Result<()> {
    let scratch = tempfile::tempdir().map_err(|e| Error::failed(format!("cannot make a scratch folder: {e}")))?;
    let name = std::mem::replace(&mut plan.run.name, "check".into());
    plan.run.dir = scratch.path().to_path_buf();
    let setup = Setup::new(plan, &|text| console.say(text))?;
    let mut run = Run::resume_or_fresh(setup, &mut console.progress())?;
    let mut seconds = Vec::new();
    let mut loss = f64::NAN;
    for _ in 0..2 {
        // The second step is the honest one: the first compiles, tunes and allocates.
        let clock = Instant::now();
        let report;
        (run, report) = run.measured_step()?;
        if seconds.is_empty() {
            loss = report.loss;
        }
        seconds.push(clock.elapsed().as_secs_f64());
    }
    let step = seconds.last().copied().unwrap_or(f64::NAN);
    let parameters = run.setup.parameters();
    let flops = run.setup.plan.model.flops(&run.setup.task.signature());
    let rows = (run.setup.plan.train.batch * run.setup.plan.train.accumulate) as f64;
    let result = json!({
        "config": name, "device": run.setup.opened.name, "parameters": parameters,
        "rows": { "train": run.setup.dataset.len(Split::Train), "validation": run.setup.dataset.len(Split::Validation),
                  "test": run.setup.dataset.len(Split::Test) },
        "steps": run.steps, "loss": loss, "first_step_s": seconds.first(), "step_s": step,
        "train_s": step * run.steps as f64, "state_bytes": run.setup.least_memory(), "peak_bytes": device::peak_memory(),
        "gflop_per_step": 3.0 * flops * rows / 1e9,
    });
    console.say(&format!("{name} would train here"));
    console.result(&result, || {
        let rows = [
            ("device", run.setup.opened.name.clone()),
            ("parameters", indicatif::HumanCount(parameters).to_string()),
            ("first loss", format!("{loss:.4}")),
            ("step", format!("{:.1} ms (first {:.1} ms)", step * 1e3, seconds[0] * 1e3)),
            ("training", format!("about {} for {} steps", human_seconds(step * run.steps as f64), run.steps)),
            (
                "work",
                format!("{:.2} GFLOP a step, {:.1} GFLOP/s", 3.0 * flops * rows / 1e9, 3.0 * flops * rows / 1e9 / step),
            ),
            ("memory", memory_line(run.setup.least_memory())),
        ];
        table(&rows.map(|(name, value)| vec![name.into(), value]))
    })
}

fn memory_line(state: u64) -> String {
    let peak = device::peak_memory().map(human_bytes).unwrap_or_else(|| "unknown".into());
    format!("{} for weights, gradients and moments; this process peaked at {peak}", human_bytes(state))
}
