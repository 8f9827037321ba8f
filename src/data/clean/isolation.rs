//! Rows far from the rest, all numeric columns taken together: an isolation forest (Liu, Ting and Zhou 2008).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{sample::Moments, sample::quantile};
use crate::data::sampler::mix;

/// `data.isolation_forest`: random trees that part rows until each is alone; rows that few cuts part are outliers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct IsolationConfig {
    /// Trees.
    pub trees: usize,
    /// Training rows that each tree is grown on.
    pub rows: usize,
    /// Share of the training rows that count as outliers.
    pub share: f64,
    /// What happens to an outlier.
    pub then: OnIsolated,
}

impl Default for IsolationConfig {
    fn default() -> Self {
        Self { trees: 100, rows: 256, share: 0.01, then: OnIsolated::Mark }
    }
}

/// What happens to a row that is an outlier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnIsolated {
    /// It stays; two further features tell whether it is one, and its score, standardised.
    Mark,
    /// It is left out of the training split; in the others it stays.
    Drop,
}

/// A node: of an inner one the column, the value that parts its rows, and the first of its two children; of a leaf no
/// children, and how many cuts its rows are away from the root.
type Node = (u32, f64, u32);

/// A grown forest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Isolation {
    /// What happens to an outlier.
    pub then: OnIsolated,
    /// The score from which on a row is one.
    pub threshold: f64,
    /// Mean and deviation of the training rows' scores.
    scale: (f64, f64),
    /// Cuts that a row takes on average to be alone among those of a tree.
    usual: f64,
    trees: Vec<Vec<Node>>,
}

impl Isolation {
    /// From complete rows of numbers, `[rows, columns]`; a pure function of them.
    pub(super) fn fit(values: &[f64], columns: usize, config: &IsolationConfig) -> Self {
        let columns = columns.max(1);
        let rows: Vec<&[f64]> = values.chunks(columns).collect();
        let size = config.rows.min(rows.len());
        let mut random = Random(0);
        let trees = (0..config.trees).map(|_| {
            let mut drawn = random.choose(rows.len(), size);
            let mut tree = vec![(0, 0.0, 0)];
            let limit = (size.max(2) as f64).log2().ceil() as u32;
            grow(&mut tree, 0, &rows, &mut drawn, (0, limit), columns, &mut random);
            tree
        });
        let trees = trees.collect();
        let mut forest = Self { then: config.then, threshold: 0.0, scale: (0.0, 1.0), usual: usual(size), trees };
        let mut scores: Vec<f64> = rows.iter().map(|row| forest.score(row)).collect();
        let mut moments = Moments::default();
        scores.iter().for_each(|score| moments.add(*score));
        scores.sort_unstable_by(f64::total_cmp);
        forest.threshold = quantile(&scores, 1.0 - config.share);
        forest.scale = (moments.mean(), moments.deviation());
        forest
    }

    pub(super) fn is_sound(&self, columns: usize) -> bool {
        let node = |tree: &[Node], (at, node): (usize, &Node)| {
            let (column, value, child) = *node;
            // Children come after their parent, so that no walk goes in circles.
            let inner = child as usize > at && (child as usize + 1) < tree.len() && (column as usize) < columns;
            value.is_finite() && (child == 0 || inner)
        };
        let whole = |tree: &Vec<Node>| !tree.is_empty() && tree.iter().enumerate().all(|n| node(tree, n));
        self.usual > 0.0 && self.scale.1 > 0.0 && !self.trees.is_empty() && self.trees.iter().all(whole)
    }

    /// Between 0 and 1, 0.5 for a usual row; the more of an outlier the higher.
    pub(super) fn score(&self, row: &[f64]) -> f64 {
        let cuts = |tree: &Vec<Node>| {
            let mut at = 0;
            loop {
                match tree.get(at) {
                    Some((column, value, child)) if *child > 0 => {
                        let goes_right = row.get(*column as usize).is_some_and(|number| number > value);
                        at = *child as usize + usize::from(goes_right);
                    }
                    leaf => return leaf.map_or(0.0, |leaf| leaf.1),
                }
            }
        };
        let mean = self.trees.iter().map(cuts).sum::<f64>() / self.trees.len().max(1) as f64;
        (-mean / self.usual).exp2()
    }

    pub(super) fn outputs(&self) -> Vec<String> {
        match self.then {
            OnIsolated::Mark => vec!["isolation:outlier".into(), "isolation:score".into()],
            OnIsolated::Drop => Vec::new(),
        }
    }

