//! The command line, as typed: clap types only.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueHint};
use clap_complete::Shell;
use kiln::{
    commands::{CvArgs, EvalArgs, Sampling, Trained},
    config::Plan,
    error::{Error, Result},
    train::{RunDir, find_run},
};

/// A deep-learning training engine: a run is one config file.
#[derive(Debug, Parser)]
#[command(name = "kiln", version, propagate_version = true, arg_required_else_help = true, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
    /// Print results as JSON on stdout.
    #[arg(long, global = true)]
    pub json: bool,
    /// Say nothing but errors.
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Say more: every checkpoint that is written, and where data was found.
    #[arg(short, long, global = true)]
    pub verbose: bool,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Train what a config describes; goes on where a run of that name stopped.
    #[command(after_help = "Example:\n  kiln train configs/rust-code.toml --set train.steps=500")]
    Train {
        #[command(flatten)]
        config: ConfigArgs,
        /// Begin afresh: set the run's old folder aside as NAME.old-N.
        #[arg(long)]
        fresh: bool,
    },
    /// Go on with a run, by its name or folder.
    #[command(after_help = "Example:\n  kiln resume rust-code --set train.steps=4000 --device flex")]
    Resume {
        #[command(flatten)]
        run: RunArgs,
    },
    /// Measure a run over a whole split, say what the figures are worth, and whether the network earns its place.
    #[command(after_help = "Example:\n  kiln eval fashion-mnist-cnn --split test --json")]
    Eval {
        #[command(flatten)]
        run: RunArgs,
        #[command(flatten)]
        from: CheckpointArgs,
        #[command(flatten)]
        asked: AskedArgs,
    },
    /// Cross-validate a config: network and classic models on the same folds, and whether they differ beyond noise.
    #[command(
        after_help = "Example:\n  kiln cv configs/winequality-mlp.toml --folds 5 --seeds 1,2,3\nEach fold is a run in \
                      RUN-cv/ of its own; killed, the same command goes on where it was."
    )]
    Cv {
        #[command(flatten)]
        config: ConfigArgs,
        #[command(flatten)]
        folds: FoldArgs,
    },
    /// Continue a text with a trained language model.
    #[command(after_help = "Example:\n  kiln generate rust-code --prompt 'pub fn ' --tokens 200 --temperature 0.8")]
    Generate {
        #[command(flatten)]
        run: RunArgs,
        #[command(flatten)]
        from: CheckpointArgs,
        #[command(flatten)]
        sampling: SamplingArgs,
    },
    /// Predict for every row of a file.
    #[command(after_help = "Example:\n  kiln predict winequality-mlp --input wine.csv --output predictions.csv")]
    Predict {
        #[command(flatten)]
        run: RunArgs,
        #[command(flatten)]
        from: CheckpointArgs,
        /// CSV, JSONL or Parquet with the run's columns; or a picture, or a folder of pictures.
        #[arg(long, value_hint = ValueHint::AnyPath)]
        input: PathBuf,
        /// Where to write; the ending (.csv or .jsonl) decides the format. Stdout as CSV by default (JSONL with --json).
        #[arg(long, value_hint = ValueHint::FilePath)]
        output: Option<PathBuf>,
        /// Recommendations: items for every user of the file, which needs the column of the users alone.
        #[arg(long, default_value_t = 10)]
        top: usize,
    },
    /// Fetch or look at data.
    #[command(subcommand, after_help = "Example:\n  kiln data show configs/rust-code.toml")]
    Data(DataVerb),
    /// Resolve a config, load a batch, take one step, and estimate memory and time; no run is written.
    #[command(after_help = "Example:\n  kiln check configs/gpt2-124m.toml")]
    Check {
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Search the best values of a config's keys; joins or goes on with a search that there is.
    #[command(after_help = "Example:\n  kiln tune configs/winequality-tune.toml --workers 2 --budget 10m")]
    Tune {
        #[command(flatten)]
        config: ConfigArgs,
        /// Trials at once, each in a process of its own with its share of the cores.
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
        workers: u16,
        /// Begin afresh: set the search's old folder aside as NAME.old-N.
        #[arg(long)]
        fresh: bool,
        #[command(flatten)]
        over: TuneArgs,
    },
    /// One trial of a search; `kiln tune` starts it.
    #[command(hide = true)]
    Trial {
        /// The trial's folder.
        dir: PathBuf,
    },
    /// List devices: compiled in, present, and why one is not usable.
    #[command(after_help = "Example:\n  kiln devices --json")]
    Devices,
    /// List the models, their keys and defaults.
    #[command(after_help = "Example:\n  kiln models gpt")]
    Models {
        /// One model in full.
        kind: Option<String>,
    },
    /// List or show runs.
    #[command(after_help = "Example:\n  kiln runs\n  kiln runs show rust-code")]
    Runs {
        /// `list` (the default) or `show RUN`.
        #[command(subcommand)]
        verb: Option<RunsVerb>,
        /// Where runs lie.
        #[arg(long, default_value = "checkpoints", value_hint = ValueHint::DirPath, global = true)]
        dir: PathBuf,
    },
    /// Verify a checkpoint's checksums and list its tensors.
    #[command(after_help = "Example:\n  kiln inspect checkpoints/rust-code/step-00000500")]
    Inspect {
        /// A step folder, or a run (its latest checkpoint).
        #[arg(value_hint = ValueHint::DirPath)]
        checkpoint: PathBuf,
    },
    /// Prove that a killed run continues exactly: train straight, then kill and resume, and compare.
    #[command(after_help = "Example:\n  kiln verify-resume configs/debug.toml --steps 10")]
    VerifyResume {
        #[command(flatten)]
        config: ConfigArgs,
        /// Steps of the straight run; the killed one dies half-way.
        #[arg(long, default_value_t = 10)]
        steps: u64,
    },
    /// Measure the steady time of a step on the config's model and batch.
    #[command(after_help = "Example:\n  kiln bench configs/shakespeare-char.toml --steps 50 --json")]
    Bench {
        #[command(flatten)]
        config: ConfigArgs,
        /// Steps that count; the warm-up comes before.
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
        steps: u64,
        /// Steps of warm-up.
        #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(..=1_000_000))]
        warmup: u64,
    },
    /// Show where a step's time goes: by op, with GFLOP/s, GB/s and the share of what this machine reaches; on a GPU also
    /// what its queue is given, in kernels and bytes.
    #[command(after_help = "Example:\n  kiln profile configs/shakespeare-char.toml --steps 20")]
    Profile {
        #[command(flatten)]
        config: ConfigArgs,
        /// Steps that count; as many more run before without the ops timed.
        #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
        steps: u64,
        /// Steps of warm-up.
        #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(..=1_000_000))]
        warmup: u64,
    },
    /// Print completions for a shell.
    #[command(after_help = "Example:\n  kiln completions bash > ~/.local/share/bash-completion/completions/kiln")]
    Completions {
        /// The shell.
        shell: Shell,
    },
    /// Print the JSON schema of a config, for editors.
    #[command(after_help = "Example:\n  kiln schema > kiln.schema.json")]
    Schema,
}

