//! A table for training: types told by the first training rows, transforms learned on the training split, then every
//! row transformed and handed on.

mod learn;

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::path::PathBuf;

use super::plan::Plan;
use super::wanted::{self, Wanted};
use super::windows::{Step, Windows};
use super::{Cell, Fault, Layout, Place, each_row, text};
use crate::data::clean::{self, CleanConfig, Columns, Report, TableSchema, Used};
use crate::data::fold::shared_out;
use crate::data::split::{Splitter, time};
use crate::data::{
    AnomalyConfig, DataConfig, Features, Fold, FoldBy, HoldoutBy, InputSchema, RecordSink, Records, Schema, Split,
    Target, TargetSchema, TaskKind,
};
use crate::error::{Error, Result};

const MOST_CLASSES: usize = 10_000;

/// What a reader of a table is told beside the config.
#[derive(Clone, Copy)]
pub(in crate::data) struct Request<'a> {
    /// What the splits depend on.
    pub seed: u64,
    /// What a run learned: its transforms and classes are applied as they are, and nothing is learned.
    pub learned: Option<&'a Schema>,
    /// Takes lines for a person.
    pub progress: &'a dyn Fn(&str),
}

/// Pushes the rows of all files, transformed, each with its split.
///
/// Classes are the distinct values of the target column, sorted, as numbers if all are integers.
///
/// # Errors
/// An unknown column; more than 10,000 classes; values that do not fit their column, all in one report with file, line
/// (Parquet: row), column and value.
pub(in crate::data) fn read(
    files: &[PathBuf],
    config: &DataConfig,
    request: Request<'_>,
    sink: &mut dyn RecordSink,
) -> Result<Records> {
    let table = Table::new(files, config, request)?;
    let splitter = table.splitter()?;
    if config.text.is_some() {
        return text::read(&table, &splitter, sink);
    }
    let (schema, target) = match request.learned {
        Some(Schema { table: Some(schema), target, .. }) => (schema.clone(), target.clone()),
        Some(_) => return Err(Error::input("the run was not trained on a table").next("give the data it was made for")),
        None => table.learn(&splitter)?,
    };
    if request.learned.is_none() {
        schema.summary().iter().for_each(|line| (request.progress)(line));
    }
    let (used, input) = table.write(&schema, &target, &splitter, sink)?;
    schema.told(&used).iter().for_each(|line| (request.progress)(line));
    let target = if request.learned.is_none() { table.ahead(target) } else { target };
    Ok(Records { input, target, table: Some(schema.settled()), tokenizer: None })
}

/// One row of a pass.
pub(super) struct Row<'r, 'c> {
    pub(super) place: Place<'r>,
    pub(super) split: Split,
    pub(super) features: &'r [Cell<'c>],
    pub(super) targets: &'r [Cell<'c>],
    /// All of them, in the order of the plan's names.
    pub(super) cells: &'r [Cell<'c>],
    /// For a training row, how many came before it.
    pub(super) training: Option<u64>,
}

impl Row<'_, '_> {
    fn fold(&self) -> Option<usize> {
        self.training.map(clean::fold)
    }
}

pub(super) type EachRow<'a> = dyn FnMut(Row<'_, '_>) -> Result<ControlFlow<()>> + 'a;

pub(super) struct Table<'a> {
    files: &'a [PathBuf],
    layout: Layout,
    pub(super) plan: Plan,
    config: &'a DataConfig,
    request: Request<'a>,
    pub(super) settings: Vec<CleanConfig>,
    /// Columns that a run learned, that are gone, and that may be imputed.
    absent: Vec<String>,
}

