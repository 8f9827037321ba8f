//! Rows spread over threads; the gradient of gamma is summed in fixed chunks of rows, in order.

use std::mem::MaybeUninit;

use burn::backend::tensor::FloatTensor;
use rayon::prelude::*;

use super::{RmsNorm, reference};
use crate::host::{
    HostBackend, HostTensor, Kernel, LANES, dims, fold, packed, rows_per_task, sum, tensor, vectorised, writable,
    written,
};

impl<B: HostBackend> RmsNorm for B {
    fn rms_norm_forward(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        eps: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        if !B::here(&[&x, &gamma]) {
            return reference::forward::<Self>(x, gamma, eps);
        }
        let [rows, width] = dims(&x);
        let (x, gamma) = (packed(x), packed(gamma));
        let (values, gamma) = (x.values(), gamma.values());
        let mut root = vec![0f32; rows];
        let step = rows_per_task(width);
        let y = written([rows, width], |y| {
            (y.par_chunks_mut(step * width), root.par_chunks_mut(step), values.par_chunks(step * width))
                .into_par_iter()
                .for_each(|(y, root, x)| vectorised(Normalise { x, gamma, eps: eps as f32, y, root }));
        });
        (y, tensor(root, [rows, 1]))
    }

    fn rms_norm_backward(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        root: FloatTensor<Self>,
        grad: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        if !B::here(&[&x, &gamma, &grad]) {
            return reference::backward::<Self>(x, gamma, root, grad);
        }
        let [_, width] = dims(&x);
        let (x, gamma, root, mut grad) = (packed(x), packed(gamma), packed(root), packed(grad));
        let dgamma = differentiate(writable(&mut grad), (x.values(), gamma.values(), root.values()));
        (grad, tensor(dgamma, [width]))
    }
}

struct Normalise<'a> {
    x: &'a [f32],
    gamma: &'a [f32],
    eps: f32,
    y: &'a mut [MaybeUninit<f32>],
    root: &'a mut [f32],
}

impl Kernel for Normalise<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let width = self.gamma.len();
        let rows = self.x.chunks_exact(width).zip(self.y.chunks_exact_mut(width));
        for ((x, y), root) in rows.zip(self.root) {
            *root = 1.0 / (sum(x, |x| x * x) / width as f32 + self.eps).sqrt();
            for ((y, x), gamma) in y.iter_mut().zip(x).zip(self.gamma) {
                y.write(x * *root * gamma);
            }
        }
    }
}

/// Turns the output's gradient into the input's in place; returns the gradient of gamma. Saved are x, gamma and root.
fn differentiate(grad: &mut [f32], (x, gamma, root): (&[f32], &[f32], &[f32])) -> Vec<f32> {
    let width = gamma.len();
    let step = rows_per_task(width);
    let partial: Vec<Vec<f32>> = (grad.par_chunks_mut(step * width), x.par_chunks(step * width), root.par_chunks(step))
        .into_par_iter()
        .map(|(grad, x, root)| vectorised(Gradients { grad, x, gamma, root }))
        .collect();
    partial.into_iter().fold(vec![0f32; width], |mut total, part| {
        total.iter_mut().zip(part).for_each(|(total, part)| *total += part);
        total
    })
}

struct Gradients<'a> {
    grad: &'a mut [f32],
    x: &'a [f32],
    gamma: &'a [f32],
    root: &'a [f32],
}

impl Kernel for Gradients<'_> {
    type Output = Vec<f32>;

    #[inline(always)]
    fn run(self) -> Vec<f32> {
        let width = self.gamma.len();
        let mut dgamma = vec![0f32; width];
        let rows = self.grad.chunks_exact_mut(width).zip(self.x.chunks_exact(width));
        for ((dy, x), root) in rows.zip(self.root) {
            let along = product_sum(dy, x, self.gamma) * root / width as f32;
            for (((dy, x), gamma), dgamma) in dy.iter_mut().zip(x).zip(self.gamma).zip(&mut dgamma) {
                let normal = x * root;
                *dgamma += *dy * normal;
                *dy = (*dy * gamma - normal * along) * root;
            }
        }
        dgamma
    }
}

/// The sum of `a b c` over a row, in the fixed order of [`sum`].
#[inline(always)]
fn product_sum(a: &[f32], b: &[f32], c: &[f32]) -> f32 {
    let mut lanes = [0f32; LANES];
    let ((a, a_rest), (b, b_rest), (c, c_rest)) =
        (a.as_chunks::<LANES>(), b.as_chunks::<LANES>(), c.as_chunks::<LANES>());
    for ((a, b), c) in a.iter().zip(b).zip(c) {
        for (lane, ((a, b), c)) in lanes.iter_mut().zip(a.iter().zip(b).zip(c)) {
            *lane += a * b * c;
        }
    }
    for (lane, ((a, b), c)) in lanes.iter_mut().zip(a_rest.iter().zip(b_rest).zip(c_rest)) {
        *lane += a * b * c;
    }
    fold(lanes)
}
