//! Classic models: of rows of numbers (linear, tree, forest, boosted trees, nearest neighbours), of rows without targets
//! (k-means, principal components), of who chose what (popularity, similar items), and naive forecasts.
//!
//! smartcore fits them (boosting is kiln's own loop around its trees); what it found is kept in kiln's own form, which is
//! checked when it is read back and which predicts without the library. A crate of its own, so that the library's
//! generic loops are compiled with full optimisation and once.

mod anomaly;
mod boost;
mod knn;
mod linear;
mod naive;
mod recommend;
mod tree;
mod trees;

pub use anomaly::fit_rows;
pub use naive::{Repeat, repeat};
pub use recommend::{Histories, fit_items};

use std::panic::{AssertUnwindSafe, catch_unwind};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Why a model could not be fitted, read or used: one sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault(pub String);

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Fault {}

fn fault(error: impl std::fmt::Display) -> Fault {
    Fault(error.to_string())
}

/// The kinds of models.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Logistic regression, or ridge regression, on standardised columns.
    Linear,
    /// One decision tree (Breiman et al. 1984).
    Tree,
    /// A random forest of 100 trees (Breiman 2001).
    Forest,
    /// Gradient-boosted trees (Friedman 2001), as many as held-out training rows ask for.
    Boosted,
    /// The 10 nearest neighbours on standardised columns.
    Knn,
    /// Recommendation: what most users chose.
    Popularity,
    /// Recommendation: what is most similar to what the user chose (Sarwar et al. 2001).
    ItemKnn,
    /// Anomalies: the distance to the nearest of 8 means.
    KMeans,
    /// Anomalies: what the principal components of nine tenths of the variance cannot rebuild.
    Pca,
    /// Forecasts: the last value again.
    Last,
    /// Forecasts: the value of a season before.
    Seasonal,
}

impl Kind {
    /// Those of rows with targets, from the simplest on.
    pub const SUPERVISED: [Self; 5] = [Self::Linear, Self::Tree, Self::Forest, Self::Boosted, Self::Knn];
    /// Every kind.
    pub const ALL: [Self; 11] = [
        Self::Linear,
        Self::Tree,
        Self::Forest,
        Self::Boosted,
        Self::Knn,
        Self::Popularity,
        Self::ItemKnn,
        Self::KMeans,
        Self::Pca,
        Self::Last,
        Self::Seasonal,
    ];

    /// As a config spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Linear => "linear",
            Self::Tree => "tree",
            Self::Forest => "forest",
            Self::Boosted => "boosted",
            Self::Knn => "knn",
            Self::Popularity => "popularity",
            Self::ItemKnn => "item-knn",
            Self::KMeans => "k-means",
            Self::Pca => "pca",
            Self::Last => "last",
            Self::Seasonal => "seasonal",
        }
    }
}

/// Feature rows, `[rows, columns]`.
#[derive(Debug, Clone, Copy)]
pub struct Rows<'a> {
    /// Row-major.
    pub values: &'a [f32],
    /// Columns of a row, at least 1.
    pub columns: usize,
}

impl<'a> Rows<'a> {
    /// Number of rows.
    pub fn len(self) -> usize {
        self.values.len() / self.columns.max(1)
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    fn iter(self) -> std::slice::ChunksExact<'a, f32> {
        self.values.chunks_exact(self.columns.max(1))
    }

    fn column(self, column: usize) -> impl Iterator<Item = f64> + 'a {
        self.values.iter().skip(column).step_by(self.columns.max(1)).map(|&v| f64::from(v))
    }
}

/// What the rows stand for.
#[derive(Debug, Clone, Copy)]
pub enum Targets<'a> {
    /// One class a row.
    Classes {
        /// Ids below `classes`.
        ids: &'a [u32],
        /// Number of classes, at least 2.
        classes: usize,
    },
    /// `width` real values a row.
    Values {
        /// `[rows, width]`
        values: &'a [f32],
        /// Values of a row, at least 1.
        width: usize,
    },
}

impl Targets<'_> {
    /// Probabilities or values that a model gives for a row.
    pub fn outputs(&self) -> usize {
        match self {
            Self::Classes { classes, .. } => *classes,
            Self::Values { width, .. } => *width,
        }
    }

    fn rows(&self) -> usize {
        match self {
            Self::Classes { ids, .. } => ids.len(),
            Self::Values { values, width } => values.len() / (*width).max(1),
        }
    }
}

/// A fitted model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Model {
    columns: usize,
    outputs: usize,
    form: Form,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Form {
    Linear(linear::Linear),
    Trees(trees::Trees),
    Neighbours(knn::Neighbours),
    Popularity(recommend::Popularity),
    ItemKnn(recommend::ItemKnn),
    KMeans(anomaly::KMeansScore),
    Pca(anomaly::PcaScore),
    Repeats(naive::Repeats),
}

/// Fits a model of `kind`; equal rows and seeds give equal models.
///
/// # Errors
/// Rows and targets that do not fit each other, fewer than two classes among them, or a library's own refusal.
pub fn fit(kind: Kind, rows: Rows<'_>, targets: Targets<'_>, seed: u64) -> Result<Model, Fault> {
    check_input(rows, targets)?;
    // A library's panic on odd data is this model's failure, not the run's.
    let fitted = catch_unwind(AssertUnwindSafe(|| match kind {
        Kind::Linear => linear::fit(rows, targets).map(Form::Linear),
        Kind::Tree => trees::tree(rows, targets, seed).map(Form::Trees),
        Kind::Forest => trees::forest(rows, targets, seed).map(Form::Trees),
        Kind::Boosted => boost::fit(rows, targets, seed).map(Form::Trees),
        Kind::Knn => knn::fit(rows, targets).map(Form::Neighbours),
        other => Err(Fault(format!("{} is not fitted on rows and their targets", other.name()))),
    }));
    let form = fitted.unwrap_or_else(|_| Err(Fault("the library that fits it gave up on these rows".into())))?;
    let model = Model { columns: rows.columns, outputs: targets.outputs(), form };
    model.check()?;
    Ok(model)
}

