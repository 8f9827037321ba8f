//! Where words and data go.

use serde::Serialize;

use crate::{
    error::{Error, Kind, Result},
    train::{Progress, Verbosity},
};

/// How a verb speaks: JSON or text on stdout, words on stderr.
#[derive(Debug, Clone, Copy)]
pub struct Console {
    json: bool,
    verbosity: Verbosity,
}

impl Console {
    /// From the global flags.
    pub fn new(json: bool, quiet: bool, verbose: bool) -> Self {
        let verbosity = match (quiet, verbose) {
            (true, _) => Verbosity::Quiet,
            (_, true) => Verbosity::Verbose,
            _ => Verbosity::Normal,
        };
        Self { json, verbosity }
    }

    /// Whether stdout carries JSON.
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// Whether to say anything but errors.
    pub fn is_normal(&self) -> bool {
        self.verbosity > Verbosity::Quiet
    }

    /// Whether to say more than usual.
    pub fn is_verbose(&self) -> bool {
        self.verbosity >= Verbosity::Verbose
    }

    /// A run's bar.
    pub fn progress(&self) -> Progress {
        Progress::new(self.verbosity)
    }

    /// Words for a person.
    pub fn say(&self, text: &str) {
        if self.verbosity > Verbosity::Quiet {
            eprintln!("{text}");
        }
    }

    /// Words for a person who wants to know more.
    pub fn detail(&self, text: &str) {
        if self.is_verbose() {
            eprintln!("{text}");
        }
    }

    /// A result: as JSON, or as `text`.
    pub fn result(&self, value: &impl Serialize, text: impl FnOnce() -> String) -> Result<()> {
        if self.json {
            let json = serde_json::to_string_pretty(value)
                .map_err(|e| Error::failed(format!("cannot write the result as JSON: {e}")))?;
            print(&json)
        } else {
            match text().trim_end() {
                "" => Ok(()),
                text => print(text),
            }
        }
    }

    /// An error; with `--json` also as an object on stdout.
    pub fn error(&self, error: &Error) {
        match error.kind() {
            Kind::Interrupted => eprintln!("{error}"), // its progress is saved: nothing failed
            _ => eprintln!("error: {error}"),
        }
        if self.json {
            let object = serde_json::json!({ "error": error.to_string(), "exit_code": error.exit_code() });
            let _ = print(&object.to_string());
        }
    }
}

/// Prints a line; a closed pipe (`| head`) ends quietly.
pub(crate) fn print(text: &str) -> Result<()> {
    use std::io::Write;
    match writeln!(std::io::stdout(), "{text}") {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Error::failed(format!("cannot write to stdout: {e}")))
        }
        _ => Ok(()),
    }
}

/// Rows of cells as aligned columns, two spaces apart; numbers are the caller's to format.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |c: usize| rows.iter().filter_map(|r| r.get(c)).map(|s| s.chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_string()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}
