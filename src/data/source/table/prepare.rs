//! A table for training: types told by the first training rows, transforms learned on the training split, then every
//! row transformed and handed on.

mod labels;
mod learn;
mod passes;
mod shares;
mod write;

use std::path::PathBuf;

use super::plan::Plan;
use super::{Layout, text, wanted};
use crate::data::clean::{CleanConfig, Columns};
use crate::data::{DataConfig, RecordSink, Records, Schema, TargetSchema, TaskKind};
use crate::error::{Error, Result};
pub(super) use labels::{Labels, ids};

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

    /// How the targets are read.
    pub(super) fn labels(&self) -> Labels<'_> {
        Labels { names: &self.plan.targets, anomaly: self.config.anomaly.as_ref() }
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
}

fn columns(config: &DataConfig) -> Columns<'_> {
    Columns { base: &config.clean, own: &config.columns, standardize: config.standardize }
}
