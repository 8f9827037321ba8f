//! Evaluation of a model over a split.

use burn::prelude::*;

use crate::{
    data::{Dataset, Split},
    error::Result,
    model::Model,
    nn::Compute,
    task::{Report, Task},
};

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
    let mut meter = task.meter();
    for rows in pass.rows(dataset.len(pass.split)) {
        let batch = dataset.batch(pass.split, &rows, 0)?;
        let (input, targets) = task.upload(&batch, device)?;
        let valid = batch.valid();
        // The loss of a language model is a product as well.
        compute.scope(|| meter.add(model.outputs(input, compute.activations), targets, valid))?;
    }
    meter.finish()
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
