//! The nearest neighbours' mean, on standardised columns.

use serde::{Deserialize, Serialize};
use smartcore::{algorithm::neighbour::linear_search::LinearKNNSearch, metrics::distance::euclidian::Euclidian};

use crate::{Fault, Rows, Standard, Targets, fault};

/// Neighbours that are asked.
const NEIGHBOURS: usize = 10;

/// The training rows themselves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Neighbours {
    scale: Standard,
    k: usize,
    /// `[rows, columns]`, as they came.
    rows: Vec<f32>,
    /// `[rows, outputs]`: values, or 1 for the row's class and 0 for the others.
    targets: Vec<f32>,
    outputs: usize,
}

pub(crate) fn fit(rows: Rows<'_>, targets: Targets<'_>) -> Result<Neighbours, Fault> {
    let outputs = targets.outputs();
    let known = match targets {
        Targets::Values { values, .. } => values.to_vec(),
        Targets::Classes { ids, classes } => {
            ids.iter().flat_map(|&id| (0..classes).map(move |c| f32::from(u8::from(c == id as usize)))).collect()
        }
    };
    let k = NEIGHBOURS.min(rows.len());
    Ok(Neighbours { scale: Standard::of(rows), k, rows: rows.values.to_vec(), targets: known, outputs })
}

impl Neighbours {
    pub(crate) fn predict(&self, rows: Rows<'_>) -> Result<Vec<f32>, Fault> {
        let known = self.rows.chunks_exact(rows.columns).map(|row| self.scale.apply(row)).collect();
        let search = LinearKNNSearch::new(known, Euclidian::new()).map_err(fault)?;
        let mut out = Vec::with_capacity(rows.len() * self.outputs);
        for row in rows.iter() {
            let near = search.find(&self.scale.apply(row), self.k).map_err(fault)?;
            let mut mean = vec![0.0f64; self.outputs];
            for (index, ..) in &near {
                let target = self.targets.chunks_exact(self.outputs).nth(*index).unwrap_or_default();
                mean.iter_mut().zip(target).for_each(|(sum, &t)| *sum += f64::from(t));
            }
            out.extend(mean.iter().map(|sum| (sum / near.len().max(1) as f64) as f32));
        }
        Ok(out)
    }

    pub(crate) fn check(&self, columns: usize, outputs: usize) -> Result<(), Fault> {
        self.scale.check(columns)?;
        let n = self.rows.len() / columns;
        let fits = self.outputs == outputs
            && self.rows.len() == n * columns
            && Some(self.targets.len()) == n.checked_mul(outputs)
            && (1..=n).contains(&self.k);
        if fits && self.rows.iter().chain(&self.targets).all(|v| v.is_finite()) {
            Ok(())
        } else {
            Err(Fault("the neighbours do not fit the columns".into()))
        }
    }
}
