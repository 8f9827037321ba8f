//! Rows spread over threads; the gradients of gamma and beta are summed in fixed chunks of rows, in order.

use std::mem::MaybeUninit;

use burn::backend::tensor::FloatTensor;
use rayon::prelude::*;

use super::{LayerNorm, reference};
use crate::host::{
    HostBackend, HostTensor, Kernel, LANES, dims, fold, packed, rows_per_task, sum, tensor, vectorised, writable,
    written,
};

impl<B: HostBackend> LayerNorm for B {
    fn layer_norm_forward(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        eps: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        if !B::here(&[&x, &gamma, &beta]) {
            return reference::forward::<Self>(x, gamma, beta, eps);
        }
        let [rows, width] = dims(&x);
        let (x, gamma, beta) = (packed(x), packed(gamma), packed(beta));
        let mut mean = vec![0f32; rows];
        let mut rstd = vec![0f32; rows];
        let step = rows_per_task(width);
        let scale = (gamma.values(), beta.values());
        let y = written([rows, width], |y| {
            (y.par_chunks_mut(step * width), mean.par_chunks_mut(step), rstd.par_chunks_mut(step))
                .into_par_iter()
                .zip(x.values().par_chunks(step * width))
                .for_each(|((y, mean, rstd), x)| vectorised(Normalise { x, scale, eps: eps as f32, y, mean, rstd }));
        });
        (y, tensor(mean, [rows, 1]), tensor(rstd, [rows, 1]))
    }

    fn layer_norm_backward(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        mean: FloatTensor<Self>,
        rstd: FloatTensor<Self>,
        grad: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        if !B::here(&[&x, &gamma, &grad]) {
            return reference::backward::<Self>(x, gamma, (mean, rstd), grad);
        }
        let [_, width] = dims(&x);
        let (x, gamma, mean, rstd, mut grad) = (packed(x), packed(gamma), packed(mean), packed(rstd), packed(grad));
        let saved = Saved { x: x.values(), gamma: gamma.values(), mean: mean.values(), rstd: rstd.values() };
        let (dgamma, dbeta) = differentiate(writable(&mut grad), saved, width);
        (grad, tensor(dgamma, [width]), tensor(dbeta, [width]))
    }
}

struct Normalise<'a> {
    x: &'a [f32],
    scale: (&'a [f32], &'a [f32]),
    eps: f32,
    y: &'a mut [MaybeUninit<f32>],
    mean: &'a mut [f32],
    rstd: &'a mut [f32],
}

impl Kernel for Normalise<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let (gamma, beta) = self.scale;
        let width = gamma.len();
        for (i, (x, y)) in self.x.chunks_exact(width).zip(self.y.chunks_exact_mut(width)).enumerate() {
            let mean = sum(x, |x| x) / width as f32;
            let variance = sum(x, |x| (x - mean) * (x - mean)) / width as f32;
            let rstd = 1.0 / (variance + self.eps).sqrt();
            for ((y, x), (gamma, beta)) in y.iter_mut().zip(x).zip(gamma.iter().zip(beta)) {
                y.write((x - mean) * rstd * gamma + beta);
            }
            self.mean[i] = mean;
            self.rstd[i] = rstd;
        }
    }
}

#[derive(Clone, Copy)]
struct Saved<'a> {
    x: &'a [f32],
    gamma: &'a [f32],
    mean: &'a [f32],
    rstd: &'a [f32],
}

/// Turns the output's gradient into the input's in place; returns the gradients of gamma and beta.
fn differentiate(grad: &mut [f32], saved: Saved<'_>, width: usize) -> (Vec<f32>, Vec<f32>) {
    let step = rows_per_task(width);
    let partial: Vec<(Vec<f32>, Vec<f32>)> = grad
        .par_chunks_mut(step * width)
        .enumerate()
        .map(|(i, grad)| {
            let rows = i * step..i * step + grad.len() / width;
            let saved = Saved {
                x: &saved.x[rows.start * width..rows.end * width],
                mean: &saved.mean[rows.clone()],
                rstd: &saved.rstd[rows],
                ..saved
            };
            let mut sums = (vec![0f32; width], vec![0f32; width]);
            vectorised(Gradients { grad, saved, dgamma: &mut sums.0, dbeta: &mut sums.1 });
            sums
        })
        .collect();
    partial.into_iter().fold((vec![0f32; width], vec![0f32; width]), |mut total, part| {
        total.0.iter_mut().zip(part.0).for_each(|(total, part)| *total += part);
        total.1.iter_mut().zip(part.1).for_each(|(total, part)| *total += part);
        total
    })
}

struct Gradients<'a> {
    grad: &'a mut [f32],
    saved: Saved<'a>,
    dgamma: &'a mut [f32],
    dbeta: &'a mut [f32],
}

impl Kernel for Gradients<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Saved { x, gamma, mean, rstd } = self.saved;
        let width = gamma.len();
        let inverse = 1.0 / width as f32;
        for (i, (x, dy)) in x.chunks_exact(width).zip(self.grad.chunks_exact_mut(width)).enumerate() {
            let (mean, rstd) = (mean[i], rstd[i]);
            let mut shift = [0f32; LANES];
            let mut along = [0f32; LANES];
            let sums = self.dgamma.iter_mut().zip(self.dbeta.iter_mut());
            for (j, (((x, dy), gamma), (dgamma, dbeta))) in x.iter().zip(dy.iter()).zip(gamma).zip(sums).enumerate() {
                let normal = (x - mean) * rstd;
                *dgamma += dy * normal;
                *dbeta += dy;
                shift[j % LANES] += dy * gamma;
                along[j % LANES] += dy * gamma * normal;
            }
            let (shift, along) = (fold(shift) * inverse, fold(along) * inverse);
            for ((x, dy), gamma) in x.iter().zip(dy.iter_mut()).zip(gamma) {
                *dy = (*dy * gamma - shift - (x - mean) * rstd * along) * rstd;
            }
        }
    }
}
