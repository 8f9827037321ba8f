//! Areas under curves, exact with ties: rows of equal score enter a curve together.

/// Rows of a binary truth in the order of their scores, best first.
pub struct Ranking {
    /// The row at every place, and whether it is positive.
    order: Vec<(u32, bool)>,
    /// Where every group of equal scores ends, and its score.
    ends: Vec<(u32, f32)>,
}

impl Ranking {
    /// Sorts scores with their truth.
    pub fn new(scored: impl Iterator<Item = (f32, bool)>) -> Self {
        let mut rows: Vec<(f32, bool, u32)> =
            scored.zip(0..).map(|((score, positive), row)| (score, positive, row)).collect();
        rows.sort_by(|a, b| b.0.total_cmp(&a.0));
        let mut ends = Vec::new();
        let mut end = 0;
        // `==`, so that -0.0 ties with 0.0; total_cmp puts the two side by side.
        for group in rows.chunk_by(|a, b| a.0 == b.0) {
            end += group.len() as u32;
            ends.push((end, group.first().map_or(f32::NAN, |row| row.0)));
        }
        Self { order: rows.into_iter().map(|(_, positive, row)| (row, positive)).collect(), ends }
    }

    /// For every group of equal scores, best first: its score, and how many rows in it are positive and negative when
    /// row `i` stands `count(i)` times.
    fn groups(&self, count: impl Fn(u32) -> u64) -> impl Iterator<Item = (f32, u64, u64)> {
        let mut start = 0;
        self.ends.iter().map(move |&(end, score)| {
            let group = self.order.get(start..end as usize).unwrap_or_default();
            start = end as usize;
            let (mut positive, mut negative) = (0, 0);
            for &(row, is_positive) in group {
                *(if is_positive { &mut positive } else { &mut negative }) += count(row);
            }
            (score, positive, negative)
        })
    }

    /// The points of both curves, best score first, beginning with nothing taken: each the least score that is taken,
    /// and the positives and negatives taken by then.
    pub fn points(&self) -> Vec<(f32, u64, u64)> {
        let mut taken = (0, 0);
        let sums = self.groups(|_| 1).map(|(score, positive, negative)| {
            taken = (taken.0 + positive, taken.1 + negative);
            (score, taken.0, taken.1)
        });
        std::iter::once((f32::INFINITY, 0, 0)).chain(sums).collect()
    }
}

/// AUROC and average precision of scores against a binary truth, `None` where one side is empty (AUROC) or there is no
/// positive (average precision).
pub fn areas(scored: impl Iterator<Item = (f32, bool)>) -> (Option<f64>, Option<f64>) {
    let ranking = Ranking::new(scored);
    areas_of(&ranking, |_| 1)
}

/// The same of a resample, in which row `i` stands `counts[i]` times.
pub(super) fn areas_counted(ranking: &Ranking, counts: &[u32]) -> (Option<f64>, Option<f64>) {
    areas_of(ranking, |row| u64::from(counts.get(row as usize).copied().unwrap_or(0)))
}

/// AUROC is the Mann-Whitney statistic; average precision is the step-wise area under the precision-recall curve.
fn areas_of(ranking: &Ranking, count: impl Fn(u32) -> u64) -> (Option<f64>, Option<f64>) {
    // Twice the number of (positive, negative) pairs in the right order, a tie counting half: whole numbers only.
    let (mut pairs, mut precision) = (0_u128, 0.0);
    let (mut hits, mut misses) = (0_u64, 0_u64);
    for (_, found, missed) in ranking.groups(count) {
        // Every negative so far stands above these positives: they lose to it, and halve with their own group's.
        pairs += u128::from(missed) * u128::from(2 * hits + found);
        hits += found;
        misses += missed;
        if found > 0 {
            precision += found as f64 * (hits as f64 / (hits + misses) as f64);
        }
    }
    let auroc = super::ratio(pairs as f64, 2.0 * hits as f64 * misses as f64);
    (auroc, super::ratio(precision, hits as f64))
}
