//! Derived columns: `rooms_per_head = "total_rooms / households"`. Expressions as SQL writes them, over the columns of a
//! row; computed before anything is learned, and alike when predicting.
//!
//! Missing values behave as SQL's NULL: what is made of one is missing, a comparison with one is neither true nor false.
//! What has no value (a division by zero, the logarithm of a negative number) is missing too.

mod eval;
mod function;
mod parse;
mod token;

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::cell::Cell;
use crate::error::{Error, Result};
use parse::Parser;

/// A column computed from others, as it is stored with the transforms.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Derived {
    /// Its name.
    pub name: String,
    /// The expression.
    pub says: String,
    /// Words that mean a missing value in the columns that it is made of, beside the usual ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub markers: Vec<String>,
}

/// What is wrong with an expression, and the place of it: a character's number, from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// The character.
    pub at: usize,
    /// What is wrong.
    pub what: String,
}

/// What an expression gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Number,
    Text,
    Bool,
    /// What the column holds: a number, a text or a date, as it is needed.
    Any,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Number => "a number",
            Self::Text => "a text",
            Self::Bool => "true or false",
            Self::Any => "a value",
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Expr {
    Missing,
    Number(f64),
    Text(String),
    Bool(bool),
    /// One of the formula's inputs.
    Column(usize),
    Not(Box<Expr>),
    Negative(Box<Expr>),
    Arithmetic(Arithmetic, Box<Expr>, Box<Expr>),
    /// Compared as numbers, as texts, or as what both happen to be.
    Compare(Compare, Kind, Box<Expr>, Box<Expr>),
    And(Box<Expr>, Box<Expr>),
    Or(Box<Expr>, Box<Expr>),
    IsMissing(Box<Expr>),
    /// Conditions with their values, and the value where none holds.
    Case(Vec<(Expr, Expr)>, Box<Expr>),
    Call(function::Function, Vec<Expr>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Compare {
    Equal,
    Unequal,
    Less,
    AtMost,
    More,
    AtLeast,
}

/// An expression, parsed.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Formula {
    expr: Expr,
    kind: Kind,
    /// The columns that it reads, by name.
    pub(super) inputs: Vec<String>,
    markers: Vec<String>,
}

/// A computed value, before it is a cell.
pub(super) enum Value<'c> {
    Cell(Cell<'c>),
    Text(String),
}

impl Value<'_> {
    pub(super) fn cell(&self) -> Cell<'_> {
        match self {
            Self::Cell(cell) => *cell,
            Self::Text(text) => Cell::Text(text),
        }
    }
}

/// Whether an expression can be read at all; whether its columns are there is told by the data.
///
/// # Errors
/// The first thing that is wrong with it.
pub fn check(says: &str, others: &BTreeMap<String, String>) -> Result<(), Wrong> {
    let others = |name: &str| others.get(name).map(String::as_str);
    Parser::new(says, &others)?.whole().map(drop)
}

impl Formula {
    /// Parses a column's expression; it may use the columns that `all` derive.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub(super) fn new(derived: &Derived, all: &[Derived]) -> Result<Self> {
        let others = |name: &str| all.iter().find(|other| other.name == name).map(|other| other.says.as_str());
        let parsed = Parser::new(&derived.says, &others).and_then(|mut parser| {
            let (expr, kind) = parser.whole()?;
            Ok((expr, kind, parser.inputs()))
        });
        let (expr, kind, inputs) = parsed.map_err(|Wrong { at, what }| {
            Error::input(format!("`data.derive.{}`, character {at}: {what}", derived.name))
                .next(format!("correct `{}`", derived.says))
        })?;
        Ok(Self { expr, kind, inputs, markers: derived.markers.clone() })
    }

    /// The column's value in a row; `inputs` in their order.
    pub(super) fn value<'c>(&self, inputs: &[Cell<'c>]) -> Value<'c> {
        let row = eval::Row { cells: inputs, markers: &self.markers };
        let value = match self.kind {
            Kind::Number => row.number(&self.expr).map(|v| v.map_or(Cell::Missing, Cell::Number)),
            Kind::Bool => row.truth(&self.expr).map(|v| v.map_or(Cell::Missing, Cell::Bool)),
            Kind::Any => row.any(&self.expr),
            Kind::Text => match row.text(&self.expr) {
                Ok(Some(text)) => return text_value(text),
                other => other.map(|_| Cell::Missing),
            },
        };
        // What cannot be computed is a fault of its column, told with its row like any other.
        Value::Cell(value.unwrap_or_else(Cell::Other))
    }
}

fn text_value<'c>(text: Cow<'_, str>) -> Value<'c> {
    Value::Text(text.into_owned())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests;
