//! What a person sees while a run trains: a bar on a terminal, plain lines elsewhere. Everything goes to stderr.

use std::{
    io::{IsTerminal, stderr},
    path::Path,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::StepReport;
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
    /// The first step compiles and tunes kernels: told apart, and kept out of the rate.
    first: Option<Duration>,
    trained: Duration,
    valid: u64,
    line: Instant,
}

/// Without a terminal, a line at most this often.
const LINE_EVERY: Duration = Duration::from_secs(10);

impl Progress {
    /// Nothing is drawn before [`Progress::begin`].
    pub fn new(verbosity: Verbosity) -> Self {
        Self {
            verbosity,
            bar: None,
            unit: "samples",
            steps: 0,
            began: None,
            first: None,
            trained: Duration::ZERO,
            valid: 0,
            line: Instant::now(),
        }
    }

    /// Draws the bar for steps `from..steps`; rates count `unit`s.
    pub fn begin(&mut self, from: u64, steps: u64, unit: &'static str) {
        self.unit = unit;
        self.steps = steps;
        self.began = Some(from);
        if self.verbosity > Verbosity::Quiet && stderr().is_terminal() {
            let bar = ProgressBar::with_draw_target(Some(steps), ProgressDrawTarget::stderr());
            let style = ProgressStyle::with_template("{bar:24.cyan/dim} {pos}/{len} {wide_msg}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("━╸─"));
            bar.set_position(from);
            bar.enable_steady_tick(Duration::from_millis(250));
            self.bar = Some(bar);
        }
    }

    /// A line for a person; it survives the bar.
    pub fn note(&self, text: &str) {
        match &self.bar {
            _ if self.verbosity == Verbosity::Quiet => {}
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
        }
        let done = report.step + 1;
        if let Some(bar) = &self.bar {
            bar.set_position(done);
            bar.set_message(self.message(report));
        } else if self.verbosity > Verbosity::Quiet
            && (Some(report.step) == self.began || self.line.elapsed() >= LINE_EVERY || done == self.steps)
        {
            self.line = Instant::now();
            eprintln!("step {done}/{} {}", self.steps, self.message(report));
        }
    }

    fn message(&self, report: &StepReport) -> String {
        let memory = device::peak_memory().map(|bytes| format!(" · peak {}", human_bytes(bytes))).unwrap_or_default();
        let pace = match self.rate() {
            Some(rate) => {
                let taken = (report.step + 1).saturating_sub(self.began.unwrap_or(0) + 1).max(1);
                let each = self.trained.as_secs_f64() / taken as f64;
                let left = each * self.steps.saturating_sub(report.step + 1) as f64;
                format!(" · {} {}/s · {} left", human_count(rate), self.unit, human_seconds(left))
            }
            None => String::new(),
        };
        format!("loss {:.4} · lr {:.2e}{pace}{memory}", report.loss, report.lr)
    }

    /// Tokens or samples per second, the first step left out.
    pub fn rate(&self) -> Option<f64> {
        (self.valid > 0).then(|| self.valid as f64 / self.trained.as_secs_f64().max(1e-9))
    }

    /// How long the first step took, compilation and autotune included, and the mean of the others.
    pub fn timing(&self) -> Option<(Duration, Duration)> {
        Some((self.first?, self.trained))
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
        (0, 0, _) => format!("{seconds:.1}s"),
        (0, m, s) => format!("{m}m {s:02}s"),
        (h, m, _) => format!("{h}h {m:02}m"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_as_people_write_them() {
        assert_eq!(human_count(12_345.0), "12.3k");
        assert_eq!(human_count(124_439_808.0), "124.44M");
        assert_eq!(human_seconds(3.25), "3.2s");
        assert_eq!(human_seconds(125.0), "2m 05s");
        assert_eq!(human_seconds(7260.0), "2h 01m");
    }
}
