//! The command line, as typed: clap types only.

mod args;

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueHint};
use clap_complete::Shell;

pub use args::{AskedArgs, CheckpointArgs, ConfigArgs, FoldArgs, RunArgs, SamplingArgs, TuneArgs};

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
        /// By what `kiln eval` learned on the validation rows: probabilities by the temperature, values with bounds.
        #[arg(long, conflicts_with = "baseline")]
        calibrated: bool,
        /// By the best classic model, which the run keeps to fall back on; the network is not loaded.
        #[arg(long)]
        baseline: bool,
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
