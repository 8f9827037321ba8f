//! Sums over rows.

use rayon::prelude::*;

use super::{Kernel, rows_per_task, vectorised};

/// Of every column of rows of `width`.
pub(crate) fn column_sums(values: &[f32], width: usize) -> Vec<f32> {
    let chunk = summed_rows(width) * width;
    add_up(width, values.par_chunks(chunk).map(|values| vectorised(Sum { values, width })).collect())
}

/// Rows that are summed by one task, a function of the width alone: the order of additions depends on nothing else.
pub(crate) fn summed_rows(width: usize) -> usize {
    4 * rows_per_task(width)
}

/// The sum of the tasks' sums, in their order.
pub(crate) fn add_up(width: usize, partial: Vec<Vec<f32>>) -> Vec<f32> {
    partial.into_iter().fold(vec![0f32; width], |mut total, part| {
        total.iter_mut().zip(part).for_each(|(total, part)| *total += part);
        total
    })
}

struct Sum<'a> {
    values: &'a [f32],
    width: usize,
}

impl Kernel for Sum<'_> {
    type Output = Vec<f32>;

    #[inline(always)]
    fn run(self) -> Vec<f32> {
        let mut sums = vec![0f32; self.width];
        for row in self.values.chunks_exact(self.width) {
            row.iter().zip(&mut sums).for_each(|(value, sum)| *sum += value);
        }
        sums
    }
}
