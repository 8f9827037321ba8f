//! One JSON object a line.

use std::fmt;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;

use super::block::{self, Chunk, EachBlock, Origin, Source};
use super::{Cell, Place, stream};
use crate::error::{Error, Result};

/// The keys of the first object, in their order.
pub(super) fn columns(path: &Path) -> Result<Vec<String>> {
    let first = Lines::open(path)?.next()?;
    let (_, Object(fields)) =
        first.ok_or_else(|| Error::input(format!("{} is empty", path.display())).next("check the file"))?;
    Ok(fields.into_iter().map(|(name, _)| name).collect())
}

/// Calls `each` with the named values of every object; an absent key is a missing value.
pub(super) fn blocks(path: &Path, names: &[String], each: &mut EachBlock<'_>) -> Result<()> {
    let origin = Origin { file: path, unit: "line", width: names.len() };
    block::read_ahead(origin, || Ok(Objects { lines: Lines::open(path)?, names }), each)
}

/// Some lines' objects.
struct Records<'a> {
    objects: Vec<(u64, Object)>,
    names: &'a [String],
}

impl Chunk for Records<'_> {
    fn rows(&self) -> usize {
        self.objects.len()
    }

    fn number(&self, row: usize) -> u64 {
        self.objects.get(row).map_or(0, |(number, _)| *number)
    }

    fn cell(&self, row: usize, column: usize) -> Cell<'_> {
        let there = self.objects.get(row).zip(self.names.get(column));
        there.map_or(Cell::Missing, |((_, Object(fields)), name)| value(fields, column, name))
    }
}

struct Objects<'a> {
    lines: Lines<'a>,
    names: &'a [String],
}

impl<'a> Source for Objects<'a> {
    type Chunk = Records<'a>;

    fn read(&mut self) -> (Records<'a>, Result<()>) {
        let mut some = Records { objects: Vec::new(), names: self.names };
        let end = self.fill(&mut some.objects);
        (some, end)
    }
}

impl Objects<'_> {
    fn fill(&mut self, objects: &mut Vec<(u64, Object)>) -> Result<()> {
        let mut bytes = 0;
        while objects.len() < block::rows(self.names.len()) && bytes < block::BYTES {
            let Some(object) = self.lines.next()? else { break };
            objects.push(object);
            bytes += self.lines.line.len();
        }
        Ok(())
    }
}

/// An object's fields in the order of the text.
struct Object(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Object;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Object(fields))
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

/// A file's objects, blank lines left out.
struct Lines<'a> {
    path: &'a Path,
    reader: BufReader<Box<dyn Read>>,
    line: Vec<u8>,
    number: u64,
}

impl<'a> Lines<'a> {
    fn open(path: &'a Path) -> Result<Self> {
        Ok(Self { path, reader: stream::open(path)?, line: Vec::new(), number: 0 })
    }

    /// The next object and its line; none at the end.
    fn next(&mut self) -> Result<Option<(u64, Object)>> {
        loop {
            self.number += 1;
            self.line.clear();
            let place = Place { file: self.path, unit: "line", number: self.number };
            let n = self
                .reader
                .read_until(b'\n', &mut self.line)
                .map_err(|e| Error::input(format!("cannot read {place}: {e}")).next("check that the file is whole"))?;
            if n == 0 {
                return Ok(None);
            }
            let text = self.line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&self.line).trim_ascii();
            if text.is_empty() {
                continue;
            }
            let object = serde_json::from_slice(text).map_err(|e| {
                Error::input(format!("{place}: it is not a JSON object: {e}")).next("write one object a line")
            })?;
            return Ok(Some((self.number, object)));
        }
    }
}

/// The field of this name; objects mostly repeat one order, so the same index is tried first.
fn value<'a>(fields: &'a [(String, Value)], index: usize, name: &str) -> Cell<'a> {
    let guess = fields.get(index).filter(|field| field.0 == name);
    match guess.or_else(|| fields.iter().find(|field| field.0 == name)).map(|field| &field.1) {
        None | Some(Value::Null) => Cell::Missing,
        Some(Value::Bool(value)) => Cell::Bool(*value),
        Some(Value::Number(number)) => match (number.as_i64(), number.as_f64()) {
            (Some(integer), _) => Cell::Integer(integer),
            (None, Some(number)) => Cell::Number(number),
            (None, None) => Cell::Other("a number out of range"),
        },
        Some(Value::String(text)) => Cell::Text(text),
        Some(Value::Array(_)) => Cell::Other("an array"),
        Some(Value::Object(_)) => Cell::Other("an object"),
    }
}
