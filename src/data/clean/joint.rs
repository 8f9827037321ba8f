//! What is learned of several columns together: neighbours that fill what is missing, and rows that lie apart.

use serde::{Deserialize, Serialize};

use super::{Cell, Column, Isolation, IsolationConfig, Neighbours, OnIsolated, Transform};

/// What the numeric columns of a row tell together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Joint {
    /// The numeric columns, by their places.
    columns: Vec<usize>,
    /// Fills what is missing, where a column's `impute` is `knn`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    neighbours: Option<Neighbours>,
    /// Tells outliers, where there is a `data.isolation_forest`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    isolation: Option<Isolation>,
}

/// A row's numbers, and what takes the place of those that are missing.
pub(in crate::data) struct Filled {
    /// The numeric columns, complete.
    row: Vec<f64>,
    /// By the place of the column; empty where neighbours fill nothing.
    fills: Vec<Option<f64>>,
}

impl Filled {
    /// What neighbours say of a missing number in the column at this place.
    pub(in crate::data) fn fill(&self, at: usize) -> Option<f64> {
        self.fills.get(at).copied().flatten()
    }
}

impl Joint {
    /// The places of the columns that are looked at together.
    pub(in crate::data) fn places(columns: &[Column]) -> Vec<usize> {
        let number = |(at, column): (usize, &Column)| matches!(column.transform, Transform::Number(_)).then_some(at);
        columns.iter().enumerate().filter_map(number).collect()
    }

    /// From a sample of rows of the numeric columns, `[rows, columns]`, NaN where a value is missing.
    pub(in crate::data) fn fit(
        columns: &[Column],
        values: &[f64],
        isolation: Option<&IsolationConfig>,
    ) -> Option<Self> {
        let places = Self::places(columns);
        let asked = columns.iter().any(|column| column.neighbours() > 0);
        if places.is_empty() || !asked && isolation.is_none() {
            return None;
        }
        let neighbours = asked.then(|| Neighbours::fit(values, places.len()));
        let mut joint = Self { columns: places, neighbours, isolation: None };
        if let Some(config) = isolation {
            let rows = values.chunks(joint.columns.len());
            let complete: Vec<f64> = rows.flat_map(|row| joint.completed(columns, row.to_vec()).row).collect();
            joint.isolation = Some(Isolation::fit(&complete, joint.columns.len(), config));
        }
        Some(joint)
    }

    pub(super) fn is_sound(&self, columns: &[Column]) -> bool {
        let n = self.columns.len();
        self.columns == Self::places(columns)
            && self.neighbours.as_ref().is_none_or(|neighbours| neighbours.is_sound(n))
            && self.isolation.as_ref().is_none_or(|isolation| isolation.is_sound(n))
    }

    /// The row's numbers, read and filled.
    pub(in crate::data) fn filled(&self, columns: &[Column], cells: &[Cell<'_>]) -> Filled {
        let number = |at: &usize| match (columns.get(*at), cells.get(*at)) {
            (Some(column), Some(cell)) => column.number(cell),
            _ => f64::NAN,
        };
        self.completed(columns, self.columns.iter().map(number).collect())
    }

    fn completed(&self, columns: &[Column], mut row: Vec<f64>) -> Filled {
        if row.iter().all(|value| !value.is_nan()) {
            return Filled { row, fills: Vec::new() };
        }
        let mut fills = vec![None; columns.len()];
        let found = row.clone();
        for ((index, value), at) in row.iter_mut().enumerate().zip(&self.columns).filter(|((_, v), _)| v.is_nan()) {
            let Some(Column { transform: Transform::Number(number), .. }) = columns.get(*at) else { continue };
            let neighbours = self.neighbours.as_ref().filter(|_| number.neighbours > 0);
            let fill = neighbours.and_then(|near| near.fill(&found, index, number.neighbours));
            *value = fill.unwrap_or(number.fill);
            fills.get_mut(*at).into_iter().for_each(|slot| *slot = fill);
        }
        Filled { row, fills }
    }

    /// The names of further features.
    pub(super) fn outputs(&self) -> Vec<String> {
        self.isolation.as_ref().map(Isolation::outputs).unwrap_or_default()
    }

    /// Whether training rows are left out.
    pub(in crate::data) fn drops_rows(&self) -> bool {
        self.isolation.as_ref().is_some_and(|isolation| isolation.then == OnIsolated::Drop)
    }

    /// Appends further features; whether the row is to be left out of the training split.
    pub(super) fn write(&self, filled: &Filled, out: &mut Vec<f32>) -> bool {
        let Some(isolation) = &self.isolation else { return false };
        isolation.write(&filled.row, out) && self.drops_rows()
    }

    /// What was learned, for a person.
    pub(super) fn summary(&self) -> Option<String> {
        let isolation = self.isolation.as_ref()?;
        let then = match isolation.then {
            OnIsolated::Mark => "marked",
            OnIsolated::Drop => "left out of training",
        };
        let n = self.columns.len();
        Some(format!(
            "an isolation forest over {n} columns: rows that score above {:.3} are {then}",
            isolation.threshold
        ))
    }
}
