//! `kiln profile`: where a step's time goes, by op, beside what the machine reaches at best.

use std::time::Instant;

use kiln_kernels::{
    Ceilings, Products,
    profile::{self, OpTime},
};
use serde::Serialize;

use super::{
    Console,
    bench::scratch,
    console::table,
    launches::{Queue, watched},
};
use crate::{
    config::Plan,
    error::Result,
    train::{Run, Setup},
};

/// A profile of the steps that count.
#[derive(Debug, Serialize)]
struct Profile {
    device: String,
    precision: crate::config::Precision,
    steps: u64,
    /// Median of a step outside the profile, in milliseconds.
    ms_per_step: f64,
    /// Mean of a step while ops were timed: on a device with a queue every op then waits for the one before.
    ms_per_profiled_step: f64,
    /// The model's own FLOPs, forward and twice that backward, over what the step had time for at the measured peak.
    #[serde(skip_serializing_if = "Option::is_none")]
    model_flops_utilisation: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    peak: Option<Peak>,
    ops: Vec<Op>,
    /// What a GPU's queue was given, for a device that has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    queue: Option<Queue>,
}

/// The machine's measured ceilings, for a device that computes on the host.
#[derive(Debug, Clone, Copy, Serialize)]
struct Peak {
    gflop_per_s: f64,
    copy_gb_per_s: f64,
}

/// One op's share.
#[derive(Debug, Serialize)]
struct Op {
    name: String,
    calls_per_step: f64,
    ms_per_step: f64,
    percent: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    gflop_per_s: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gb_per_s: Option<f64>,
    /// How near it comes to the nearer of the two ceilings; above 100 where a cache holds what memory need not.
    #[serde(skip_serializing_if = "Option::is_none")]
    percent_of_ceiling: Option<f64>,
}

/// Trains `warmup` steps, then `steps` without and `steps` with every op timed, in a folder that is removed after; on a
/// GPU `steps` more whose kernels are counted.
pub fn profile(plan: Plan, warmup: u64, steps: u64, console: &Console) -> Result<()> {
    let (plan, _folder) = scratch(plan, warmup + 3 * steps)?;
    let setup = Setup::new(plan, &|text| console.detail(text))?;
    if let Some(bf16) = setup.about_bf16() {
        console.say(&format!("bf16: {bf16}"));
    }
    let mut run = Run::resume_or_fresh(setup, &mut console.progress())?;
    for _ in 0..warmup {
        (run, _) = run.measured_step()?;
    }
    let mut took = vec![];
    let mut rows = 0;
    for _ in 0..steps {
        let clock = Instant::now();
        let report;
        (run, report) = run.measured_step()?;
        took.push(clock.elapsed().as_secs_f64());
        rows = report.rows.len();
    }
    took.sort_by(f64::total_cmp);
    let median = took.get(took.len() / 2).copied().unwrap_or(f64::NAN);

    let device = run.setup.device.clone();
    profile::start(&device);
    let clock = Instant::now();
    for _ in 0..steps {
        (run, _) = run.measured_step()?;
    }
    let seconds = clock.elapsed().as_secs_f64();
    let ops = profile::stop();
    let queue;
    (run, queue) = watched(run, steps)?;
    let ops = ops.into_iter().collect();
    let profile = Profile { queue, ..summarise(&run, steps, (median, seconds), rows, ops) };
    console.result(&profile, || profile.text())
}

