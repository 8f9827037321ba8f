//! The form by the error function composed from burn's own operations, for every backend without an override.

use burn::backend::{Backend, tensor::FloatTensor};

/// `1 / √(2π)`.
pub(super) const PEAK: f64 = 0.398_942_280_401_432_7;

/// `x Φ(x)`.
pub(super) fn forward<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    let share = share::<B>(x.clone());
    B::float_mul(x, share)
}

/// `grad (Φ(x) + x φ(x))`.
pub(super) fn backward<B: Backend>(x: FloatTensor<B>, grad: FloatTensor<B>) -> FloatTensor<B> {
    let square = B::float_mul(x.clone(), x.clone());
    let density = B::float_mul_scalar(B::float_exp(B::float_mul_scalar(square, (-0.5f64).into())), PEAK.into());
    let slope = B::float_add(share::<B>(x.clone()), B::float_mul(x, density));
    B::float_mul(grad, slope)
}

/// Φ(x) = (1 + erf(x / √2)) / 2.
fn share<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    let erf = B::float_erf(B::float_mul_scalar(x, std::f64::consts::FRAC_1_SQRT_2.into()));
    B::float_mul_scalar(B::float_add_scalar(erf, 1f32.into()), 0.5f64.into())
}
