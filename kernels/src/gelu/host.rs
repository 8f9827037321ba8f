//! Element-wise in fixed chunks over threads; the backward writes over the output's gradient where nobody holds it.

use std::mem::MaybeUninit;

use burn::backend::{TensorMetadata, tensor::FloatTensor};
use rayon::prelude::*;

use super::{Gelu, reference};
use crate::host::{HostBackend, HostTensor, Kernel, exp, packed, rows_per_task, vectorised, writable, written};

impl<B: HostBackend> Gelu for B {
    fn gelu_tanh(x: FloatTensor<Self>) -> FloatTensor<Self> {
        if !B::here(&[&x]) {
            return reference::forward::<Self>(x);
        }
        let x = packed(x);
        let chunk = rows_per_task(1);
        written(x.shape(), |y| {
            let pairs = y.par_chunks_mut(chunk).zip(x.values().par_chunks(chunk));
            pairs.for_each(|(y, x)| vectorised(Activate { x, y }));
        })
    }

    fn gelu_tanh_backward(x: FloatTensor<Self>, grad: FloatTensor<Self>) -> FloatTensor<Self> {
        if !B::here(&[&x, &grad]) {
            return reference::backward::<Self>(x, grad);
        }
        let (x, mut grad) = (packed(x), packed(grad));
        differentiate(x.values(), writable(&mut grad));
        grad
    }
}

fn differentiate(x: &[f32], grad: &mut [f32]) {
    let chunk = rows_per_task(1);
    grad.par_chunks_mut(chunk).zip(x.par_chunks(chunk)).for_each(|(grad, x)| vectorised(Gradients { x, grad }));
}

struct Activate<'a> {
    x: &'a [f32],
    y: &'a mut [MaybeUninit<f32>],
}

impl Kernel for Activate<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for (y, x) in self.y.iter_mut().zip(self.x) {
            y.write(value(*x));
        }
    }
}

struct Gradients<'a> {
    x: &'a [f32],
    grad: &'a mut [f32],
}

impl Kernel for Gradients<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        self.grad.iter_mut().zip(self.x).for_each(|(grad, x)| *grad *= slope(*x));
    }
}

/// GELU.
#[inline(always)]
fn value(x: f32) -> f32 {
    x * gate(x)
}

/// Its derivative.
#[inline(always)]
fn slope(x: f32) -> f32 {
    value_and_slope(x).1
}

/// GELU and its derivative, which have the dear part in common.
#[inline(always)]
pub(crate) fn value_and_slope(x: f32) -> (f32, f32) {
    const SLOPE: f32 = reference::SLOPE as f32;
    const BEND: f32 = (3.0 * reference::CUBE * reference::SLOPE) as f32;
    let gate = gate(x);
    (x * gate, gate + x * (SLOPE + BEND * x * x) * (gate * (1.0 - gate)))
}

/// The logistic function of `SLOPE (x + CUBE x³)`.
#[inline(always)]
fn gate(x: f32) -> f32 {
    const SLOPE: f32 = reference::SLOPE as f32;
    const BEND: f32 = (reference::CUBE * reference::SLOPE) as f32;
    1.0 / (1.0 + exp(-x * (SLOPE + BEND * x * x)))
}
