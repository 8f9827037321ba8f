//! Comma-separated values.

use std::io::{BufRead, Read};
use std::ops::ControlFlow;
use std::path::Path;

use csv::{ByteRecord, ErrorKind, Reader, ReaderBuilder, StringRecord, Trim};

use super::{Cell, Each, Layout, Place, stream};
use crate::error::{Error, IoContext, Result};

/// The header, the given names, or `c0`, `c1`, ... for as many fields as the first row has.
pub(super) fn columns(path: &Path, layout: &Layout) -> Result<Vec<String>> {
    let mut reader = open(path, layout)?;
    let mut first = StringRecord::new();
    if layout.header {
        first = reader.headers().map_err(|e| fault(path, layout, &e))?.clone();
    } else {
        reader.read_record(&mut first).map_err(|e| fault(path, layout, &e))?;
    }
    if first.is_empty() {
        let (rest, check) = match layout.skip {
            0 => (String::new(), "the file"),
            lines => (format!(" after {lines} lines"), "the file and `data.skip`"),
        };
        return Err(Error::input(format!("{} is empty{rest}", path.display())).next(format!("check {check}")));
    }
    if !layout.header && !layout.names.is_empty() {
        if layout.names.len() != first.len() {
            let (given, found) = (layout.names.len(), first.len());
            return Err(Error::input(format!(
                "`data.names` has {given} names, but {} has {found} columns",
                path.display()
            ))
            .next("give one name for each column"));
        }
        return Ok(layout.names.clone());
    }
    let name = |(index, field): (usize, &str)| if layout.header { field.to_owned() } else { format!("c{index}") };
    Ok(first.iter().enumerate().map(name).collect())
}

/// Calls `each` with the fields at the indices, as text.
pub(super) fn rows(path: &Path, layout: &Layout, indices: &[usize], each: &mut Each<'_>) -> Result<()> {
    let mut reader = open(path, layout)?;
    let mut record = ByteRecord::new();
    while reader.read_byte_record(&mut record).map_err(|e| fault(path, layout, &e))? {
        let number = layout.skip + record.position().map_or(0, csv::Position::line);
        let cells: Vec<_> = indices.iter().map(|&index| cell(record.get(index))).collect();
        if let ControlFlow::Break(()) = each(Place { file: path, unit: "line", number }, &cells)? {
            break;
        }
    }
    Ok(())
}

fn cell(field: Option<&[u8]>) -> Cell<'_> {
    let Some(field) = field else { return Cell::Missing };
    std::str::from_utf8(field).map_or(Cell::Other("text that is not UTF-8"), Cell::Text)
}

fn open(path: &Path, layout: &Layout) -> Result<Reader<impl Read>> {
    let delimiter = u8::try_from(layout.delimiter).ok().filter(u8::is_ascii).ok_or_else(|| {
        Error::input(format!("`data.delimiter` is `{}`", layout.delimiter)).next("give one ASCII character")
    })?;
    let mut builder = ReaderBuilder::new();
    builder.has_headers(layout.header).delimiter(delimiter).trim(Trim::All);
    let mut file = stream::open(path)?;
    for _ in 0..layout.skip {
        if file.skip_until(b'\n').io("read", path)? == 0 {
            break;
        }
    }
    Ok(builder.from_reader(file))
}

fn fault(path: &Path, layout: &Layout, e: &csv::Error) -> Error {
    let at = e.position().map_or_else(String::new, |position| format!(", line {}", layout.skip + position.line()));
    let at = format!("{}{at}", path.display());
    match e.kind() {
        ErrorKind::UnequalLengths { expected_len, len, .. } => {
            Error::input(format!("{at}: it has {len} fields instead of {expected_len}"))
                .next(format!("correct the line, or check `data.delimiter`, which is `{}`", layout.delimiter))
        }
        ErrorKind::Utf8 { .. } => Error::input(format!("{at}: it is not UTF-8 text")).next("convert the file to UTF-8"),
        ErrorKind::Io(e) => Error::input(format!("cannot read {at}: {e}")).next("check that the file is whole"),
        _ => Error::input(format!("{at}: {e}")).next("correct the line"),
    }
}
