//! Moments, and quantiles of a uniform sample in bounded memory.

use super::super::sampler::mix;

/// Values that a table's columns keep together: 64 MiB.
const BUDGET: usize = 8 << 20;

/// A uniform sample of a stream (Vitter's algorithm R, 1985), whole while it fits; a pure function of the stream.
#[derive(Debug, Clone)]
pub(in crate::data) struct Sample {
    values: Vec<f64>,
    seen: u64,
    most: usize,
}

impl Sample {
    /// For one of `columns` columns: at most 100,000 values.
    pub(in crate::data) fn new(columns: usize) -> Self {
        Self { values: Vec::new(), seen: 0, most: (BUDGET / columns.max(1)).clamp(1_000, 100_000) }
    }

    pub(in crate::data) fn add(&mut self, value: f64) {
        self.seen += 1;
        if self.values.len() < self.most {
            self.values.push(value);
        } else if let Some(old) = self.values.get_mut((mix(self.seen) % self.seen) as usize) {
            *old = value;
        }
    }

    /// In order, with `fills` further values of `fill`, as many as their share of the stream is.
    pub(in crate::data) fn sorted(&self, fill: f64, fills: u64) -> Vec<f64> {
        let share = self.values.len() as f64 / self.seen.max(1) as f64;
        let fills = (fills as f64 * share).round() as usize;
        let mut values = self.values.clone();
        values.extend(std::iter::repeat_n(fill, fills));
        values.sort_unstable_by(f64::total_cmp);
        values
    }
}

/// The quantile `q` of sorted values, linear between neighbours (Hyndman and Fan 1996, type 7, as NumPy's default);
/// 0 of nothing.
pub(in crate::data) fn quantile(sorted: &[f64], q: f64) -> f64 {
    at_rank(sorted, q.clamp(0.0, 1.0) * sorted.len().saturating_sub(1) as f64)
}

/// The value at a rank from 0, which may lie between two.
pub(in crate::data) fn at_rank(sorted: &[f64], at: f64) -> f64 {
    let (low, t) = (at.floor() as usize, at.fract());
    let value = |i: usize| sorted.get(i).or(sorted.last()).copied().unwrap_or(0.0);
    value(low) + (value(low + 1) - value(low)) * t
}

/// Mean and sum of squared deviations, streamed (Welford 1962) and joined (Chan et al. 1979).
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::data) struct Moments {
    count: f64,
    mean: f64,
    m2: f64,
}

impl Moments {
    pub(in crate::data) fn add(&mut self, value: f64) {
        self.add_many(value, 1);
    }

    pub(in crate::data) fn add_many(&mut self, value: f64, count: u64) {
        if count == 0 {
            return;
        }
        let n = count as f64;
        let delta = value - self.mean;
        let all = self.count + n;
        self.mean += delta * n / all;
        self.m2 += delta * delta * self.count * n / all;
        self.count = all;
    }

    pub(in crate::data) fn count(&self) -> f64 {
        self.count
    }

    /// The sum of squared deviations.
    pub(in crate::data) fn squares(&self) -> f64 {
        self.m2
    }

    pub(in crate::data) fn mean(&self) -> f64 {
        self.mean
    }

    /// The population's deviation; 1 for a constant, whose rounding noise must not be blown up to unit variance.
    pub(in crate::data) fn deviation(&self) -> f64 {
        let deviation = (self.m2 / self.count.max(1.0)).sqrt();
        if deviation > self.mean.abs() * 1e-12 && deviation > f64::MIN_POSITIVE { deviation } else { 1.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_whole_while_it_fits_and_uniform_beyond() {
        let mut sample = Sample::new(8 << 20); // 1,000 values
        (0..1000).for_each(|i| sample.add(f64::from(i)));
        let sorted = sample.sorted(0.0, 0);
        assert!(sorted.iter().copied().eq((0..1000).map(f64::from)));
        assert_eq!(sample.sorted(-1.0, 10).len(), 1010);
        (1000..100_000).for_each(|i| sample.add(f64::from(i)));
        let sorted = sample.sorted(0.0, 0);
        assert_eq!(sorted.len(), 1000);
        let median = quantile(&sorted, 0.5);
        assert!((45_000.0..55_000.0).contains(&median), "{median}");
    }

    #[test]
    fn quantiles_are_linear_between_neighbours() {
        let sorted = [1.0, 2.0, 4.0, 8.0];
        assert_eq!([0.0, 0.5, 1.0].map(|q| quantile(&sorted, q)), [1.0, 3.0, 8.0]);
        assert_eq!(quantile(&[5.0], 0.3), 5.0);
        assert_eq!(quantile(&[], 0.3), 0.0);
    }

    #[test]
    fn moments_join() {
        let mut moments = Moments::default();
        [1.0, 2.0, 3.0, 4.0].iter().for_each(|v| moments.add(*v));
        assert_eq!((moments.mean(), moments.deviation()), (2.5, 1.25f64.sqrt()));
        let mut constant = Moments::default();
        constant.add_many(0.1, 1000);
        assert_eq!(constant.deviation(), 1.0);
    }
}
