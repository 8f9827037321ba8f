//! Passes over a table's rows: block by block, each row with its split.

use std::ops::ControlFlow;

use rayon::prelude::*;

use super::super::block::{self, Block, EachBlock};
use super::super::wanted::Wanted;
use super::super::{Cell, Each, Place, each_block};
use super::Table;
use crate::data::split::Splitter;
use crate::data::{Split, TaskKind, clean};
use crate::error::{Error, Result};

/// One row of a pass.
#[derive(Clone, Copy)]
pub(in super::super) struct Row<'r> {
    pub(in super::super) place: Place<'r>,
    pub(in super::super) split: Split,
    pub(in super::super) features: &'r [Cell<'r>],
    pub(in super::super) targets: &'r [Cell<'r>],
    /// All of them, in the order of the plan's names.
    pub(in super::super) cells: &'r [Cell<'r>],
    /// For a training row, how many came before it.
    pub(in super::super) training: Option<u64>,
}

impl Row<'_> {
    pub(super) fn fold(&self) -> Option<usize> {
        self.training.map(clean::fold)
    }
}

/// Rows of a pass that follow each other.
pub(in super::super) struct Batch<'r> {
    block: Block<'r>,
    taken: &'r [Taken],
    /// Columns of features and of targets.
    columns: [usize; 2],
}

/// A row that takes part.
struct Taken {
    at: usize,
    split: Split,
    training: Option<u64>,
}

impl<'r> Batch<'r> {
    pub(in super::super) fn rows(&self) -> impl Iterator<Item = Row<'r>> {
        let (block, [features, targets]) = (self.block, self.columns);
        self.taken.iter().map(move |&Taken { at, split, training }| {
            let cells = block.cells(at);
            let (features, rest) = cells.split_at(features.min(cells.len()));
            let targets = rest.get(..targets).unwrap_or(rest);
            Row { place: block.place(at), split, features, targets, cells, training }
        })
    }

    /// What `of` makes of the parts of it, in order; on all threads.
    pub(super) fn parts<T: Send>(&self, of: impl Fn(Batch<'r>) -> T + Send + Sync) -> Vec<T> {
        self.taken.par_chunks(block::PART).map(|taken| of(Batch { taken, ..*self })).collect()
    }
}

/// Takes one batch after the other.
pub(in super::super) type EachBatch<'a> = dyn FnMut(&Batch<'_>) -> Result<ControlFlow<()>> + 'a;

pub(in super::super) type EachRow<'a> = dyn FnMut(Row<'_>) -> Result<ControlFlow<()>> + 'a;

impl Table<'_> {
    /// Calls `each` with all rows of all files, up to the limit.
    fn blocks(&self, each: &mut EachBlock<'_>) -> Result<()> {
        let wanted = Wanted::new(&self.plan.names(), &self.absent, &self.plan.derived)?;
        let limit = usize::try_from(self.config.limit).unwrap_or(usize::MAX);
        let (mut rows, mut stopped) = (0, false);
        for file in self.files {
            each_block(file, &self.layout, &wanted.read, &mut |read| {
                let read = if limit > 0 { read.first(limit - rows) } else { read };
                rows += read.rows();
                let flow = wanted.of(read, &mut *each)?;
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

    /// The same row by row.
    pub(super) fn raw(&self, each: &mut Each<'_>) -> Result<()> {
        self.blocks(&mut |block| {
            for row in 0..block.rows() {
                if let ControlFlow::Break(()) = each(block.place(row), block.cells(row))? {
                    return Ok(ControlFlow::Break(()));
                }
            }
            Ok(ControlFlow::Continue(()))
        })
    }

    /// All rows that take part, with their splits.
    pub(in super::super) fn batches(&self, splitter: &Splitter, each: &mut EachBatch<'_>) -> Result<()> {
        let mut pass = splitter.start();
        let mut trained = 0;
        let by = self.plan.by();
        let columns = [self.plan.features.len(), self.plan.targets.len()];
        self.blocks(&mut |block| {
            let mut taken = Vec::with_capacity(block.rows());
            for at in 0..block.rows() {
                let cells = block.cells(at);
                let split = pass.next(by.and_then(|by| cells.get(by)).unwrap_or(&Cell::Missing));
                let Some(split) = split.map_err(|_| self.no_split(block.place(at)))? else { continue };
                if split == Split::Train && self.leaves_out(cells.get(columns[0]..).unwrap_or_default()) {
                    continue;
                }
                let training = (split == Split::Train).then_some(trained);
                trained += u64::from(training.is_some());
                taken.push(Taken { at, split, training });
            }
            each(&Batch { block, taken: &taken, columns })
        })
    }

    /// The same row by row.
    pub(in super::super) fn each(&self, splitter: &Splitter, each: &mut EachRow<'_>) -> Result<()> {
        self.batches(splitter, &mut |batch| {
            for row in batch.rows() {
                if let ControlFlow::Break(()) = each(row)? {
                    return Ok(ControlFlow::Break(()));
                }
            }
            Ok(ControlFlow::Continue(()))
        })
    }

    /// Whether a training row is an anomaly, where those take no part.
    fn leaves_out(&self, targets: &[Cell<'_>]) -> bool {
        let only_normal = self.config.anomaly.as_ref().is_some_and(|asked| asked.only_normal);
        self.config.task == TaskKind::Anomaly && only_normal && self.labels().anomaly(targets).is_ok_and(|is| is)
    }
}
