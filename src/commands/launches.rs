//! What a step gives to a GPU's queue: kernels and bytes. A software driver gets the same ones as a GPU.

use kiln_kernels::launches::Watch;
use serde::Serialize;

use super::console::table;
use crate::{
    device::DeviceSpec,
    error::{Error, Result},
    train::Run,
};

/// The queue of a device, a step.
#[derive(Debug, Serialize)]
pub struct Queue {
    kernels_per_step: f64,
    megabytes_per_step: f64,
    kinds: Vec<Kind>,
}

/// One kind of work.
#[derive(Debug, Serialize)]
struct Kind {
    name: String,
    kernels_per_step: f64,
    megabytes_per_step: f64,
}

/// Trains `steps` with their kernels counted; None on a device that computes on the host.
pub fn watched(mut run: Run, steps: u64) -> Result<(Run, Option<Queue>)> {
    if DeviceSpec::parse(&run.setup.opened.spec)?.on_host() {
        return Ok((run, None));
    }
    let device = run.setup.device.clone();
    let wait = || device.sync().map_err(|e| Error::failed(format!("the device failed: {e}")));
    wait()?;
    let Some(watch) = Watch::start() else { return Ok((run, None)) };
    for _ in 0..steps {
        (run, _) = run.measured_step()?;
    }
    wait()?;
    let per_step = |count: u64| count as f64 / steps as f64;
    let mut kinds: Vec<Kind> = watch
        .finish()
        .into_iter()
        .map(|(name, launches)| Kind {
            name,
            kernels_per_step: per_step(launches.kernels),
            megabytes_per_step: per_step(launches.bytes) / 1e6,
        })
        .collect();
    kinds.sort_by(|a, b| b.kernels_per_step.total_cmp(&a.kernels_per_step));
    let queue = Queue {
        kernels_per_step: kinds.iter().map(|kind| kind.kernels_per_step).sum(),
        megabytes_per_step: kinds.iter().map(|kind| kind.megabytes_per_step).sum(),
        kinds,
    };
    Ok((run, (queue.kernels_per_step > 0.0).then_some(queue)))
}

impl Queue {
    /// A table for people.
    pub fn text(&self) -> String {
        let header = ["kernels of", "a step", "MB"].map(String::from).to_vec();
        let row = |name: &str, kernels: f64, megabytes: f64| {
            vec![name.to_string(), format!("{kernels:.1}"), format!("{megabytes:.3}")]
        };
        let kinds = self.kinds.iter().map(|kind| row(&kind.name, kind.kernels_per_step, kind.megabytes_per_step));
        let all = row("everything", self.kernels_per_step, self.megabytes_per_step);
        table(&std::iter::once(header).chain(kinds).chain([all]).collect::<Vec<_>>())
    }
}
