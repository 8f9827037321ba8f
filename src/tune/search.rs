//! A search's folder, and what every worker on it must agree about.

use std::path::{Path, PathBuf};

use super::{Journal, Objective, Space, Store, Values};
use crate::{
    config::{Plan, SamplerKind, TuneConfig},
    data::Source,
    error::{Error, IoContext, Result},
    track::atomic,
    train::RunDir,
};

/// The name of the plan among the journal's texts.
const SEARCH: &str = "search.toml";

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
            atomic::write(&self.dir.join("config.toml"), self.plan.typed.as_bytes())?;
        }
        same(&Plan::load(&path, &[])?, &self.plan, &self.dir.display().to_string())?;
        if self.plan.tune.journal.is_empty() {
            return Ok(());
        }
        // Workers of other machines don't see the folder.
        let own = without_paths(&self.plan);
        let (journal, text) = (self.journal()?, own.to_toml()?);
        if journal.store().create(SEARCH, &text)? {
            return Ok(());
        }
        let there = journal.store().read(SEARCH)?.unwrap_or(text);
        let there = Plan::parse(&there, SEARCH, Path::new("."), &[])?;
        same(&without_paths(&there), &own, "the database of `tune.journal`")
    }

    /// The journal, as one worker sees it.
    ///
    /// # Errors
    /// As [`journal_of`].
    pub fn journal(&self) -> Result<Journal> {
        journal_of(&self.plan, &self.dir)
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

/// The journal of the search in this folder, as its plan says where it lies.
///
/// # Errors
/// A folder that can't be created, a database that can't be reached.
pub fn journal_of(plan: &Plan, search: &Path) -> Result<Journal> {
    let store = match plan.tune.journal.as_str() {
        "" => Store::folder(&search.join("journal"))?,
        address => Store::database(address, &search.file_name().unwrap_or_default().to_string_lossy())?,
    };
    Ok(Journal::new(store))
}

/// Refuses to search one thing in the place of another.
fn same(there: &Plan, own: &Plan, place: &str) -> Result<()> {
    let neutral = |tune: &TuneConfig| TuneConfig { trials: 0, budget: String::new(), ..tune.clone() };
    let mut changed = Plan::difference(there, own)?;
    if changed.is_none() && neutral(&there.tune) != neutral(&own.tune) {
        changed = Some(" of [tune]".into());
    }
    let Some(changed) = changed else { return Ok(()) };
    Err(Error::input(format!("{place} holds a search with another config{changed}"))
        .next("begin again with --fresh, or keep both with --set run.name=NAME"))
}

/// The plan, whatever folders its machine has.
fn without_paths(plan: &Plan) -> Plan {
    let mut plan = plan.clone();
    let name = |path: &Path| path.file_name().map(PathBuf::from).unwrap_or_default();
    match &mut plan.data.source {
        Source::Path(path) => *path = name(path),
        Source::Glob(pattern) => *pattern = name(Path::new(pattern)).to_string_lossy().into_owned(),
        _ => {}
    }
    (plan.run.dir, plan.base, plan.data.cache) = (".".into(), PathBuf::new(), None);
    plan
}

/// The number of the trial whose run this is.
pub fn trial_number(run: &RunDir) -> Option<u64> {
    run.name().strip_prefix("trial-")?.parse().ok()
}
