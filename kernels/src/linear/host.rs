//! Products by gemm into buffers that are not set to zero first; bias and activation in one pass over rows.

use std::mem::MaybeUninit;

use burn::backend::tensor::FloatTensor;
use rayon::prelude::*;

use super::{Form, Forward, Gradient, LinearOp, reference};
use crate::{
    gelu::host as gelu,
    host::{
        HostBackend, HostTensor, Kernel, Matrix, add_up, column_sums, matrix, packed, product_tensor, rows_per_task,
        summed_rows, tensor, vectorised, writable, written,
    },
};

impl<B: HostBackend> LinearOp for B {
    fn linear_forward(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        form: Form,
    ) -> (FloatTensor<Self>, Option<FloatTensor<Self>>) {
        if !B::here(&[&x, &weight, &bias]) {
            return reference::forward::<Self>(x, weight, bias, form);
        }
        forward::<Self>(x, weight, bias, form)
    }

    fn linear_backward(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        kept: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        wanted: [bool; 3],
        form: Form,
    ) -> (Option<FloatTensor<Self>>, Option<FloatTensor<Self>>, Option<FloatTensor<Self>>) {
        if !B::here(&[&x, &weight, &grad]) {
            return reference::backward::<Self>(x, weight, kept, grad, wanted, form);
        }
        backward::<Self>(x, weight, kept, grad, wanted, form)
    }
}

fn forward<B: HostBackend>(x: FloatTensor<B>, weight: FloatTensor<B>, bias: FloatTensor<B>, form: Form) -> Forward<B> {
    let (x, weight) = (matrix(x), matrix(weight));
    let outputs = weight.columns();
    let chunk = rows_per_task(outputs) * outputs;
    let mut y: FloatTensor<B> = product_tensor(x.view(), weight.view(), form.products);
    let bias = form.biased.then(|| packed(bias));
    let bias = bias.as_ref().map(HostTensor::values);
    if !form.gelu {
        if let Some(bias) = bias {
            writable(&mut y).par_chunks_mut(chunk).for_each(|y| vectorised(AddBias { y, bias }));
        }
        return (y, None);
    }
    let activated = written([x.rows(), outputs], |activated| {
        (writable(&mut y).par_chunks_mut(chunk), activated.par_chunks_mut(chunk))
            .into_par_iter()
            .for_each(|(y, activated)| vectorised(Activate { y, bias, activated }));
    });
    // What it was applied to has become its slope, for which the exponential is there.
    (activated, Some(y))
}

struct AddBias<'a> {
    y: &'a mut [f32],
    bias: &'a [f32],
}

impl Kernel for AddBias<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for row in self.y.chunks_exact_mut(self.bias.len()) {
            row.iter_mut().zip(self.bias).for_each(|(y, bias)| *y += bias);
        }
    }
}

struct Activate<'a> {
    y: &'a mut [f32],
    bias: Option<&'a [f32]>,
    activated: &'a mut [MaybeUninit<f32>],
}

impl Kernel for Activate<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        if let Some(bias) = self.bias {
            for row in self.y.chunks_exact_mut(bias.len()) {
                row.iter_mut().zip(bias).for_each(|(y, bias)| *y += bias);
            }
        }
        for (activated, y) in self.activated.iter_mut().zip(self.y) {
            let (value, slope) = gelu::value_and_slope(*y);
            activated.write(value);
            *y = slope;
        }
    }
}

fn backward<B: HostBackend>(
    x: FloatTensor<B>,
    weight: FloatTensor<B>,
    slopes: FloatTensor<B>,
    grad: FloatTensor<B>,
    [dx, dweight, dbias]: [bool; 3],
    form: Form,
) -> Gradient<B> {
    let (x, weight) = (matrix(x), matrix(weight));
    let [rows, outputs] = [x.rows(), weight.columns()];
    let mut grad = packed(grad);
    let sums = if form.gelu {
        Some(multiply(writable(&mut grad), packed(slopes).values(), outputs))
    } else {
        dbias.then(|| column_sums(grad.values(), outputs))
    };
    let grad = Matrix::new(grad.values(), rows, outputs);
    (
        dx.then(|| product_tensor(grad, weight.view().transposed(), form.products)),
        dweight.then(|| product_tensor(x.view().transposed(), grad, form.products)),
        sums.filter(|_| dbias).map(|sums| tensor(sums, [outputs])),
    )
}

/// Turns the gradient after GELU into the one before it, in place; returns its sums over rows.
fn multiply(grad: &mut [f32], slopes: &[f32], width: usize) -> Vec<f32> {
    let chunk = summed_rows(width) * width;
    let partial = grad.par_chunks_mut(chunk).zip(slopes.par_chunks(chunk));
    add_up(width, partial.map(|(grad, slopes)| vectorised(Multiply { grad, slopes, width })).collect())
}

struct Multiply<'a> {
    grad: &'a mut [f32],
    slopes: &'a [f32],
    width: usize,
}

impl Kernel for Multiply<'_> {
    type Output = Vec<f32>;

    #[inline(always)]
    fn run(self) -> Vec<f32> {
        let mut sums = vec![0f32; self.width];
        for (grad, slopes) in self.grad.chunks_exact_mut(self.width).zip(self.slopes.chunks_exact(self.width)) {
            for ((grad, slope), sum) in grad.iter_mut().zip(slopes).zip(&mut sums) {
                *grad *= slope;
                *sum += *grad;
            }
        }
        sums
    }
}
