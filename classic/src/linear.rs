//! Logistic and ridge regression on standardised columns, with the penalties that scikit-learn defaults to.

use serde::{Deserialize, Serialize};
use smartcore::{
    linalg::basic::{arrays::Array, matrix::DenseMatrix},
    linear::{
        logistic_regression::{LogisticRegression, LogisticRegressionParameters},
        ridge_regression::{RidgeRegression, RidgeRegressionParameters},
    },
};

use crate::{Fault, Rows, Standard, Targets, fault, softmax};

/// Half the weight of the squared coefficients beside the summed loss: scikit-learn's `C = 1` and `alpha = 1`.
const PENALTY: f64 = 1.0;

/// The score of a class that no training row has.
const NEVER: f64 = -1e30;

/// Scores are `weights · x + bias` on standardised columns; classes take their softmax.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Linear {
    scale: Standard,
    /// `[outputs, columns]`
    weights: Vec<f64>,
    /// `[outputs]`
    bias: Vec<f64>,
    probabilities: bool,
}

pub(crate) fn fit(rows: Rows<'_>, targets: Targets<'_>) -> Result<Linear, Fault> {
    let scale = Standard::of(rows);
    let values = rows.iter().flat_map(|row| scale.apply(row)).collect();
    let x = DenseMatrix::new(rows.len(), rows.columns, values, false).map_err(fault)?;
    match targets {
        Targets::Classes { ids, classes } => logistic(&x, ids, classes, scale),
        Targets::Values { values, width } => ridge(&x, values, width, scale),
    }
}

fn logistic(x: &DenseMatrix<f64>, ids: &[u32], classes: usize, scale: Standard) -> Result<Linear, Fault> {
    let columns = scale.mean.len();
    let parameters = LogisticRegressionParameters::default().with_alpha(PENALTY);
    let fitted = LogisticRegression::fit(x, &ids.to_vec(), parameters).map_err(fault)?;
    let (coefficients, intercept, found) = (fitted.coefficients(), fitted.intercept(), fitted.classes());
    let mut linear =
        Linear { scale, weights: vec![0.0; classes * columns], bias: vec![NEVER; classes], probabilities: true };
    for (i, &class) in found.iter().enumerate() {
        // Of two classes only the second has coefficients; the first one's score is 0.
        let source = match (found.len(), i) {
            (2, 0) => None,
            (2, _) => Some(0),
            _ => Some(i),
        };
        linear.bias[class as usize] =
            source.map_or(0.0, |s| *intercept.get(if found.len() == 2 { (0, 0) } else { (s, 0) }));
        if let Some(source) = source {
            let weights = &mut linear.weights[class as usize * columns..][..columns];
            weights.iter_mut().enumerate().for_each(|(c, w)| *w = *coefficients.get((source, c)));
        }
    }
    Ok(linear)
}

fn ridge(x: &DenseMatrix<f64>, values: &[f32], width: usize, scale: Standard) -> Result<Linear, Fault> {
    let n = values.len() / width;
    let mut linear = Linear { scale, weights: Vec::new(), bias: Vec::new(), probabilities: false };
    for target in 0..width {
        let y: Vec<f64> = values.iter().skip(target).step_by(width).map(|&v| f64::from(v)).collect();
        // Columns and target are centred, so that the intercept is the mean and takes no penalty.
        let mean = y.iter().sum::<f64>() / n as f64;
        let y: Vec<f64> = y.iter().map(|v| v - mean).collect();
        let parameters = RidgeRegressionParameters::default().with_alpha(PENALTY).with_normalize(false);
        let fitted = RidgeRegression::fit(x, &y, parameters).map_err(fault)?;
        linear.weights.extend((0..x.shape().1).map(|c| *fitted.coefficients().get((c, 0))));
        linear.bias.push(mean);
    }
    Ok(linear)
}

impl Linear {
    pub(crate) fn predict(&self, rows: Rows<'_>) -> Vec<f32> {
        let mut out = Vec::with_capacity(rows.len() * self.bias.len());
        for row in rows.iter() {
            let x = self.scale.apply(row);
            let weights = self.weights.chunks_exact(x.len());
            let score = |(w, b): (&[f64], &f64)| w.iter().zip(&x).map(|(w, x)| w * x).sum::<f64>() + b;
            let mut scores: Vec<f64> = weights.zip(&self.bias).map(score).collect();
            if self.probabilities {
                softmax(&mut scores);
            }
            out.extend(scores.iter().map(|s| *s as f32));
        }
        out
    }

    pub(crate) fn check(&self, columns: usize, outputs: usize) -> Result<(), Fault> {
        self.scale.check(columns)?;
        let fits = self.bias.len() == outputs && Some(self.weights.len()) == outputs.checked_mul(columns);
        if fits && self.weights.iter().chain(&self.bias).all(|v| v.is_finite()) {
            Ok(())
        } else {
            Err(Fault("the coefficients do not fit the columns".into()))
        }
    }
}
