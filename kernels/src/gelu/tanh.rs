//! The tanh form composed from burn's own operations, for every backend without an override.
//!
//! `0.5 (1 + tanh u)` is the logistic function of `2u`, which takes one exponential.

use burn::backend::{Backend, tensor::FloatTensor};

/// `2 √(2/π)`.
pub(super) const SLOPE: f64 = 1.595_769_121_605_730_8;
/// The weight of the cube.
pub(super) const CUBE: f64 = 0.044_715;

/// `x σ(2u)` with `2u = SLOPE (x + CUBE x³)`.
pub(super) fn forward<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    let gate = gate::<B>(x.clone());
    B::float_mul(x, gate)
}

/// `grad (σ + x σ (1 - σ) SLOPE (1 + 3 CUBE x²))`.
pub(super) fn backward<B: Backend>(x: FloatTensor<B>, grad: FloatTensor<B>) -> FloatTensor<B> {
    let gate = gate::<B>(x.clone());
    let square = B::float_mul(x.clone(), x.clone());
    let slope = B::float_add_scalar(B::float_mul_scalar(square, (3.0 * CUBE * SLOPE).into()), SLOPE.into());
    let rest = B::float_add_scalar(B::float_neg(gate.clone()), 1f32.into());
    let curve = B::float_mul(B::float_mul(x, slope), B::float_mul(gate.clone(), rest));
    B::float_mul(grad, B::float_add(gate, curve))
}

/// `σ(2u)`; an overflowing exponential makes it zero, as it should.
fn gate<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    let square = B::float_mul(x.clone(), x.clone());
    let scale = B::float_add_scalar(B::float_mul_scalar(square, (-SLOPE * CUBE).into()), (-SLOPE).into());
    let decay = B::float_exp(B::float_mul(x, scale));
    B::float_recip(B::float_add_scalar(decay, 1f32.into()))
}
