//! Text files as rows: a file is a row of two columns, its `text` and the name of the `folder` that it lies in.

use std::path::Path;

use super::{Cell, Each, Place};
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
pub(super) fn rows(path: &Path, indices: &[usize], each: &mut Each<'_>) -> Result<()> {
    let size = std::fs::metadata(path).io("read", path)?.len();
    if size > LARGEST {
        return Err(Error::input(format!("{} is larger than 16 MiB", path.display()))
            .next("split it, or give a table with a column of text"));
    }
    let bytes = std::fs::read(path).io("read", path)?;
    let text = String::from_utf8_lossy(&bytes);
    let folder = path.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy();
    let values = [Cell::Text(&text), Cell::Text(&folder)];
    let cells: Vec<Cell<'_>> = indices.iter().map(|at| values.get(*at).copied().unwrap_or(Cell::Missing)).collect();
    each(Place { file: path, unit: "document", number: 1 }, &cells).map(drop)
}
