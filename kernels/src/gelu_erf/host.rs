//! Element-wise in fixed chunks over threads; the backward writes over the output's gradient where nobody holds it.

use std::mem::MaybeUninit;

use burn::backend::{TensorMetadata, tensor::FloatTensor};
use rayon::prelude::*;

use super::{GeluErf, reference};
use crate::host::{HostBackend, HostTensor, Kernel, exp, packed, rows_per_task, vectorised, writable, written};

impl<B: HostBackend> GeluErf for B {
    fn gelu_erf_op(x: FloatTensor<Self>) -> FloatTensor<Self> {
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

    fn gelu_erf_backward(x: FloatTensor<Self>, grad: FloatTensor<Self>) -> FloatTensor<Self> {
        if !B::here(&[&x, &grad]) {
            return reference::backward::<Self>(x, grad);
        }
        let (x, mut grad) = (packed(x), packed(grad));
        let chunk = rows_per_task(1);
        let pairs = writable(&mut grad).par_chunks_mut(chunk).zip(x.values().par_chunks(chunk));
        pairs.for_each(|(grad, x)| vectorised(Gradients { x, grad }));
        grad
    }
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
            y.write(x * normal(*x).0);
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
        const PEAK: f32 = reference::PEAK as f32;
        for (grad, x) in self.grad.iter_mut().zip(self.x) {
            let (share, decay) = normal(*x);
            *grad *= share + x * (PEAK * decay);
        }
    }
}

/// Φ(x) within 1e-7, and `e^(-x²/2)`: Abramowitz and Stegun's formula 7.1.26, which is small where Φ is.
#[inline(always)]
fn normal(x: f32) -> (f32, f32) {
    let z = x.abs() * std::f32::consts::FRAC_1_SQRT_2;
    let decay = exp(-0.5 * x * x);
    let t = 1.0 / (1.0 + 0.327_591_1 * z);
    let p = t * (0.254_829_6 + t * (-0.284_496_74 + t * (1.421_413_7 + t * (-1.453_152 + t * 1.061_405_4))));
    let tail = 0.5 * p * decay;
    (if x < 0.0 { tail } else { 1.0 - tail }, decay)
}
