//! How a run begins, or goes on.

use std::path::Path;

use super::{KILL_AFTER, Run, average, json};
use crate::{
    checkpoint::{self, RunLock, Snapshot, State},
    data::{Loader, Sampler, Split},
    error::{Error, Kind, Result},
    track::atomic,
    train::{Guard, Interrupt, Progress, RunDir, Setup, record::Record},
};

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
