//! A run: everything that a step changes.

mod begin;
mod save;

use burn::{module::Module, optim::GradientsParams};

use super::{Guard, Interrupt, Progress, RunDir, Setup, StepReport, Verdict, accumulate, record::Record};
use crate::{
    checkpoint::{self, RunLock, Snapshot, State},
    data::{Loader, Split},
    error::{Error, Result},
    eval::{self, Pass},
    model::Model,
    nn,
    optim::{Ema, OptimConfig, Optimizer, Scale, clip_factor, global_norm},
    task::Report,
};

/// The environment variable by which `kiln verify-resume` has a run die after a step, as a lost machine would.
pub const KILL_AFTER: &str = "KILN_KILL_AFTER_STEP";

/// Told of every evaluation while a run trains, with the step and the steps in all; says whether to stop the run.
pub type Watch = Box<dyn FnMut(u64, u64, &Report) -> Result<bool> + Send>;

/// A run in progress.
pub struct Run {
    /// The plan, the device, the data and the task.
    pub setup: Setup,
    /// Its folder.
    pub dir: RunDir,
    /// The weights, on the device that records a graph.
    pub model: Model,
    /// Steps in all.
    pub steps: u64,
    /// `train.max_time`.
    pub max_seconds: Option<f64>,
    /// Counters that a checkpoint keeps.
    pub state: State,
    pub(super) loader: Loader,
    pub(super) record: Record,
    optimizer: Optimizer,
    ema: Option<Ema>,
    guard: Guard,
    saved: Option<u64>,
    kill_after: Option<u64>,
    stop: Interrupt,
    watch: Option<Watch>,
    _lock: RunLock,
}

impl Run {
    /// Takes weights, optimizer state, averages and counters from a snapshot.
    fn load(mut self, snapshot: Snapshot) -> Result<Self> {
        self.model = nn::load_tensors(self.model, &snapshot.weights)?;
        self.optimizer.restore(snapshot.optim, &self.model)?;
        if let (Some(ema), Some(tensors)) = (&mut self.ema, snapshot.ema) {
            ema.restore(tensors, &self.model)?;
        }
        self.guard = serde_json::from_value(snapshot.state.guard.clone()).unwrap_or_default();
        self.state = snapshot.state;
        Ok(self)
    }

    /// A pause gives way to this.
    pub fn listen_to(&mut self, stop: &Interrupt) {
        self.stop = stop.clone();
    }

    /// Asks `watch` after every evaluation whether the run is worth going on with.
    pub fn watched_by(&mut self, watch: Watch) {
        self.watch = Some(watch);
    }

    pub(super) fn hopeless(&mut self, report: &Report) -> Result<bool> {
        let (step, steps) = (self.state.step, self.steps);
        self.watch.as_mut().map_or(Ok(false), |watch| watch(step, steps, report))
    }

    /// Seeds the device's generator from (seed, step).
    pub fn seed_step(&self) {
        self.setup.device.seed(seed_at(self.setup.plan.run.seed, self.state.step));
    }

    /// One step that the guard does not judge, waited for: what a measurement takes.
    pub fn measured_step(self) -> Result<(Self, StepReport)> {
        kiln_kernels::on_kernel_threads(|| self.unjudged_step())
    }

    fn unjudged_step(mut self) -> Result<(Self, StepReport)> {
        self.seed_step();
        let batch = accumulate(&mut self)?;
        let norm = global_norm(&self.model, &batch.grads);
        let report = batch.read(norm)?;
        let mut run = self.apply(batch.grads, &report);
        run.setup.device.sync().map_err(|e| Error::failed(format!("the device failed: {e}")))?;
        run.state.step += 1;
        Ok((run, report))
    }

    pub(super) fn judge(&mut self, report: &StepReport) -> Verdict {
        self.guard.judge(&self.setup.plan.guard, report.step, report.loss, report.norm)
    }

    /// Moves the weights, and their average with them.
    pub fn apply(mut self, grads: GradientsParams, report: &StepReport) -> Self {
        let optim = &self.setup.plan.optim;
        let rate = optim.schedule.factor(optim.lr, report.step, self.steps);
        let scale = Scale { rate, grads: clip_factor(report.norm, optim.clip) };
        let (model, optimizer, ema) = (self.model, &mut self.optimizer, self.ema.as_mut());
        // Muon's orthogonalisation multiplies matrices too.
        self.model = self.setup.compute.scope(|| optimizer.step(model, grads, scale, ema));
        self
    }

    /// Goes back to the last good checkpoint, or to the first weights, and passes over the batches since.
    pub(super) fn roll_back(mut self, progress: &mut Progress) -> Result<Self> {
        let position = self.state.position;
        let faults = self.guard.clone();
        let from = checkpoint::latest_good(self.dir.path(), &mut |why| progress.note(&format!("passed over: {why}")))?;
        match from {
            Some(from) => self = self.load(checkpoint::load(&from)?)?,
            None => {
                self.model = self.setup.model()?;
                self.optimizer = self.setup.plan.optim.init();
                self.ema = average(&self.setup.plan.optim);
                self.guard = Guard::default();
                self.state = State { step: 0, seconds: 0.0, ..self.state };
            }
        }
        self.guard.keep_faults_of(&faults);
        self.state.position = position;
        self.record.rewind(self.state.step, self.state.seconds)?;
        Ok(self)
    }

    /// Measures the averaged weights where there are any, else the current ones.
    pub fn evaluate(&self, pass: Pass) -> Result<Report> {
        let model = self.model.valid();
        let model = match &self.ema {
            Some(ema) => ema.swapped(model),
            None => model,
        };
        eval::evaluate(&model, &self.setup.task, &self.setup.dataset, pass, &self.setup.device, self.setup.compute)
    }

    pub(super) fn eval_due(&self) -> bool {
        let every = self.setup.plan.eval.every;
        every > 0 && self.state.step.is_multiple_of(every) && self.setup.dataset.len(Split::Validation) > 0
    }

    pub(super) fn eval_batch(&self) -> usize {
        let plan = &self.setup.plan;
        if plan.eval.batch > 0 { plan.eval.batch } else { plan.train.batch }
    }

    pub(super) fn save_due(&self) -> bool {
        let every = self.setup.plan.checkpoint.every;
        every > 0 && self.state.step.is_multiple_of(every)
    }
}

fn average(optim: &OptimConfig) -> Option<Ema> {
    (optim.ema > 0.0).then(|| Ema::new(optim.ema))
}

/// SplitMix64 (Steele et al. 2014) of the pair, so that neighbouring steps share nothing.
fn seed_at(seed: u64, step: u64) -> u64 {
    let mut z = seed.wrapping_add(step.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

fn json(e: serde_json::Error) -> Error {
    Error::failed(format!("cannot write JSON: {e}"))
}