fn summarise(
    run: &Run,
    steps: u64,
    (median, seconds): (f64, f64),
    rows: usize,
    mut ops: Vec<(&'static str, OpTime)>,
) -> Profile {
    let per_step = seconds / steps as f64;
    let peak = host_peak(run);
    ops.sort_by(|a, b| b.1.seconds.total_cmp(&a.1.seconds));
    let other = seconds - ops.iter().map(|(_, op)| op.seconds).sum::<f64>();
    let mut ops: Vec<Op> = ops.into_iter().map(|(name, time)| op(name, time, steps, seconds, peak)).collect();
    ops.push(Op {
        name: "everything else".into(),
        calls_per_step: 0.0,
        ms_per_step: other / steps as f64 * 1e3,
        percent: other / seconds * 100.0,
        gflop_per_s: None,
        gb_per_s: None,
        percent_of_ceiling: None,
    });
    let flops = 3.0 * run.setup.plan.model.flops(&run.setup.task.signature()) * rows as f64;
    Profile {
        device: run.setup.opened.name.clone(),
        precision: run.setup.plan.train.precision,
        steps,
        ms_per_step: median * 1e3,
        ms_per_profiled_step: per_step * 1e3,
        model_flops_utilisation: peak.map(|peak| flops / median / (peak.gflop_per_s * 1e9)),
        peak,
        ops,
        queue: None,
    }
}

/// What the host reaches in the precision of the run's products, measured now; None for a device elsewhere.
fn host_peak(run: &Run) -> Option<Peak> {
    if !run.setup.opened.runs_host_kernels() {
        return None;
    }
    let Ceilings { f32_flops, bf16_flops, copy_bytes_per_second } = kiln_kernels::ceilings();
    let flops = match run.setup.compute.products {
        Products::F32 => f32_flops,
        Products::Bf16 => bf16_flops.unwrap_or(f32_flops),
    };
    Some(Peak { gflop_per_s: flops / 1e9, copy_gb_per_s: copy_bytes_per_second / 1e9 })
}

fn op(name: &str, time: OpTime, steps: u64, seconds: f64, peak: Option<Peak>) -> Op {
    let OpTime { calls, seconds: own, work } = time;
    let rate = |amount: f64| (amount > 0.0 && own > 0.0).then_some(amount / own / 1e9);
    let least = |peak: Peak| (work.flops / peak.gflop_per_s).max(work.bytes / peak.copy_gb_per_s) / 1e9;
    Op {
        name: name.to_string(),
        calls_per_step: calls as f64 / steps as f64,
        ms_per_step: own / steps as f64 * 1e3,
        percent: own / seconds * 100.0,
        gflop_per_s: rate(work.flops),
        gb_per_s: rate(work.bytes),
        percent_of_ceiling: peak.map(|peak| least(peak) / own * 100.0),
    }
}

impl Profile {
    fn text(&self) -> String {
        let header = ["op", "calls", "ms", "% of step", "GFLOP/s", "GB/s", "% of ceiling"].map(String::from).to_vec();
        let number = |value: Option<f64>, digits: usize| value.map_or("-".into(), |value| format!("{value:.digits$}"));
        let row = |op: &Op| {
            vec![
                op.name.clone(),
                if op.calls_per_step > 0.0 { format!("{:.0}", op.calls_per_step) } else { "-".into() },
                format!("{:.2}", op.ms_per_step),
                format!("{:.1}", op.percent),
                number(op.gflop_per_s, 1),
                number(op.gb_per_s, 1),
                number(op.percent_of_ceiling, 0),
            ]
        };
        let rows: Vec<Vec<String>> = std::iter::once(header).chain(self.ops.iter().map(row)).collect();
        let peak = self.peak.map_or(String::new(), |peak| {
            format!(
                "ceilings measured here: {:.0} GFLOP/s in a large product, {:.1} GB/s in a copy; the model's FLOPs use \
                 {:.0} % of the former\n",
                peak.gflop_per_s,
                peak.copy_gb_per_s,
                self.model_flops_utilisation.unwrap_or_default() * 100.0
            )
        });
        let queue = self.queue.as_ref().map_or(String::new(), |queue| format!("\n{}", queue.text()));
        format!(
            "{}: {:.2} ms a step (median of {}), {:.2} ms with every op timed\n{peak}\n{}{queue}",
            self.device,
            self.ms_per_step,
            self.steps,
            self.ms_per_profiled_step,
            table(&rows)
        )
    }
}
