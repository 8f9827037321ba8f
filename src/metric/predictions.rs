//! What a model said of rows, beside the truth.

use super::USER_FIGURES;
use crate::error::{Error, Result};

/// A model's outputs on rows, kept for figures that need all of them at once.
#[derive(Debug, Clone, PartialEq)]
pub struct Predictions {
    /// Class probabilities or values, `[rows, width]`.
    pub outputs: Vec<f32>,
    /// Classes, or target columns.
    pub width: usize,
    /// What the rows are.
    pub truth: Truth,
}

/// The targets of rows.
#[derive(Debug, Clone, PartialEq)]
pub enum Truth {
    /// One class a row.
    Classes(Vec<u32>),
    /// `[rows, width]`
    Values(Vec<f32>),
    /// Whether each row is an anomaly; the one output is its score.
    Anomalies(Vec<bool>),
    /// As many users; the outputs are the figures of each ([`super::user_figures`]).
    Users(usize),
}

impl Predictions {
    /// Checked: whole rows, as many as the truth has, classes below the width.
    ///
    /// # Errors
    /// The two do not fit each other.
    pub fn new(outputs: Vec<f32>, width: usize, truth: Truth) -> Result<Self> {
        let (rows, sound) = match &truth {
            Truth::Classes(ids) => (ids.len(), ids.iter().all(|&id| (id as usize) < width)),
            Truth::Values(values) => (values.len() / width.max(1), true),
            Truth::Anomalies(flags) => (flags.len(), width == 1),
            Truth::Users(users) => (*users, width == USER_FIGURES),
        };
        if !sound || width == 0 || rows.checked_mul(width) != Some(outputs.len()) {
            return Err(Error::failed(format!("{} outputs in rows of {width} for {rows} targets", outputs.len())));
        }
        Ok(Self { outputs, width, truth })
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.outputs.len() / self.width.max(1)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.outputs.is_empty()
    }

    /// The outputs of every row.
    pub fn rows(&self) -> std::slice::ChunksExact<'_, f32> {
        self.outputs.chunks_exact(self.width.max(1))
    }

    /// Whether every output is a finite number; figures of the others are not defined.
    pub fn is_finite(&self) -> bool {
        self.outputs.iter().all(|v| v.is_finite())
    }

    /// The classes of the rows; nothing for real targets.
    pub fn classes(&self) -> &[u32] {
        match &self.truth {
            Truth::Classes(ids) => ids,
            _ => &[],
        }
    }

    /// The rows at these places, in this order; those that are not there are left out.
    pub fn only(&self, rows: &[usize]) -> Self {
        let pick = |values: &[f32]| {
            let rows = rows.iter().filter_map(|row| values.chunks_exact(self.width.max(1)).nth(*row));
            rows.flatten().copied().collect::<Vec<f32>>()
        };
        let truth = match &self.truth {
            Truth::Classes(ids) => Truth::Classes(rows.iter().filter_map(|row| ids.get(*row).copied()).collect()),
            Truth::Values(values) => Truth::Values(pick(values)),
            Truth::Anomalies(flags) => {
                Truth::Anomalies(rows.iter().filter_map(|row| flags.get(*row).copied()).collect())
            }
            Truth::Users(users) => Truth::Users(rows.iter().filter(|row| *row < users).count()),
        };
        Self { outputs: pick(&self.outputs), width: self.width, truth }
    }

    /// Two-class scores: the probability of class 1 and whether the row is of it. `None` for any other width or truth.
    pub fn binary(&self) -> Option<Vec<(f32, bool)>> {
        match &self.truth {
            Truth::Classes(ids) if self.width == 2 => {
                let scores = self.outputs.iter().skip(1).step_by(2);
                Some(scores.zip(ids).map(|(p, id)| (*p, *id == 1)).collect())
            }
            _ => None,
        }
    }
}

/// The place of the largest value, the first among equals.
pub(crate) fn argmax(row: &[f32]) -> usize {
    let larger = |best: (usize, f32), (i, &p): (usize, &f32)| if p > best.1 { (i, p) } else { best };
    row.iter().enumerate().fold((0, f32::NEG_INFINITY), larger).0
}
