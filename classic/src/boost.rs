//! Gradient-boosted trees (Friedman 2001): each tree is fitted to what is left of the loss, and its leaves take a Newton
//! step. smartcore grows the trees; training rows that none of them sees say how many are enough.

use smartcore::{
    linalg::basic::matrix::DenseMatrix,
    tree::decision_tree_regressor::{DecisionTreeRegressor, DecisionTreeRegressorParameters},
};

use crate::{
    Fault, Rows, Targets, fault, softmax,
    tree::Tree,
    trees::{Trees, matrix, read},
};

/// Trees of an output at most.
const ROUNDS: usize = 400;
/// Numbers that all trees together read at most: wide rows of many classes take fewer rounds.
const MAX_READ: usize = 2_000_000_000;
/// Rounds without a gain on the held-out rows before it ends.
const PATIENCE: usize = 30;
/// The part of each step that is taken.
const RATE: f64 = 0.1;
/// The depth of a tree, and the rows of its leaves.
const DEPTH: u16 = 4;
const LEAF: usize = 5;
/// Every so many rows one is held out.
const HELD_OUT: usize = 10;
/// The largest step of a score: a pure leaf would go on for ever.
const MAX_STEP: f64 = 4.0;

/// The scores that boosting works on: one of two classes, or one an output.
struct Scores<'a> {
    targets: Targets<'a>,
    /// The first output that has a score.
    first: usize,
    /// `[rows, scores]`
    now: Vec<f64>,
    width: usize,
}

pub(crate) fn fit(rows: Rows<'_>, targets: Targets<'_>, seed: u64) -> Result<Trees, Fault> {
    let n = rows.len();
    // A stride through the rows that the seed shifts; they come in no order that it could follow.
    let held: Vec<bool> = (0..n)
        .map(|row| n >= 2 * HELD_OUT && (row as u64).wrapping_add(seed).is_multiple_of(HELD_OUT as u64))
        .collect();
    let seen: Vec<usize> = (0..n).filter(|&row| !held[row]).collect();
    let values: Vec<f32> =
        seen.iter().flat_map(|&row| &rows.values[row * rows.columns..][..rows.columns]).copied().collect();
    let x = matrix(Rows { values: &values, columns: rows.columns })?;
    let mut scores = Scores::new(targets, &seen);
    let base: Vec<f64> =
        (0..targets.outputs()).map(|o| o.checked_sub(scores.first).map_or(0.0, |s| scores.now[s])).collect();
    let classes = matches!(targets, Targets::Classes { .. });
    let mut all = Trees { base, scale: RATE, trees: Vec::new(), scores: classes };
    let rounds = (MAX_READ / (rows.values.len() * scores.width).max(1)).clamp(20, ROUNDS);
    let mut best = (f64::INFINITY, 0);
    for round in 0..rounds {
        let slopes = scores.slopes();
        for score in 0..scores.width {
            let tree = grow(&x, rows, &seen, &slopes, (score, scores.width), classes, seed.wrapping_add(round as u64))?;
            for (row, values) in rows.iter().enumerate() {
                scores.now[row * scores.width + score] += RATE * f64::from(tree.values(values)[0]);
            }
            all.trees.push(((scores.first + score) as u32, tree));
        }
        let judged = if n >= 2 * HELD_OUT { &held } else { &vec![true; n] };
        let loss = scores.loss(judged);
        if loss < best.0 {
            best = (loss, all.trees.len());
        } else if all.trees.len() >= best.1 + PATIENCE * scores.width {
            break;
        }
    }
    all.trees.truncate(best.1);
    Ok(all)
}

