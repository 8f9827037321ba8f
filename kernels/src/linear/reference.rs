//! The affine map composed from burn's own operations, for every backend without an override.

use burn::backend::{TensorMetadata, tensor::FloatTensor};
use burn::tensor::Shape;

use super::{Form, Forward, Gradient};
use crate::gelu::{self, Gelu};

/// Shapes: `x` `[N, inputs]`, `weight` `[inputs, outputs]`, `bias` `[outputs]`.
pub(super) fn forward<B: Gelu>(
    x: FloatTensor<B>,
    weight: FloatTensor<B>,
    bias: FloatTensor<B>,
    form: Form,
) -> Forward<B> {
    let mut y = B::float_matmul(x, weight);
    if form.biased {
        let outputs = bias.shape()[0];
        y = B::float_add(y, B::float_reshape(bias, Shape::new([1, outputs])));
    }
    if form.gelu { (B::gelu_op(y.clone(), gelu::Form::Tanh), Some(y)) } else { (y, None) }
}

/// Shapes as in [`forward`]; `before` and `grad` `[N, outputs]`.
pub(super) fn backward<B: Gelu>(
    x: FloatTensor<B>,
    weight: FloatTensor<B>,
    before: FloatTensor<B>,
    grad: FloatTensor<B>,
    [dx, dweight, dbias]: [bool; 3],
    form: Form,
) -> Gradient<B> {
    let outputs = weight.shape()[1];
    let grad = if form.gelu { B::gelu_op_backward(before, grad, gelu::Form::Tanh) } else { grad };
    (
        dx.then(|| B::float_matmul(grad.clone(), B::float_transpose(weight))),
        dweight.then(|| B::float_matmul(B::float_transpose(x), grad.clone())),
        dbias.then(|| B::float_reshape(B::float_sum_dim(grad, 0), Shape::new([outputs]))),
    )
}
