//! Apache Parquet, in batches of rows.

use std::fs::File;
use std::path::Path;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Float64Type, Int64Type, TimeUnit, TimestampMicrosecondType};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderBuilder, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use super::Cell;
use super::block::{self, Chunk, EachBlock, Origin, Source};
use crate::error::{Error, IoContext, Result};

/// The top-level columns' names.
pub(super) fn columns(path: &Path) -> Result<Vec<String>> {
    let builder = open(path)?;
    Ok(builder.schema().fields().iter().map(|field| field.name().clone()).collect())
}

/// Calls `each` with the columns at the indices.
pub(super) fn blocks(path: &Path, indices: &[usize], each: &mut EachBlock<'_>) -> Result<()> {
    let builder = open(path)?;
    let mask = ProjectionMask::roots(builder.parquet_schema(), indices.iter().copied());
    let rows = rows(&builder, indices.len());
    let reader = builder.with_projection(mask).with_batch_size(rows).build().map_err(|e| damaged(path, e))?;
    let origin = Origin { file: path, unit: "row", width: indices.len() };
    block::read_ahead(origin, || Ok(Batches { reader, path, indices, read: 0 }), each)
}

struct Batches<'a> {
    reader: ParquetRecordBatchReader,
    path: &'a Path,
    indices: &'a [usize],
    read: u64,
}

impl Source for Batches<'_> {
    type Chunk = Batch;

    fn read(&mut self) -> (Batch, Result<()>) {
        let mut batch = Batch { before: self.read, ..Batch::default() };
        let end = self.reader.next().map_or(Ok(()), |read| {
            let read = read.map_err(|e| damaged(self.path, e))?;
            batch.columns = columns_of(&read, self.path, self.indices)?;
            batch.rows = read.num_rows();
            self.read += batch.rows as u64;
            Ok(())
        });
        (batch, end)
    }
}

/// Rows to decode together: fewer where they are long.
fn rows<T>(builder: &ArrowReaderBuilder<T>, width: usize) -> usize {
    let groups = builder.metadata().row_groups().iter();
    let long = groups.map(|group| group.total_byte_size() / group.num_rows().max(1)).max().unwrap_or(0);
    (block::BYTES / usize::try_from(long).unwrap_or(0).max(1)).clamp(1, block::rows(width))
}

/// The columns at the indices, in their order.
fn columns_of(batch: &RecordBatch, path: &Path, indices: &[usize]) -> Result<Vec<Column>> {
    // A projection keeps the file's order, whatever order it was asked in.
    let mut ordered = indices.to_vec();
    ordered.sort_unstable();
    ordered.dedup(); // a column may be asked for twice
    let place = |index| ordered.binary_search(index).ok().filter(|&place| place < batch.num_columns());
    let columns = indices.iter().filter_map(place).map(|place| {
        let name = batch.schema().field(place).name().clone();
        Column::new(path, &name, batch.column(place))
    });
    columns.collect()
}

/// Rows that were decoded together.
#[derive(Default)]
struct Batch {
    columns: Vec<Column>,
    rows: usize,
    /// Rows of the file before it.
    before: u64,
}

impl Chunk for Batch {
    fn rows(&self) -> usize {
        self.rows
    }

    fn number(&self, row: usize) -> u64 {
        self.before + row as u64 + 1
    }

    fn cell(&self, row: usize, column: usize) -> Cell<'_> {
        self.columns.get(column).map_or(Cell::Missing, |column| column.cell(row))
    }

    fn fill<'a>(&'a self, first: usize, cells: &mut [Cell<'a>], width: usize) {
        for (place, column) in self.columns.iter().enumerate() {
            column.fill(first, cells.iter_mut().skip(place).step_by(width.max(1)));
        }
    }
}

fn open(path: &Path) -> Result<ParquetRecordBatchReaderBuilder<File>> {
    let file = File::open(path).io("open", path)?;
    ParquetRecordBatchReaderBuilder::try_new(file).map_err(|e| damaged(path, e))
}

fn damaged(path: &Path, e: impl std::fmt::Display) -> Error {
    Error::input(format!("cannot read {} as Parquet: {e}", path.display()))
        .next("check that the file is whole and that `data.format` is right")
}

/// A column of a batch in one of the few types that matter here.
enum Column {
    Bool(BooleanArray),
    Integer(Int64Array),
    Number(Float64Array),
    Time(TimestampMicrosecondArray),
    Text(StringArray),
}

impl Column {
    fn new(path: &Path, name: &str, array: &ArrayRef) -> Result<Self> {
        let wanted = match array.data_type() {
            DataType::Boolean => DataType::Boolean,
            kind if kind.is_integer() => DataType::Int64,
            kind if kind.is_numeric() => DataType::Float64,
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Dictionary(..) => DataType::Utf8,
            DataType::Date32 | DataType::Date64 | DataType::Timestamp(..) => {
                DataType::Timestamp(TimeUnit::Microsecond, None)
            }
            other => {
                let message = format!("{}: column `{name}` is of type {other}", path.display());
                return Err(Error::input(message).next("list the other columns in `data.features`"));
            }
        };
        // A value that does not fit is an error, not a null.
        let options = CastOptions { safe: false, ..CastOptions::default() };
        let array =
            cast_with_options(array, &wanted, &options).map_err(|e| damaged(path, format!("column `{name}`: {e}")))?;
        Ok(match wanted {
            DataType::Boolean => Self::Bool(array.as_boolean().clone()),
            DataType::Int64 => Self::Integer(array.as_primitive::<Int64Type>().clone()),
            DataType::Float64 => Self::Number(array.as_primitive::<Float64Type>().clone()),
            DataType::Timestamp(..) => Self::Time(array.as_primitive::<TimestampMicrosecondType>().clone()),
            _ => Self::Text(array.as_string::<i32>().clone()),
        })
    }

    fn cell(&self, row: usize) -> Cell<'_> {
        let mut cell = Cell::Missing;
        self.fill(row, std::iter::once(&mut cell));
        cell
    }

    /// The values from `first` on, one after the other; the type is told once for all of them.
    fn fill<'a, 'b>(&'a self, first: usize, cells: impl Iterator<Item = &'b mut Cell<'a>>)
    where
        'a: 'b,
    {
        fn each<'a, 'b, A: Array + 'a>(
            array: &'a A,
            first: usize,
            cells: impl Iterator<Item = &'b mut Cell<'a>>,
            of: impl Fn(&'a A, usize) -> Cell<'a>,
        ) where
            'a: 'b,
        {
            for (row, cell) in (first..array.len()).zip(cells) {
                *cell = if array.is_valid(row) { of(array, row) } else { Cell::Missing };
            }
        }
        match self {
            Self::Bool(array) => each(array, first, cells, |array, row| Cell::Bool(array.value(row))),
            Self::Integer(array) => each(array, first, cells, |array, row| Cell::Integer(array.value(row))),
            Self::Number(array) => each(array, first, cells, |array, row| Cell::Number(array.value(row))),
            Self::Time(array) => each(array, first, cells, |array, row| Cell::Time(array.value(row))),
            Self::Text(array) => each(array, first, cells, |array, row| Cell::Text(array.value(row))),
        }
    }
}
