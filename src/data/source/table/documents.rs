//! Text files as rows: a file is a row of two columns, its `text` and the name of the `folder` that it lies in.

use std::borrow::Cow;
use std::path::Path;

use super::Cell;
use super::block::{self, Chunk, EachBlock, Origin};
use crate::error::{Error, IoContext, Result};

/// A file's size in bytes at most.
const LARGEST: u64 = 16 << 20;

const COLUMNS: [&str; 2] = ["text", "folder"];

/// `text` and `folder`.
pub(super) fn columns() -> Vec<String> {
    COLUMNS.map(String::from).to_vec()
}

/// Calls `each` with the columns at the indices of the one row that the file is. Bytes that are no UTF-8 become `�`: mails
/// of many encodings are one table.
pub(super) fn blocks(path: &Path, indices: &[usize], each: &mut EachBlock<'_>) -> Result<()> {
    let size = std::fs::metadata(path).io("read", path)?.len();
    if size > LARGEST {
        return Err(Error::input(format!("{} is larger than 16 MiB", path.display()))
            .next("split it, or give a table with a column of text"));
    }
    let bytes = std::fs::read(path).io("read", path)?;
    let folder = path.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy();
    let values = [String::from_utf8_lossy(&bytes), folder];
    let origin = Origin { file: path, unit: "document", width: indices.len() };
    block::view(origin, &Document { values: &values, indices }, each).map(drop)
}

struct Document<'a> {
    values: &'a [Cow<'a, str>; 2],
    indices: &'a [usize],
}

impl Chunk for Document<'_> {
    fn rows(&self) -> usize {
        1
    }

    fn number(&self, _row: usize) -> u64 {
        1
    }

    fn cell(&self, _row: usize, column: usize) -> Cell<'_> {
        let value = self.indices.get(column).and_then(|at| self.values.get(*at));
        value.map_or(Cell::Missing, |value| Cell::Text(value))
    }
}
