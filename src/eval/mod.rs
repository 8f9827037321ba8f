//! Evaluation of a model over a split: its metrics, and what they are worth.

mod assess;
mod importance;
mod slices;

use burn::prelude::*;

use crate::{
    data::{Dataset, Split},
    error::Result,
    metric::Predictions,
    model::Model,
    nn::Compute,
    task::{Meter, Report, Task},
};

pub use assess::{Adjusted, Aimed, Assessment, Cutting, Residuals, assess, calibrate, residuals};
pub use importance::{Importance, importance};
pub use slices::{Slice, Sliced, slices};

/// Which rows an evaluation reads.
#[derive(Debug, Clone, Copy)]
pub struct Pass {
    /// The split.
    pub split: Split,
    /// Rows of a batch.
    pub batch: usize,
    /// Batches to read, evenly spread; 0 reads the whole split.
    pub batches: usize,
}

/// Measures `model` (without autodiff) over a pass. A whole split counts every row exactly once.
pub fn evaluate(
    model: &Model,
    task: &Task,
    dataset: &Dataset,
    pass: Pass,
    device: &Device,
    compute: Compute,
) -> Result<Report> {
    let judge = Judge { model, task, dataset, device, compute };
    judge.measure(task.meter(), pass)?.finish()
}

/// A model with everything that measuring it takes.
#[derive(Clone, Copy)]
pub struct Judge<'a> {
    /// The model, without autodiff.
    pub model: &'a Model,
    /// Its task.
    pub task: &'a Task,
    /// The data.
    pub dataset: &'a Dataset,
    /// Where the model lies.
    pub device: &'a Device,
    /// The number formats to compute in.
    pub compute: Compute,
}

impl Judge<'_> {
    /// The metrics over a pass, and the predictions themselves unless the model is one of language.
    ///
    /// # Errors
    /// An empty split, a damaged shard, or a device that fails.
    pub fn predictions(self, pass: Pass) -> Result<(Report, Option<Predictions>)> {
        self.measure(self.task.keeping_meter(), pass)?.finish_kept()
    }

    fn measure(self, mut meter: Meter, pass: Pass) -> Result<Meter> {
        let Self { model, task, dataset, device, compute } = self;
        let pass = Pass { batch: pass.batch.min(task.most_rows()), ..pass };
        for rows in pass.rows(dataset.len(pass.split)) {
            let batch = dataset.batch(pass.split, &rows, 0)?;
            let (input, targets) = task.upload(&batch, device)?;
            let valid = batch.valid();
            // The loss of a language model is a product as well.
            compute.scope(|| meter.add(model.outputs(input, compute.activations), targets, valid))?;
        }
        Ok(meter)
    }
}

impl Pass {
    /// The rows of every batch.
    fn rows(self, len: u64) -> impl Iterator<Item = Vec<u64>> {
        let batch = self.batch.max(1) as u64;
        let all = len.div_ceil(batch);
        let taken = if self.batches == 0 { all } else { all.min(self.batches as u64) };
        (0..taken).map(move |i| {
            let first = i * all / taken * batch;
            (first..(first + batch).min(len)).collect()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_pass_reads_every_row_once() {
        let pass = Pass { split: Split::Test, batch: 4, batches: 0 };
        let rows: Vec<u64> = pass.rows(10).flatten().collect();
        assert_eq!(rows, (0..10).collect::<Vec<_>>());
    }

    #[test]
    fn a_short_pass_is_spread_over_the_split() {
        let pass = Pass { split: Split::Test, batch: 2, batches: 3 };
        let rows: Vec<Vec<u64>> = pass.rows(12).collect();
        assert_eq!(rows, [vec![0, 1], vec![4, 5], vec![8, 9]]);
    }

    #[test]
    fn an_empty_split_has_no_batches() {
        assert_eq!(Pass { split: Split::Test, batch: 2, batches: 0 }.rows(0).count(), 0);
    }
}
