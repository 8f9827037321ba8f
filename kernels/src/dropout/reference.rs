//! Dropout composed from burn's own operations, for every backend without an override.

use burn::backend::{Backend, TensorMetadata, tensor::FloatTensor};
use burn::tensor::Distribution;

/// 1 where an element is kept, else 0.
pub(super) fn noise<B: Backend>(x: FloatTensor<B>, probability: f64) -> FloatTensor<B> {
    B::float_random(x.shape(), Distribution::Bernoulli(1.0 - probability), &x.device(), x.dtype().into())
}

pub(super) fn apply<B: Backend>(x: FloatTensor<B>, noise: FloatTensor<B>, probability: f64) -> FloatTensor<B> {
    B::float_mul(x, B::float_mul_scalar(noise, (1.0 / (1.0 - probability)).into()))
}
