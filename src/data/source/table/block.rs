//! Rows in blocks: one thread decodes the next ones while the block before is worked on.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::mpsc::{SyncSender, sync_channel};

use rayon::prelude::*;

use super::{Cell, Place};
use crate::error::Result;

/// Rows of a block, its cells, and bytes of text to decode it from, at most; a single row may be longer.
const ROWS: usize = 16_384;
const CELLS: usize = 1 << 16;
pub(super) const BYTES: usize = 4 << 20;

/// Blocks that are decoded before they are needed.
const AHEAD: usize = 1;

/// Rows that one thread works on at a time.
pub(super) const PART: usize = 1024;

/// Rows of a block that reads `width` columns.
pub(super) fn rows(width: usize) -> usize {
    (CELLS / width.max(1)).clamp(1, ROWS)
}

/// Rows as a format decodes them, the columns in the order that was asked for.
pub(super) trait Chunk: Send + Sync {
    fn rows(&self) -> usize;

    /// The row's number in the file, as a person counts.
    fn number(&self, row: usize) -> u64;

    fn cell(&self, row: usize, column: usize) -> Cell<'_>;

    /// Fills `cells`, `[rows, width]`, with the rows from `first` on.
    fn fill<'a>(&'a self, first: usize, cells: &mut [Cell<'a>], width: usize) {
        for (row, cells) in cells.chunks_mut(width).enumerate() {
            cells.iter_mut().enumerate().for_each(|(column, cell)| *cell = self.cell(first + row, column));
        }
    }
}

/// A file as a format decodes it.
pub(super) trait Source {
    type Chunk: Chunk;

    /// The next rows, none at the end; and what is wrong with the row after them.
    fn read(&mut self) -> (Self::Chunk, Result<()>);
}

/// Rows that follow each other in a file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Block<'a> {
    file: &'a Path,
    unit: &'static str,
    numbers: &'a [u64],
    /// `[rows, width]`.
    cells: &'a [Cell<'a>],
    width: usize,
}

/// Takes one block after the other.
pub(super) type EachBlock<'a> = dyn FnMut(Block<'_>) -> Result<ControlFlow<()>> + 'a;

impl<'a> Block<'a> {
    pub(super) fn rows(&self) -> usize {
        self.numbers.len()
    }

    pub(super) fn place(&self, row: usize) -> Place<'a> {
        let number = self.numbers.get(row).copied().unwrap_or_default();
        Place { file: self.file, unit: self.unit, number }
    }

    pub(super) fn cells(&self, row: usize) -> &'a [Cell<'a>] {
        self.cells.get(row * self.width..(row + 1) * self.width).unwrap_or_default()
    }

    /// The first `rows` of it.
    pub(super) fn first(self, rows: usize) -> Self {
        Self { numbers: self.numbers.get(..rows).unwrap_or(self.numbers), ..self }
    }

    /// The same rows with other cells.
    pub(super) fn with<'b>(self, cells: &'b [Cell<'b>], width: usize) -> Block<'b>
    where
        'a: 'b,
    {
        Block { cells, width, ..self }
    }
}

/// Where a format's chunks come from.
#[derive(Clone, Copy)]
pub(super) struct Origin<'a> {
    pub(super) file: &'a Path,
    /// What a row's number counts.
    pub(super) unit: &'static str,
    /// Columns of a chunk.
    pub(super) width: usize,
}

/// Calls `each` with every chunk of a file until it breaks off; the file is opened where it is decoded.
pub(super) fn read_ahead<S: Source>(
    origin: Origin<'_>,
    open: impl FnOnce() -> Result<S> + Send,
    each: &mut EachBlock<'_>,
) -> Result<()> {
    std::thread::scope(|scope| {
        let (sender, chunks) = sync_channel(AHEAD);
        scope.spawn(move || {
            if let Err(e) = decode(open, &sender) {
                // Nobody waits for it where `each` has seen enough.
                let _ = sender.send(Err(e));
            }
        });
        for chunk in chunks {
            if let ControlFlow::Break(()) = view(origin, &chunk?, each)? {
                break;
            }
        }
        Ok(())
    })
}

fn decode<S: Source>(open: impl FnOnce() -> Result<S>, to: &SyncSender<Result<S::Chunk>>) -> Result<()> {
    let mut source = open()?;
    loop {
        let (chunk, fault) = source.read();
        // The other end is gone when `each` has seen enough.
        if chunk.rows() == 0 || to.send(Ok(chunk)).is_err() {
            return fault;
        }
        fault?;
    }
}

/// Calls `each` with a chunk.
pub(super) fn view(origin: Origin<'_>, chunk: &impl Chunk, each: &mut EachBlock<'_>) -> Result<ControlFlow<()>> {
    let Origin { file, unit, width } = origin;
    let numbers: Vec<u64> = (0..chunk.rows()).map(|row| chunk.number(row)).collect();
    let mut cells = vec![Cell::Missing; numbers.len() * width];
    let parts = cells.par_chunks_mut(PART * width.max(1)).enumerate();
    parts.for_each(|(part, cells)| chunk.fill(part * PART, cells, width));
    each(Block { file, unit, numbers: &numbers, cells: &cells, width })
}
