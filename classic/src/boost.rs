//! Gradient-boosted trees, fitted by perpetual: it chooses the number and size of the trees from a budget.

use perpetual::{Matrix, PerpetualBooster, objective::Objective};

use crate::{
    Fault, Rows, Targets, fault,
    tree::{Node, Tree},
    trees::Trees,
};

/// How far perpetual lowers the loss before it stops: what it calls an accurate fit (0.5 is its quick one).
const BUDGET: f32 = 1.0;
/// Trees at most, so that odd data ends.
const ROUNDS: usize = 1000;

pub(crate) fn fit(rows: Rows<'_>, targets: Targets<'_>, seed: u64) -> Result<Trees, Fault> {
    // Column-major, as the library wants it.
    let values: Vec<f64> = (0..rows.columns).flat_map(|c| rows.column(c)).collect();
    let data = Matrix::new(&values, rows.len(), rows.columns);
    let outputs = targets.outputs();
    let mut all = Trees { base: vec![0.0; outputs], scale: 1.0, trees: Vec::new(), scores: false };
    match targets {
        Targets::Classes { ids, classes } => {
            all.scores = true;
            // Two classes take one score; more take one against the rest each.
            for class in usize::from(classes == 2)..classes {
                let y: Vec<f64> = ids.iter().map(|&id| f64::from(u8::from(id as usize == class))).collect();
                add(&mut all, class, Objective::LogLoss, &data, &y, seed)?;
            }
        }
        Targets::Values { values, width } => {
            for target in 0..width {
                let y: Vec<f64> = values.iter().skip(target).step_by(width).map(|&v| f64::from(v)).collect();
                add(&mut all, target, Objective::SquaredLoss, &data, &y, seed)?;
            }
        }
    }
    Ok(all)
}

fn add(
    all: &mut Trees,
    output: usize,
    objective: Objective,
    data: &Matrix<'_, f64>,
    y: &[f64],
    seed: u64,
) -> Result<(), Fault> {
    let logistic = matches!(objective, Objective::LogLoss);
    if logistic && y.iter().all(|&v| v == 0.0) {
        all.base[output] = -30.0; // a class that no row has
        return Ok(());
    }
    let mut booster = PerpetualBooster::default()
        .set_objective(objective)
        .set_budget(BUDGET)
        .set_seed(seed)
        .set_iteration_limit(Some(ROUNDS));
    booster.fit(data, y, None, None).map_err(fault)?;
    all.base[output] += booster.base_score;
    for tree in booster.get_prediction_trees() {
        let read = Tree::from_nodes(0, |at| {
            let node = tree.nodes.get(&at)?;
            Some(match node.is_leaf {
                true => Node::Leaf(f64::from(node.weight_value)),
                // The library goes left below the value, a tree of ours at it, too.
                false => Node::Split {
                    column: node.split_feature,
                    threshold: node.split_value.next_down(),
                    left: node.left_child,
                    right: node.right_child,
                },
            })
        })?;
        all.trees.push((output as u32, read));
    }
    Ok(())
}
