//! Sums of trees: one decision tree, a random forest (Breiman 2001), or what boosting grew.

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use smartcore::{
    ensemble::{
        random_forest_classifier::{RandomForestClassifier, RandomForestClassifierParameters},
        random_forest_regressor::{RandomForestRegressor, RandomForestRegressorParameters},
    },
    linalg::basic::matrix::DenseMatrix,
    tree::{
        decision_tree_classifier::{DecisionTreeClassifier, DecisionTreeClassifierParameters},
        decision_tree_regressor::{DecisionTreeRegressor, DecisionTreeRegressorParameters},
    },
};

use crate::{
    Fault, Rows, Targets, fault, softmax,
    tree::{Node, Tree},
};

/// Trees of a forest.
const FOREST: usize = 100;
/// Trees that are grown together: a library's forest is read out through JSON, so it is kept small.
const CHUNK: usize = 10;
/// The depth of a single tree, which keeps it from learning the rows by heart.
const TREE_DEPTH: u16 = 8;
/// The depth of a forest's trees, which only keeps odd data from growing a chain.
const FOREST_DEPTH: u16 = 32;
/// Rows of a leaf: of a single tree, and of a forest's.
const TREE_LEAF: usize = 10;
const FOREST_LEAF: usize = 2;

/// Every tree adds its values, times `scale`, to the outputs from its own on; `base` comes first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Trees {
    pub base: Vec<f64>,
    pub scale: f64,
    /// Each with the first output that it adds to.
    pub trees: Vec<(u32, Tree)>,
    /// Whether the sums are scores, whose softmax is wanted.
    pub scores: bool,
}

pub(crate) fn tree(rows: Rows<'_>, targets: Targets<'_>, seed: u64) -> Result<Trees, Fault> {
    let x = matrix(rows)?;
    match targets {
        Targets::Classes { ids, classes } => {
            let parameters = DecisionTreeClassifierParameters {
                seed: Some(seed),
                ..DecisionTreeClassifierParameters::default()
                    .with_max_depth(TREE_DEPTH)
                    .with_min_samples_leaf(TREE_LEAF)
            };
            let fitted = DecisionTreeClassifier::fit(&x, &ids.to_vec(), parameters).map_err(fault)?;
            let trees = counted(read(&fitted)?, rows, ids, classes);
            Ok(Trees::mean(classes, trees))
        }
        Targets::Values { values, width } => {
            let mut trees = Vec::new();
            for target in 0..width {
                let parameters = DecisionTreeRegressorParameters {
                    seed: Some(seed),
                    ..DecisionTreeRegressorParameters::default()
                        .with_max_depth(TREE_DEPTH)
                        .with_min_samples_leaf(TREE_LEAF)
                };
                let fitted = DecisionTreeRegressor::fit(&x, &column(values, width, target), parameters);
                trees.extend(read(&fitted.map_err(fault)?)?.into_iter().map(|tree| (target as u32, tree)));
            }
            Ok(Trees { scale: 1.0, ..Trees::mean(width, trees) })
        }
    }
}

pub(crate) fn forest(rows: Rows<'_>, targets: Targets<'_>, seed: u64) -> Result<Trees, Fault> {
    let x = matrix(rows)?;
    let columns = rows.columns as f64;
    match targets {
        Targets::Classes { ids, classes } => {
            let y = ids.to_vec();
            let parameters = RandomForestClassifierParameters::default()
                .with_n_trees(CHUNK as u16)
                .with_m(columns.sqrt().floor().max(1.0) as usize)
                .with_max_depth(FOREST_DEPTH)
                .with_min_samples_leaf(FOREST_LEAF);
            let trees = in_chunks(seed, |seed| {
                let fitted = RandomForestClassifier::fit(&x, &y, parameters.clone().with_seed(seed)).map_err(fault)?;
                Ok(counted(read(&fitted)?, rows, ids, classes))
            })?;
            Ok(Trees::mean(classes, trees))
        }
        Targets::Values { values, width } => {
            let mut trees = Vec::new();
            for target in 0..width {
                let y = column(values, width, target);
                let parameters = RandomForestRegressorParameters::default()
                    .with_n_trees(CHUNK)
                    .with_m((columns / 3.0).ceil().max(1.0) as usize)
                    .with_max_depth(FOREST_DEPTH)
                    .with_min_samples_leaf(FOREST_LEAF);
                trees.extend(in_chunks(seed, |seed| {
                    let fitted = RandomForestRegressor::fit(&x, &y, parameters.clone().with_seed(seed));
                    Ok(read(&fitted.map_err(fault)?)?.into_iter().map(|tree| (target as u32, tree)).collect())
                })?);
            }
            Ok(Trees { scale: 1.0 / FOREST as f64, ..Trees::mean(width, trees) })
        }
    }
}

type Placed = Vec<(u32, Tree)>;

