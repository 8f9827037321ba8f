//! A table to predict for: read by the columns' names and transformed as the run learned.

use std::ops::ControlFlow;
use std::path::Path;

use super::wanted::{self, Wanted};
use super::{Layout, columns, each_block};
use crate::data::clean::{Column, Report, Used};
use crate::data::{InputSchema, Schema};
use crate::error::{Error, Result};

/// What reading a table found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rows {
    /// Rows read.
    pub count: u64,
    /// What the columns' policies did, a line a column.
    pub told: Vec<String>,
}

/// Reads the schema's columns by name, transforms them as they were learned, and calls `each` with the features of
/// every row. Other columns of the file are ignored.
///
/// # Errors
/// The schema is not of a table; a column is gone and may not be imputed; values that a policy refuses, all in one
/// report, after the last row.
pub fn read_rows(
    path: &Path,
    schema: &Schema,
    layout: &Layout,
    each: &mut dyn FnMut(&[f32]) -> Result<()>,
) -> Result<Rows> {
    let Some(table) = &schema.table else {
        return Err(Error::input(format!("{} is a table, but the model does not take tables", path.display()))
            .next("give a file of the kind that the model was trained on"));
    };
    let fits = match &schema.input {
        InputSchema::Table { columns } | InputSchema::Windows { columns, .. } => *columns == table.outputs(),
        _ => false,
    };
    if !table.is_sound() || !fits {
        return Err(Error::input("the run's schema.json is damaged").next("`kiln resume` writes it anew"));
    }
    let there = columns(path, layout)?;
    let may_be = table.columns.iter().filter(|column| column.may_be_absent());
    let mut gone = wanted::gone(may_be.map(|column| &column.name), &there, &table.derived)?;
    gone.extend(table.columns.iter().filter(|column| column.is_dropped()).map(|column| column.name.clone()));
    let names: Vec<String> = table.columns.iter().map(|column| column.name.clone()).collect();
    let wanted = Wanted::new(&names, &gone, &table.derived)?;
    let mut used = vec![Used::default(); table.columns.len()];
    let mut report = Report::default();
    let (mut count, mut values) = (0, Vec::new());
    each_block(path, layout, &wanted.read, &mut |read| {
        wanted.of(read, |block| {
            for row in 0..block.rows() {
                values.clear();
                let mut fault = |column: &Column, fault| report.add(block.place(row), &column.name, fault);
                table.write(block.cells(row), None, &mut used, &mut values, &mut fault);
                count += 1;
                if report.is_empty() {
                    each(&values)?;
                }
            }
            Ok(ControlFlow::Continue(()))
        })
    })?;
    report.finish()?;
    Ok(Rows { count, told: table.told(&used) })
}
