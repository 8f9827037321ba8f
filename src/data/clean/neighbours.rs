//! Missing numbers filled by the mean of the nearest training rows that have them.

use serde::{Deserialize, Serialize};

use super::sample::Moments;
use crate::data::Sampler;

/// Training rows that are kept to look for neighbours among.
const DONORS: usize = 2_000;

/// Training rows, all numeric columns standardised so that each counts alike in a distance: scikit-learn's
/// `KNNImputer` behind a `StandardScaler`, whatever the scale of the columns.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Neighbours {
    /// Mean and deviation of every column.
    scales: Vec<(f64, f64)>,
    /// `[rows, columns]`, standardised; none where a value is missing.
    donors: Vec<Option<f64>>,
}

impl Neighbours {
    /// From rows of numbers, `[rows, columns]`, NaN where one is missing; a fixed choice of them where they are many.
    pub(super) fn fit(values: &[f64], columns: usize) -> Self {
        let columns = columns.max(1);
        let mut moments = vec![Moments::default(); columns];
        for row in values.chunks(columns) {
            moments.iter_mut().zip(row).filter(|(_, value)| !value.is_nan()).for_each(|(m, value)| m.add(*value));
        }
        let scales: Vec<(f64, f64)> = moments.iter().map(|m| (m.mean(), m.deviation())).collect();
        let rows = values.len() / columns;
        let mut chosen: Vec<u64> = (0..rows as u64).collect();
        if rows > DONORS {
            chosen = Sampler::new(1, rows as u64).rows(0, DONORS).into_iter().map(|(_, row)| row).collect();
            chosen.sort_unstable();
        }
        let row = |row: &u64| values.get(*row as usize * columns..(*row as usize + 1) * columns).unwrap_or_default();
        let scaled =
            |(value, (mean, deviation)): (&f64, &(f64, f64))| (!value.is_nan()).then(|| (value - mean) / deviation);
        let donors = chosen.iter().flat_map(|at| row(at).iter().zip(&scales).map(scaled)).collect();
        Self { scales, donors }
    }

    pub(super) fn is_sound(&self, columns: usize) -> bool {
        let sizes = self.scales.len() == columns && self.donors.len().is_multiple_of(columns.max(1));
        sizes && self.scales.iter().all(|(_, deviation)| *deviation > 0.0) && self.donors.len() <= DONORS * columns
    }

    /// The mean of `column` over the `k` nearest donors that have it, by the distance over the columns that both have
    /// (Dixon 1979, as scikit-learn's `nan_euclidean`); none where no donor shares a column.
    pub(super) fn fill(&self, row: &[f64], column: usize, k: usize) -> Option<f64> {
        let width = self.scales.len().max(1);
        let row: Vec<Option<f64>> = row
            .iter()
            .zip(&self.scales)
            .map(|(value, (mean, deviation))| (!value.is_nan()).then(|| (value - mean) / deviation))
            .collect();
        let mut found: Vec<(f64, f64)> = Vec::new();
        for donor in self.donors.chunks(width) {
            let Some(Some(value)) = donor.get(column).copied() else { continue };
            let (mut sum, mut shared) = (0.0, 0.0);
            for (a, b) in row.iter().zip(donor) {
                if let (Some(a), Some(b)) = (a, b) {
                    sum += (a - b) * (a - b);
                    shared += 1.0;
                }
            }
            if shared > 0.0 {
                found.push((sum * width as f64 / shared, value));
            }
        }
        let k = k.min(found.len());
        if k == 0 {
            return None;
        }
        // Stable among equals: the earlier row.
        found.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mean = found.iter().take(k).map(|(_, value)| value).sum::<f64>() / k as f64;
        self.scales.get(column).map(|(centre, deviation)| mean * deviation + centre)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_rows_fill() {
        let rows: Vec<f64> = (0..10).flat_map(|i| [f64::from(i), 10.0 * f64::from(i)]).collect();
        let neighbours = Neighbours::fit(&rows, 2);
        assert!((neighbours.fill(&[4.1, f64::NAN], 1, 2).unwrap_or_default() - 45.0).abs() < 1e-9);
        assert_eq!(neighbours.fill(&[f64::NAN, f64::NAN], 1, 2), None);
        let many: Vec<f64> = (0..9000).map(f64::from).collect();
        let neighbours = Neighbours::fit(&many, 1);
        assert!(neighbours.donors.len() == DONORS && neighbours.is_sound(1) && !neighbours.is_sound(3));
    }
}