impl<'a> Table<'a> {
    pub(super) fn new(files: &'a [PathBuf], config: &'a DataConfig, request: Request<'a>) -> Result<Self> {
        let mut plan = Plan::new(files, config)?;
        if let Some(Schema { table: Some(table), .. }) = request.learned {
            plan.features = table.columns.iter().map(|column| column.name.clone()).collect();
            // What the run learned from stays; the config's own may be what the target or the splits are made of.
            let own = plan.derived.iter().filter(|own| table.derived.iter().all(|learned| learned.name != own.name));
            plan.derived = table.derived.iter().chain(own).cloned().collect();
        }
        if config.task == TaskKind::LanguageModel {
            return Err(Error::input("a table cannot be the data of a language model")
                .next("set `data.task` to \"classification\" or \"regression\", or give text"));
        }
        if config.task == TaskKind::Anomaly && plan.targets.len() > 1 {
            return Err(Error::input(format!("one column tells anomalies, not {}", plan.targets.join(", ")))
                .next("give one column in `data.target`, or none"));
        }
        if config.task == TaskKind::Classification && plan.targets.len() != 1 {
            return Err(Error::input(format!("classification needs one target, not {}", plan.targets.join(", ")))
                .next("give one column in `data.target`"));
        }
        let settings = plan.features.iter().map(|name| columns(config).of(name)).collect();
        let mut table =
            Self { files, layout: Layout::from(config), plan, config, request, settings, absent: Vec::new() };
        table.absent = table.absent()?;
        Ok(table)
    }

    fn absent(&self) -> Result<Vec<String>> {
        let (Some(Schema { table: Some(table), .. }), Some(file)) = (self.request.learned, self.files.first()) else {
            return Ok(Vec::new());
        };
        let there = super::columns(file, &self.layout)?;
        let may_be = table.columns.iter().filter(|column| column.may_be_absent()).map(|column| &column.name);
        wanted::gone(may_be, &there, &self.plan.derived)
    }

