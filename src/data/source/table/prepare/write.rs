//! Rows on their way out: transformed on all threads, handed on in their order.

use std::collections::HashMap;
use std::ops::{ControlFlow, Range};

use super::super::Cell;
use super::super::windows::{Step, Windows};
use super::passes::{Batch, Row};
use super::{Labels, Table, ids};
use crate::data::clean::{Report, TableSchema, Used};
use crate::data::split::{Splitter, time};
use crate::data::{Features, InputSchema, RecordSink, Schema, Target, TargetSchema, TaskKind};
use crate::error::{Error, Result};

/// What one thread made of some rows.
struct Part<'r> {
    rows: Vec<Written<'r>>,
    /// The rows' features and real targets, one row after the other.
    values: Vec<f32>,
    reals: Vec<f32>,
    used: Vec<Used>,
    report: Report,
}

/// A row that every column and the target took.
struct Written<'r> {
    row: Row<'r>,
    values: Range<usize>,
    reals: Range<usize>,
    class: Option<u32>,
}

/// What rows are written by.
struct Learned<'a> {
    schema: &'a TableSchema,
    target: &'a TargetSchema,
    /// The classes' ids.
    ids: HashMap<&'a str, u32>,
    labels: Labels<'a>,
    /// The training rows are those that the schema was learned from.
    own: bool,
}

impl Table<'_> {
    /// Pushes every row, or every window; how often each column's policies were used, and the shape of what was pushed.
    pub(super) fn write(
        &self,
        schema: &TableSchema,
        target: &TargetSchema,
        splitter: &Splitter,
        sink: &mut dyn RecordSink,
    ) -> Result<(Vec<Used>, InputSchema)> {
        let own = self.request.learned.is_none();
        let learned = Learned { schema, target, ids: ids(target), labels: self.labels(), own };
        let (order, task) = (self.window_columns()?, self.config.task);
        let mut windows = self.config.window.as_ref().map(|asked| Windows::new(asked, asked.horizon(task)));
        let mut report = Report::default();
        let mut used = vec![Used::default(); schema.columns.len()];
        self.batches(splitter, &mut |batch| {
            for part in batch.parts(|part| learned.write(part)) {
                used.iter_mut().zip(&part.used).for_each(|(used, more)| used.add(more));
                report.join(part.report);
                if !report.is_empty() {
                    continue;
                }
                for Written { row, values, reals, class } in part.rows {
                    let values = part.values.get(values).unwrap_or_default();
                    let reals = part.reals.get(reals).unwrap_or_default();
                    let target = class.map_or(Target::Values(reals), Target::Class);
                    match &mut windows {
                        None => sink.push(Some(row.split), Features::F32(values), target)?,
                        Some(windows) => {
                            let (time, group) = self.in_order(&row, order)?;
                            let step = Step { place: row.place, split: row.split, group, time, values, target };
                            windows.add(step, sink)?;
                        }
                    }
                }
            }
            Ok(ControlFlow::Continue(()))
        })?;
        report.finish()?;
        Ok((used, self.input(schema, windows)?))
    }

    /// Where the columns that windows go by stand: time, group.
    fn window_columns(&self) -> Result<[Option<usize>; 2]> {
        let Some(window) = &self.config.window else { return Ok([None, None]) };
        let place = |name: &Option<String>, key: &str| {
            name.as_ref().map(|name| self.plan.place(name, key, self.files)).transpose()
        };
        Ok([place(&window.time, "data.window.time")?, place(&window.group, "data.window.group")?])
    }

    /// A row's time and group.
    fn in_order(&self, row: &Row<'_>, [at, group]: [Option<usize>; 2]) -> Result<(Option<f64>, String)> {
        let cell = |place: usize| row.cells.get(place).copied().unwrap_or(Cell::Missing);
        let fault = |key: &str, what: &str| {
            Error::input(format!("{}: the column of `data.window.{key}` holds {what}", row.place))
                .next("correct it, or name another column")
        };
        let time = at.map(|place| time(&cell(place)).map_err(|_| fault("time", "neither a date nor a number")));
        let name = group.map(|place| match cell(place) {
            cell if cell.is_missing(&[]) => Err(fault("group", "no value")),
            cell => cell.name().map(|name| name.into_owned()).map_err(|_| fault("group", "no name")),
        });
        Ok((time.transpose()?, name.transpose()?.unwrap_or_default()))
    }

    /// The shape of an example, and what is known of a forecast.
    fn input(&self, schema: &TableSchema, windows: Option<Windows<'_>>) -> Result<InputSchema> {
        let columns = schema.outputs();
        let (Some(windows), Some(asked)) = (windows, &self.config.window) else {
            return Ok(InputSchema::Table { columns });
        };
        if let Some(Schema { input: learned @ InputSchema::Windows { .. }, .. }) = self.request.learned {
            windows.finish(Vec::new())?;
            return Ok(learned.clone());
        }
        let first = |name: &String| schema.features().find(|(own, _)| own == name).map(|(_, features)| features.start);
        let past: Vec<usize> = self.plan.targets.iter().filter_map(first).collect();
        let known = windows.finish(past)?;
        let forecast = (self.config.task == TaskKind::Regression).then_some(known);
        Ok(InputSchema::Windows { columns, length: asked.length, forecast })
    }
}

impl Learned<'_> {
    /// Transforms some rows; those that are left out of training are left out.
    fn write<'r>(&self, batch: Batch<'r>) -> Part<'r> {
        let Learned { schema, target, ids, labels, own } = self;
        let mut part = Part {
            rows: Vec::new(),
            values: Vec::new(),
            reals: Vec::new(),
            used: vec![Used::default(); schema.columns.len()],
            report: Report::default(),
        };
        for row in batch.rows() {
            let fold = row.fold().filter(|_| *own);
            let (values, reals) = (part.values.len(), part.reals.len());
            let Part { report, used, values: out, .. } = &mut part;
            let dropped = schema.write(row.features, fold, used, out, &mut |column, fault| {
                report.add(row.place, &column.name, fault);
            });
            match labels.of(&row, target, ids, &mut part.reals) {
                Err((column, fault)) => part.report.add_target(row.place, column, fault),
                Ok(_) if dropped && fold.is_some() => {}
                Ok(class) => {
                    let (values, reals) = (values..part.values.len(), reals..part.reals.len());
                    part.rows.push(Written { row, values, reals, class });
                }
            }
        }
        part
    }
}
