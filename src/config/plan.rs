//! The plan: a config resolved and cross-checked. Everything below the command line sees only this.

use std::path::{Component, Path, PathBuf, absolute};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    CheckpointConfig, EvalConfig, GuardConfig, RunConfig, TrainConfig, TuneConfig,
    fault::{self, Fault, Text},
    read, rules, set, shape,
    tree::{self, Node},
};
use crate::{
    baseline::BaselineConfig,
    data::{DataConfig, Encode, Source, TokenizerKind, from_base},
    error::{Error, IoContext, Result},
    model::{EncoderConfig, ModelConfig, Pretrained},
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
    /// Classic models that the network has to beat.
    #[serde(default)]
    pub baseline: BaselineConfig,
    /// What is kept.
    #[serde(default)]
    pub checkpoint: CheckpointConfig,
    /// What `kiln tune` searches, and how.
    #[serde(default, skip_serializing_if = "TuneConfig::is_default")]
    pub tune: TuneConfig,
    /// The folder of the config file, absolute; relative paths of `[data]` started there and are absolute by now.
    #[serde(skip)]
    pub base: PathBuf,
    /// The file as typed.
    #[serde(skip)]
    pub typed: String,
    /// What was laid over the file.
    #[serde(skip)]
    pub overrides: Vec<String>,
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
            plan.embed_categories();
            match rules::check(&plan, &root) {
                faults if faults.is_empty() => Ok(plan),
                faults => Err(faults),
            }
        });
        let mut plan = resolved.map_err(|faults| fault::error(&faults, &texts))?;
        let base = if base.as_os_str().is_empty() { Path::new(".") } else { base };
        plan.resolve_paths(&absolute(base).io("find", base)?);
        plan.typed = text.to_string();
        plan.overrides = overrides.to_vec();
        Ok(plan)
    }

    /// The same file under further overrides.
    ///
    /// # Errors
    /// As [`Plan::load`].
    pub fn with(&self, more: &[String]) -> Result<Self> {
        let name = format!("{}.toml", self.run.name);
        Self::parse(&self.typed, &name, &self.base, &[self.overrides.as_slice(), more].concat())
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

    /// The first line in which two plans would not learn the same, as `there` and `here` say it; where a run lies, what
    /// computes it, what searches over it and what it is compared with do not count.
    ///
    /// # Errors
    /// As [`Plan::to_toml`].
    pub fn difference(there: &Self, here: &Self) -> Result<Option<String>> {
        let (there, here) = (there.neutral().to_toml()?, here.neutral().to_toml()?);
        if there == here {
            return Ok(None);
        }
        let changed = there.lines().zip(here.lines()).find(|(a, b)| a != b);
        Ok(Some(changed.map(|(a, b)| format!(": `{a}` there, `{b}` here")).unwrap_or_default()))
    }

    fn neutral(&self) -> Self {
        let mut plan = self.clone();
        plan.run.dir = Default::default();
        plan.train.device = String::new();
        plan.train.max_time = String::new();
        plan.data.workers = 1;
        plan.data.cache = None;
        plan.tune = TuneConfig::default();
        plan.baseline = Default::default();
        plan
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
        seconds("train.max_time", &self.train.max_time)
    }

    /// `checkpoint.wait_for_space` in seconds; `None` means not at all.
    ///
    /// # Errors
    /// As [`Plan::max_seconds`].
    pub fn space_seconds(&self) -> Result<Option<f64>> {
        seconds("checkpoint.wait_for_space", &self.checkpoint.wait_for_space)
    }

    /// `tune.budget` in seconds; `None` means no limit.
    ///
    /// # Errors
    /// As [`Plan::max_seconds`].
    pub fn budget_seconds(&self) -> Result<Option<f64>> {
        seconds("tune.budget", &self.tune.budget)
    }

    /// Models whose nature it is to embed categories get them as codes.
    fn embed_categories(&mut self) {
        if matches!(self.model, ModelConfig::FtTransformer(_) | ModelConfig::WideAndDeep(_)) {
            self.data.clean.encode.get_or_insert(Encode::Embedding);
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
            Source::Sql(source) => source.sql = from_base(&source.sql, base),
            Source::Dataset(_) | Source::Url(_) => {}
        }
        if let Some(TokenizerKind::File(path)) = &mut self.data.tokenizer {
            resolve(path);
        }
        if let ModelConfig::Encoder(EncoderConfig { pretrained: Some(Pretrained::Path(path)), .. }) = &mut self.model {
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

fn seconds(key: &str, text: &str) -> Result<Option<f64>> {
    match text.trim() {
        "" => Ok(None),
        text => duration(text).map(Some).ok_or_else(|| {
            Error::input(format!("`{key}` is not a length of time: `{text}`"))
                .next("write it as in `90s`, `30m`, `2h` or `1h30m`")
        }),
    }
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
