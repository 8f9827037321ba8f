//! Element-wise in fixed chunks over threads; the backward writes over the output's gradient where nobody holds it.

use std::{marker::PhantomData, mem::MaybeUninit};

use burn::backend::{TensorMetadata, tensor::FloatTensor};
use rayon::prelude::*;

use super::{Form, Gelu, erf, tanh};
use crate::host::{HostBackend, HostTensor, Kernel, exp, packed, rows_per_task, vectorised, writable, written};

impl<B: HostBackend> Gelu for B {
    fn gelu_op(x: FloatTensor<Self>, form: Form) -> FloatTensor<Self> {
        match form {
            _ if !B::here(&[&x]) => form.forward::<Self>(x),
            Form::Tanh => forward::<B, Tanh>(x),
            Form::Erf => forward::<B, Erf>(x),
        }
    }

    fn gelu_op_backward(x: FloatTensor<Self>, grad: FloatTensor<Self>, form: Form) -> FloatTensor<Self> {
        match form {
            _ if !B::here(&[&x, &grad]) => form.backward::<Self>(x, grad),
            Form::Tanh => backward::<B, Tanh>(x, grad),
            Form::Erf => backward::<B, Erf>(x, grad),
        }
    }
}

fn forward<B: HostBackend, C: Curve>(x: FloatTensor<B>) -> FloatTensor<B> {
    let x = packed(x);
    let chunk = rows_per_task(1);
    written(x.shape(), |y| {
        let pairs = y.par_chunks_mut(chunk).zip(x.values().par_chunks(chunk));
        pairs.for_each(|(y, x)| vectorised(Activate::<C> { x, y, curve: PhantomData }));
    })
}

fn backward<B: HostBackend, C: Curve>(x: FloatTensor<B>, grad: FloatTensor<B>) -> FloatTensor<B> {
    let (x, mut grad) = (packed(x), packed(grad));
    let chunk = rows_per_task(1);
    let pairs = writable(&mut grad).par_chunks_mut(chunk).zip(x.values().par_chunks(chunk));
    pairs.for_each(|(grad, x)| vectorised(Gradients::<C> { x, grad, curve: PhantomData }));
    grad
}

/// A form of GELU.
trait Curve: Send {
    /// GELU and its derivative, which have the dear part in common.
    fn value_and_slope(x: f32) -> (f32, f32);
}

struct Tanh;

impl Curve for Tanh {
    #[inline(always)]
    fn value_and_slope(x: f32) -> (f32, f32) {
        value_and_slope(x)
    }
}

struct Erf;

impl Curve for Erf {
    #[inline(always)]
    fn value_and_slope(x: f32) -> (f32, f32) {
        const PEAK: f32 = erf::PEAK as f32;
        let (share, decay) = normal(x);
        (x * share, share + x * (PEAK * decay))
    }
}

struct Activate<'a, C> {
    x: &'a [f32],
    y: &'a mut [MaybeUninit<f32>],
    curve: PhantomData<C>,
}

impl<C: Curve> Kernel for Activate<'_, C> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for (y, x) in self.y.iter_mut().zip(self.x) {
            y.write(C::value_and_slope(*x).0);
        }
    }
}

struct Gradients<'a, C> {
    x: &'a [f32],
    grad: &'a mut [f32],
    curve: PhantomData<C>,
}

impl<C: Curve> Kernel for Gradients<'_, C> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        self.grad.iter_mut().zip(self.x).for_each(|(grad, x)| *grad *= C::value_and_slope(*x).1);
    }
}

/// The tanh form and its derivative.
#[inline(always)]
pub(crate) fn value_and_slope(x: f32) -> (f32, f32) {
    const SLOPE: f32 = tanh::SLOPE as f32;
    const BEND: f32 = (3.0 * tanh::CUBE * tanh::SLOPE) as f32;
    let gate = gate(x);
    (x * gate, gate + x * (SLOPE + BEND * x * x) * (gate * (1.0 - gate)))
}

/// The logistic function of `SLOPE (x + CUBE x³)`.
#[inline(always)]
fn gate(x: f32) -> f32 {
    const SLOPE: f32 = tanh::SLOPE as f32;
    const BEND: f32 = (tanh::CUBE * tanh::SLOPE) as f32;
    1.0 / (1.0 + exp(-x * (SLOPE + BEND * x * x)))
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
