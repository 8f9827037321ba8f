//! What a table's training rows teach: types, classes, transforms.

use std::collections::{BTreeSet, HashMap};
use std::ops::ControlFlow;

use rayon::prelude::*;

use super::super::Cell;
use super::labels::{encode_targets, encoded_targets, ids};
use super::passes::{Batch, Row};
use super::{MOST_CLASSES, Table, columns};
use crate::data::clean::{self, Column, ColumnType, Filled, Guess, Profile, Second, TableSchema, Used};
use crate::data::source::table::joint::JointSample;
use crate::data::split::Splitter;
use crate::data::{TargetSchema, TaskKind};
use crate::error::{Error, Result};

impl Table<'_> {
    /// Learns types, classes and transforms.
    pub(super) fn learn(&self, splitter: &Splitter) -> Result<(TableSchema, TargetSchema)> {
        let kinds = self.kinds(splitter)?;
        let names = &self.plan.features;
        for (name, kind) in names.iter().zip(&kinds) {
            columns(self.config).check(name, *kind)?;
        }
        let mut profiles: Vec<Profile> =
            kinds.iter().zip(&self.settings).map(|(kind, own)| Profile::new(*kind, own, names.len())).collect();
        let mut joint = JointSample::new(self.config, &self.settings, &kinds);
        let target = self.targets(splitter, &mut |batch| {
            let training: Vec<&[Cell<'_>]> =
                batch.rows().filter(|row| row.training.is_some()).map(|row| row.features).collect();
            training.iter().for_each(|cells| joint.add(cells, &self.settings));
            profiles.par_iter_mut().zip(&self.settings).enumerate().for_each(|(at, (profile, own))| {
                let cells = training.iter().filter_map(|cells| cells.get(at));
                cells.for_each(|cell| profile.add(cell, own));
            });
        })?;
        let width = encoded_targets(&target);
        let fitted = names.iter().zip(&profiles).zip(&self.settings);
        let fitted: Result<Vec<Column>> = fitted.map(|((name, profile), own)| profile.fit(name, own, width)).collect();
        let columns = fitted?;
        let joint = joint.fit(&columns, self.config.isolation_forest.as_ref());
        let mut schema = TableSchema { columns, derived: self.plan.derived.clone(), joint };
        self.look_again(&mut schema, &target, splitter)?;
        if schema.outputs().is_empty() {
            return Err(Error::input(format!("no column is left to learn from: {}", schema.summary().join("; ")))
                .next("name a column's type in `data.columns`, as in `data.columns.x = \"numeric\"`"));
        }
        Ok((schema, target))
    }

    /// The classes of all rows, or the values' names; `look` sees every row on the way.
    pub(in super::super) fn targets(
        &self,
        splitter: &Splitter,
        look: &mut dyn FnMut(&Batch<'_>),
    ) -> Result<TargetSchema> {
        let mut classes = BTreeSet::new();
        self.batches(splitter, &mut |batch| {
            batch.rows().try_for_each(|row| self.class(&row, &mut classes))?;
            look(batch);
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(match self.config.task {
            TaskKind::Classification => TargetSchema::Classes { names: clean::sorted(classes.into_iter().collect()) },
            TaskKind::Anomaly => TargetSchema::Itself { labelled: !self.plan.targets.is_empty() },
            _ => TargetSchema::Values { names: self.plan.targets.clone() },
        })
    }

    /// The type of every feature: the config's, or what the first training rows hold.
    fn kinds(&self, splitter: &Splitter) -> Result<Vec<ColumnType>> {
        let found = self.guesses(splitter)?;
        Ok(found.into_iter().zip(&self.settings).map(|(guess, own)| own.kind.unwrap_or(guess)).collect())
    }

    /// The type of every feature by what the first training rows hold.
    pub(in super::super) fn guesses(&self, splitter: &Splitter) -> Result<Vec<ColumnType>> {
        let names = &self.plan.features;
        let mut guesses: Vec<Guess> = names.iter().map(|_| Guess::default()).collect();
        let enough = clean::inferred_rows(names.len());
        self.each(splitter, &mut |row| {
            if row.training.is_some() {
                let cells = guesses.iter_mut().zip(row.features).zip(&self.settings);
                cells.for_each(|((guess, cell), own)| guess.add(cell, own.markers()));
            }
            let done = row.training.is_some_and(|before| before + 1 >= enough);
            Ok(if done { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })?;
        Ok(guesses.iter().zip(names).map(|(guess, name)| guess.kind(name)).collect())
    }

    /// Adds a row's class; one that is none is told of when the rows are written.
    fn class(&self, row: &Row<'_>, classes: &mut BTreeSet<String>) -> Result<()> {
        let (TaskKind::Classification, Some(cell)) = (self.config.task, row.targets.first()) else { return Ok(()) };
        let Ok(name) = cell.class() else { return Ok(()) };
        if classes.contains(name.as_ref()) {
            return Ok(());
        }
        if classes.len() >= MOST_CLASSES {
            let column = self.plan.targets.join(", ");
            let place = row.place;
            return Err(Error::input(format!("{place}: column `{column}` has more than {MOST_CLASSES} classes"))
                .next("name the class column in `data.target`, or set `data.task` to \"regression\""));
        }
        classes.insert(name.into_owned());
        Ok(())
    }

    /// A second look at the training split, where a transform needs one.
    fn look_again(&self, schema: &mut TableSchema, target: &TargetSchema, splitter: &Splitter) -> Result<()> {
        let dropping = schema.drops_rows();
        let mut seconds: Vec<Option<Second>> = schema.columns.iter().map(|column| column.second(dropping)).collect();
        if seconds.iter().all(Option::is_none) {
            return Ok(());
        }
        let ids = ids(target);
        self.batches(splitter, &mut |batch| {
            let parts = batch.parts(|part| Seen::new(&part, schema, target, &ids));
            let each = seconds.par_iter_mut().zip(&schema.columns).enumerate();
            each.for_each(|(at, (second, column))| {
                let Some(second) = second else { return };
                parts.iter().for_each(|part| part.observed(at, column, second));
            });
            Ok(ControlFlow::Continue(()))
        })?;
        for ((column, second), own) in schema.columns.iter_mut().zip(&seconds).zip(&self.settings) {
            if let Some(second) = second {
                column.refine(second, own);
            }
        }
        Ok(())
    }
}

/// The training rows of a part on a second look.
#[derive(Default)]
struct Seen<'r> {
    /// Each row's features and fold.
    rows: Vec<(&'r [Cell<'r>], usize)>,
    /// Each row's values that a target encoding takes the means of, one row after the other.
    encoded: Vec<f64>,
    /// Each row's numbers, where several columns are looked at together.
    filled: Vec<Filled>,
}

impl<'r> Seen<'r> {
    /// Rows that are left out of the training split are left out.
    fn new(part: &Batch<'r>, schema: &TableSchema, target: &TargetSchema, ids: &HashMap<&str, u32>) -> Self {
        let mut seen = Self::default();
        let (drops, mut used, mut scratch) =
            (schema.drops_rows(), vec![Used::default(); schema.columns.len()], Vec::new());
        for row in part.rows() {
            let Some(fold) = row.fold() else { continue };
            scratch.clear();
            if drops && schema.write(row.features, None, &mut used, &mut scratch, &mut |_, _| {}) {
                continue;
            }
            if encode_targets(&row, target, ids, &mut seen.encoded).is_ok() {
                seen.rows.push((row.features, fold));
                seen.filled.extend(schema.joint.as_ref().map(|joint| joint.filled(&schema.columns, row.features)));
            }
        }
        seen
    }

    /// Shows the column at this place.
    fn observed(&self, at: usize, column: &Column, second: &mut Second) {
        let width = self.encoded.len() / self.rows.len().max(1);
        for (row, (features, fold)) in self.rows.iter().enumerate() {
            let fill = self.filled.get(row).and_then(|filled| filled.fill(at));
            let encoded = self.encoded.get(row * width..(row + 1) * width).unwrap_or_default();
            features.get(at).into_iter().for_each(|cell| column.observe(cell, fill, *fold, encoded, second));
        }
    }
}
