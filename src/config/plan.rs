//! The plan: a config resolved and cross-checked. Everything below the command line sees only this.

use std::path::{Component, Path, PathBuf, absolute};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    CheckpointConfig, EvalConfig, GuardConfig, RunConfig, TrainConfig,
    fault::{self, Fault, Text},
    read, rules, set, shape,
    tree::{self, Node},
};
use crate::{
    data::{DataConfig, Source, TokenizerKind},
    error::{Error, IoContext, Result},
    model::ModelConfig,
    optim::OptimConfig,
};

/// A kiln config: one training run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "kiln config")]
pub struct Plan {
    /// Where the run lies and what its randomness starts from.
    #[serde(default)]
    pub run: RunConfig,
    /// What is learned, from which rows.
    pub data: DataConfig,
    /// Which architecture, with its sizes.
    pub model: ModelConfig,
    /// The loop.
    #[serde(default)]
    pub train: TrainConfig,
    /// Judges loss and gradient norm before the weights move.
    #[serde(default)]
    pub guard: GuardConfig,
    /// The update rule and its schedule.
    #[serde(default)]
    pub optim: OptimConfig,
    /// Watching the validation split.
    #[serde(default)]
    pub eval: EvalConfig,
    /// What is kept.
    #[serde(default)]
    pub checkpoint: CheckpointConfig,
    /// The folder of the config file, absolute; relative paths of `[data]` started there and are absolute by now.
    #[serde(skip)]
    pub base: PathBuf,
    /// The file as typed.
    #[serde(skip)]
    pub typed: String,
}

impl Plan {
    /// Reads, checks and resolves the config at `path` (`-` is standard input) under `overrides` (`train.steps=100`).
    ///
    /// # Errors
    /// [`Error::input`] with every fault's line and caret; nothing of the data is looked at.
    pub fn load(path: &Path, overrides: &[String]) -> Result<Self> {
        let text = read::read(path)?;
        if path == Path::new("-") {
            return Self::parse(&text, "stdin", Path::new("."), overrides);
        }
        let name = path.display().to_string();
        Self::parse(&text, &name, path.parent().unwrap_or(Path::new("")), overrides)
    }

    /// The same from a text: `name` is what messages call it (its stem is the run's default name), `base` the folder
    /// that relative paths of `[data]` start from.
    pub fn parse(text: &str, name: &str, base: &Path, overrides: &[String]) -> Result<Self> {
        let mut texts = vec![Text { name: name.to_string(), text: text.to_string() }];
        texts.extend(overrides.iter().map(|text| Text { name: "--set".into(), text: text.clone() }));
        let resolved = typed_tree(text, overrides).and_then(|root| {
            let mut plan = deserialize(&root).map_err(|fault| vec![fault])?;
            plan.name_after(name);
            match rules::check(&plan, &root) {
                faults if faults.is_empty() => Ok(plan),
                faults => Err(faults),
            }
        });
        let mut plan = resolved.map_err(|faults| fault::error(&faults, &texts))?;
        let base = if base.as_os_str().is_empty() { Path::new(".") } else { base };
        plan.resolve_paths(&absolute(base).io("find", base)?);
        plan.typed = text.to_string();
        Ok(plan)
    }

    /// The resolved plan as TOML, which parses to an equal plan wherever it lies.
    ///
    /// # Errors
    /// A path that is not UTF-8 has no place in TOML.
    pub fn to_toml(&self) -> Result<String> {
        toml::to_string(self).map_err(|error| Error::input(format!("the plan can't be written as TOML: {error}")))
    }

    /// blake3 of [`Plan::to_toml`], in hex.
    pub fn hash(&self) -> Result<String> {
        Ok(blake3::hash(self.to_toml()?.as_bytes()).to_hex().to_string())
    }

