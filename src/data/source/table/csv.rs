//! Comma-separated values.

use std::io::{BufRead, Read};
use std::path::Path;

use csv::{ByteRecord, ErrorKind, Reader, ReaderBuilder, StringRecord, Trim};

use super::block::{self, Chunk, EachBlock, Origin, Source};
use super::{Cell, Layout, stream};
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
pub(super) fn blocks(path: &Path, layout: &Layout, indices: &[usize], each: &mut EachBlock<'_>) -> Result<()> {
    let origin = Origin { file: path, unit: "line", width: indices.len() };
    block::read_ahead(origin, || Ok(Lines { reader: open(path, layout)?, path, layout, indices }), each)
}

/// The wanted fields of some lines, one after the other.
#[derive(Default)]
struct Fields {
    bytes: Vec<u8>,
    /// Where each field ends.
    ends: Vec<usize>,
    lines: Vec<u64>,
    width: usize,
}

impl Chunk for Fields {
    fn rows(&self) -> usize {
        self.lines.len()
    }

    fn number(&self, row: usize) -> u64 {
        self.lines.get(row).copied().unwrap_or_default()
    }

    fn cell(&self, row: usize, column: usize) -> Cell<'_> {
        let at = row * self.width + column;
        let end = |at: usize| self.ends.get(at).copied().unwrap_or_default();
        let start = at.checked_sub(1).map_or(0, end);
        let field = self.bytes.get(start..end(at)).unwrap_or_default();
        std::str::from_utf8(field).map_or(Cell::Other("text that is not UTF-8"), Cell::Text)
    }
}

struct Lines<'a, R> {
    reader: Reader<R>,
    path: &'a Path,
    layout: &'a Layout,
    indices: &'a [usize],
}

impl<R: Read> Source for Lines<'_, R> {
    type Chunk = Fields;

    fn read(&mut self) -> (Fields, Result<()>) {
        let mut fields = Fields { width: self.indices.len(), ..Fields::default() };
        let end = self.fill(&mut fields);
        (fields, end)
    }
}

impl<R: Read> Lines<'_, R> {
    fn fill(&mut self, fields: &mut Fields) -> Result<()> {
        let mut record = ByteRecord::new();
        while fields.lines.len() < block::rows(fields.width) && fields.bytes.len() < block::BYTES {
            if !self.reader.read_byte_record(&mut record).map_err(|e| fault(self.path, self.layout, &e))? {
                break;
            }
            fields.lines.push(self.layout.skip + record.position().map_or(0, csv::Position::line));
            for &index in self.indices {
                fields.bytes.extend_from_slice(record.get(index).unwrap_or_default());
                fields.ends.push(fields.bytes.len());
            }
        }
        Ok(())
    }
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