/// `kiln data`.
#[derive(Debug, Subcommand)]
pub enum DataVerb {
    /// Fetch a named data set, or prepare what a config names.
    #[command(after_help = "Example:\n  kiln data fetch shakespeare\n  kiln data fetch configs/fashion-mnist-cnn.toml")]
    Fetch {
        /// A data set's name or a config file; without one, the data sets are listed.
        what: Option<String>,
        /// Ask the database again for the rows of the config's query, instead of taking those that are kept.
        #[arg(long, requires = "what")]
        refresh: bool,
    },
    /// Show what a config's data look like: splits, shapes, and examples.
    #[command(after_help = "Example:\n  kiln data show configs/shakespeare-char.toml --rows 2")]
    Show {
        #[command(flatten)]
        config: ConfigArgs,
        /// Examples of each split to print.
        #[arg(long, default_value_t = 2)]
        rows: u64,
    },
    /// Describe a table's columns before anything is learned: types, gaps, quantiles, what goes with the target, what leaks.
    #[command(after_help = "Example:\n  kiln data profile configs/adult-mlp.toml --html adult.html")]
    Profile {
        #[command(flatten)]
        config: ConfigArgs,
        /// Write a page with pictures to this file.
        #[arg(long, value_name = "PATH", value_hint = ValueHint::FilePath)]
        html: Option<PathBuf>,
    },
}

/// `kiln runs`.
#[derive(Debug, Subcommand)]
pub enum RunsVerb {
    /// Every run: step, loss, device.
    #[command(after_help = "Example:\n  kiln runs list --json")]
    List,
    /// One run: plan, checkpoints, evaluations.
    #[command(after_help = "Example:\n  kiln runs show rust-code")]
    Show {
        /// The run's name or folder.
        run: String,
    },
}

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
