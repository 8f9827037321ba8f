//! Permutation importance: what a model loses when a column tells it nothing.

use std::ops::Range;

use burn::tensor::activation;
use serde::Serialize;

use super::Judge;
use crate::{
    baseline::{Table, read_rows},
    data::{HostInput, InputSchema, Split, TargetSchema},
    error::{Error, Result},
    metric::{Counted, Headline, Predictions, splitmix},
    model::Input,
    task::{anomaly_scores, host, upload_input},
};

/// Rows that are shuffled at most, drawn at random.
const ROWS: usize = 5000;
/// Shuffles of a column.
const REPEATS: usize = 5;
/// Rows that are computed together.
const BATCH: usize = 1024;

/// How much one column matters.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Importance {
    /// The column.
    pub column: String,
    /// How much worse the figure is with the column shuffled, on average over the shuffles; negative where it is better.
    pub drop: f64,
    /// Standard deviation over the shuffles.
    pub spread: f64,
}

/// The columns of a table by importance (Breiman 2001, of any model: Fisher, Rudin and Dominici 2019): every one is
/// shuffled among the rows of `split`, five times, and the figure is taken again. Columns that tell the same stand in for
/// each other and share their importance.
///
/// # Errors
/// Data that are no table, a damaged shard, or a device that fails.
pub fn importance(judge: Judge<'_>, split: Split, figure: Headline, seed: u64) -> Result<Vec<Importance>> {
    let schema = judge.dataset.schema();
    let InputSchema::Table { columns } = &schema.input else {
        return Err(
            Error::input("columns have an importance, and this run's data are no table").next("leave out --importance")
        );
    };
    // All features that the source's column became move together: one of them alone would be told by the others.
    let blocks: Vec<(&str, Range<usize>)> = match &schema.table {
        Some(table) => table.features().collect(),
        None => columns.iter().map(String::as_str).zip((0..).map(|c| c..c + 1)).collect(),
    };
    let mut table = read_rows(judge.dataset, split, ROWS, seed)?;
    let undefined = || Error::input(format!("{} is not defined on these rows", figure.name()));
    let whole = judge.figure(&table, figure)?.ok_or_else(undefined)?;
    let mut found = Vec::new();
    let mut state = seed;
    for (column, features) in blocks {
        let kept = table.values.clone();
        let mut drops = Vec::with_capacity(REPEATS);
        for _ in 0..REPEATS {
            let mut order: Vec<usize> = (0..table.len()).collect();
            shuffle(&mut order, &mut state);
            move_block(&mut table, &kept, &features, &order);
            let value = judge.figure(&table, figure)?.ok_or_else(undefined)?;
            drops.push(if figure.higher_is_better() { whole - value } else { value - whole });
        }
        table.values = kept;
        let drop = drops.iter().sum::<f64>() / REPEATS as f64;
        let spread = (drops.iter().map(|d| (d - drop).powi(2)).sum::<f64>() / (REPEATS - 1) as f64).sqrt();
        found.push(Importance { column: column.to_string(), drop, spread });
    }
    found.sort_by(|a, b| b.drop.total_cmp(&a.drop));
    Ok(found)
}

/// Gives every row the features of the row that `order` puts in its place.
fn move_block(table: &mut Table, kept: &[f32], features: &Range<usize>, order: &[usize]) {
    let columns = table.columns.max(1);
    for (row, from) in table.values.chunks_exact_mut(columns).zip(order) {
        let from = kept.get(from * columns..).and_then(|row| row.get(features.clone()));
        if let (Some(row), Some(from)) = (row.get_mut(features.clone()), from) {
            row.copy_from_slice(from);
        }
    }
}

/// Fisher and Yates (1938), as Durstenfeld wrote it.
fn shuffle<T>(values: &mut [T], state: &mut u64) {
    for i in (1..values.len()).rev() {
        let other = ((u128::from(splitmix(state)) * (i as u128 + 1)) >> 64) as usize;
        values.swap(i, other);
    }
}

impl Judge<'_> {
    /// The model's figure on rows that need not be any of the data's.
    fn figure(&self, table: &Table, figure: Headline) -> Result<Option<f64>> {
        let mut outputs = Vec::with_capacity(table.len() * table.outputs);
        for rows in table.values.chunks(BATCH * table.columns.max(1)) {
            let input = HostInput::Floats { values: rows.to_vec(), shape: vec![table.columns] };
            let input = upload_input(&input, rows.len() / table.columns.max(1), self.device)?;
            let Input::Features(x) = input.clone() else {
                return Err(Error::failed("a row of a table is no vector of features"));
            };
            let found = self.compute.scope(|| self.model.outputs(input, self.compute.activations).logits());
            outputs.extend(host(match self.task.schema().target {
                TargetSchema::Classes { .. } => activation::softmax(found, 1),
                TargetSchema::Itself { .. } => anomaly_scores(found, x).unsqueeze_dim(1),
                _ => found,
            })?);
        }
        let predictions = Predictions::new(outputs, table.outputs, table.truth.clone())?;
        Ok(Counted::new(&predictions).whole().get(&figure).copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shuffle_keeps_every_value_and_moves_most() {
        let mut values: Vec<f32> = (0..1000).map(|v| v as f32).collect();
        shuffle(&mut values, &mut 3);
        let moved = values.iter().enumerate().filter(|(i, v)| *i as f32 != **v).count();
        assert!(moved > 990, "{moved}");
        values.sort_by(f32::total_cmp);
        assert!(values.iter().enumerate().all(|(i, v)| i as f32 == *v));
    }
}
