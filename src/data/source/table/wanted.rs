//! The columns that are wanted of a row: those of the file, those computed from them, and those that are gone.

use rayon::prelude::*;

use super::block::Block;
use super::{Cell, plan};
use crate::data::derive::{Derived, Formula, Value};
use crate::error::{Error, Result};

/// How the wanted columns come from a file's.
pub(super) struct Wanted {
    /// The file's columns to read.
    pub(super) read: Vec<String>,
    from: Vec<Origin>,
    formulas: Vec<(Formula, Vec<usize>)>,
    /// A row's cells are the file's as they are.
    plain: bool,
}

#[derive(Debug, Clone, Copy)]
enum Origin {
    Read(usize),
    Formula(usize),
    Nowhere,
}

impl Wanted {
    /// The columns `names`, in order; what `gone` names is missing in every row.
    ///
    /// # Errors
    /// An expression that cannot be read.
    pub(super) fn new(names: &[String], gone: &[String], derived: &[Derived]) -> Result<Self> {
        let mut wanted = Self { read: Vec::new(), from: Vec::new(), formulas: Vec::new(), plain: true };
        for name in names {
            let from = match derived.iter().find(|column| column.name == *name) {
                _ if gone.contains(name) => Origin::Nowhere,
                Some(column) => {
                    let formula = Formula::new(column, derived)?;
                    let inputs = formula.inputs.iter().map(|input| wanted.place(input)).collect();
                    wanted.formulas.push((formula, inputs));
                    Origin::Formula(wanted.formulas.len() - 1)
                }
                None => Origin::Read(wanted.place(name)),
            };
            wanted.plain &= matches!(from, Origin::Read(at) if at == wanted.from.len());
            wanted.from.push(from);
        }
        Ok(wanted)
    }

    fn place(&mut self, name: &str) -> usize {
        self.read.iter().position(|read| read == name).unwrap_or_else(|| {
            self.read.push(name.to_owned());
            self.read.len() - 1
        })
    }

    /// Calls `each` with the wanted cells of a block of what was read.
    pub(super) fn of<T>(&self, read: Block<'_>, each: impl FnOnce(Block<'_>) -> T) -> T {
        if self.plain {
            return each(read);
        }
        let value = |row: usize, (formula, inputs): &(Formula, Vec<usize>)| {
            let found = |at: &usize| read.cells(row).get(*at).copied().unwrap_or(Cell::Missing);
            formula.value(&inputs.iter().map(found).collect::<Vec<_>>())
        };
        let rows = (0..read.rows()).into_par_iter();
        let values: Vec<Vec<Value<'_>>> =
            rows.map(|row| self.formulas.iter().map(|formula| value(row, formula)).collect()).collect();
        let mut cells = Vec::with_capacity(read.rows() * self.from.len());
        for (row, values) in values.iter().enumerate() {
            cells.extend(self.from.iter().map(|from| match from {
                Origin::Read(at) => read.cells(row).get(*at).copied().unwrap_or(Cell::Missing),
                Origin::Formula(at) => values.get(*at).map_or(Cell::Missing, Value::cell),
                Origin::Nowhere => Cell::Missing,
            }));
        }
        each(read.with(&cells, self.from.len()))
    }
}

/// Of `names`, those that a file with the columns `there` lacks, or cannot compute.
pub(super) fn gone<'a>(
    names: impl Iterator<Item = &'a String>,
    there: &[String],
    derived: &[Derived],
) -> Result<Vec<String>> {
    let mut gone = Vec::new();
    for name in names {
        let needed = Wanted::new(std::slice::from_ref(name), &[], derived)?.read;
        if needed.iter().any(|column| !there.contains(column)) {
            gone.push(name.clone());
        }
    }
    Ok(gone)
}

/// Refuses a derived column that has the name of one of the file's.
pub(super) fn check(file: &std::path::Path, there: &[String], derived: &[Derived]) -> Result<()> {
    let Some(twice) = derived.iter().find(|column| there.contains(&column.name)) else {
        let names: Vec<String> = derived.iter().map(|column| column.name.clone()).collect();
        let read = Wanted::new(&names, &[], derived)?.read;
        return plan::resolve(file, there, &read).map(drop).map_err(|e| e.at("`data.derive`"));
    };
    Err(Error::input(format!("`data.derive.{0}`: {1} has a column `{0}` already", twice.name, file.display()))
        .next("give the derived column another name"))
}
