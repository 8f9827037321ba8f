//! Element-wise in fixed chunks over threads; the backward writes one of its results over the output's gradient where
//! nobody holds it.

use std::mem::MaybeUninit;

use burn::backend::{TensorMetadata, tensor::FloatTensor};
use rayon::prelude::*;

use super::{Swiglu, reference};
use crate::host::{HostBackend, HostTensor, Kernel, exp, packed, rows_per_task, vectorised, writable, written};

impl<B: HostBackend> Swiglu for B {
    fn swiglu_op(gate: FloatTensor<Self>, up: FloatTensor<Self>) -> FloatTensor<Self> {
        if !B::here(&[&gate, &up]) {
            return reference::forward::<Self>(gate, up);
        }
        let (gate, up) = (packed(gate), packed(up));
        let chunk = rows_per_task(1);
        written(gate.shape(), |y| {
            (y.par_chunks_mut(chunk), gate.values().par_chunks(chunk), up.values().par_chunks(chunk))
                .into_par_iter()
                .for_each(|(y, gate, up)| vectorised(Activate { gate, up, y }));
        })
    }

    fn swiglu_backward(
        gate: FloatTensor<Self>,
        up: FloatTensor<Self>,
        grad: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        if !B::here(&[&gate, &up, &grad]) {
            return reference::backward::<Self>(gate, up, grad);
        }
        let (gate, up, mut grad) = (packed(gate), packed(up), packed(grad));
        let dgate = differentiate(&gate, &up, writable(&mut grad));
        (dgate, grad)
    }
}

/// Turns the output's gradient into that of `up` in place; returns that of `gate`.
fn differentiate<T: HostTensor>(gate: &T, up: &T, grad: &mut [f32]) -> T {
    let chunk = rows_per_task(1);
    let (halves, shape) = ((gate.values(), up.values()), gate.shape());
    written(shape, |dgate| {
        (
            dgate.par_chunks_mut(chunk),
            halves.0.par_chunks(chunk),
            halves.1.par_chunks(chunk),
            grad.par_chunks_mut(chunk),
        )
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
