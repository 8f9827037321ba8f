//! A search's folder, and what every worker on it must agree about.

use std::path::{Path, PathBuf};

use super::{Journal, Objective, Space, Values};
use crate::{
    config::{Plan, SamplerKind, TuneConfig},
    error::{Error, IoContext, Result},
    track::atomic,
    train::RunDir,
};

/// Trials where the config does not say.
const TRIALS: u64 = 50;

/// A search over a plan's `[tune.space]`.
#[derive(Debug)]
pub struct Search {
    /// `checkpoints/<run>-tune`.
    pub dir: PathBuf,
    /// The plan that every trial starts from.
    pub plan: Plan,
    /// What varies.
    pub space: Space,
    /// What is looked for.
    pub objectives: Vec<Objective>,
    /// Trials in all.
    pub trials: u64,
}

impl Search {
    /// The search over a plan; nothing is written yet.
    ///
    /// # Errors
    /// The plan has no space.
    pub fn new(plan: Plan) -> Result<Self> {
        let space = Space::new(&plan.tune)?;
        let trials = match (plan.tune.trials, plan.tune.sampler) {
            (0, SamplerKind::Grid) => space.grid().len() as u64,
            (0, _) => TRIALS,
            (trials, _) => trials as u64,
        };
        let dir = plan.run.dir.join(format!("{}-tune", plan.run.name));
        Ok(Self { objectives: Objective::all(&plan), dir, space, trials, plan })
    }

    /// Begins the search, or joins it: whoever comes first writes down what is searched.
    ///
    /// # Errors
    /// The folder holds a search over something else.
    pub fn join(&self) -> Result<()> {
        std::fs::create_dir_all(&self.dir).io("create", &self.dir)?;
        let path = self.dir.join("search.toml");
        if atomic::create(&path, self.plan.to_toml()?.as_bytes())? {
            return atomic::write(&self.dir.join("config.toml"), self.plan.typed.as_bytes());
        }
        let there = Plan::load(&path, &[])?;
        let neutral = |tune: &TuneConfig| TuneConfig { trials: 0, budget: String::new(), ..tune.clone() };
        let mut changed = Plan::difference(&there, &self.plan)?;
        if changed.is_none() && neutral(&there.tune) != neutral(&self.plan.tune) {
            changed = Some(" of [tune]".into());
        }
        let Some(changed) = changed else { return Ok(()) };
        Err(Error::input(format!("{} is a search with another config{changed}", self.dir.display()))
            .next("begin again with --fresh, or keep both with --set run.name=NAME"))
    }

    /// The journal, as one worker sees it.
    ///
    /// # Errors
    /// As [`Journal::open`].
    pub fn journal(&self) -> Result<Journal> {
        Journal::open(&journal_of(&self.dir))
    }

    /// The run of a trial.
    pub fn run(&self, number: u64) -> RunDir {
        RunDir::new(self.dir.join(format!("trial-{number:04}")))
    }

    /// The plan of a trial.
    ///
    /// # Errors
    /// The config's rules refuse its values.
    pub fn trial_plan(&self, number: u64, values: &Values) -> Result<Plan> {
        let set: Vec<String> = values.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let mut plan = self.plan.with(&set)?;
        plan.run.dir = self.dir.clone();
        plan.run.name = self.run(number).name();
        Ok(plan)
    }
}

/// Where the journal of a search lies.
pub fn journal_of(search: &Path) -> PathBuf {
    search.join("journal")
}

/// The number of the trial whose run this is.
pub fn trial_number(run: &RunDir) -> Option<u64> {
    run.name().strip_prefix("trial-")?.parse().ok()
}
