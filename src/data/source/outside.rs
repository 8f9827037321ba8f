//! Downloads and readers of records: every call that leaves this module's own text reading.

use std::path::PathBuf;

use super::Resolved;
use crate::{
    data::{Format, RecordSink, Records},
    error::{Error, Result},
};

/// A named data set on this machine.
pub struct Fetched {
    pub files: Vec<PathBuf>,
    pub folder: PathBuf,
    pub format: Format,
    pub header: Option<bool>,
    pub delimiter: Option<char>,
    pub target: Vec<String>,
}

pub fn named(name: &str, _progress: &dyn Fn(&str)) -> Result<Fetched> {
    Err(unavailable(&format!("the data set `{name}`")))
}

pub fn url(url: &str, _sha256: Option<&str>, _progress: &dyn Fn(&str)) -> Result<PathBuf> {
    Err(unavailable(url))
}

pub fn read(source: &Resolved, _sink: &mut dyn RecordSink) -> Result<Records> {
    Err(unavailable(&format!("{:?} data", source.format)))
}

fn unavailable(what: &str) -> Error {
    Error::input(format!("{what} cannot be read by this build"))
}
