//! RMSNorm composed from burn's own operations, for every backend without an override.

use burn::backend::{Backend, TensorMetadata, tensor::FloatTensor};
use burn::tensor::Shape;

use super::Two;

/// Shapes: `x` `[N, width]`, `gamma` `[width]`.
pub(super) fn forward<B: Backend>(x: FloatTensor<B>, gamma: FloatTensor<B>, eps: f64) -> Two<B> {
    let square = B::float_mean_dim(B::float_mul(x.clone(), x.clone()), 1);
    let root = B::float_recip(B::float_sqrt(B::float_add_scalar(square, eps.into())));
    let y = B::float_mul(B::float_mul(x, root.clone()), row::<B>(gamma));
    (y, root)
}

/// Shapes as in [`forward`]; `grad` `[N, width]`, `root` `[N, 1]`.
pub(super) fn backward<B: Backend>(
    x: FloatTensor<B>,
    gamma: FloatTensor<B>,
    root: FloatTensor<B>,
    grad: FloatTensor<B>,
) -> Two<B> {
    let width = gamma.shape();
    let normal = B::float_mul(x, root.clone());
    let dgamma = B::float_sum_dim(B::float_mul(grad.clone(), normal.clone()), 0);
    let dnormal = B::float_mul(grad, row::<B>(gamma));
    let along = B::float_mean_dim(B::float_mul(dnormal.clone(), normal.clone()), 1);
    let dx = B::float_mul(B::float_sub(dnormal, B::float_mul(normal, along)), root);
    (dx, B::float_reshape(dgamma, width))
}

fn row<B: Backend>(vector: FloatTensor<B>) -> FloatTensor<B> {
    let width = vector.shape()[0];
    B::float_reshape(vector, Shape::new([1, width]))
}
