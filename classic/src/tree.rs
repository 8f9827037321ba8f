//! One binary tree, flat: a row goes left where its column is at most the threshold.

use serde::{Deserialize, Serialize};

use crate::{Fault, Rows};

/// Node 0 is the root. A child comes after its parent, so every walk ends.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Tree {
    /// The column that a node looks at.
    column: Vec<u32>,
    threshold: Vec<f64>,
    /// The left child; 0, which is nobody's child, marks a leaf.
    left: Vec<u32>,
    /// The right child; for a leaf, its place among the leaves.
    right: Vec<u32>,
    /// `[leaves, width]`
    values: Vec<f32>,
    width: usize,
}

/// A node as a library describes it.
pub(crate) enum Node {
    Split { column: usize, threshold: f64, left: usize, right: usize },
    Leaf(f64),
}

impl Tree {
    /// Lays out the nodes that can be reached from `root`, parents first.
    pub(crate) fn from_nodes(root: usize, node: impl Fn(usize) -> Option<Node>) -> Result<Self, Fault> {
        let mut tree = Self { width: 1, ..Self::default() };
        let mut waiting = vec![(root, None::<(usize, bool)>)];
        while let Some((at, parent)) = waiting.pop() {
            let index = tree.left.len();
            match parent {
                Some((parent, true)) => tree.left[parent] = index as u32,
                Some((parent, false)) => tree.right[parent] = index as u32,
                None => {}
            }
            let found = node(at).ok_or_else(|| Fault(format!("a tree leads to node {at}, which it does not have")))?;
            if index > 1 << 24 {
                return Err(Fault("a tree without an end".into()));
            }
            let leaf = tree.values.len();
            match found {
                Node::Leaf(value) => {
                    tree.push(0, 0.0, leaf);
                    tree.values.push(value as f32);
                }
                Node::Split { column, threshold, left, right } => {
                    tree.push(column, threshold, 0);
                    waiting.push((right, Some((index, false))));
                    waiting.push((left, Some((index, true))));
                }
            }
        }
        Ok(tree)
    }

    fn push(&mut self, column: usize, threshold: f64, right: usize) {
        self.column.push(column as u32);
        self.threshold.push(threshold);
        self.left.push(0);
        self.right.push(right as u32);
    }

    /// The place among the leaves that `row` comes to.
    pub(crate) fn leaf(&self, row: &[f32]) -> usize {
        let mut at = 0;
        loop {
            let left = self.left[at] as usize;
            if left == 0 {
                return self.right[at] as usize;
            }
            let goes_left = f64::from(row[self.column[at] as usize]) <= self.threshold[at];
            at = if goes_left { left } else { self.right[at] as usize };
        }
    }

    /// What the tree says of `row`: `width` values.
    pub(crate) fn values(&self, row: &[f32]) -> &[f32] {
        &self.values[self.leaf(row) * self.width..][..self.width]
    }

    /// Values a row.
    pub(crate) fn width(&self) -> usize {
        self.width
    }

    /// How many leaves there are.
    pub(crate) fn leaves(&self) -> usize {
        self.values.len() / self.width.max(1)
    }

    /// What every leaf says from now on, in their order.
    pub(crate) fn set_leaves(&mut self, values: Vec<f32>) {
        (self.values, self.width) = (values, 1);
    }

    /// Every leaf says how the classes of the rows that come to it are shared out.
    pub(crate) fn count_classes(&mut self, rows: Rows<'_>, ids: &[u32], classes: usize) {
        let leaves = self.leaves();
        let mut counts = vec![0.0f32; leaves * classes];
        for (row, &id) in rows.iter().zip(ids) {
            counts[self.leaf(row) * classes + id as usize] += 1.0;
        }
        for leaf in counts.chunks_exact_mut(classes) {
            let sum: f32 = leaf.iter().sum();
            // No row may come to a leaf that only rounding made.
            leaf.iter_mut().for_each(|count| *count = if sum > 0.0 { *count / sum } else { 1.0 / classes as f32 });
        }
        (self.values, self.width) = (counts, classes);
    }

    pub(crate) fn check(&self, columns: usize) -> Result<(), Fault> {
        let n = self.left.len();
        let sizes = [self.column.len(), self.threshold.len(), self.right.len()];
        let leaves = self.left.iter().filter(|&&left| left == 0).count();
        if n == 0 || sizes.iter().any(|&size| size != n) || Some(self.values.len()) != leaves.checked_mul(self.width) {
            return Err(Fault("the parts of a tree do not fit each other".into()));
        }
        for at in 0..n {
            let (left, right) = (self.left[at] as usize, self.right[at] as usize);
            let sound = match left {
                0 => right < leaves,
                _ => {
                    let after = at + 1..n;
                    after.contains(&left) && after.contains(&right) && (self.column[at] as usize) < columns
                }
            };
            if !sound {
                return Err(Fault(format!("node {at} of a tree leads nowhere")));
            }
        }
        if self.values.iter().any(|v| !v.is_finite()) || self.threshold.iter().any(|t| t.is_nan()) {
            return Err(Fault("a tree holds a value that is not a number".into()));
        }
        Ok(())
    }
}
