//! Predictions on their way out.

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::Path,
};

use serde::Serializer;
use serde_json::Value;

use crate::error::{Error, IoContext, Result};

/// One prediction: keys with their values, in the order of the columns.
pub(in super::super) type Line = Vec<(String, Value)>;

/// CSV with a header, or one JSON object a line.
pub(in super::super) enum Writer {
    Csv { out: Box<csv::Writer<Box<dyn Write>>>, begun: bool },
    Jsonl(Box<dyn Write>),
}

impl Writer {
    pub(in super::super) fn new(output: Option<&Path>, json: bool) -> Result<Self> {
        let ending = output.and_then(Path::extension).map(|e| e.to_string_lossy().to_lowercase());
        let out: Box<dyn Write> = match output {
            Some(path) => Box::new(BufWriter::new(File::create(path).io("create", path)?)),
            None => Box::new(BufWriter::new(std::io::stdout())),
        };
        match ending.as_deref() {
            Some("jsonl") => Ok(Self::Jsonl(out)),
            None if json => Ok(Self::Jsonl(out)),
            None | Some("csv") => Ok(Self::Csv { out: Box::new(csv::Writer::from_writer(out)), begun: false }),
            Some(other) => {
                Err(Error::input(format!("--output ends in .{other}")).next("name a file that ends in .csv or .jsonl"))
            }
        }
    }

    pub(in super::super) fn write(&mut self, line: &Line) -> Result<()> {
        match self {
            Self::Jsonl(out) => {
                let pairs = line.iter().map(|(key, value)| (key, value));
                serde_json::Serializer::new(&mut *out).collect_map(pairs).map_err(cannot_write)?;
                writeln!(out).map_err(cannot_write)
            }
            Self::Csv { out, begun } => {
                if !std::mem::replace(begun, true) {
                    out.write_record(line.iter().map(|(key, _)| key)).map_err(cannot_write)?;
                }
                let cell = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_string);
                out.write_record(line.iter().map(|(_, value)| cell(value))).map_err(cannot_write)
            }
        }
    }

    pub(in super::super) fn finish(self) -> Result<()> {
        match self {
            Self::Jsonl(mut out) => out.flush().map_err(cannot_write),
            Self::Csv { mut out, .. } => out.flush().map_err(cannot_write),
        }
    }
}

fn cannot_write(e: impl std::fmt::Display) -> Error {
    Error::failed(format!("cannot write the predictions: {e}"))
}
