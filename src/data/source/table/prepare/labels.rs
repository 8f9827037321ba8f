//! A row's target: its class, its values, or whether it is an anomaly.

use std::collections::HashMap;

use super::super::{Cell, Fault};
use super::passes::Row;
use crate::data::{AnomalyConfig, TargetSchema};

/// How targets are read.
#[derive(Clone, Copy)]
pub(in super::super) struct Labels<'a> {
    /// The columns.
    pub(super) names: &'a [String],
    pub(super) anomaly: Option<&'a AnomalyConfig>,
}

impl<'a> Labels<'a> {
    /// Whether a row is an anomaly; one without a label is not.
    pub(super) fn anomaly(&self, targets: &[Cell<'_>]) -> Result<bool, Fault> {
        let Some(cell) = targets.first() else { return Ok(false) };
        if cell.is_missing(&[]) {
            return Err(Fault::Missing);
        }
        let (name, usual) = (cell.name()?, AnomalyConfig::default());
        Ok(!self.anomaly.unwrap_or(&usual).normal.iter().any(|normal| *normal == *name))
    }

    /// The row's class, or its values at the end of `reals`.
    pub(in super::super) fn of(
        &self,
        row: &Row<'_>,
        target: &TargetSchema,
        ids: &HashMap<&str, u32>,
        reals: &mut Vec<f32>,
    ) -> Result<Option<u32>, (&'a str, Fault)> {
        if let TargetSchema::Itself { .. } = target {
            let column = self.names.first().map_or("", String::as_str);
            return self.anomaly(row.targets).map(|is| Some(u32::from(is))).map_err(|fault| (column, fault));
        }
        let named = self.names.iter().map(String::as_str).zip(row.targets);
        for (column, cell) in named {
            if let TargetSchema::Classes { .. } = target {
                let name = cell.class().map_err(|fault| (column, fault))?;
                let id = ids.get(name.as_ref()).copied();
                return id.map(Some).ok_or_else(|| (column, Fault::Unseen(name.into_owned())));
            }
            reals.push(cell.number().map_err(|fault| (column, fault))? as f32);
        }
        Ok(None)
    }
}

pub(in super::super) fn ids(target: &TargetSchema) -> HashMap<&str, u32> {
    match target {
        TargetSchema::Classes { names } => names.iter().map(String::as_str).zip(0..).collect(),
        _ => HashMap::new(),
    }
}

/// Values that a target encoding takes the means of: whether it is the second of two classes, one a class, or the
/// targets themselves.
pub(super) fn encoded_targets(target: &TargetSchema) -> usize {
    match target {
        TargetSchema::Classes { names } if names.len() <= 2 => 1,
        TargetSchema::Classes { names } | TargetSchema::Values { names } => names.len(),
        TargetSchema::NextToken | TargetSchema::Items | TargetSchema::Itself { .. } => 0,
    }
}

/// Appends what a target encoding takes the means of, or nothing.
///
/// # Errors
/// A target that is none.
pub(super) fn encode_targets(
    row: &Row<'_>,
    target: &TargetSchema,
    ids: &HashMap<&str, u32>,
    encoded: &mut Vec<f64>,
) -> Result<(), Fault> {
    let TargetSchema::Classes { names } = target else {
        let start = encoded.len();
        for cell in row.targets {
            match cell.number() {
                Ok(number) => encoded.push(number),
                Err(fault) => {
                    encoded.truncate(start);
                    return Err(fault);
                }
            }
        }
        return Ok(());
    };
    let name = row.targets.first().unwrap_or(&Cell::Missing).class()?;
    let id = ids.get(name.as_ref()).copied().ok_or(Fault::Missing)? as usize;
    match names.len() {
        ..=2 => encoded.push(id as f64),
        classes => encoded.extend((0..classes).map(|class| f64::from(u8::from(class == id)))),
    }
    Ok(())
}