/// Grows a forest chunk by chunk on every core; the result does not depend on how many there are.
fn in_chunks(seed: u64, grow: impl Fn(u64) -> Result<Placed, Fault> + Sync) -> Result<Placed, Fault> {
    // A library's tree takes the forest's seed plus its own number: chunks keep clear of each other.
    let seeds: Vec<u64> =
        (0..FOREST / CHUNK).map(|chunk| seed.wrapping_mul(1 << 20).wrapping_add((chunk * CHUNK) as u64)).collect();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut grown = Vec::with_capacity(seeds.len());
    for some in seeds.chunks(threads) {
        let results: Vec<_> = std::thread::scope(|scope| {
            let grow = &grow;
            let running: Vec<_> = some.iter().map(|&seed| scope.spawn(move || grow(seed))).collect();
            running.into_iter().map(|thread| thread.join()).collect()
        });
        for result in results {
            grown.extend(result.map_err(|_| Fault("a tree could not be grown on these rows".into()))??);
        }
    }
    Ok(grown)
}

pub(crate) fn matrix(rows: Rows<'_>) -> Result<DenseMatrix<f64>, Fault> {
    let values = rows.values.iter().map(|&v| f64::from(v)).collect();
    DenseMatrix::new(rows.len(), rows.columns, values, false).map_err(fault)
}

fn column(values: &[f32], width: usize, target: usize) -> Vec<f64> {
    values.iter().skip(target).step_by(width.max(1)).map(|&v| f64::from(v)).collect()
}

fn counted(trees: Vec<Tree>, rows: Rows<'_>, ids: &[u32], classes: usize) -> Placed {
    let count = |mut tree: Tree| {
        tree.count_classes(rows, ids, classes);
        (0, tree)
    };
    trees.into_iter().map(count).collect()
}

/// A node as smartcore stores it; a classifier's output is a class, which the rows are counted for anew.
#[derive(Deserialize)]
struct Stored {
    output: f64,
    split_feature: usize,
    split_value: Option<f64>,
    true_child: Option<usize>,
    false_child: Option<usize>,
}

/// The trees of a fitted model: its fields are private, what it stores is not.
pub(crate) fn read(fitted: &impl Serialize) -> Result<Vec<Tree>, Fault> {
    let mut found = Vec::new();
    collect(serde_json::to_value(fitted).map_err(fault)?, &mut found)?;
    if found.is_empty() { Err(Fault("the library gave no tree".into())) } else { Ok(found) }
}

fn collect(value: Value, found: &mut Vec<Tree>) -> Result<(), Fault> {
    match value {
        Value::Object(mut map) => {
            if let Some(nodes) = map.remove("nodes") {
                found.push(one(&typed::<Vec<Stored>>(nodes)?)?);
            }
            map.into_iter().try_for_each(|(_, value)| collect(value, found))
        }
        Value::Array(items) => items.into_iter().try_for_each(|value| collect(value, found)),
        _ => Ok(()),
    }
}

fn typed<T: DeserializeOwned>(value: Value) -> Result<T, Fault> {
    serde_json::from_value(value).map_err(fault)
}

fn one(nodes: &[Stored]) -> Result<Tree, Fault> {
    Tree::from_nodes(0, |at| {
        let node = nodes.get(at)?;
        Some(match (node.true_child, node.false_child, node.split_value) {
            (Some(left), Some(right), Some(threshold)) => {
                Node::Split { column: node.split_feature, threshold, left, right }
            }
            _ => Node::Leaf(node.output),
        })
    })
}

impl Trees {
    fn mean(outputs: usize, trees: Placed) -> Self {
        Self { base: vec![0.0; outputs], scale: 1.0 / trees.len().max(1) as f64, trees, scores: false }
    }

    pub(crate) fn predict(&self, rows: Rows<'_>) -> Vec<f32> {
        let mut out = Vec::with_capacity(rows.len() * self.base.len());
        for row in rows.iter() {
            let mut sums = vec![0.0; self.base.len()];
            for (first, tree) in &self.trees {
                let values = tree.values(row);
                sums.iter_mut().skip(*first as usize).zip(values).for_each(|(sum, &v)| *sum += f64::from(v));
            }
            sums.iter_mut().zip(&self.base).for_each(|(sum, base)| *sum = base + self.scale * *sum);
            if self.scores {
                softmax(&mut sums);
            }
            out.extend(sums.iter().map(|sum| *sum as f32));
        }
        out
    }

    pub(crate) fn check(&self, columns: usize, outputs: usize) -> Result<(), Fault> {
        if self.base.len() != outputs || !self.scale.is_finite() || self.base.iter().any(|v| !v.is_finite()) {
            return Err(Fault("the trees do not fit the outputs".into()));
        }
        for (first, tree) in &self.trees {
            if (*first as usize).saturating_add(tree.width()) > outputs {
                return Err(Fault("a tree adds to an output that is not there".into()));
            }
            tree.check(columns)?;
        }
        Ok(())
    }
}
