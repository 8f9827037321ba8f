//! Layer normalisation composed from burn's own operations, for every backend without an override.

use burn::backend::{Backend, TensorMetadata, tensor::FloatTensor};
use burn::tensor::Shape;

use super::{Forward, Gradient};

/// Shapes: `x` `[N, width]`, `gamma` and `beta` `[width]`.
pub(super) fn forward<B: Backend>(
    x: FloatTensor<B>,
    gamma: FloatTensor<B>,
    beta: FloatTensor<B>,
    eps: f64,
) -> Forward<B> {
    let mean = B::float_mean_dim(x.clone(), 1);
    let centred = B::float_sub(x, mean.clone());
    let variance = B::float_mean_dim(B::float_mul(centred.clone(), centred.clone()), 1);
    let rstd = B::float_recip(B::float_sqrt(B::float_add_scalar(variance, eps.into())));
    let y = B::float_mul(B::float_mul(centred, rstd.clone()), row::<B>(gamma));
    (B::float_add(y, row::<B>(beta)), mean, rstd)
}

/// Shapes as in [`forward`]; `grad` `[N, width]`, `mean` and `rstd` `[N, 1]`.
pub(super) fn backward<B: Backend>(
    x: FloatTensor<B>,
    gamma: FloatTensor<B>,
    (mean, rstd): (FloatTensor<B>, FloatTensor<B>),
    grad: FloatTensor<B>,
) -> Gradient<B> {
    let width = gamma.shape();
    let normal = B::float_mul(B::float_sub(x, mean), rstd.clone());
    let dgamma = B::float_sum_dim(B::float_mul(grad.clone(), normal.clone()), 0);
    let dbeta = B::float_sum_dim(grad.clone(), 0);
    let dnormal = B::float_mul(grad, row::<B>(gamma));
    let along = B::float_mean_dim(B::float_mul(dnormal.clone(), normal.clone()), 1);
    let shift = B::float_mean_dim(dnormal.clone(), 1);
    let dx = B::float_sub(B::float_sub(dnormal, shift), B::float_mul(normal, along));
    (B::float_mul(dx, rstd), B::float_reshape(dgamma, width.clone()), B::float_reshape(dbeta, width))
}

fn row<B: Backend>(vector: FloatTensor<B>) -> FloatTensor<B> {
    let width = vector.shape()[0];
    B::float_reshape(vector, Shape::new([1, width]))
}
