//! What shares a table's rows out: among the splits, and among folds.

use std::collections::HashMap;
use std::ops::ControlFlow;

use super::super::{Cell, Place};
use super::Table;
use crate::data::fold::shared_out;
use crate::data::split::{Splitter, time};
use crate::data::{Fold, FoldBy, HoldoutBy, Split, TaskKind};
use crate::error::{Error, Result};

impl Table<'_> {
    pub(in super::super) fn splitter(&self) -> Result<Splitter> {
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

    pub(super) fn no_split(&self, place: Place<'_>) -> Error {
        let column = self.config.holdout.column.as_deref().unwrap_or_default();
        let what = match self.config.holdout.by {
            HoldoutBy::Time => "neither a date nor a number",
            _ => "no value",
        };
        Error::input(format!("{place}: column `{column}`, which the rows are split by, holds {what}"))
            .next("correct it, or split by another `data.holdout.column`")
    }
}
