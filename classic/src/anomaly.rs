//! Scores of how unlike the training rows a row is: the distance to the nearest of k means, and what principal
//! components cannot rebuild.

use serde::{Deserialize, Serialize};
use smartcore::{
    cluster::kmeans::{KMeans, KMeansParameters},
    decomposition::pca::{PCA, PCAParameters},
    linalg::basic::{arrays::Array, matrix::DenseMatrix},
};

use crate::{Fault, Form, Kind, Model, Rows, Standard, fault};

/// Means, where there are rows for so many.
const MEANS: usize = 8;
/// Share of the variance that the components kept explain.
const EXPLAINED: f64 = 0.9;

/// Centres on standardised columns, `[k, columns]` (Lloyd 1982, begun as k-means++).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct KMeansScore {
    scale: Standard,
    centres: Vec<f64>,
}

/// Orthonormal directions on standardised columns, `[components, columns]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct PcaScore {
    scale: Standard,
    directions: Vec<f64>,
}

/// Fits [`Kind::KMeans`] or [`Kind::Pca`], whose one output is a row's score: the mean squared distance a column.
///
/// # Errors
/// Fewer than two rows, a value that is not finite, or the library's own refusal.
pub fn fit_rows(kind: Kind, rows: Rows<'_>, seed: u64) -> Result<Model, Fault> {
    if rows.columns == 0 || rows.len() < 2 || rows.values.iter().any(|v| !v.is_finite()) {
        return Err(Fault(format!("{} rows of finite numbers are too few to fit anything on", rows.len())));
    }
    let scale = Standard::of(rows);
    let scaled: Vec<Vec<f64>> = rows.iter().map(|row| scale.apply(row)).collect();
    let form = match kind {
        Kind::KMeans => Form::KMeans(KMeansScore { centres: means(&scaled, seed)?, scale }),
        Kind::Pca => Form::Pca(PcaScore { directions: components(&scaled)?, scale }),
        other => return Err(Fault(format!("{} does not score rows without targets", other.name()))),
    };
    let model = Model { columns: rows.columns, outputs: 1, form };
    model.check()?;
    Ok(model)
}

fn means(rows: &[Vec<f64>], seed: u64) -> Result<Vec<f64>, Fault> {
    let data = DenseMatrix::from_2d_vec(&rows.to_vec()).map_err(fault)?;
    let k = MEANS.min(rows.len());
    let parameters = KMeansParameters { k, max_iter: 100, seed: Some(seed) };
    let fitted = KMeans::<f64, i32, DenseMatrix<f64>, Vec<i32>>::fit(&data, parameters).map_err(fault)?;
    let assigned: Vec<i32> = fitted.predict(&data).map_err(fault)?;
    // The library keeps its centres to itself: they are the means of the rows that it assigns to them.
    let columns = rows.first().map_or(0, Vec::len);
    let mut sums = vec![(0usize, vec![0.0; columns]); k];
    for (row, group) in rows.iter().zip(assigned) {
        if let Some((count, sum)) = usize::try_from(group).ok().and_then(|group| sums.get_mut(group)) {
            *count += 1;
            sum.iter_mut().zip(row).for_each(|(sum, v)| *sum += v);
        }
    }
    let filled = sums.into_iter().filter(|(count, _)| *count > 0);
    Ok(filled.flat_map(|(count, sum)| sum.into_iter().map(move |v| v / count as f64)).collect())
}

/// As many components as explain nine tenths of the variance, and fewer than there are columns.
fn components(rows: &[Vec<f64>]) -> Result<Vec<f64>, Fault> {
    let columns = rows.first().map_or(0, Vec::len);
    let data = DenseMatrix::from_2d_vec(&rows.to_vec()).map_err(fault)?;
    let parameters = PCAParameters { n_components: columns, use_correlation_matrix: false };
    let fitted = PCA::fit(&data, parameters).map_err(fault)?;
    let directions = fitted.components(); // [columns, columns]
    let direction = |c: usize| -> Vec<f64> { (0..columns).map(|r| *directions.get((r, c))).collect() };
    let variance = |direction: &[f64]| -> f64 {
        rows.iter().map(|row| dot(row, direction).powi(2)).sum::<f64>() / rows.len() as f64
    };
    let all: Vec<Vec<f64>> = (0..columns).map(direction).collect();
    let variances: Vec<f64> = all.iter().map(|d| variance(d)).collect();
    let (whole, most) = (variances.iter().sum::<f64>(), columns.saturating_sub(1).max(1));
    let before = variances.iter().scan(0.0, |sum, v| Some(std::mem::replace(sum, *sum + v)));
    let kept = before.take(most).take_while(|explained| *explained < EXPLAINED * whole).count();
    Ok(all.into_iter().take(kept.max(1)).flatten().collect())
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

impl KMeansScore {
    pub(crate) fn predict(&self, rows: Rows<'_>) -> Vec<f32> {
        let columns = rows.columns;
        let score = |row: &[f32]| {
            let row = self.scale.apply(row);
            let distance = |centre: &[f64]| row.iter().zip(centre).map(|(v, c)| (v - c).powi(2)).sum::<f64>();
            let nearest = self.centres.chunks_exact(columns).map(distance).fold(f64::INFINITY, f64::min);
            (nearest / columns as f64) as f32
        };
        rows.iter().map(score).collect()
    }

    pub(crate) fn check(&self, columns: usize) -> Result<(), Fault> {
        self.scale.check(columns)?;
        whole(&self.centres, columns)
    }
}

impl PcaScore {
    pub(crate) fn predict(&self, rows: Rows<'_>) -> Vec<f32> {
        let columns = rows.columns;
        let score = |row: &[f32]| {
            let row = self.scale.apply(row);
            // What lies in the directions is rebuilt; the rest is the error (Pythagoras).
            let inside: f64 = self.directions.chunks_exact(columns).map(|d| dot(&row, d).powi(2)).sum();
            ((dot(&row, &row) - inside).max(0.0) / columns as f64) as f32
        };
        rows.iter().map(score).collect()
    }

    pub(crate) fn check(&self, columns: usize) -> Result<(), Fault> {
        self.scale.check(columns)?;
        whole(&self.directions, columns)
    }
}

fn whole(values: &[f64], columns: usize) -> Result<(), Fault> {
    let sound = !values.is_empty() && values.len().is_multiple_of(columns) && values.iter().all(|v| v.is_finite());
    if sound { Ok(()) } else { Err(Fault("the directions or centres do not fit the columns".into())) }
}
