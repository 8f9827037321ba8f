//! Values far from the rest.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::sample::{Moments, quantile};

/// What counts as an outlier; the bounds are learned on the training split's observed values.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Outliers {
    /// Nothing.
    None,
    /// Further than this many interquartile ranges outside the quartiles (Tukey 1977: 1.5).
    Iqr(f64),
    /// Further than this many standard deviations from the mean.
    ZScore(f64),
    /// Below this quantile, or above its complement: 0.01 bounds the outer 1 % on both sides.
    Quantile(f64),
}

/// What happens to an outlier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnOutlier {
    /// It is moved to the bound.
    Clip,
    /// It stays, and a further feature is 1.
    Mark,
    /// Its row is left out of the training split; in the others it stays.
    Drop,
}

/// Learned bounds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Fence {
    /// The smallest value that is no outlier.
    pub low: f64,
    /// The largest value that is no outlier.
    pub high: f64,
    /// What happens outside.
    pub then: OnOutlier,
}

impl Outliers {
    /// The bounds by moments and sorted sample of the observed values.
    pub(super) fn fence(self, moments: &Moments, sorted: &[f64], then: OnOutlier) -> Option<Fence> {
        let (low, high) = match self {
            Self::None => return None,
            Self::Iqr(times) => {
                let (q1, q3) = (quantile(sorted, 0.25), quantile(sorted, 0.75));
                (q1 - times * (q3 - q1), q3 + times * (q3 - q1))
            }
            Self::ZScore(times) => {
                let reach = times * moments.deviation();
                (moments.mean() - reach, moments.mean() + reach)
            }
            Self::Quantile(share) => (quantile(sorted, share), quantile(sorted, 1.0 - share)),
        };
        Some(Fence { low, high, then })
    }
}

impl Fence {
    /// Whether the value lies outside.
    pub fn is_outside(&self, value: f64) -> bool {
        value < self.low || value > self.high
    }

    /// The value as it goes on: clipped, if that is what happens.
    pub(super) fn apply(&self, value: f64) -> f64 {
        if self.then == OnOutlier::Clip { value.max(self.low).min(self.high) } else { value }
    }
}
