//! The last layer and its loss composed, for every backend without an override: the logits live within the op.

use burn::backend::{
    TensorMetadata,
    tensor::{FloatTensor, IntTensor},
};
use burn::tensor::Shape;

use super::{Form, LinearCrossEntropy, Trained};

/// Shapes: `x` `[N, width]`, `table` `[V, width]`, `targets` `[N]`; result `[1]`.
pub(super) fn loss<B: LinearCrossEntropy>(
    x: FloatTensor<B>,
    table: FloatTensor<B>,
    targets: IntTensor<B>,
    form: Form,
) -> FloatTensor<B> {
    let logits = B::float_matmul(x, B::float_transpose(table)); // [N, V]
    B::float_mul_scalar(B::cross_entropy(logits, targets, form.smoothing), form.scale.into())
}

/// Shapes as in [`loss`].
pub(super) fn trained<B: LinearCrossEntropy>(
    x: FloatTensor<B>,
    table: FloatTensor<B>,
    targets: IntTensor<B>,
    form: Form,
) -> Trained<B> {
    let logits = B::float_matmul(x.clone(), B::float_transpose(table.clone())); // [N, V]
    let (loss, largest, log_sum) = B::cross_entropy_forward(logits.clone(), targets.clone(), form.smoothing);
    let (device, dtype) = (x.device(), x.dtype().into());
    let scale = B::float_full(Shape::new([1]), form.scale.into(), &device, dtype);
    let dlogits = B::cross_entropy_backward(logits, targets, largest, log_sum, scale, form.smoothing);
    let dx = B::float_matmul(dlogits.clone(), table);
    let dtable = B::float_matmul(B::float_transpose(dlogits), x);
    (B::float_mul_scalar(loss, form.scale.into()), dx, dtable)
}

/// `gradient` `[n, m]` times `by` `[1]`.
pub(super) fn scaled<B: LinearCrossEntropy>(gradient: FloatTensor<B>, by: FloatTensor<B>) -> FloatTensor<B> {
    B::float_mul(gradient, B::float_reshape(by, Shape::new([1, 1])))
}
