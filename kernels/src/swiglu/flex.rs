//! Element-wise in fixed chunks over threads; the backward writes one of its results over the output's gradient where
//! nobody holds it.

use std::mem::MaybeUninit;

use burn::backend::{Flex, tensor::FloatTensor};
use burn::tensor::DType;
use rayon::prelude::*;

use super::{Swiglu, reference};
use crate::host::{Kernel, exp, packed, rows_per_task, tensor, unwritten, vectorised};

impl Swiglu for Flex {
    fn swiglu_op(gate: FloatTensor<Self>, up: FloatTensor<Self>) -> FloatTensor<Self> {
        if [&gate, &up].iter().any(|tensor| tensor.dtype() != DType::F32) {
            return reference::forward::<Self>(gate, up);
        }
        let shape = gate.layout().shape().clone();
        let (gate, up) = (packed(gate), packed(up));
        let (gate, up) = (gate.storage::<f32>(), up.storage::<f32>());
        let chunk = rows_per_task(1);
        let y = unwritten(gate.len(), |y| {
            (y.par_chunks_mut(chunk), gate.par_chunks(chunk), up.par_chunks(chunk))
                .into_par_iter()
                .for_each(|(y, gate, up)| vectorised(Activate { gate, up, y }));
        });
        tensor(y, shape)
    }

    fn swiglu_backward(
        gate: FloatTensor<Self>,
        up: FloatTensor<Self>,
        grad: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        if [&gate, &up, &grad].iter().any(|tensor| tensor.dtype() != DType::F32) {
            return reference::backward::<Self>(gate, up, grad);
        }
        let shape = gate.layout().shape().clone();
        let (gate, up, mut grad) = (packed(gate), packed(up), packed(grad));
        let (gate, up) = (gate.storage::<f32>(), up.storage::<f32>());
        if let Some(values) = grad.try_storage_mut::<f32>() {
            let dgate = differentiate(gate, up, values);
            return (tensor(dgate, shape), grad);
        }
        let mut values = grad.storage::<f32>().to_vec();
        let dgate = differentiate(gate, up, &mut values);
        (tensor(dgate, shape.clone()), tensor(values, shape))
    }
}

/// Turns the output's gradient into that of `up` in place; returns that of `gate`.
fn differentiate(gate: &[f32], up: &[f32], grad: &mut [f32]) -> Vec<f32> {
    let chunk = rows_per_task(1);
    unwritten(gate.len(), |dgate| {
        (dgate.par_chunks_mut(chunk), gate.par_chunks(chunk), up.par_chunks(chunk), grad.par_chunks_mut(chunk))
            .into_par_iter()
            .for_each(|(dgate, gate, up, grad)| vectorised(Gradients { gate, up, grad, dgate }));
    })
}

struct Activate<'a> {
    gate: &'a [f32],
    up: &'a [f32],
    y: &'a mut [MaybeUninit<f32>],
}

impl Kernel for Activate<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for (y, (gate, up)) in self.y.iter_mut().zip(self.gate.iter().zip(self.up)) {
            y.write(gate * logistic(*gate) * up);
        }
    }
}

struct Gradients<'a> {
    gate: &'a [f32],
    up: &'a [f32],
    grad: &'a mut [f32],
    dgate: &'a mut [MaybeUninit<f32>],
}

impl Kernel for Gradients<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let halves = self.gate.iter().zip(self.up);
        for ((grad, dgate), (gate, up)) in self.grad.iter_mut().zip(self.dgate).zip(halves) {
            let share = logistic(*gate);
            let open = gate * share;
            dgate.write(*grad * up * (share + open * (1.0 - share)));
            *grad *= open;
        }
    }
}

#[inline(always)]
fn logistic(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}
