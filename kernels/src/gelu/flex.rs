//! Element-wise in fixed chunks over threads; the backward writes over the output's gradient where nobody holds it.

use burn::backend::{Flex, tensor::FloatTensor};
use burn::tensor::DType;
use rayon::prelude::*;

use super::{Gelu, reference};
use crate::host::{Kernel, exp, packed, rows_per_task, tensor, vectorised};

impl Gelu for Flex {
    fn gelu_tanh(x: FloatTensor<Self>) -> FloatTensor<Self> {
        if x.dtype() != DType::F32 {
            return reference::forward::<Self>(x);
        }
        let shape = x.layout().shape().clone();
        let x = packed(x);
        let values = x.storage::<f32>();
        let mut y = vec![0f32; values.len()];
        let chunk = rows_per_task(1);
        y.par_chunks_mut(chunk).zip(values.par_chunks(chunk)).for_each(|(y, x)| vectorised(Activate { x, y }));
        tensor(y, shape)
    }

    fn gelu_tanh_backward(x: FloatTensor<Self>, grad: FloatTensor<Self>) -> FloatTensor<Self> {
        if x.dtype() != DType::F32 || grad.dtype() != DType::F32 {
            return reference::backward::<Self>(x, grad);
        }
        let shape = x.layout().shape().clone();
        let (x, mut grad) = (packed(x), packed(grad));
        let x = x.storage::<f32>();
        if let Some(values) = grad.try_storage_mut::<f32>() {
            differentiate(x, values);
            return grad;
        }
        let mut values = grad.storage::<f32>().to_vec();
        differentiate(x, &mut values);
        tensor(values, shape)
    }
}

fn differentiate(x: &[f32], grad: &mut [f32]) {
    let chunk = rows_per_task(1);
    grad.par_chunks_mut(chunk).zip(x.par_chunks(chunk)).for_each(|(grad, x)| vectorised(Gradients { x, grad }));
}

struct Activate<'a> {
    x: &'a [f32],
    y: &'a mut [f32],
}

impl Kernel for Activate<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for (y, x) in self.y.iter_mut().zip(self.x) {
            *y = value(*x);
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
pub(crate) fn value(x: f32) -> f32 {
    x * gate(x)
}

/// Its derivative.
#[inline(always)]
pub(crate) fn slope(x: f32) -> f32 {
    const SLOPE: f32 = reference::SLOPE as f32;
    const BEND: f32 = (3.0 * reference::CUBE * reference::SLOPE) as f32;
    let gate = gate(x);
    gate + x * (SLOPE + BEND * x * x) * (gate * (1.0 - gate))
}

/// The logistic function of `SLOPE (x + CUBE x³)`.
#[inline(always)]
fn gate(x: f32) -> f32 {
    const SLOPE: f32 = reference::SLOPE as f32;
    const BEND: f32 = (reference::CUBE * reference::SLOPE) as f32;
    1.0 / (1.0 + exp(-x * (SLOPE + BEND * x * x)))
}
