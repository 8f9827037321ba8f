//! Arguments that verbs share, and what they ask for.

use std::path::PathBuf;

use clap::{Args, ValueHint};
use kiln::{
    commands::{CvArgs, EvalArgs, Sampling, Trained},
    config::Plan,
    error::{Error, Result},
    train::{RunDir, find_run},
};

/// A config and what is laid over it.
#[derive(Debug, Args)]
pub struct ConfigArgs {
    /// The config file; `-` reads it from stdin.
    #[arg(value_name = "CONFIG", value_hint = ValueHint::FilePath)]
    pub path: PathBuf,
    #[command(flatten)]
    pub over: OverArgs,
}

/// Overrides.
#[derive(Debug, Args)]
pub struct OverArgs {
    /// Override any key of the config, such as `train.steps=100`; may be given several times.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// The device; the same as `--set train.device=...`.
    #[arg(long, value_name = "DEVICE")]
    pub device: Option<String>,
}

/// Overrides of `[tune]`.
#[derive(Debug, Args)]
pub struct TuneArgs {
    /// Trials in all; the same as `--set tune.trials=...`.
    #[arg(long)]
    pub trials: Option<u64>,
    /// Stop, saved, after this long (`30m`); the same as `--set tune.budget=...`.
    #[arg(long)]
    pub budget: Option<String>,
}

/// A run and what is laid over its plan.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// The run's name or folder.
    #[arg(value_hint = ValueHint::DirPath)]
    pub run: String,
    /// Where runs lie.
    #[arg(long, default_value = "checkpoints", value_hint = ValueHint::DirPath)]
    pub dir: PathBuf,
    #[command(flatten)]
    pub over: OverArgs,
}

/// Which checkpoint of a run.
#[derive(Debug, Args)]
pub struct CheckpointArgs {
    /// `best`, `latest`, or a step's number.
    #[arg(long, default_value = "best")]
    pub checkpoint: String,
}

/// What to find out of a run.
#[derive(Debug, Args)]
pub struct AskedArgs {
    /// The split: train, validation or test.
    #[arg(long, default_value = "validation")]
    pub split: String,
    /// Two classes: the threshold that is best on validation for f1, accuracy or balanced_accuracy.
    #[arg(long, value_name = "AIM", conflicts_with = "cost")]
    pub threshold: Option<String>,
    /// Two classes: the threshold of least cost on validation, for these prices of a false positive and a false negative.
    #[arg(long, value_name = "FP,FN")]
    pub cost: Option<String>,
    /// The figures by this column's values, or by its quartiles; may be given several times.
    #[arg(long = "slice", value_name = "COLUMN")]
    pub slices: Vec<String>,
    /// How much every column matters: what is lost when it is shuffled.
    #[arg(long)]
    pub importance: bool,
    /// Write report.html into the run's folder: everything, with pictures.
    #[arg(long)]
    pub html: bool,
}

impl From<AskedArgs> for EvalArgs {
    fn from(args: AskedArgs) -> Self {
        let AskedArgs { split, threshold, cost, slices, importance, html } = args;
        Self { split, threshold, cost, slices, importance, html }
    }
}

/// How to share out rows.
#[derive(Debug, Args)]
pub struct FoldArgs {
    /// Folds; 1 trains on the config's own splits, for several --seeds.
    #[arg(long, default_value_t = 5)]
    pub folds: usize,
    /// How often the rows are shared out anew.
    #[arg(long, default_value_t = 1)]
    pub repeats: usize,
    /// Seeds of the network, each over all folds, as 1,2,3; `run.seed` by default.
    #[arg(long, value_delimiter = ',')]
    pub seeds: Vec<u64>,
    /// Keep rows with the same value of this column in one fold.
    #[arg(long, value_name = "COLUMN", conflicts_with_all = ["time", "shuffled"])]
    pub group: Option<String>,
    /// Train on what comes before in this column, validate on what comes next.
    #[arg(long, value_name = "COLUMN", conflicts_with = "shuffled")]
    pub time: Option<String>,
    /// Share out at random, whatever the classes.
    #[arg(long)]
    pub shuffled: bool,
}

impl From<FoldArgs> for CvArgs {
    fn from(args: FoldArgs) -> Self {
        let FoldArgs { folds, repeats, seeds, group, time, shuffled } = args;
        Self { folds, repeats, seeds, group, time, shuffled }
    }
}

/// How to sample text.
#[derive(Debug, Args)]
pub struct SamplingArgs {
    /// The text to continue; `-` reads it from stdin.
    #[arg(long, default_value = "\n", allow_hyphen_values = true)]
    pub prompt: String,
    /// Tokens to generate.
    #[arg(long, default_value_t = 256)]
    pub tokens: usize,
    /// Sharpness: 0 always takes the likeliest token.
    #[arg(long, default_value_t = 0.8, allow_negative_numbers = true)]
    pub temperature: f64,
    /// Sample among the K likeliest tokens only; 0 means all.
    #[arg(long, default_value_t = 0)]
    pub top_k: usize,
    /// Sample among the fewest tokens whose probability reaches P.
    #[arg(long, default_value_t = 1.0, allow_negative_numbers = true)]
    pub top_p: f64,
    /// Seed of the sampling.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

impl OverArgs {
    /// Every override as `key=value`, `--device` last.
    pub fn overrides(&self) -> Vec<String> {
        let device = self.device.iter().map(|device| format!("train.device={device}"));
        self.set.iter().cloned().chain(device).collect()
    }
}

impl ConfigArgs {
    /// The resolved plan.
    pub fn plan(&self) -> Result<Plan> {
        Plan::load(&self.path, &self.over.overrides())
    }

    /// The resolved plan, with `[tune]` overridden.
    pub fn tuned(&self, over: &TuneArgs) -> Result<Plan> {
        let trials = over.trials.map(|trials| format!("tune.trials={trials}"));
        let budget = over.budget.as_ref().map(|budget| format!("tune.budget={budget}"));
        let overrides: Vec<String> = self.over.overrides().into_iter().chain(trials).chain(budget).collect();
        Plan::load(&self.path, &overrides)
    }
}

impl RunArgs {
    /// The run's folder.
    pub fn find(&self) -> Result<RunDir> {
        find_run(&self.run, &self.dir)
    }

    /// The run with the checkpoint to read.
    pub fn opened(&self, from: &CheckpointArgs) -> Result<Trained> {
        Trained::new(self.find()?, &from.checkpoint, &self.over.overrides())
    }
}

impl SamplingArgs {
    /// Checked, with the prompt read from stdin where it is `-`.
    pub fn resolved(self) -> Result<Sampling> {
        let prompt = match self.prompt.as_str() {
            "-" => std::io::read_to_string(std::io::stdin())
                .map_err(|e| Error::input(format!("cannot read the prompt from stdin: {e}")))?,
            _ => self.prompt,
        };
        Sampling {
            prompt,
            tokens: self.tokens,
            temperature: self.temperature,
            top_k: self.top_k,
            top_p: self.top_p,
            seed: self.seed,
        }
        .checked()
    }
}