    /// Calls `each` with the cells of every row of all files, up to the limit.
    fn raw(&self, each: &mut super::Each<'_>) -> Result<()> {
        let wanted = Wanted::new(&self.plan.names(), &self.absent, &self.plan.derived)?;
        let limit = self.config.limit;
        let (mut rows, mut stopped) = (0, false);
        for file in self.files {
            each_row(file, &self.layout, &wanted.read, &mut |place, cells| {
                rows += 1;
                let flow = wanted.of(cells, |cells| each(place, cells))?;
                stopped = flow.is_break() || rows == limit;
                Ok(if stopped { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
            })?;
            if stopped {
                break;
            }
        }
        match (rows, self.files.first()) {
            (0, Some(file)) => Err(Error::input(format!("{} has no rows", file.display())).next("check the file")),
            _ => Ok(()),
        }
    }

    pub(super) fn config(&self) -> &DataConfig {
        self.config
    }

    /// The column of texts.
    pub(super) fn text(&self) -> Option<&str> {
        self.config.text.as_deref()
    }

    pub(super) fn progress(&self) -> &dyn Fn(&str) {
        self.request.progress
    }

    /// The same with the row's split.
    pub(super) fn each(&self, splitter: &Splitter, each: &mut EachRow<'_>) -> Result<()> {
        let mut pass = splitter.start();
        let mut trained = 0;
        let features = self.plan.features.len();
        let by = self.plan.by();
        self.raw(&mut |place, cells| {
            let split = pass.next(by.and_then(|by| cells.get(by)).unwrap_or(&Cell::Missing));
            let Some(split) = split.map_err(|_| self.no_split(place))? else { return Ok(ControlFlow::Continue(())) };
            let (own, rest) = cells.split_at(features.min(cells.len()));
            let targets = rest.get(..self.plan.targets.len()).unwrap_or(rest);
            if split == Split::Train && self.leaves_out(targets) {
                return Ok(ControlFlow::Continue(()));
            }
            let training = (split == Split::Train).then_some(trained);
            trained += u64::from(training.is_some());
            each(Row { place, split, features: own, targets, cells, training })
        })
    }

    /// Whether a training row is an anomaly, where those take no part.
    fn leaves_out(&self, targets: &[Cell<'_>]) -> bool {
        let only_normal = self.config.anomaly.as_ref().is_some_and(|asked| asked.only_normal);
        self.config.task == TaskKind::Anomaly && only_normal && self.anomaly(targets).is_ok_and(|is| is)
    }

    /// Whether a row is an anomaly; one without a label is not.
    fn anomaly(&self, targets: &[Cell<'_>]) -> Result<bool, Fault> {
        let Some(cell) = targets.first() else { return Ok(false) };
        if cell.is_missing(&[]) {
            return Err(Fault::Missing);
        }
        let (name, usual) = (cell.name()?, AnomalyConfig::default());
        Ok(!self.config.anomaly.as_ref().unwrap_or(&usual).normal.iter().any(|normal| *normal == *name))
    }

    fn no_split(&self, place: Place<'_>) -> Error {
        let column = self.config.holdout.column.as_deref().unwrap_or_default();
        let what = match self.config.holdout.by {
            HoldoutBy::Time => "neither a date nor a number",
            _ => "no value",
        };
        Error::input(format!("{place}: column `{column}`, which the rows are split by, holds {what}"))
            .next("correct it, or split by another `data.holdout.column`")
    }

    pub(super) fn splitter(&self) -> Result<Splitter> {
        let mut splitter = Splitter::new(&self.config.holdout, self.request.seed);
        if let Some(by) = self.plan.by().filter(|_| splitter.needs_survey()) {
            self.raw(&mut |_, cells| {
                cells.get(by).into_iter().for_each(|cell| splitter.survey(cell));
                Ok(ControlFlow::Continue(()))
            })?;
            splitter.surveyed();
        }
        if let Some(fold) = &self.config.fold {
            let roles = shared_out(fold, &self.keys(fold, &splitter)?)?;
            splitter.fold(roles);
        }
        Ok(splitter)
    }

    /// What the rows outside the test split are shared out among folds by.
    fn keys(&self, fold: &Fold, splitter: &Splitter) -> Result<Vec<f64>> {
        let by = match fold.by {
            FoldBy::Stratified if self.config.task == TaskKind::Classification => Some(self.plan.features.len()),
            FoldBy::Stratified | FoldBy::Shuffled => None,
            FoldBy::Grouped | FoldBy::Time => Some(self.plan.place(&fold.column, "data.fold.column", self.files)?),
        };
        let held_out = self.plan.by();
        let mut pass = splitter.start();
        let (mut keys, mut names) = (Vec::new(), HashMap::new());
        self.raw(&mut |place, cells| {
            let at = |index: Option<usize>| index.and_then(|index| cells.get(index)).unwrap_or(&Cell::Missing);
            let split = pass.next(at(held_out)).map_err(|_| self.no_split(place))?;
            if split != Some(Split::Test) {
                let key = match fold.by {
                    FoldBy::Time => time(at(by)).ok(),
                    FoldBy::Grouped if at(by).is_missing(&[]) => None,
                    // A row without a class is told of later, with the others.
                    _ => Some(at(by).name().map_or(0.0, |name| {
                        let next = names.len() + 1;
                        *names.entry(name.into_owned()).or_insert(next) as f64
                    })),
                };
                keys.push(key.ok_or_else(|| {
                    Error::input(format!("{place}: column `{}`, which folds go by, holds no value for it", fold.column))
                        .next("correct it, or choose another `data.fold.column`")
                })?);
            }
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(keys)
    }

    /// The target of windows: the values of every row ahead, as `load+1`, `load+2`.
    fn ahead(&self, target: TargetSchema) -> TargetSchema {
        let horizon = self.config.window.as_ref().map_or(1, |window| window.horizon(self.config.task));
        match target {
            TargetSchema::Values { names } if horizon > 1 => {
                let each = (1..=horizon).flat_map(|step| names.iter().map(move |name| format!("{name}+{step}")));
                TargetSchema::Values { names: each.collect() }
            }
            target => target,
        }
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
    fn in_order(&self, row: &Row<'_, '_>, [at, group]: [Option<usize>; 2]) -> Result<(Option<f64>, String)> {
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

    /// Pushes every row, or every window; how often each column's policies were used, and the shape of what was pushed.
    fn write(
        &self,
        schema: &TableSchema,
        target: &TargetSchema,
        splitter: &Splitter,
        sink: &mut dyn RecordSink,
    ) -> Result<(Vec<Used>, InputSchema)> {
        let ids = ids(target);
        let (order, task) = (self.window_columns()?, self.config.task);
        let mut windows = self.config.window.as_ref().map(|asked| Windows::new(asked, asked.horizon(task)));
        let mut report = Report::default();
        let mut used = vec![Used::default(); schema.columns.len()];
        let (mut values, mut reals) = (Vec::new(), Vec::new());
        let learning = self.request.learned.is_none();
        self.each(splitter, &mut |row| {
            values.clear();
            let fold = row.fold().filter(|_| learning);
            let dropped = schema.write(row.features, fold, &mut used, &mut values, &mut |column, fault| {
                report.add(row.place, &column.name, fault);
            });
            let found = self.target(&row, target, &ids, &mut reals);
            match found {
                Err((column, fault)) => report.add_target(row.place, column, fault),
                Ok(_) if !report.is_empty() || dropped && fold.is_some() => {}
                Ok(id) => {
                    let target = id.map_or(Target::Values(&reals), Target::Class);
                    match &mut windows {
                        None => sink.push(Some(row.split), Features::F32(&values), target)?,
                        Some(windows) => {
                            let (time, group) = self.in_order(&row, order)?;
                            let step =
                                Step { place: row.place, split: row.split, group, time, values: &values, target };
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

    /// The row's class, or its values in `reals`.
    pub(super) fn target(
        &self,
        row: &Row<'_, '_>,
        target: &TargetSchema,
        ids: &HashMap<&str, u32>,
        reals: &mut Vec<f32>,
    ) -> Result<Option<u32>, (&str, Fault)> {
        reals.clear();
        if let TargetSchema::Itself { .. } = target {
            let column = self.plan.targets.first().map_or("", String::as_str);
            return self.anomaly(row.targets).map(|is| Some(u32::from(is))).map_err(|fault| (column, fault));
        }
        let named = self.plan.targets.iter().map(String::as_str).zip(row.targets);
        for (column, cell) in named {
            if let TargetSchema::Classes { .. } = target {
                let name = cell.class().map_err(|fault| (column, fault))?;
                let id = ids.get(name.as_ref()).copied();
                return id.map(Some).ok_or_else(|| (column, Fault::Unseen(name.into_owned())));
            }
            reals.push(cell.number().map_err(|fault| (column, fault))? as f32);
        }
        Ok(None)
    }
}

fn columns(config: &DataConfig) -> Columns<'_> {
    Columns { base: &config.clean, own: &config.columns, standardize: config.standardize }
}

pub(super) fn ids(target: &TargetSchema) -> HashMap<&str, u32> {
    match target {
        TargetSchema::Classes { names } => names.iter().map(String::as_str).zip(0..).collect(),
        _ => HashMap::new(),
    }
}

/// Values that a target encoding takes the means of: whether it is the second of two classes, one a class, or the
/// targets themselves.
fn encoded_targets(target: &TargetSchema) -> usize {
    match target {
        TargetSchema::Classes { names } if names.len() <= 2 => 1,
        TargetSchema::Classes { names } | TargetSchema::Values { names } => names.len(),
        TargetSchema::NextToken | TargetSchema::Items | TargetSchema::Itself { .. } => 0,
    }
}

fn encode_targets(
    row: &Row<'_, '_>,
    target: &TargetSchema,
    ids: &HashMap<&str, u32>,
    encoded: &mut Vec<f64>,
) -> Result<(), Fault> {
    encoded.clear();
    if let TargetSchema::Classes { names } = target {
        let name = row.targets.first().unwrap_or(&Cell::Missing).class()?;
        let id = ids.get(name.as_ref()).copied().ok_or(Fault::Missing)? as usize;
        match names.len() {
            ..=2 => encoded.push(id as f64),
            classes => encoded.extend((0..classes).map(|class| f64::from(u8::from(class == id)))),
        }
        return Ok(());
    }
    for cell in row.targets {
        encoded.push(cell.number()?);
    }
    Ok(())
}