fn check_input(rows: Rows<'_>, targets: Targets<'_>) -> Result<(), Fault> {
    let n = rows.len();
    if rows.columns == 0 || rows.values.len() != n * rows.columns || targets.rows() != n || targets.outputs() == 0 {
        return Err(Fault(format!(
            "{} values of {} columns for {} targets",
            rows.values.len(),
            rows.columns,
            targets.rows()
        )));
    }
    if rows.values.iter().any(|v| !v.is_finite()) {
        return Err(Fault("a feature is not a finite number".into()));
    }
    match targets {
        _ if n < 2 => Err(Fault(format!("{n} rows are too few to fit anything on"))),
        Targets::Classes { ids, classes } if ids.iter().any(|&id| id as usize >= classes) => {
            Err(Fault(format!("a class is none of the {classes}")))
        }
        Targets::Classes { ids, .. } if ids.iter().all(|id| Some(id) == ids.first()) => {
            Err(Fault("every training row is of one class".into()))
        }
        Targets::Values { values, .. } if values.iter().any(|v| !v.is_finite()) => {
            Err(Fault("a target is not a finite number".into()))
        }
        _ => Ok(()),
    }
}

impl Model {
    /// Columns of a row that it predicts for.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Probabilities or values that it gives for a row.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Class probabilities or values, `[rows, outputs]`.
    ///
    /// # Errors
    /// Rows of another width.
    pub fn predict(&self, rows: Rows<'_>) -> Result<Vec<f32>, Fault> {
        if rows.columns != self.columns || !rows.values.len().is_multiple_of(self.columns) {
            return Err(Fault(format!("the model reads {} columns, found {}", self.columns, rows.columns)));
        }
        match &self.form {
            Form::Linear(linear) => Ok(linear.predict(rows)),
            Form::Trees(trees) => Ok(trees.predict(rows)),
            Form::Neighbours(neighbours) => neighbours.predict(rows),
            Form::KMeans(means) => Ok(means.predict(rows)),
            Form::Pca(pca) => Ok(pca.predict(rows)),
            Form::Repeats(repeats) => Ok(repeats.predict(rows)),
            Form::Popularity(_) | Form::ItemKnn(_) => Err(Fault("a recommender scores histories, not rows".into())),
        }
    }

    /// Whether it can be used safely: every index leads somewhere, every tree ends, and every size fits the others.
    ///
    /// # Errors
    /// The first thing that does not fit; a model that was read from a file is checked before it is used.
    pub fn check(&self) -> Result<(), Fault> {
        if self.columns == 0 || self.outputs == 0 {
            return Err(Fault("a model without columns or outputs".into()));
        }
        match &self.form {
            Form::Linear(linear) => linear.check(self.columns, self.outputs),
            Form::Trees(trees) => trees.check(self.columns, self.outputs),
            Form::Neighbours(neighbours) => neighbours.check(self.columns, self.outputs),
            Form::Popularity(popularity) => popularity.check(self.columns),
            Form::ItemKnn(knn) => knn.check(self.columns),
            Form::KMeans(means) => means.check(self.columns),
            Form::Pca(pca) => pca.check(self.columns),
            Form::Repeats(repeats) => repeats.check(self.columns, self.outputs),
        }
    }
}

/// Mean and deviation of every column, learned on the training rows; a constant column has deviation 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Standard {
    mean: Vec<f64>,
    std: Vec<f64>,
}

impl Standard {
    fn of(rows: Rows<'_>) -> Self {
        let n = rows.len() as f64;
        let mean: Vec<f64> = (0..rows.columns).map(|c| rows.column(c).sum::<f64>() / n).collect();
        let std = mean.iter().enumerate().map(|(c, mean)| {
            let variance = rows.column(c).map(|v| (v - mean).powi(2)).sum::<f64>() / n;
            let std = variance.sqrt();
            // Rounding noise of a constant column must not be blown up to unit variance.
            if std > mean.abs() * 1e-7 && std > f64::from(f32::MIN_POSITIVE) { std } else { 1.0 }
        });
        Self { std: std.collect(), mean }
    }

    fn apply(&self, row: &[f32]) -> Vec<f64> {
        row.iter().zip(self.mean.iter().zip(&self.std)).map(|(&v, (mean, std))| (f64::from(v) - mean) / std).collect()
    }

    fn check(&self, columns: usize) -> Result<(), Fault> {
        let whole = self.mean.iter().all(|v| v.is_finite()) && self.std.iter().all(|v| *v > 0.0 && v.is_finite());
        if self.mean.len() == columns && self.std.len() == columns && whole {
            Ok(())
        } else {
            Err(Fault("the scale does not fit the columns".into()))
        }
    }
}

/// Scores become probabilities, in place: the largest is taken off first, so nothing overflows.
fn softmax(scores: &mut [f64]) {
    let top = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    scores.iter_mut().for_each(|s| *s = (*s - top).exp());
    let sum: f64 = scores.iter().sum();
    scores.iter_mut().for_each(|s| *s /= sum);
}

#[cfg(test)]
mod tests;
