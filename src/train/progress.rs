//! What a person sees while a run trains: a bar on a terminal, plain lines elsewhere. Everything goes to stderr.

use std::{
    io::{IsTerminal, stderr},
    path::Path,
    time::{Duration, Instant},
};

use burn::tensor::Device;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{Setup, StepReport};
use crate::{data::Split, device, error::Result, task::Report};

/// How much to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verbosity {
    /// Errors only.
    Quiet,
    /// The bar, evaluations and where everything lies.
    Normal,
    /// Every checkpoint too.
    Verbose,
}

/// The bar or the lines of one run.
pub struct Progress {
    verbosity: Verbosity,
    bar: Option<ProgressBar>,
    unit: &'static str,
    steps: u64,
    began: Option<u64>,
    device: Option<Device>,
    /// The first step compiles and tunes kernels: told apart, and kept out of the rate.
    first: Option<Duration>,
    trained: Duration,
    later: Vec<Duration>,
    valid: u64,
    line: Instant,
}

/// How long the steps of this process took.
#[derive(Debug, Clone, Copy, Default)]
pub struct Timing {
    /// All of them.
    pub total: Duration,
    /// The first one, in which kernels are compiled and tuned.
    pub first: Duration,
    /// What the first one took beyond the median of the others.
    pub warm_up: Duration,
}

/// Without a terminal, a line at most this often.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// On one, a new text at most this often.
const TEXT_EVERY: Duration = Duration::from_millis(100);

/// Steps whose time is kept for the median.
const TIMED: usize = 4096;

impl Progress {
    /// Nothing is drawn before [`Progress::begin`].
    pub fn new(verbosity: Verbosity) -> Self {
        Self {
            verbosity,
            bar: None,
            unit: "samples",
            steps: 0,
            began: None,
            device: None,
            first: None,
            trained: Duration::ZERO,
            later: Vec::new(),
            valid: 0,
            line: Instant::now(),
        }
    }

