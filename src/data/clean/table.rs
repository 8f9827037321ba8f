//! All columns of a table as they were learned.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::super::derive::{Derived, Formula};
use super::{Cell, Column, ColumnType, Encode, Fault, Joint, Transform, Used, hash::MOST_BUCKETS};

/// A table's columns and what each becomes: learned on the training split, stored in the prepared data and in the run,
/// and applied as it is by `kiln predict` and `kiln eval`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TableSchema {
    /// The source's feature columns, in order.
    pub columns: Vec<Column>,
    /// Those of them that are computed from other columns of the source, and what that builds on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub derived: Vec<Derived>,
    /// What was learned of several columns together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub joint: Option<Joint>,
}

/// A feature that is a code for a model to embed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Codes {
    /// Index of the feature.
    pub feature: usize,
    /// Codes are below this; the last one stands for what is no category of the training split.
    pub codes: usize,
}

impl TableSchema {
    /// The names of all features, in order.
    pub fn outputs(&self) -> Vec<String> {
        let joint = self.joint.as_ref().map(Joint::outputs).unwrap_or_default();
        self.columns.iter().flat_map(Column::outputs).chain(joint).collect()
    }

    /// Whether the sizes in it fit each other; a file may have been damaged.
    pub(in crate::data) fn is_sound(&self) -> bool {
        let joint = self.joint.as_ref().is_none_or(|joint| joint.is_sound(&self.columns));
        joint
            && self.columns.iter().all(|column| match &column.transform {
                Transform::Category(category) => category.is_sound(),
                Transform::Bag(bag) => bag.is_sound(),
                Transform::Words { buckets } => *buckets <= MOST_BUCKETS,
                Transform::Drop | Transform::Number(_) | Transform::Date(_) => true,
            })
    }

    /// The features that are codes to embed.
    pub fn codes(&self) -> Vec<Codes> {
        let mut feature = 0;
        let mut found = Vec::new();
        for column in &self.columns {
            found.extend(column.codes().map(|codes| Codes { feature, codes }));
            feature += column.outputs().len();
        }
        found
    }

    /// Every column with the index of its first feature.
    fn placed(&self) -> impl Iterator<Item = (&Column, usize)> {
        let mut next = 0;
        self.columns.iter().map(move |column| {
            let first = next;
            next += column.outputs().len();
            (column, first)
        })
    }

    /// Every column that is left in, with the indices of its features.
    pub fn features(&self) -> impl Iterator<Item = (&str, Range<usize>)> {
        let whole = self.placed().map(|(column, first)| (column.name.as_str(), first..first + column.outputs().len()));
        whole.filter(|(_, features)| !features.is_empty())
    }

    /// What a feature's value was in the source, where it is a number there; else the value itself.
    pub fn unscaled(&self, feature: usize, value: f64) -> f64 {
        let number = self.placed().find_map(|(column, first)| match &column.transform {
            Transform::Number(number) if first == feature => Some(number),
            _ => None,
        });
        number.map_or(value, |number| number.scaler.invert(value))
    }

    /// The categories of a column that is one feature a category, with the index of the first of them.
    pub fn one_hot(&self, name: &str) -> Option<(&[String], usize)> {
        self.categories(name, Encode::OneHot)
    }

    /// The categories of a column that is their codes, with its index.
    pub fn coded(&self, name: &str) -> Option<(&[String], usize)> {
        self.categories(name, Encode::Embedding)
    }

    fn categories(&self, name: &str, encode: Encode) -> Option<(&[String], usize)> {
        self.placed().find_map(|(column, first)| match &column.transform {
            Transform::Category(category) if column.name == name && category.encode == encode => {
                Some((category.categories.names(), first))
            }
            _ => None,
        })
    }

    /// The columns that a file to predict for must have.
    pub fn needed(&self) -> Vec<String> {
        let kept = self.columns.iter().filter(|column| !column.is_dropped());
        let mut needed: Vec<String> = kept.flat_map(|column| self.made_of(&column.name)).collect();
        let mut seen = std::collections::HashSet::new();
        needed.retain(|name| seen.insert(name.clone()));
        needed
    }

    /// The source's columns that a column is made of: itself, or what its expression reads.
    fn made_of(&self, name: &str) -> Vec<String> {
        let derived = self.derived.iter().find(|derived| derived.name == name);
        let formula = derived.and_then(|derived| Formula::new(derived, &self.derived).ok());
        formula.map_or_else(|| vec![name.to_owned()], |formula| formula.inputs)
    }