/// A tree of the slopes of one score, whose leaves hold the Newton step: the slopes' sum over the curvatures'.
fn grow(
    x: &DenseMatrix<f64>,
    rows: Rows<'_>,
    seen: &[usize],
    slopes: &[(f64, f64)],
    (score, width): (usize, usize),
    classes: bool,
    seed: u64,
) -> Result<Tree, Fault> {
    let of = |row: usize| slopes[row * width + score];
    let y: Vec<f64> = seen.iter().map(|&row| of(row).0).collect();
    let parameters = DecisionTreeRegressorParameters {
        seed: Some(seed),
        ..DecisionTreeRegressorParameters::default().with_max_depth(DEPTH).with_min_samples_leaf(LEAF)
    };
    let fitted = DecisionTreeRegressor::fit(x, &y, parameters).map_err(fault)?;
    let mut tree = read(&fitted)?.pop().ok_or_else(|| Fault("the library gave no tree".into()))?;
    let mut sums = vec![(0.0, 0.0); tree.leaves()];
    for &row in seen {
        let (slope, curvature) = of(row);
        let sum = &mut sums[tree.leaf(&rows.values[row * rows.columns..][..rows.columns])];
        *sum = (sum.0 + slope, sum.1 + curvature);
    }
    let step = |(slope, curvature): (f64, f64)| {
        let step = if curvature > 1e-12 { slope / curvature } else { 0.0 };
        // Values have a curvature of 1: their step is the mean of what is left, however large.
        if classes { step.clamp(-MAX_STEP, MAX_STEP) as f32 } else { step as f32 }
    };
    tree.set_leaves(sums.into_iter().map(step).collect());
    Ok(tree)
}

impl<'a> Scores<'a> {
    /// Every row begins with the mean of the seen rows, or their log-odds.
    fn new(targets: Targets<'a>, seen: &[usize]) -> Self {
        let n = targets.rows();
        let (first, starts) = match targets {
            Targets::Values { values, width } => {
                let mean = |t: usize| {
                    seen.iter().map(|&row| f64::from(values[row * width + t])).sum::<f64>() / seen.len() as f64
                };
                (0, (0..width).map(mean).collect::<Vec<f64>>())
            }
            Targets::Classes { ids, classes } => {
                let share = |class: usize| {
                    let count = seen.iter().filter(|&&row| ids[row] as usize == class).count();
                    // A class without rows starts, and stays, far below the others.
                    (count as f64 / seen.len() as f64).max(1e-13)
                };
                match classes {
                    2 => (1, vec![(share(1) / share(0)).ln()]),
                    _ => (0, (0..classes).map(|class| share(class).ln()).collect()),
                }
            }
        };
        let width = starts.len();
        let now = (0..n * width).map(|i| starts[i % width]).collect();
        Self { targets, first, now, width }
    }

    /// The probabilities of one row's classes.
    fn probabilities(&self, row: usize) -> Vec<f64> {
        let scores = &self.now[row * self.width..][..self.width];
        let mut p = if self.first == 1 { vec![0.0, scores[0]] } else { scores.to_vec() };
        softmax(&mut p);
        p
    }

    /// Down the loss, and its curvature, for every row and score.
    fn slopes(&self) -> Vec<(f64, f64)> {
        match self.targets {
            Targets::Values { values, .. } => {
                self.now.iter().zip(values).map(|(now, &value)| (f64::from(value) - now, 1.0)).collect()
            }
            Targets::Classes { ids, .. } => {
                let of = |(row, &id): (usize, &u32)| {
                    let p = self.probabilities(row).into_iter().enumerate().skip(self.first);
                    p.map(move |(class, p)| (f64::from(u8::from(class == id as usize)) - p, p * (1.0 - p)))
                        .collect::<Vec<_>>()
                };
                ids.iter().enumerate().flat_map(of).collect()
            }
        }
    }

    /// The loss of the rows that are marked.
    fn loss(&self, marked: &[bool]) -> f64 {
        let rows = marked.iter().enumerate().filter(|(_, marked)| **marked).map(|(row, _)| row);
        match self.targets {
            Targets::Values { values, width } => {
                let squared = |row: usize| {
                    (0..width).map(move |t| (f64::from(values[row * width + t]) - self.now[row * width + t]).powi(2))
                };
                rows.flat_map(squared).sum()
            }
            Targets::Classes { ids, .. } => {
                rows.map(|row| -self.probabilities(row)[ids[row] as usize].max(f64::MIN_POSITIVE).ln()).sum()
            }
        }
    }
}
