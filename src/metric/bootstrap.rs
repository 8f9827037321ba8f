//! The bootstrap: how much a figure would move on other rows of the same kind.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Counted, Figures, Headline, quantile};

/// The bounds that a figure lies within, with the stated confidence.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Interval {
    /// Lower bound.
    pub low: f64,
    /// Upper bound.
    pub high: f64,
}

/// Figures of one model with their intervals.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Estimate {
    /// On the rows as they are.
    pub value: f64,
    /// Over the resamples; absent where the figure is defined on too few of them.
    pub interval: Option<Interval>,
}

/// How to resample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Resampling {
    /// Resamples of the rows, drawn with replacement.
    pub times: usize,
    /// Confidence, such as 0.95.
    pub level: f64,
    /// Equal seeds draw equal rows.
    pub seed: u64,
}

/// Rows drawn in all at most: a large split is resampled fewer times, never on fewer rows.
const MAX_DRAWS: usize = 200_000_000;

impl Resampling {
    /// As often as `rows` rows can be resampled in bearable time.
    pub fn bounded(self, rows: usize) -> Self {
        Self { times: self.times.min((MAX_DRAWS / rows.max(1)).max(200)), ..self }
    }
}

/// Calls `each` with how often every one of `rows` rows stands in a resample, once a resample.
pub fn resamples(rows: usize, how: Resampling, mut each: impl FnMut(&[u32])) {
    let mut state = how.seed;
    let mut counts = vec![0u32; rows];
    for _ in 0..how.times {
        counts.fill(0);
        for _ in 0..rows {
            let drawn = (u128::from(splitmix(&mut state)) * rows as u128) >> 64;
            if let Some(count) = counts.get_mut(drawn as usize) {
                *count += 1;
            }
        }
        each(&counts);
    }
}

/// SplitMix64 (Steele, Lea and Flood 2014).
pub(crate) fn splitmix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The middle `level` of `values` (the percentile interval of Efron 1979), `None` for fewer than two.
pub fn percentile_interval(values: &[f64], level: f64) -> Option<Interval> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let tail = (1.0 - level) / 2.0;
    if sorted.len() < 2 {
        return None;
    }
    Some(Interval { low: quantile(&sorted, tail)?, high: quantile(&sorted, 1.0 - tail)? })
}

/// Every figure of a model with its interval.
pub fn estimates(model: &Counted, rows: usize, how: Resampling) -> BTreeMap<&'static str, Estimate> {
    let mut drawn: BTreeMap<Headline, Vec<f64>> = BTreeMap::new();
    resamples(rows, how, |counts| {
        for (name, value) in model.figures(counts) {
            drawn.entry(name).or_default().push(value);
        }
    });
    let interval = |name: &Headline| drawn.get(name).and_then(|values| percentile_interval(values, how.level));
    model
        .whole()
        .into_iter()
        .map(|(name, value)| (name.name(), Estimate { value, interval: interval(&name) }))
        .collect()
}

/// Two models on the same rows.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Paired {
    /// The first one's figure.
    pub ours: Estimate,
    /// The second one's.
    pub theirs: Estimate,
    /// The first less the second.
    pub difference: Estimate,
}

/// A figure of two models and its difference, over resamples that draw the same rows for both. `None` where the figure
/// isn't defined.
pub fn paired(ours: &Counted, theirs: &Counted, figure: Headline, rows: usize, how: Resampling) -> Option<Paired> {
    let both = |a: Figures, b: Figures| a.get(&figure).copied().zip(b.get(&figure).copied());
    let (a, b) = both(ours.whole(), theirs.whole())?;
    let mut drawn = Vec::with_capacity(how.times);
    resamples(rows, how, |counts| drawn.extend(both(ours.figures(counts), theirs.figures(counts))));
    let estimate = |value: f64, of: fn(&(f64, f64)) -> f64| {
        let values: Vec<f64> = drawn.iter().map(of).collect();
        Estimate { value, interval: percentile_interval(&values, how.level) }
    };
    Some(Paired {
        ours: estimate(a, |pair| pair.0),
        theirs: estimate(b, |pair| pair.1),
        difference: estimate(a - b, |pair| pair.0 - pair.1),
    })
}