    /// Appends a row's features to `out`, `cells` in the order of the columns; whether the row is to be left out of
    /// the training split. `fold` is that of a training row; `faults` takes what a policy refuses.
    pub(in crate::data) fn write(
        &self,
        cells: &[Cell<'_>],
        fold: Option<usize>,
        used: &mut [Used],
        out: &mut Vec<f32>,
        faults: &mut dyn FnMut(&Column, Fault),
    ) -> bool {
        let mut dropped = false;
        let filled = self.joint.as_ref().map(|joint| joint.filled(&self.columns, cells));
        for (at, ((column, cell), used)) in self.columns.iter().zip(cells).zip(used).enumerate() {
            let fill = filled.as_ref().and_then(|filled| filled.fill(at));
            match column.write(cell, fold, fill, used, out) {
                Ok(outside) => dropped |= outside && column.drops_rows(),
                Err(fault) => faults(column, fault),
            }
        }
        if let (Some(joint), Some(filled)) = (&self.joint, &filled) {
            dropped |= joint.write(filled, out);
        }
        dropped
    }

    /// Whether training rows are left out.
    pub(in crate::data) fn drops_rows(&self) -> bool {
        self.columns.iter().any(Column::drops_rows) || self.joint.as_ref().is_some_and(Joint::drops_rows)
    }

    /// As it is stored: without what only the training rows need.
    pub(in crate::data) fn settled(mut self) -> Self {
        for column in &mut self.columns {
            if let Transform::Category(category) = &mut column.transform {
                category.settle();
            }
        }
        self
    }

    /// The row's values for a person, in the units of the source.
    pub(in crate::data) fn describe(&self, values: &[f32]) -> Vec<String> {
        let mut rest = values;
        let mut described = Vec::new();
        for column in &self.columns {
            let (own, others) = rest.split_at(column.outputs().len().min(rest.len()));
            described.extend(column.describe(own));
            rest = others;
        }
        described
    }

    /// What was learned, a line a thing that a person may want to change.
    pub(in crate::data) fn summary(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let kinds =
            [ColumnType::Numeric, ColumnType::Boolean, ColumnType::Categorical, ColumnType::Date, ColumnType::Text];
        let count = |kind| self.columns.iter().filter(|column| column.kind == kind).count();
        let kinds: Vec<String> = kinds
            .into_iter()
            .filter(|kind| count(*kind) > 0)
            .map(|kind| format!("{} {}", count(kind), kind.name()))
            .collect();
        lines.push(format!(
            "{} features from {} columns: {}",
            self.outputs().len(),
            self.columns.len(),
            kinds.join(", ")
        ));
        for kind in [ColumnType::Constant, ColumnType::Identifier] {
            let names: Vec<&str> =
                self.columns.iter().filter(|column| column.kind == kind).map(|column| column.name.as_str()).collect();
            if !names.is_empty() {
                let shown = names.iter().take(5).copied().collect::<Vec<_>>().join(", ");
                let more = if names.len() > 5 { format!(" and {} more", names.len() - 5) } else { String::new() };
                lines
                    .push(format!("left out as {}: {shown}{more} (`data.columns` can name another type)", kind.name()));
            }
        }
        lines.extend(self.joint.as_ref().and_then(Joint::summary));
        lines
    }

    /// What the policies did, a line a column.
    pub(in crate::data) fn told(&self, used: &[Used]) -> Vec<String> {
        self.columns.iter().zip(used).filter_map(|(column, used)| column.told(used)).collect()
    }
}

impl Column {
    /// What it becomes, in words.
    pub fn becomes(&self) -> String {
        match &self.transform {
            Transform::Drop => "left out".into(),
            Transform::Number(number) => number.becomes(),
            Transform::Category(category) => category.becomes(),
            Transform::Date(date) => {
                format!("time that went by, {}", self.outputs().len() - 1 - usize::from(date.indicator)) + " parts"
            }
            Transform::Bag(bag) => bag.becomes(),
            Transform::Words { buckets } => format!("words hashed to {buckets} features"),
        }
    }

    fn told(&self, used: &Used) -> Option<String> {
        let fill = match &self.transform {
            Transform::Number(number) => number.filled_by(),
            Transform::Category(category) => category.fill.clone(),
            Transform::Date(date) => super::super::cell::date(date.fill),
            Transform::Bag(_) | Transform::Words { .. } | Transform::Drop => "no words".into(),
        };
        let parts = [
            (used.missing, format!("missing, taken as {fill}")),
            (used.bad, format!("of another type, taken as {fill}")),
            (used.unseen, "of no category that training saw".into()),
            (used.outliers, "outliers".into()),
        ];
        let parts: Vec<String> =
            parts.into_iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
        (!parts.is_empty()).then(|| format!("column `{}`: {}", self.name, parts.join("; ")))
    }
}