    /// Optimizer updates in all: `train.steps`, or as many as `train.epochs` passes over `train_rows` rows take,
    /// rounded up.
    ///
    /// # Errors
    /// Neither key set, or `epochs` over an empty split.
    pub fn steps_for(&self, train_rows: u64) -> Result<u64> {
        if self.train.steps > 0 {
            return Ok(self.train.steps);
        }
        if self.train.epochs <= 0.0 {
            return Err(Error::input("neither `train.steps` nor `train.epochs` is set").next("set one of the two"));
        }
        let rows = (self.train.batch * self.train.accumulate) as f64;
        let steps = (self.train.epochs * train_rows as f64 / rows).ceil();
        if steps < 1.0 {
            let message = format!("`train.epochs` = {} of {train_rows} training rows make no step", self.train.epochs);
            return Err(Error::input(message).next("give more data, or set `train.steps`"));
        }
        Ok(steps as u64)
    }

    /// `train.max_time` in seconds; `None` means no limit.
    ///
    /// # Errors
    /// Not a sum of numbers with the units `d`, `h`, `m` and `s`.
    pub fn max_seconds(&self) -> Result<Option<f64>> {
        match self.train.max_time.trim() {
            "" => Ok(None),
            text => duration(text).map(Some).ok_or_else(|| {
                Error::input(format!("`train.max_time` is not a length of time: `{text}`"))
                    .next("write it as in `90s`, `30m`, `2h` or `1h30m`")
            }),
        }
    }

    fn name_after(&mut self, file: &str) {
        if self.run.name.is_empty() {
            self.run.name = Path::new(file).file_stem().unwrap_or_default().to_string_lossy().into_owned();
        }
    }

    fn resolve_paths(&mut self, base: &Path) {
        let resolve = |path: &mut PathBuf| *path = tidy(&base.join(&path));
        match &mut self.data.source {
            Source::Path(path) => resolve(path),
            Source::Glob(pattern) => *pattern = tidy(&base.join(&pattern)).to_string_lossy().into_owned(),
            Source::Dataset(_) | Source::Url(_) => {}
        }
        if let TokenizerKind::File(path) = &mut self.data.tokenizer {
            resolve(path);
        }
        self.data.cache.iter_mut().for_each(resolve);
        self.base = tidy(base);
    }
}

/// The path without `.` parts; `..` stays, since what it means depends on links.
fn tidy(path: &Path) -> PathBuf {
    path.components().filter(|part| *part != Component::CurDir).collect()
}

/// The file with its overrides, of the right shape.
fn typed_tree(text: &str, overrides: &[String]) -> Result<Node, Vec<Fault>> {
    let mut root = tree::parse(text, 0).map_err(|fault| vec![fault])?;
    if root.entries().is_empty() && overrides.is_empty() {
        return Err(vec![Fault::new("the config is empty", "start from one of the files in configs/")]);
    }
    let applied = overrides.iter().zip(1..).map(|(assignment, text)| set::apply(&mut root, assignment, text));
    let mut faults: Vec<_> = applied.filter_map(Result::err).collect();
    faults.extend(shape::check(&root));
    if faults.is_empty() { Ok(root) } else { Err(faults) }
}

/// What the schema can't say, serde says; a path then leads to the place.
fn deserialize(root: &Node) -> Result<Plan, Fault> {
    serde_path_to_error::deserialize(root.to_value()).map_err(|error| {
        let path = error.path().to_string();
        let message = format!("`{path}`: {}", error.inner().message());
        Fault::new(message, "`kiln schema` describes every key").mark(&root.nearest(&path).value, "")
    })
}

/// Seconds of `1h30m`, `90s`, `1.5h`, ...
pub(super) fn duration(text: &str) -> Option<f64> {
    let mut seconds = 0.0;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(digits);
        let unit = match tail.chars().next()? {
            's' => 1.0,
            'm' => 60.0,
            'h' => 3600.0,
            'd' => 86_400.0,
            _ => return None,
        };
        seconds += number.parse::<f64>().ok()? * unit;
        rest = tail.get(1..)?;
    }
    (seconds.is_finite() && seconds > 0.0).then_some(seconds)
}
