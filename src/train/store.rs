//! A run's folder, and finding runs by name.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{
    checkpoint,
    config::Plan,
    error::{Error, IoContext, Result},
    track::atomic,
};

/// The files of a run's folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunDir(PathBuf);

impl RunDir {
    /// The folder `path`, whether it exists or not.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The run's name.
    pub fn name(&self) -> String {
        self.0.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default()
    }

    /// The journal.
    pub fn journal(&self) -> PathBuf {
        self.0.join("journal.jsonl")
    }

    /// The config as typed.
    pub fn config(&self) -> PathBuf {
        self.0.join("config.toml")
    }

    /// The resolved plan.
    pub fn plan(&self) -> PathBuf {
        self.0.join("plan.toml")
    }

    /// The prepared data, described.
    pub fn schema(&self) -> PathBuf {
        self.0.join("schema.json")
    }

    /// Text only: the tokenizer.
    pub fn tokenizer(&self) -> PathBuf {
        self.0.join("tokenizer.json")
    }

    /// Reads the stored plan, with `overrides` on top.
    pub fn load_plan(&self, overrides: &[String]) -> Result<Plan> {
        let mut plan = Plan::load(&self.plan(), overrides)?;
        if let Ok(typed) = fs::read_to_string(self.config()) {
            plan.typed = typed;
        }
        Ok(plan)
    }

    /// Writes the plan beside the config as typed.
    pub fn store_plan(&self, plan: &Plan) -> Result<()> {
        fs::create_dir_all(&self.0).io("create", &self.0)?;
        atomic::write(&self.config(), plan.typed.as_bytes())?;
        atomic::write(&self.plan(), plan.to_toml()?.as_bytes())
    }

    /// A run of the same name goes on only under the same plan.
    pub fn same_plan(&self, plan: &Plan) -> Result<()> {
        let Some(changed) = Plan::difference(&self.load_plan(&[])?, plan)? else { return Ok(()) };
        let name = &plan.run.name;
        Err(Error::input(format!("run `{name}` exists in {} with another config{changed}", self.0.display()))
            .next("go on with `kiln resume`, begin again with --fresh, or keep both with --set run.name=NAME"))
    }
}

/// Finds a run by its folder, or by its name under `dir`.
///
/// # Errors
/// Names the nearest run when there is none of that name.
pub fn find_run(run: &str, dir: &Path) -> Result<RunDir> {
    let candidates = [PathBuf::from(run), dir.join(run)];
    if let Some(found) = candidates.iter().find(|path| RunDir::new(*path).plan().is_file()) {
        return Ok(RunDir::new(found));
    }
    let error = Error::input(format!("there is no run `{run}` here or under {}", dir.display()));
    let names: Vec<String> = list_runs(dir)?.iter().map(RunDir::name).collect();
    let nearest = names.iter().max_by(|a, b| strsim::jaro_winkler(a, run).total_cmp(&strsim::jaro_winkler(b, run)));
    Err(match nearest {
        Some(name) => error.next(format!("did you mean `{name}`? `kiln runs` lists them all")),
        None => error.next("start one with `kiln train CONFIG`, or say where runs are with --dir"),
    })
}

/// The runs under `dir`, by name; none when there is no such folder.
pub fn list_runs(dir: &Path) -> Result<Vec<RunDir>> {
    let Ok(entries) = fs::read_dir(dir) else { return Ok(Vec::new()) };
    let mut runs = Vec::new();
    for entry in entries {
        let run = RunDir::new(entry.io("read", dir)?.path());
        if run.plan().is_file() {
            runs.push(run);
        }
    }
    runs.sort_by_key(RunDir::name);
    Ok(runs)
}

/// The checkpoint that a person means: `latest`, `best`, or a step.
pub fn choose_checkpoint(run: &RunDir, which: &str) -> Result<PathBuf> {
    let missing = |what: &str| {
        Error::input(format!("run `{}` has no {what}", run.name()))
            .next(format!("`kiln runs show {}` lists its checkpoints", run.name()))
    };
    match which {
        "latest" => {
            let mut skipped = Vec::new();
            let latest = checkpoint::latest_good(run.path(), &mut |e| skipped.push(e.to_string()))?;
            latest.ok_or_else(|| match skipped.first() {
                Some(why) => Error::failed(format!("run `{}` has no whole checkpoint: {why}", run.name())),
                None => missing("checkpoint"),
            })
        }
        "best" => match checkpoint::best(run.path())? {
            Some(step) => Ok(run.path().join(checkpoint::folder_name(step))),
            None => choose_checkpoint(run, "latest"),
        },
        step => {
            let number: u64 = step.parse().map_err(|_| {
                Error::input(format!("`--checkpoint {step}` is none of `best`, `latest` and a step's number"))
                    .next(format!("`kiln runs show {}` lists its checkpoints", run.name()))
            })?;
            let path = run.path().join(checkpoint::folder_name(number));
            if path.is_dir() { Ok(path) } else { Err(missing(&format!("checkpoint of step {number}"))) }
        }
    }
}
