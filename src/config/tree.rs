//! The config as typed: a tree in which every key and value knows its place.

use toml::{
    Spanned, Value,
    de::{DeString, DeTable, DeValue},
};

use super::fault::{Fault, Place};

/// A value with the place of its key and its own.
#[derive(Debug, Clone)]
pub(super) struct Node {
    /// Where its key stands; for an entry of a list, the entry.
    pub key: Place,
    /// Where it stands; for a `[section]`, the header.
    pub value: Place,
    /// What it is.
    pub data: Data,
}

/// What a node holds.
#[derive(Debug, Clone)]
pub(super) enum Data {
    /// Anything but a list or a table.
    Leaf(Value),
    /// A list.
    Array(Vec<Node>),
    /// Keys in the order of the file.
    Table(Vec<(String, Node)>),
}

impl Node {
    /// An empty table at the start of a text.
    pub fn root() -> Self {
        let place = Place { text: 0, span: 0..0 };
        Self { key: place.clone(), value: place, data: Data::Table(Vec::new()) }
    }

    /// The child under `key`, if this is a table that has it.
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.entries().iter().find(|(name, _)| name == key).map(|(_, node)| node)
    }

    /// The keys and children of a table; nothing for the rest.
    pub fn entries(&self) -> &[(String, Self)] {
        match &self.data {
            Data::Table(entries) => entries,
            _ => &[],
        }
    }

    /// The node at a dotted path such as `optim.betas[0]`, or the nearest one above it that was typed.
    pub fn nearest(&self, path: &str) -> &Self {
        path.split(['.', '['])
            .fold((self, true), |(node, going), part| {
                let part = part.trim_end_matches(']');
                let child = match &node.data {
                    Data::Array(items) => part.parse().ok().and_then(|index: usize| items.get(index)),
                    _ => node.get(part),
                };
                match child {
                    Some(child) if going => (child, true),
                    _ => (node, false),
                }
            })
            .0
    }

    /// The node at a dotted path, if it was typed.
    pub fn find(&self, path: &str) -> Option<&Self> {
        path.split('.').try_fold(self, |node, part| node.get(part))
    }

    /// The string it holds.
    pub fn as_str(&self) -> Option<&str> {
        match &self.data {
            Data::Leaf(Value::String(text)) => Some(text),
            _ => None,
        }
    }

    /// The same without places.
    pub fn to_value(&self) -> Value {
        match &self.data {
            Data::Leaf(value) => value.clone(),
            Data::Array(items) => Value::Array(items.iter().map(Self::to_value).collect()),
            Data::Table(entries) => {
                Value::Table(entries.iter().map(|(key, node)| (key.clone(), node.to_value())).collect())
            }
        }
    }

    /// What it is, with its article, for "found ...".
    pub fn what(&self) -> String {
        match &self.data {
            Data::Array(_) => "a list".into(),
            Data::Table(_) => "a table".into(),
            Data::Leaf(Value::Integer(number)) if *number < 0 => format!("{number}"),
            Data::Leaf(Value::Float(number)) if !number.is_finite() => format!("{number}"),
            Data::Leaf(value) => match value {
                Value::String(_) => "a string",
                Value::Integer(_) => "an integer",
                Value::Float(_) => "a fraction",
                Value::Boolean(_) => "a boolean",
                _ => "a date",
            }
            .into(),
        }
    }
}

/// Parses one text of TOML; `text` is its index among the texts.
pub(super) fn parse(source: &str, text: usize) -> Result<Node, Fault> {
    let (table, errors) = DeTable::parse_recoverable(source);
    if let Some(error) = errors.first() {
        // The parser goes on after an error, but what it then finds are mostly echoes of the first.
        let span = error.span().unwrap_or(0..0);
        let next = match error.message() {
            "duplicate key" => "keep one of the two",
            message if message.starts_with("string values must be quoted") && span.is_empty() => "write a value here",
            message if message.starts_with("string values must be quoted") => "put the value in double quotes",
            _ => "correct the TOML here",
        };
        return Err(Fault::new(format!("TOML syntax: {}", error.message()), next).mark(&Place { text, span }, ""));
    }
    let span = table.span();
    let place = Place { text, span };
    Ok(Node { key: place.clone(), value: place, data: table_data(table.get_ref(), text)? })
}

fn table_data(table: &DeTable<'_>, text: usize) -> Result<Data, Fault> {
    let entry = |(key, value): (&Spanned<DeString<'_>>, &Spanned<DeValue<'_>>)| {
        Ok((key.get_ref().to_string(), node(Place { text, span: key.span() }, value, text)?))
    };
    Ok(Data::Table(table.iter().map(entry).collect::<Result<_, Fault>>()?))
}

fn node(key: Place, value: &Spanned<DeValue<'_>>, text: usize) -> Result<Node, Fault> {
    let place = Place { text, span: value.span() };
    let data = match value.get_ref() {
        DeValue::Table(table) => table_data(table, text)?,
        DeValue::Array(items) => {
            let item = |item: &Spanned<DeValue<'_>>| node(Place { text, span: item.span() }, item, text);
            Data::Array(items.iter().map(item).collect::<Result<_, Fault>>()?)
        }
        DeValue::Integer(number) => {
            let parsed = i64::from_str_radix(number.as_str(), number.radix());
            Data::Leaf(Value::Integer(parsed.map_err(|_| too_large(&place))?))
        }
        DeValue::Float(number) => Data::Leaf(Value::Float(number.as_str().parse().map_err(|_| too_large(&place))?)),
        DeValue::String(value) => Data::Leaf(Value::String(value.to_string())),
        DeValue::Boolean(value) => Data::Leaf(Value::Boolean(*value)),
        DeValue::Datetime(value) => Data::Leaf(Value::Datetime(*value)),
    };
    Ok(Node { key, value: place, data })
}

fn too_large(place: &Place) -> Fault {
    Fault::new("this number does not fit 64 bits", "give a smaller number").mark(place, "")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
