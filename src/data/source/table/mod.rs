//! Tables: CSV, Parquet and JSON lines, streamed row by row, their columns cleaned on the way.

mod block;
mod csv;
mod documents;
mod interactions;
mod joint;
mod jsonl;
mod parquet;
mod plan;
mod predict;
mod prepare;
mod profile;
mod stream;
mod text;
mod wanted;
mod windows;

use std::ops::ControlFlow;
use std::path::Path;

pub(in crate::data) use interactions::read_choices;
pub use interactions::{read_column, read_names};
pub use predict::{Rows, read_rows};
pub(in crate::data) use prepare::{Request, read};
pub(in crate::data) use profile::profile;
pub use text::read_texts;

use block::EachBlock;

use crate::data::cell::{Cell, Fault};
use crate::data::{DataConfig, Format};
use crate::error::{Error, Result};

/// How a table's file is laid out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// The format; by the file's ending if it is not given.
    pub format: Option<Format>,
    /// CSV: whether the first row names the columns; without names they are `c0`, `c1`, ...
    pub header: bool,
    /// CSV: the delimiter, one ASCII character.
    pub delimiter: char,
    /// CSV without a header: the columns' names; `c0`, `c1`, ... if there are none.
    pub names: Vec<String>,
    /// CSV: lines before the table.
    pub skip: u64,
}

impl From<&DataConfig> for Layout {
    fn from(config: &DataConfig) -> Self {
        let header = config.header && config.names.is_empty();
        let DataConfig { format, delimiter, skip, .. } = *config;
        Self { format, header, delimiter, names: config.names.clone(), skip }
    }
}

/// Where a row lies, for messages: `data.csv, line 57`.
#[derive(Debug, Clone, Copy)]
struct Place<'a> {
    file: &'a Path,
    unit: &'static str,
    number: u64,
}

/// Takes one row's cells, in the order of the names that were asked for.
type Each<'a> = dyn FnMut(Place<'_>, &[Cell<'_>]) -> Result<ControlFlow<()>> + 'a;

impl std::fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}, {} {}", self.file.display(), self.unit, self.number)
    }
}

/// The names of the file's columns, in order.
fn columns(file: &Path, layout: &Layout) -> Result<Vec<String>> {
    match format(file, layout)? {
        Format::Parquet => parquet::columns(file),
        Format::Jsonl => jsonl::columns(file),
        Format::Documents => Ok(documents::columns()),
        _ => csv::columns(file, layout),
    }
}

/// Calls `each` with the named columns of all rows, block by block, until it breaks off.
fn each_block(file: &Path, layout: &Layout, names: &[String], each: &mut EachBlock<'_>) -> Result<()> {
    let indices = plan::resolve(file, &columns(file, layout)?, names)?;
    match format(file, layout)? {
        Format::Parquet => parquet::blocks(file, &indices, each),
        Format::Jsonl => jsonl::blocks(file, names, each),
        Format::Documents => documents::blocks(file, &indices, each),
        _ => csv::blocks(file, layout, &indices, each),
    }
}

/// The same row by row.
fn each_row(file: &Path, layout: &Layout, names: &[String], each: &mut Each<'_>) -> Result<()> {
    each_block(file, layout, names, &mut |block| {
        for row in 0..block.rows() {
            if let ControlFlow::Break(()) = each(block.place(row), block.cells(row))? {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    })
}

/// The given format, or the one that the file's ending tells.
fn format(file: &Path, layout: &Layout) -> Result<Format> {
    if let Some(format) = layout.format.filter(|format| format.is_table()) {
        return Ok(format);
    }
    let name = file.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let stem = [".gz", ".zst"].iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(&name);
    let ends = |endings: &[&str]| endings.iter().any(|ending| stem.ends_with(ending));
    if ends(&[".parquet", ".pq", ".parquet.brotli"]) {
        Ok(Format::Parquet)
    } else if ends(&[".jsonl", ".ndjson"]) {
        Ok(Format::Jsonl)
    } else if ends(&[".csv", ".tsv", ".txt", ".data"]) {
        Ok(Format::Csv)
    } else {
        Err(Error::input(format!("cannot tell the format of {} by its ending", file.display()))
            .next("set `data.format` to \"csv\", \"parquet\" or \"jsonl\""))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests;
