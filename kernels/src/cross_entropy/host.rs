//! One pass a row, rows spread over threads, the gradient written over the logits where they are not shared.

use burn::backend::tensor::{FloatTensor, IntTensor};
use rayon::prelude::*;

use super::{CrossEntropy, Forward, reference};
use crate::host::{
    HostBackend, HostTensor, Kernel, dims, exp, max, packed, rows_per_task, sum, tensor, vectorised, writable,
};

impl<B: HostBackend> CrossEntropy for B {
    fn cross_entropy_forward(
        logits: FloatTensor<Self>,
        targets: IntTensor<Self>,
        smoothing: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        if !B::here(&[&logits]) {
            return reference::forward::<Self>(logits, targets, smoothing);
        }
        forward::<Self>(logits, targets, smoothing)
    }

    fn cross_entropy_backward(
        logits: FloatTensor<Self>,
        targets: IntTensor<Self>,
        largest: FloatTensor<Self>,
        log_sum: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        smoothing: f64,
    ) -> FloatTensor<Self> {
        if !B::here(&[&logits, &grad]) {
            return reference::backward::<Self>(logits, targets, (largest, log_sum), grad, smoothing);
        }
        let [_, classes] = dims(&logits);
        let targets = indices::<Self>(targets, classes);
        let (largest, log_sum, grad) = (packed(largest), packed(log_sum), packed(grad));
        let step = RowStep { classes, smoothing: smoothing as f32, grad: grad.values()[0] };
        let mut logits = packed(logits);
        differentiate(writable(&mut logits), &targets, (largest.values(), log_sum.values()), step);
        logits
    }
}

fn forward<B: HostBackend>(logits: FloatTensor<B>, targets: IntTensor<B>, smoothing: f64) -> Forward<B> {
    let [rows, classes] = dims(&logits);
    let targets = indices::<B>(targets, classes);
    let logits = packed(logits);
    let mut largest = vec![0f32; rows];
    let mut log_sum = vec![0f32; rows];
    let mut losses = vec![0f32; rows];
    let step = rows_per_task(classes);
    (largest.par_chunks_mut(step), log_sum.par_chunks_mut(step), losses.par_chunks_mut(step))
        .into_par_iter()
        .zip(logits.values().par_chunks(step * classes).zip(targets.par_chunks(step)))
        .for_each(|((largest, log_sum, losses), (logits, targets))| {
            let smoothing = smoothing as f32;
            vectorised(Losses { logits, targets, classes, smoothing, largest, log_sum, losses });
        });
    // In row order and in f64, so that the sum does not depend on how rows were spread over threads.
    let loss: f64 = losses.iter().map(|loss| f64::from(*loss)).sum();
    (tensor(vec![loss as f32], [1]), tensor(largest, [rows, 1]), tensor(log_sum, [rows, 1]))
}

struct Losses<'a> {
    logits: &'a [f32],
    targets: &'a [Option<usize>],
    classes: usize,
    smoothing: f32,
    largest: &'a mut [f32],
    log_sum: &'a mut [f32],
    losses: &'a mut [f32],
}

impl Kernel for Losses<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for (i, (row, target)) in self.logits.chunks_exact(self.classes).zip(self.targets).enumerate() {
            let largest = max(row);
            let log_sum = sum(row, |x| exp(x - largest)).ln();
            self.largest[i] = largest;
            self.log_sum[i] = log_sum;
            let Some(target) = *target else { continue };
            let mut expected = (1.0 - self.smoothing) * (row[target] - largest);
            if self.smoothing > 0.0 {
                expected += self.smoothing / self.classes as f32 * sum(row, |x| x - largest);
            }
            self.losses[i] = log_sum - expected;
        }
    }
}

#[derive(Clone, Copy)]
struct RowStep {
    classes: usize,
    smoothing: f32,
    grad: f32,
}

/// Turns logits `[N * V]` into their gradient in place.
fn differentiate(values: &mut [f32], targets: &[Option<usize>], stats: (&[f32], &[f32]), step: RowStep) {
    let rows = rows_per_task(step.classes);
    values
        .par_chunks_mut(rows * step.classes)
        .zip(targets.par_chunks(rows))
        .zip(stats.0.par_chunks(rows).zip(stats.1.par_chunks(rows)))
        .for_each(|((values, targets), (largest, log_sum))| {
            vectorised(Gradients { values, targets, largest, log_sum, step });
        });
}

struct Gradients<'a> {
    values: &'a mut [f32],
    targets: &'a [Option<usize>],
    largest: &'a [f32],
    log_sum: &'a [f32],
    step: RowStep,
}

impl Kernel for Gradients<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let RowStep { classes, smoothing, grad } = self.step;
        let spread = smoothing / classes as f32;
        for (i, (row, target)) in self.values.chunks_exact_mut(classes).zip(self.targets).enumerate() {
            let Some(target) = *target else {
                row.fill(0.0);
                continue;
            };
            let (largest, log_sum) = (self.largest[i], self.log_sum[i]);
            for x in row.iter_mut() {
                *x = (exp(*x - largest - log_sum) - spread) * grad;
            }
            row[target] -= (1.0 - smoothing) * grad;
        }
    }
}

/// The targets as indices, `None` where a row is left out.
pub(crate) fn indices<B: HostBackend>(targets: IntTensor<B>, classes: usize) -> Vec<Option<usize>> {
    let index = |target: i64| {
        let index = usize::try_from(target).ok();
        assert!(index.is_none_or(|index| index < classes), "target {target} of {classes} classes");
        index
    };
    B::whole_numbers(targets).into_iter().map(index).collect()
}
