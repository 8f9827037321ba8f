//! Products by gemm into buffers that are not set to zero first; bias and activation in one pass over rows.

use burn::backend::{Flex, flex::FlexTensor, tensor::FloatTensor};
use burn::tensor::DType;
use rayon::prelude::*;

use super::{Form, Forward, Gradient, LinearOp, reference};
use crate::{
    gelu::flex as gelu,
    host::{Kernel, Matrix, matrix, packed, product, rows_per_task, tensor, vectorised},
};

impl LinearOp for Flex {
    fn linear_forward(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        form: Form,
    ) -> (FloatTensor<Self>, Option<FloatTensor<Self>>) {
        if [&x, &weight, &bias].iter().any(|t| t.dtype() != DType::F32) {
            return reference::forward::<Self>(x, weight, bias, form);
        }
        forward(x, weight, bias, form)
    }

    fn linear_backward(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        before: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        wanted: [bool; 3],
        form: Form,
    ) -> (Option<FloatTensor<Self>>, Option<FloatTensor<Self>>, Option<FloatTensor<Self>>) {
        if [&x, &weight, &grad].iter().any(|t| t.dtype() != DType::F32) {
            return reference::backward::<Self>(x, weight, before, grad, wanted, form);
        }
        backward(x, weight, before, grad, wanted, form)
    }
}

fn forward(x: FlexTensor, weight: FlexTensor, bias: FlexTensor, form: Form) -> Forward<Flex> {
    let (x, weight) = (matrix(x), matrix(weight));
    let [rows, outputs] = [x.rows(), weight.columns()];
    let mut y = product(x.view(), weight.view(), form.products);
    let bias = form.biased.then(|| packed(bias));
    let bias = bias.as_ref().map(|bias| bias.storage::<f32>());
    if !form.gelu {
        if let Some(bias) = bias {
            let chunk = rows_per_task(outputs) * outputs;
            y.par_chunks_mut(chunk).for_each(|y| vectorised(AddBias { y, bias }));
        }
        return (tensor(y, [rows, outputs]), None);
    }
    let mut activated = vec![0f32; y.len()];
    let chunk = rows_per_task(outputs) * outputs;
    (y.par_chunks_mut(chunk), activated.par_chunks_mut(chunk))
        .into_par_iter()
        .for_each(|(y, activated)| vectorised(Activate { y, bias, activated }));
    (tensor(activated, [rows, outputs]), Some(tensor(y, [rows, outputs])))
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
    activated: &'a mut [f32],
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
        self.activated.iter_mut().zip(&*self.y).for_each(|(activated, y)| *activated = gelu::value(*y));
    }
}

fn backward(
    x: FlexTensor,
    weight: FlexTensor,
    before: FlexTensor,
    grad: FlexTensor,
    [dx, dweight, dbias]: [bool; 3],
    form: Form,
) -> Gradient<Flex> {
    let (x, weight) = (matrix(x), matrix(weight));
    let [rows, inputs, outputs] = [x.rows(), x.columns(), weight.columns()];
    let mut grad = packed(grad);
    let mut sums = None;
    if form.gelu {
        let before = packed(before);
        let before = before.storage::<f32>();
        sums = match grad.try_storage_mut::<f32>() {
            Some(values) => Some(differentiate(values, before, outputs)),
            None => {
                let mut values = grad.storage::<f32>().to_vec();
                let sums = differentiate(&mut values, before, outputs);
                grad = tensor(values, [rows, outputs]);
                Some(sums)
            }
        };
    } else if dbias {
        sums = Some(column_sums(grad.storage::<f32>(), outputs));
    }
    let grad = Matrix::new(grad.storage::<f32>(), rows, outputs);
    (
        dx.then(|| tensor(product(grad, weight.view().transposed(), form.products), [rows, inputs])),
        dweight.then(|| tensor(product(x.view().transposed(), grad, form.products), [inputs, outputs])),
        sums.filter(|_| dbias).map(|sums| tensor(sums, [outputs])),
    )
}

/// Turns the gradient after GELU into the one before it, in place; returns its sums over rows.
fn differentiate(grad: &mut [f32], before: &[f32], width: usize) -> Vec<f32> {
    let chunk = summed_rows(width) * width;
    let partial = grad.par_chunks_mut(chunk).zip(before.par_chunks(chunk));
    add_up(width, partial.map(|(grad, before)| vectorised(Differentiate { grad, before, width })).collect())
}

/// Sums over rows.
fn column_sums(values: &[f32], width: usize) -> Vec<f32> {
    let chunk = summed_rows(width) * width;
    add_up(width, values.par_chunks(chunk).map(|values| vectorised(Sum { values, width })).collect())
}

/// Rows that are summed by one task, a function of the width alone: the order of additions depends on nothing else.
fn summed_rows(width: usize) -> usize {
    4 * rows_per_task(width)
}

fn add_up(width: usize, partial: Vec<Vec<f32>>) -> Vec<f32> {
    partial.into_iter().fold(vec![0f32; width], |mut total, part| {
        total.iter_mut().zip(part).for_each(|(total, part)| *total += part);
        total
    })
}

struct Differentiate<'a> {
    grad: &'a mut [f32],
    before: &'a [f32],
    width: usize,
}

impl Kernel for Differentiate<'_> {
    type Output = Vec<f32>;

    #[inline(always)]
    fn run(self) -> Vec<f32> {
        let mut sums = vec![0f32; self.width];
        for (grad, before) in self.grad.chunks_exact_mut(self.width).zip(self.before.chunks_exact(self.width)) {
            for ((grad, before), sum) in grad.iter_mut().zip(before).zip(&mut sums) {
                *grad *= gelu::slope(*before);
                *sum += *grad;
            }
        }
        sums
    }
}

struct Sum<'a> {
    values: &'a [f32],
    width: usize,
}

impl Kernel for Sum<'_> {
    type Output = Vec<f32>;

    #[inline(always)]
    fn run(self) -> Vec<f32> {
        let mut sums = vec![0f32; self.width];
        for row in self.values.chunks_exact(self.width) {
            row.iter().zip(&mut sums).for_each(|(value, sum)| *sum += value);
        }
        sums
    }
}
