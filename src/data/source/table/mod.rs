//! Tables with numeric columns: CSV, Parquet and JSON lines, streamed row by row.

mod cell;
mod csv;
mod jsonl;
mod parquet;
mod plan;
mod stream;

use std::collections::{BTreeSet, HashMap};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use self::cell::{Cell, Fault};
use self::plan::Plan;
use crate::data::{
    DataConfig, Features, Format, InputSchema, RecordSink, Records, Schema, Target, TargetSchema, TaskKind,
};
use crate::error::{Error, Result};

const MOST_CLASSES: usize = 10_000;

/// How a table's file is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// The format; by the file's ending if it is not given.
    pub format: Option<Format>,
    /// CSV: whether the first row names the columns; without names they are `c0`, `c1`, ...
    pub header: bool,
    /// CSV: the delimiter, one ASCII character.
    pub delimiter: char,
}

impl From<&DataConfig> for Layout {
    fn from(config: &DataConfig) -> Self {
        Self { format: config.format, header: config.header, delimiter: config.delimiter }
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

/// Pushes the rows of all files; `limit` other than 0 stops after so many.
///
/// Features are `[columns]` numbers (booleans are 0 and 1). Classes are the distinct values of the target column,
/// sorted, as numbers if all are integers. Files are read twice for classification: ids need all names.
///
/// # Errors
/// An unknown column, a text column among the features, a missing or bad value: with file, line (Parquet: row) and
/// column; more than 10,000 classes.
pub fn read(files: &[PathBuf], config: &DataConfig, limit: u64, sink: &mut dyn RecordSink) -> Result<Records> {
    let table = Table { files, layout: Layout::from(config), plan: Plan::new(files, config)?, limit };
    let target = match config.task {
        TaskKind::Classification => table.push_classes(sink)?,
        TaskKind::Regression => table.push_values(sink)?,
        TaskKind::LanguageModel => {
            return Err(Error::input("a table cannot be the data of a language model")
                .next("set `data.task` to \"classification\" or \"regression\", or give text"));
        }
    };
    Ok(Records { input: InputSchema::Table { columns: table.plan.features }, target })
}

/// Reads the schema's feature columns by name, unscaled, and calls `each` with `[columns]` numbers per row.
///
/// Returns the number of rows. Other columns of the file are ignored.
///
/// # Errors
/// The schema is not of a table; otherwise as [`read()`].
pub fn read_features(
    path: &Path,
    schema: &Schema,
    layout: Layout,
    each: &mut dyn FnMut(&[f32]) -> Result<()>,
) -> Result<u64> {
    let InputSchema::Table { columns } = &schema.input else {
        return Err(Error::input(format!("{} is a table, but the model does not take tables", path.display()))
            .next("give a file of the kind that the model was trained on"));
    };
    let (mut rows, mut values) = (0, Vec::new());
    each_row(path, layout, columns, &mut |place, cells| {
        numbers(place, columns, cells, &mut values)?;
        rows += 1;
        each(&values)?;
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(rows)
}

/// Takes one row's place, features and target cells.
type EachRow<'a> = dyn FnMut(Place<'_>, &[f32], &[Cell<'_>]) -> Result<()> + 'a;

struct Table<'a> {
    files: &'a [PathBuf],
    layout: Layout,
    plan: Plan,
    limit: u64,
}

impl Table<'_> {
    /// Calls `each` for every row of all files, up to the limit.
    fn each(&self, each: &mut EachRow<'_>) -> Result<()> {
        let names = self.plan.names();
        let (mut rows, mut values) = (0, Vec::new());
        for file in self.files {
            each_row(file, self.layout, &names, &mut |place, cells| {
                let (features, targets) = cells.split_at(self.plan.features.len().min(cells.len()));
                numbers(place, &self.plan.features, features, &mut values)?;
                each(place, &values, targets)?;
                rows += 1;
                Ok(if rows == self.limit { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
            })?;
            if self.limit > 0 && rows >= self.limit {
                break;
            }
        }
        match (rows, self.files.first()) {
            (0, Some(file)) => Err(Error::input(format!("{} has no rows", file.display())).next("check the file")),
            _ => Ok(()),
        }
    }

    fn push_classes(&self, sink: &mut dyn RecordSink) -> Result<TargetSchema> {
        let [column] = self.plan.targets.as_slice() else {
            return Err(Error::input(format!("classification needs one target, not {}", self.plan.targets.join(", ")))
                .next("give one column in `data.target`"));
        };
        let mut names = BTreeSet::new();
        self.each(&mut |place, _, targets| {
            let name = class(place, column, targets)?;
            if !names.contains(name.as_str()) && names.len() >= MOST_CLASSES {
                return Err(Error::input(format!("{place}: column `{column}` has more than {MOST_CLASSES} classes"))
                    .next("name the class column in `data.target`, or set `data.task` to \"regression\""));
            }
            names.insert(name);
            Ok(())
        })?;
        let names = sorted(names);
        let ids: HashMap<&str, u32> = names.iter().map(String::as_str).zip(0..).collect();
        self.each(&mut |place, features, targets| {
            let id = ids.get(class(place, column, targets)?.as_str()).ok_or_else(|| {
                Error::failed(format!("{place}: the file changed while it was read")).next("try again")
            })?;
            sink.push(None, Features::F32(features), Target::Class(*id))
        })?;
        Ok(TargetSchema::Classes { names })
    }

    fn push_values(&self, sink: &mut dyn RecordSink) -> Result<TargetSchema> {
        let mut values = Vec::new();
        self.each(&mut |place, features, targets| {
            numbers(place, &self.plan.targets, targets, &mut values)?;
            sink.push(None, Features::F32(features), Target::Values(&values))
        })?;
        Ok(TargetSchema::Values { names: self.plan.targets.clone() })
    }
}

/// As numbers if all names are integers, else as text.
fn sorted(names: BTreeSet<String>) -> Vec<String> {
    let mut names: Vec<String> = names.into_iter().collect();
    if names.iter().all(|name| name.parse::<i64>().is_ok()) {
        names.sort_by_key(|name| name.parse::<i64>().unwrap_or_default());
    }
    names
}

/// Replaces `values` by the cells' numbers.
fn numbers(place: Place<'_>, columns: &[String], cells: &[Cell<'_>], values: &mut Vec<f32>) -> Result<()> {
    values.clear();
    for (column, cell) in columns.iter().zip(cells) {
        values.push(cell.number().map_err(|fault| describe(place, column, fault))?);
    }
    Ok(())
}

fn class(place: Place<'_>, column: &str, cells: &[Cell<'_>]) -> Result<String> {
    cells.first().unwrap_or(&Cell::Missing).class().map_err(|fault| describe(place, column, fault))
}

fn describe(place: Place<'_>, column: &str, fault: Fault) -> Error {
    match fault {
        Fault::Missing => Error::input(format!("{place}: column `{column}` has no value"))
            .next("fill or remove such rows, or leave the column out of `data.features`"),
        Fault::Bad(what) => Error::input(format!("{place}: column `{column}` is {what}, not a number"))
            .next("correct it, or list the numeric columns in `data.features`"),
        Fault::NoClass(what) => Error::input(format!("{place}: column `{column}` is {what}, not a class"))
            .next("name the class column in `data.target`, or set `data.task` to \"regression\""),
    }
}

impl std::fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}, {} {}", self.file.display(), self.unit, self.number)
    }
}

/// The names of the file's columns, in order.
fn columns(file: &Path, layout: Layout) -> Result<Vec<String>> {
    match format(file, layout)? {
        Format::Parquet => parquet::columns(file),
        Format::Jsonl => jsonl::columns(file),
        _ => csv::columns(file, layout),
    }
}

/// Calls `each` with the named columns of every row, until it breaks off.
fn each_row(file: &Path, layout: Layout, names: &[String], each: &mut Each<'_>) -> Result<()> {
    let indices = plan::resolve(file, &columns(file, layout)?, names)?;
    match format(file, layout)? {
        Format::Parquet => parquet::rows(file, &indices, each),
        Format::Jsonl => jsonl::rows(file, names, each),
        _ => csv::rows(file, layout, &indices, each),
    }
}

/// The given format, or the one that the file's ending tells.
fn format(file: &Path, layout: Layout) -> Result<Format> {
    if let Some(format @ (Format::Csv | Format::Parquet | Format::Jsonl)) = layout.format {
        return Ok(format);
    }
    let name = file.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let stem = name.strip_suffix(".gz").unwrap_or(&name);
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
