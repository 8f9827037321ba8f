//! What a table's training rows teach: types, classes, transforms.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use super::{MOST_CLASSES, Row, Table, columns, encode_targets, encoded_targets, ids};
use crate::data::clean::{self, Column, ColumnType, Guess, Profile, Second, TableSchema, Used};
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
        let target = self.targets(splitter, &mut |row| {
            if row.training.is_some() {
                let cells = profiles.iter_mut().zip(row.features).zip(&self.settings);
                cells.for_each(|((profile, cell), own)| profile.add(cell, own));
                joint.add(row.features, &self.settings);
            }
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
        look: &mut dyn FnMut(&Row<'_, '_>),
    ) -> Result<TargetSchema> {
        let mut classes = BTreeSet::new();
        self.each(splitter, &mut |row| {
            self.class(&row, &mut classes)?;
            look(&row);
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
    fn class(&self, row: &Row<'_, '_>, classes: &mut BTreeSet<String>) -> Result<()> {
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
        let mut used = vec![Used::default(); schema.columns.len()];
        let (mut scratch, mut encoded) = (Vec::new(), Vec::new());
        self.each(splitter, &mut |row| {
            let Some(fold) = row.fold() else { return Ok(ControlFlow::Continue(())) };
            scratch.clear();
            let dropped = dropping && schema.write(row.features, None, &mut used, &mut scratch, &mut |_, _| {});
            if !dropped && encode_targets(&row, target, &ids, &mut encoded).is_ok() {
                let cells = schema.columns.iter().zip(row.features).zip(&mut seconds);
                let filled = schema.joint.as_ref().map(|joint| joint.filled(&schema.columns, row.features));
                cells.enumerate().for_each(|(at, ((column, cell), second))| {
                    if let Some(second) = second {
                        let fill = filled.as_ref().and_then(|filled| filled.fill(at));
                        column.observe(cell, fill, fold, &encoded, second);
                    }
                });
            }
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