    /// Draws the bar for steps `from..steps`.
    pub fn begin(&mut self, from: u64, steps: u64, setup: &Setup) {
        self.unit = setup.task.unit();
        self.device = Some(setup.device.clone());
        self.steps = steps;
        self.began = Some(from);
        if self.verbosity > Verbosity::Quiet && stderr().is_terminal() {
            let bar = ProgressBar::with_draw_target(Some(steps), ProgressDrawTarget::stderr());
            // The bar takes what the words leave: a narrow terminal loses the bar, not the numbers.
            let style = ProgressStyle::with_template("{pos}/{len} · {msg} {wide_bar:.cyan/dim}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("━╸─"));
            bar.set_position(from);
            bar.enable_steady_tick(Duration::from_millis(250));
            self.bar = Some(bar);
        }
    }

    /// A line for a person; it survives the bar.
    pub fn note(&self, text: &str) {
        if self.verbosity > Verbosity::Quiet {
            self.warn(text);
        }
    }

    /// A line that even `--quiet` does not hold back: somebody has to act.
    pub fn warn(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| eprintln!("{text}")),
            None => eprintln!("{text}"),
        }
    }

    /// A step is over.
    pub fn step(&mut self, report: &StepReport, took: Duration) {
        if self.first.is_none() {
            self.first = Some(took);
        } else {
            self.trained += took;
            self.valid += report.valid as u64;
            if self.later.len() < TIMED {
                self.later.push(took);
            }
        }
        let done = report.step + 1;
        let every = if self.bar.is_some() { TEXT_EVERY } else { LINE_EVERY };
        let due = Some(report.step) == self.began || self.line.elapsed() >= every || done == self.steps;
        if due {
            self.line = Instant::now();
        }
        match &self.bar {
            Some(bar) => {
                bar.set_position(done);
                if due {
                    bar.set_message(self.message(report));
                }
            }
            None if due && self.verbosity > Verbosity::Quiet => {
                eprintln!("step {done}/{} · {}", self.steps, self.message(report));
            }
            None => {}
        }
    }

    fn message(&self, report: &StepReport) -> String {
        let memory = self.device.as_ref().and_then(device::memory_used);
        let memory = memory.map(|bytes| format!(" · {}", human_bytes(bytes))).unwrap_or_default();
        let pace = match self.rate() {
            Some(_) => {
                let taken = report.step.saturating_sub(self.began.unwrap_or(0)).max(1);
                let each = self.trained.as_secs_f64() / taken as f64;
                let left = each * self.steps.saturating_sub(report.step + 1) as f64;
                format!(" · {} · {} left", self.pace().unwrap_or_default(), human_seconds(left))
            }
            None => String::new(),
        };
        format!("loss {:.4} · lr {:.2e}{pace}{memory}", report.loss, report.lr)
    }

    /// Tokens or samples per second, the first step left out.
    pub fn rate(&self) -> Option<f64> {
        (self.valid > 0).then(|| self.valid as f64 / self.trained.as_secs_f64().max(1e-9))
    }

    /// The rate with its unit: `42.8k tokens/s`.
    pub fn pace(&self) -> Option<String> {
        self.rate().map(|rate| format!("{} {}/s", human_count(rate), self.unit))
    }

    /// How long the steps took, compilation and warm-up told apart.
    pub fn timing(&self) -> Timing {
        let first = self.first.unwrap_or_default();
        let mut later = self.later.clone();
        later.sort();
        let usual = later.get(later.len() / 2).copied().unwrap_or(first);
        Timing { total: first + self.trained, first, warm_up: first.saturating_sub(usual) }
    }

    /// Runs an evaluation with the bar saying so.
    pub fn while_evaluating<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        if let Some(bar) = &self.bar {
            bar.set_message("evaluating ...");
        }
        work()
    }

    /// An evaluation is over.
    pub fn evaluated(&self, step: u64, split: Split, report: &Report) {
        self.note(&format!("step {step} · {split}: {}", metrics_line(report)));
    }

    /// A checkpoint was written.
    pub fn saved(&self, step: u64, path: &Path) {
        if self.verbosity >= Verbosity::Verbose {
            self.note(&format!("step {step} · saved {}", path.display()));
        }
    }

    /// Takes the bar away.
    pub fn finish(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

/// The metrics that a person looks at first, in one line.
pub fn metrics_line(report: &Report) -> String {
    const FIRST: [&str; 9] =
        ["loss", "perplexity", "bits_per_byte", "accuracy", "f1_macro", "auroc", "mse", "mae", "r2"];
    let shown = FIRST.iter().filter_map(|name| report.metrics.get(*name).map(|value| format!("{name} {value:.4}")));
    shown.collect::<Vec<_>>().join(" · ")
}

/// `1.5 GiB`.
pub fn human_bytes(bytes: u64) -> String {
    indicatif::HumanBytes(bytes).to_string()
}

/// `12.3k`.
pub fn human_count(n: f64) -> String {
    match n {
        n if n >= 1e9 => format!("{:.2}G", n / 1e9),
        n if n >= 1e6 => format!("{:.2}M", n / 1e6),
        n if n >= 1e3 => format!("{:.1}k", n / 1e3),
        n => format!("{n:.1}"),
    }
}

/// `2m 05s`.
pub fn human_seconds(seconds: f64) -> String {
    let whole = seconds.max(0.0).round() as u64;
    match (whole / 3600, whole / 60 % 60, whole % 60) {
        (0, 0, _) if seconds < 1.0 => format!("{:.0} ms", seconds.max(0.0) * 1e3),
        (0, 0, _) => format!("{seconds:.1}s"),
        (0, m, s) => format!("{m}m {s:02}s"),
        (h, m, _) => format!("{h}h {m:02}m"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compilation_is_told_apart_from_training() {
        let mut progress = Progress::new(Verbosity::Quiet);
        for ms in [900, 100, 120, 110] {
            progress.step(&StepReport { valid: 11, ..StepReport::default() }, Duration::from_millis(ms));
        }
        let timing = progress.timing();
        assert_eq!(timing.total, Duration::from_millis(1230));
        assert_eq!(timing.warm_up, Duration::from_millis(790));
        assert_eq!(progress.pace().as_deref(), Some("100.0 samples/s"));
    }

    #[test]
    fn numbers_read_as_people_write_them() {
        assert_eq!(human_count(12_345.0), "12.3k");
        assert_eq!(human_count(124_439_808.0), "124.44M");
        assert_eq!(human_seconds(0.0421), "42 ms");
        assert_eq!(human_seconds(3.25), "3.2s");
        assert_eq!(human_seconds(125.0), "2m 05s");
        assert_eq!(human_seconds(7260.0), "2h 01m");
    }
}
