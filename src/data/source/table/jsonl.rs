//! One JSON object a line.

use std::fmt;
use std::io::BufRead;
use std::ops::ControlFlow;
use std::path::Path;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;

use super::{Cell, Each, Place, stream};
use crate::error::{Error, Result};

/// The keys of the first object, in their order.
pub(super) fn columns(path: &Path) -> Result<Vec<String>> {
    let mut names = None;
    each_object(path, &mut |_, Object(fields)| {
        names = Some(fields.into_iter().map(|(name, _)| name).collect());
        Ok(ControlFlow::Break(()))
    })?;
    names.ok_or_else(|| Error::input(format!("{} is empty", path.display())).next("check the file"))
}

/// Calls `each` with the named values of every object; an absent key is a missing value.
pub(super) fn rows(path: &Path, names: &[String], each: &mut Each<'_>) -> Result<()> {
    each_object(path, &mut |place, Object(fields)| {
        let cells: Vec<_> = names.iter().enumerate().map(|(index, name)| value(&fields, index, name)).collect();
        each(place, &cells)
    })
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

fn each_object(path: &Path, each: &mut dyn FnMut(Place<'_>, Object) -> Result<ControlFlow<()>>) -> Result<()> {
    let mut reader = stream::open(path)?;
    let mut line = Vec::new();
    for number in 1.. {
        let place = Place { file: path, unit: "line", number };
        line.clear();
        let n = reader
            .read_until(b'\n', &mut line)
            .map_err(|e| Error::input(format!("cannot read {place}: {e}")).next("check that the file is whole"))?;
        if n == 0 {
            break;
        }
        let text = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&line).trim_ascii();
        if text.is_empty() {
            continue;
        }
        let object = serde_json::from_slice(text).map_err(|e| {
            Error::input(format!("{place}: it is not a JSON object: {e}")).next("write one object a line")
        })?;
        if let ControlFlow::Break(()) = each(place, object)? {
            break;
        }
    }
    Ok(())
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
