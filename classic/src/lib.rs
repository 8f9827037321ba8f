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
mod rows;
mod standard;
mod tree;
mod trees;

pub use anomaly::fit_rows;
pub use naive::{Repeat, repeat};
pub use recommend::{Histories, fit_items};
pub use rows::{Rows, Targets};
use standard::Standard;

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

/// Scores become probabilities, in place: the largest is taken off first, so nothing overflows.
fn softmax(scores: &mut [f64]) {
    let top = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    scores.iter_mut().for_each(|s| *s = (*s - top).exp());
    let sum: f64 = scores.iter().sum();
    scores.iter_mut().for_each(|s| *s /= sum);
}

#[cfg(test)]
mod tests;