    /// Appends the features of a complete row; whether it is an outlier.
    pub(super) fn write(&self, row: &[f64], out: &mut Vec<f32>) -> bool {
        let score = self.score(row);
        let outside = score > self.threshold;
        if self.then == OnIsolated::Mark {
            out.push(f32::from(u8::from(outside)));
            out.push(((score - self.scale.0) / self.scale.1) as f32);
        }
        outside
    }
}

/// Parts the rows `drawn` below the node `at` until each is alone, all are alike, or `limit` cuts were made.
fn grow(
    tree: &mut Vec<Node>,
    at: usize,
    rows: &[&[f64]],
    drawn: &mut [usize],
    (depth, limit): (u32, u32),
    columns: usize,
    random: &mut Random,
) {
    let value = |row: usize, column: usize| rows.get(row).and_then(|row| row.get(column)).copied().unwrap_or(0.0);
    let cut = (depth < limit && drawn.len() > 1).then(|| {
        // Columns in random order, until one varies.
        random.choose(columns, columns).into_iter().find_map(|column| {
            let ends = drawn.iter().map(|row| value(*row, column));
            let (low, high) = ends.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
            (high > low).then_some((column, low, high))
        })
    });
    let Some((column, low, high)) = cut.flatten() else {
        if let Some(node) = tree.get_mut(at) {
            *node = (0, f64::from(depth) + usual(drawn.len()), 0);
        }
        return;
    };
    // Below the largest value, so that neither side is empty.
    let place = (low + random.uniform() * (high - low)).clamp(low, high.next_down());
    drawn.sort_unstable_by_key(|row| value(*row, column) > place);
    let left = drawn.partition_point(|row| value(*row, column) <= place);
    let child = tree.len();
    tree.extend([(0, 0.0, 0); 2]);
    if let Some(node) = tree.get_mut(at) {
        *node = (column as u32, place, child as u32);
    }
    let (below, above) = drawn.split_at_mut(left);
    grow(tree, child, rows, below, (depth + 1, limit), columns, random);
    grow(tree, child + 1, rows, above, (depth + 1, limit), columns, random);
}

/// Cuts that an unsuccessful search in a random binary tree of `n` rows takes on average (Liu et al. 2008, equation 1).
fn usual(n: usize) -> f64 {
    match n {
        0 | 1 => 0.0,
        2 => 1.0,
        n => {
            let n = n as f64;
            2.0 * ((n - 1.0).ln() + std::f64::consts::EULER_GAMMA) - 2.0 * (n - 1.0) / n
        }
    }
}

/// A stream of random numbers.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(1);
        mix(self.0)
    }

    fn uniform(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// `n` of `0..of` in random order, none twice (Fisher and Yates).
    fn choose(&mut self, of: usize, n: usize) -> Vec<usize> {
        let mut all: Vec<usize> = (0..of).collect();
        for at in 0..n.min(of) {
            let other = at + (self.next() % (of - at) as u64) as usize;
            all.swap(at, other);
        }
        all.truncate(n);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_apart_scores_high() {
        let mut values: Vec<f64> = (0..2000u64).map(|i| (mix(i) % 1000) as f64 / 1000.0).collect();
        values.extend([5.0, -4.0]);
        let config = IsolationConfig { share: 0.001, ..IsolationConfig::default() };
        let forest = Isolation::fit(&values, 2, &config);
        let (apart, amid) = (forest.score(&[5.0, -4.0]), forest.score(&[0.5, 0.5]));
        assert!(apart > 0.7 && amid < 0.5, "{apart} {amid}");
        let mut out = Vec::new();
        assert!(forest.write(&[5.0, -4.0], &mut out) && !forest.write(&[0.5, 0.5], &mut out));
        assert_eq!((out[0], out[2], out.len()), (1.0, 0.0, 4));
        assert!(forest.is_sound(2) && !forest.is_sound(1));
        assert_eq!(forest, Isolation::fit(&values, 2, &config), "a pure function of the rows");
    }

    #[test]
    fn rows_that_are_all_alike_are_a_leaf() {
        let forest = Isolation::fit(&[3.0; 40], 2, &IsolationConfig::default());
        assert!(forest.is_sound(2) && forest.trees.iter().all(|tree| tree.len() == 1));
        let none = Isolation::fit(&[], 2, &IsolationConfig::default());
        assert!(none.score(&[1.0, 2.0]).is_nan() || none.score(&[1.0, 2.0]) <= 1.0);
    }
}
