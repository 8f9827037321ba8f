//! Areas under curves, exact with ties: rows of equal score enter a curve together.

/// AUROC and average precision of scores against a binary truth, `None` where one side is empty (AUROC) or there is no
/// positive (average precision).
///
/// AUROC is the Mann-Whitney statistic; average precision is the step-wise area under the precision-recall curve.
pub(super) fn areas(mut scored: Vec<(f32, bool)>) -> (Option<f64>, Option<f64>) {
    scored.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
    let positives = scored.iter().filter(|(_, positive)| *positive).count() as u64;
    let negatives = scored.len() as u64 - positives;
    // Twice the number of (positive, negative) pairs in the right order, a tie counting half: whole numbers only.
    let (mut pairs, mut precision) = (0_u128, 0.0);
    let (mut hits, mut seen) = (0_u64, 0_u64);
    // `==`, so that -0.0 ties with 0.0; total_cmp puts the two side by side.
    for group in scored.chunk_by(|a, b| a.0 == b.0) {
        let found = group.iter().filter(|(_, positive)| *positive).count() as u64;
        let missed = group.len() as u64 - found;
        let misses_below = negatives - (seen - hits) - missed;
        pairs += u128::from(found) * u128::from(2 * misses_below + missed);
        hits += found;
        seen += group.len() as u64;
        precision += found as f64 * (hits as f64 / seen as f64);
    }
    let auroc = super::ratio(pairs as f64, 2.0 * positives as f64 * negatives as f64);
    (auroc, super::ratio(precision, positives as f64))
}
