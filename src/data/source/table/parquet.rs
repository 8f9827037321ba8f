//! Apache Parquet, in batches of rows.

use std::fs::File;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::mpsc::sync_channel;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Float64Type, Int64Type, TimeUnit, TimestampMicrosecondType};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::{Cell, Each, Place};
use crate::error::{Error, IoContext, Result};

/// Rows that are decoded together, and batches that are ready before they are needed.
const BATCH: usize = 1024;
const AHEAD: usize = 2;

/// The top-level columns' names.
pub(super) fn columns(path: &Path) -> Result<Vec<String>> {
    let builder = open(path)?;
    Ok(builder.schema().fields().iter().map(|field| field.name().clone()).collect())
}

/// Calls `each` with the columns at the indices. A thread decodes the next batch meanwhile.
pub(super) fn rows(path: &Path, indices: &[usize], each: &mut Each<'_>) -> Result<()> {
    let builder = open(path)?;
    let mask = ProjectionMask::roots(builder.parquet_schema(), indices.iter().copied());
    let reader = builder.with_projection(mask).with_batch_size(BATCH).build().map_err(|e| damaged(path, e))?;
    std::thread::scope(|scope| {
        let (sender, batches) = sync_channel(AHEAD);
        scope.spawn(move || {
            for batch in reader {
                let batch = batch.map_err(|e| damaged(path, e)).and_then(|batch| Batch::new(path, &batch, indices));
                let failed = batch.is_err();
                // The other end is gone when `each` has seen enough.
                if sender.send(batch).is_err() || failed {
                    return;
                }
            }
        });
        let mut number = 0;
        for batch in batches {
            let Batch { columns, rows } = batch?;
            let mut cells = Vec::with_capacity(columns.len());
            for row in 0..rows {
                number += 1;
                cells.clear();
                cells.extend(columns.iter().map(|column| column.cell(row)));
                if let ControlFlow::Break(()) = each(Place { file: path, unit: "row", number }, &cells)? {
                    return Ok(());
                }
            }
        }
        Ok(())
    })
}

/// Rows that were decoded together, their columns in the order that was asked for.
struct Batch {
    columns: Vec<Column>,
    rows: usize,
}

impl Batch {
    fn new(path: &Path, batch: &RecordBatch, indices: &[usize]) -> Result<Self> {
        // A projection keeps the file's order, whatever order it was asked in.
        let mut ordered = indices.to_vec();
        ordered.sort_unstable();
        ordered.dedup(); // a column may be asked for twice
        let place = |index| ordered.binary_search(index).ok().filter(|&place| place < batch.num_columns());
        let columns = indices.iter().filter_map(place).map(|place| {
            let name = batch.schema().field(place).name().clone();
            Column::new(path, &name, batch.column(place))
        });
        Ok(Self { columns: columns.collect::<Result<_>>()?, rows: batch.num_rows() })
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
        match self {
            Self::Bool(array) if array.is_valid(row) => Cell::Bool(array.value(row)),
            Self::Integer(array) if array.is_valid(row) => Cell::Integer(array.value(row)),
            Self::Number(array) if array.is_valid(row) => Cell::Number(array.value(row)),
            Self::Time(array) if array.is_valid(row) => Cell::Time(array.value(row)),
            Self::Text(array) if array.is_valid(row) => Cell::Text(array.value(row)),
            _ => Cell::Missing,
        }
    }
}
