//! The Parquet file that a query's rows are kept in, written with flat memory.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanBuilder, Float64Builder, Int64Builder, RecordBatch, StringBuilder, TimestampMicrosecondBuilder,
};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use tempfile::NamedTempFile;

use crate::data::cell::Cell;
use crate::error::{Error, IoContext, Result};

/// Rows that are turned into a batch at a time.
const BATCH: usize = 1024;
/// Rows, and bytes, of a group of the file, which the writer holds in memory.
const GROUP: (usize, usize) = (64 * 1024, 32 << 20);
/// The most columns; a Parquet file of more takes longer to open than to read.
const COLUMNS: usize = 10_000;

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Bool,
    Integer,
    Number,
    Time,
    Text,
}

impl Kind {
    fn arrow(self) -> DataType {
        match self {
            Self::Bool => DataType::Boolean,
            Self::Integer => DataType::Int64,
            Self::Number => DataType::Float64,
            Self::Time => DataType::Timestamp(TimeUnit::Microsecond, None),
            Self::Text => DataType::Utf8,
        }
    }
}

enum Builder {
    Bool(BooleanBuilder),
    Integer(Int64Builder),
    Number(Float64Builder),
    Time(TimestampMicrosecondBuilder),
    Text(StringBuilder),
}

/// A file that takes its name when it is whole.
pub(super) struct Snapshot<'a> {
    writer: ArrowWriter<NamedTempFile>,
    schema: Arc<Schema>,
    columns: Vec<Builder>,
    waiting: usize,
    rows: u64,
    target: PathBuf,
    progress: &'a dyn Fn(&str),
}

impl<'a> Snapshot<'a> {
    /// A file of these columns.
    pub fn new(target: &Path, columns: Vec<(String, Kind)>, progress: &'a dyn Fn(&str)) -> Result<Self> {
        if columns.is_empty() || columns.len() > COLUMNS {
            return Err(Error::input(format!("`data.source.query` gives {} columns", columns.len()))
                .next(format!("let it give 1 to {COLUMNS}")));
        }
        let twice = |(i, (name, _)): (usize, &(String, Kind))| columns[..i].iter().any(|(other, _)| other == name);
        if let Some((name, _)) = columns.iter().enumerate().find(|&entry| twice(entry)).map(|(_, column)| column) {
            return Err(Error::input(format!("`data.source.query` gives two columns named `{name}`"))
                .next("give one of them another name with AS"));
        }
        let fields = columns.iter().map(|(name, kind)| Field::new(name, kind.arrow(), true)).collect::<Vec<_>>();
        let schema = Arc::new(Schema::new(fields));
        let file = NamedTempFile::new_in(target.parent().unwrap_or(Path::new("."))).io("create", target)?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_max_row_group_row_count(Some(GROUP.0))
            .set_max_row_group_bytes(Some(GROUP.1))
            .build();
        let writer = ArrowWriter::try_new(file, schema.clone(), Some(properties)).map_err(|e| broken(target, e))?;
        let columns = columns.into_iter().map(|(_, kind)| Builder::new(kind)).collect();
        Ok(Self { writer, schema, columns, waiting: 0, rows: 0, target: target.to_owned(), progress })
    }

    /// A column's value in the row that is being written; a value of another kind is an error of the database's driver.
    pub fn value(&mut self, column: usize, cell: Cell<'_>) -> Result<()> {
        let fits = self.columns.get_mut(column).is_some_and(|builder| builder.push(cell));
        if fits {
            return Ok(());
        }
        let name = self.schema.fields().get(column).map_or("", |field| field.name());
        Err(Error::failed(format!("column `{name}` of `data.source.query` changes its type at row {}", self.rows + 1))
            .next("cast it in the query"))
    }

    /// Ends a row.
    pub fn end_row(&mut self) -> Result<()> {
        self.rows += 1;
        self.waiting += 1;
        if self.rows.is_multiple_of(250_000) {
            (self.progress)(&format!("{} rows read", self.rows));
        }
        if self.waiting == BATCH { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<()> {
        self.waiting = 0;
        let arrays = self.columns.iter_mut().map(Builder::finish).collect();
        let batch = RecordBatch::try_new(self.schema.clone(), arrays).map_err(|e| broken(&self.target, e))?;
        self.writer.write(&batch).map_err(|e| broken(&self.target, e))
    }

    /// Writes what is left, syncs, and gives the file its name.
    pub fn finish(mut self) -> Result<()> {
        if self.rows == 0 {
            return Err(Error::input("`data.source.query` gives no rows").next("check its conditions"));
        }
        self.flush()?;
        let file = self.writer.into_inner().map_err(|e| broken(&self.target, e))?;
        file.as_file().sync_all().io("sync", &self.target)?;
        file.persist(&self.target).map_err(|e| Error::io("write", &self.target, e.error))?;
        (self.progress)(&format!("{} rows kept", self.rows));
        Ok(())
    }
}

fn broken(target: &Path, e: impl std::fmt::Display) -> Error {
    Error::failed(format!("cannot write {}: {e}", target.display())).next("check the space left on that disk")
}

impl Builder {
    fn new(kind: Kind) -> Self {
        match kind {
            Kind::Bool => Self::Bool(BooleanBuilder::new()),
            Kind::Integer => Self::Integer(Int64Builder::new()),
            Kind::Number => Self::Number(Float64Builder::new()),
            Kind::Time => Self::Time(TimestampMicrosecondBuilder::new()),
            Kind::Text => Self::Text(StringBuilder::new()),
        }
    }

    /// Whether the value is of this kind, and taken.
    fn push(&mut self, cell: Cell<'_>) -> bool {
        match (self, cell) {
            (Self::Bool(builder), Cell::Bool(value)) => builder.append_value(value),
            (Self::Bool(builder), Cell::Missing) => builder.append_null(),
            (Self::Integer(builder), Cell::Integer(value)) => builder.append_value(value),
            (Self::Integer(builder), Cell::Missing) => builder.append_null(),
            (Self::Number(builder), Cell::Number(value)) => builder.append_value(value),
            (Self::Number(builder), Cell::Missing) => builder.append_null(),
            (Self::Time(builder), Cell::Time(value)) => builder.append_value(value),
            (Self::Time(builder), Cell::Missing) => builder.append_null(),
            (Self::Text(builder), Cell::Text(value)) => builder.append_value(value),
            (Self::Text(builder), Cell::Missing) => builder.append_null(),
            _ => return false,
        }
        true
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Bool(builder) => Arc::new(builder.finish()),
            Self::Integer(builder) => Arc::new(builder.finish()),
            Self::Number(builder) => Arc::new(builder.finish()),
            Self::Time(builder) => Arc::new(builder.finish()),
            Self::Text(builder) => Arc::new(builder.finish()),
        }
    }
}
