//! A run: everything that a step changes, how it begins, and how it is saved.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use burn::{module::Module, optim::GradientsParams};

use super::{Guard, Interrupt, Progress, RunDir, Setup, StepReport, Verdict, accumulate, record::Record};
use crate::{
    checkpoint::{self, RunLock, Snapshot, State},
    data::{Loader, Sampler, Split},
    error::{Error, Kind, Result},
    eval::{self, Pass},
    model::Model,
    nn,
    optim::{Ema, OptimConfig, Optimizer, Scale, clip_factor, global_norm},
    task::Report,
    track::atomic,
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
    /// Goes on from the last good checkpoint of the run's folder, or begins afresh where there is none.
    ///
    /// # Errors
    /// The folder is in use, the data is not the same as before, or the config no longer fits the weights.
    pub fn resume_or_fresh(setup: Setup, progress: &mut Progress) -> Result<Self> {
        setup.check_memory()?;
        let dir = RunDir::new(setup.plan.run.dir.join(&setup.plan.run.name));
        std::fs::create_dir_all(dir.path()).map_err(|e| Error::io("create", dir.path(), e))?;
        let lock = RunLock::acquire(dir.path())?;
        let from = checkpoint::latest_good(dir.path(), &mut |why| progress.note(&format!("passed over: {why}")))?;
        let snapshot = from.as_deref().map(checkpoint::load).transpose()?;
        let steps = setup.plan.steps_for(setup.training.len(Split::Train))?;
        let state = match &snapshot {
            Some(snapshot) => same_data(&snapshot.state, &setup)?.clone(),
            None => State {
                seed: setup.plan.run.seed,
                dataset: setup.dataset.fingerprint().into(),
                device: setup.opened.spec.clone(),
                ..State::default()
            },
        };
        let run = Self {
            model: setup.model()?,
            steps,
            max_seconds: setup.plan.max_seconds()?,
            loader: loader(&setup, state.position),
            record: Record::open(&dir.journal(), state.step, setup.plan.train.log_every, state.seconds)?,
            optimizer: setup.plan.optim.init(),
            ema: average(&setup.plan.optim),
            guard: Guard::default(),
            saved: None,
            stop: Interrupt::default(),
            watch: None,
            kill_after: std::env::var(KILL_AFTER).ok().and_then(|step| step.parse().ok()),
            state,
            dir,
            setup,
            _lock: lock,
        };
        match (snapshot, from) {
            (Some(snapshot), Some(from)) => run.restored(snapshot, &from),
            _ => run.begun(),
        }
    }

    fn begun(mut self) -> Result<Self> {
        self.describe()?;
        self.record.started(&self.setup, self.setup.parameters())?;
        Ok(self)
    }

    fn restored(mut self, snapshot: Snapshot, from: &Path) -> Result<Self> {
        self.saved = Some(snapshot.state.step);
        self = self.load(snapshot).map_err(|e| match e.kind() {
            Kind::Input => Error::input(format!("the config no longer fits {}: {}", from.display(), e.message()))
                .next("drop the --set that changes it, or start another run with --set run.name=NAME"),
            _ => e.at(from.display()),
        })?;
        self.describe()?; // only now: a config that does not fit must not replace the one that does
        self.record.resumed(self.state.step, from, &self.setup.opened.spec)?;
        Ok(self)
    }

    /// Writes the plan, the schema and the tokenizer beside the checkpoints.
    fn describe(&self) -> Result<()> {
        self.dir.store_plan(&self.setup.plan)?;
        let schema = serde_json::to_vec_pretty(self.setup.dataset.schema()).map_err(json)?;
        atomic::write(&self.dir.schema(), &schema)?;
        match self.setup.dataset.tokenizer() {
            Some(tokenizer) => tokenizer.save(&self.dir.tokenizer()),
            None => Ok(()),
        }
    }

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

    /// Keeps the weights of this step as the best ones, if they are.
    pub(super) fn judge_best(&mut self, loss: f64, progress: &Progress) -> Result<()> {
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
    pub(super) fn save(&mut self, progress: &mut Progress) -> Result<()> {
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
    pub(super) fn die_if_asked(&self) {
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

fn average(optim: &OptimConfig) -> Option<Ema> {
    (optim.ema > 0.0).then(|| Ema::new(optim.ema))
}

fn loader(setup: &Setup, position: u64) -> Loader {
    let sampler = Sampler::new(setup.plan.run.seed, setup.training.len(Split::Train));
    Loader::start(setup.training.clone(), sampler, position, setup.plan.train.batch, setup.plan.data.workers)
}

fn same_data<'a>(state: &'a State, setup: &Setup) -> Result<&'a State> {
    if state.dataset == setup.dataset.fingerprint() {
        return Ok(state);
    }
    Err(Error::input(format!(
        "the data of run `{}` is not what it was trained on (fingerprint {:.12} then, {:.12} now)",
        setup.plan.run.name,
        state.dataset,
        setup.dataset.fingerprint()
    ))
    .next("bring the old data back, or start another run with --set run.name=NAME"))
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
