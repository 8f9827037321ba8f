//! Calibration: does a probability of 0.8 come true eight times in ten?

use serde::{Deserialize, Serialize};

use super::{Predictions, predictions::argmax};

/// Bins of a reliability curve.
pub const BINS: usize = 15;

/// One bin of a reliability curve.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ReliabilityBin {
    /// Rows whose confidence falls into it.
    pub rows: u64,
    /// Their mean confidence.
    pub confidence: f64,
    /// The share of them that came true.
    pub accuracy: f64,
}

/// How well the probabilities of the predicted classes come true.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Calibration {
    /// Expected calibration error (Naeini et al. 2015; Guo et al. 2017): the mean distance of confidence and accuracy
    /// over bins of equal width, weighted by rows.
    pub ece: f64,
    /// The largest such distance.
    pub mce: f64,
    /// The bins that hold rows, from the least confidence on.
    pub bins: Vec<ReliabilityBin>,
}

/// Mean and hits of the predicted class's probability, over [`BINS`] bins of equal width; `None` without classes or
/// rows.
pub fn calibration(predictions: &Predictions) -> Option<Calibration> {
    let ids = predictions.classes();
    if ids.is_empty() || !predictions.is_finite() {
        return None;
    }
    let mut sums = [(0u64, 0.0f64, 0u64); BINS];
    for (row, &id) in predictions.rows().zip(ids) {
        let best = argmax(row);
        let confidence = f64::from(row.get(best).copied().unwrap_or(0.0)).clamp(0.0, 1.0);
        // Bins are open below and closed above, as in the paper.
        let bin = ((confidence * BINS as f64).ceil() as usize).clamp(1, BINS) - 1;
        if let Some((rows, sum, hits)) = sums.get_mut(bin) {
            *rows += 1;
            *sum += confidence;
            *hits += u64::from(best == id as usize);
        }
    }
    let filled = sums.into_iter().filter(|(rows, ..)| *rows > 0);
    let bins: Vec<_> = filled
        .map(|(rows, sum, hits)| ReliabilityBin {
            rows,
            confidence: sum / rows as f64,
            accuracy: hits as f64 / rows as f64,
        })
        .collect();
    let gap = |bin: &ReliabilityBin| (bin.confidence - bin.accuracy).abs();
    let ece = bins.iter().map(|bin| gap(bin) * bin.rows as f64).sum::<f64>() / ids.len() as f64;
    Some(Calibration { ece, mce: bins.iter().map(gap).fold(0.0, f64::max), bins })
}

/// What scores are divided by before the softmax (Guo et al. 2017): above 1 the model was too sure of itself.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Temperature(pub f64);

/// The temperature that minimises the log loss on these rows; `None` without classes, or where no finite one does.
///
/// The loss is convex in 1/T, so its slope is bisected.
pub fn fit_temperature(predictions: &Predictions) -> Option<Temperature> {
    let ids = predictions.classes();
    if ids.is_empty() || !predictions.is_finite() {
        return None;
    }
    let scores: Vec<f64> = predictions.outputs.iter().map(|&p| score(p)).collect();
    let slope = |inverse: f64| -> f64 {
        let rows = scores.chunks_exact(predictions.width).zip(ids);
        let each = |(row, &id): (&[f64], &u32)| {
            let p = softmax(row, inverse);
            let mean: f64 = p.iter().zip(row).map(|(p, z)| p * z).sum();
            mean - row.get(id as usize).copied().unwrap_or(0.0)
        };
        rows.map(each).sum()
    };
    let (mut low, mut high) = (0.01, 100.0);
    // Rows that are all right, or no better than chance, push the temperature past any bound.
    if slope(low) >= 0.0 || slope(high) <= 0.0 {
        return None;
    }
    for _ in 0..200 {
        let middle = 0.5 * (low + high);
        if slope(middle) < 0.0 { low = middle } else { high = middle }
    }
    Some(Temperature(2.0 / (low + high)))
}

impl Temperature {
    /// The probabilities that scores divided by the temperature give.
    pub fn apply(self, predictions: &Predictions) -> Predictions {
        let scaled = |row: &[f32]| {
            let scores: Vec<f64> = row.iter().map(|&p| score(p)).collect();
            softmax(&scores, 1.0 / self.0).into_iter().map(|p| p as f32)
        };
        Predictions { outputs: predictions.rows().flat_map(scaled).collect(), ..predictions.clone() }
    }
}

/// A probability's logarithm, which is its score up to a shift that softmax does not see.
fn score(p: f32) -> f64 {
    f64::from(p.max(f32::MIN_POSITIVE)).ln()
}

fn softmax(scores: &[f64], inverse: f64) -> Vec<f64> {
    let top = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let powers: Vec<f64> = scores.iter().map(|z| ((z - top) * inverse).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.into_iter().map(|p| p / sum).collect()
}
