//! Target encoding: a category becomes the mean target of its training rows (Micci-Barreca 2001), smoothed.

use super::super::sampler::mix;

/// Rows that the overall mean counts as, by default.
pub(super) const SMOOTH: f64 = 10.0;

/// A training row is encoded by the rows of the other folds, so that its own target never reaches its features.
pub(super) const FOLDS: usize = 5;

/// The fold of the `ordinal`-th training row.
pub(in crate::data) fn fold(ordinal: u64) -> usize {
    (mix(ordinal) % FOLDS as u64) as usize
}

/// Counts and sums of targets, per category and fold.
#[derive(Debug, Clone)]
pub(in crate::data) struct TargetSums {
    /// Targets a row: one for two classes or a value, else one per class or value.
    width: usize,
    categories: usize,
    /// `[categories + 1, FOLDS, width + 1]`: the count, then the sums; the last category stands for all rows.
    sums: Vec<f64>,
}

/// What every category becomes, `[categories + 1, width]`; the last row is for what is no category.
pub(super) type Table = Vec<f64>;

impl TargetSums {
    pub(super) fn new(categories: usize, width: usize) -> Self {
        Self { width, categories, sums: vec![0.0; (categories + 1) * FOLDS * (width + 1)] }
    }

    /// Adds a training row.
    pub(super) fn add(&mut self, category: Option<usize>, fold: usize, targets: &[f64]) {
        for category in category.into_iter().chain([self.categories]) {
            let at = (category * FOLDS + fold) * (self.width + 1);
            for (sum, value) in self.sums.iter_mut().skip(at).zip([1.0].iter().chain(targets)) {
                *sum += value;
            }
        }
    }

    /// Counts and sums of a category over all folds but `without`.
    fn over(&self, category: usize, without: Option<usize>) -> Vec<f64> {
        let mut total = vec![0.0; self.width + 1];
        for fold in (0..FOLDS).filter(|fold| Some(*fold) != without) {
            let at = (category * FOLDS + fold) * (self.width + 1);
            total.iter_mut().zip(self.sums.iter().skip(at)).for_each(|(total, sum)| *total += sum);
        }
        total
    }

    /// The encoding learned from all folds but `without`: `(sum + smooth * mean) / (count + smooth)`.
    pub(super) fn table(&self, smooth: f64, without: Option<usize>) -> Table {
        let all = self.over(self.categories, without);
        let count = all.first().copied().unwrap_or(0.0).max(1.0);
        let means: Vec<f64> = all.iter().skip(1).map(|sum| sum / count).collect();
        let mut table = Vec::with_capacity((self.categories + 1) * self.width);
        for category in 0..self.categories {
            let own = self.over(category, without);
            let rows = own.first().copied().unwrap_or(0.0);
            let encoded =
                own.iter().skip(1).zip(&means).map(|(sum, mean)| {
                    if rows + smooth > 0.0 { (sum + smooth * mean) / (rows + smooth) } else { *mean }
                });
            table.extend(encoded);
        }
        table.extend(means);
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rows_own_fold_does_not_reach_its_encoding() {
        let mut sums = TargetSums::new(2, 1);
        for (category, fold, target) in [(0, 0, 1.0), (0, 1, 0.0), (1, 0, 1.0), (1, 1, 1.0)] {
            sums.add(Some(category), fold, &[target]);
        }
        assert_eq!(sums.table(0.0, None), [0.5, 1.0, 0.75]);
        assert_eq!(sums.table(0.0, Some(0)), [0.0, 1.0, 0.5]);
        assert_eq!(sums.table(2.0, None), [(1.0 + 1.5) / 4.0, (2.0 + 1.5) / 4.0, 0.75]);
        let folds: std::collections::BTreeSet<usize> = (0..100).map(fold).collect();
        assert_eq!(folds.len(), FOLDS);
    }
}
