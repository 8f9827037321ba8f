//! The gate composed from burn's own operations, for every backend without an override.

use burn::backend::{Backend, tensor::FloatTensor};

/// `gate σ(gate) up`.
pub(super) fn forward<B: Backend>(gate: FloatTensor<B>, up: FloatTensor<B>) -> FloatTensor<B> {
    let open = B::float_mul(gate.clone(), logistic::<B>(gate));
    B::float_mul(open, up)
}

/// With σ = σ(gate): `grad up (σ + gate σ (1 - σ))` and `grad gate σ`.
pub(super) fn backward<B: Backend>(
    gate: FloatTensor<B>,
    up: FloatTensor<B>,
    grad: FloatTensor<B>,
) -> (FloatTensor<B>, FloatTensor<B>) {
    let share = logistic::<B>(gate.clone());
    let open = B::float_mul(gate, share.clone());
    let rest = B::float_add_scalar(B::float_neg(share.clone()), 1f32.into());
    let slope = B::float_add(share, B::float_mul(open.clone(), rest));
    (B::float_mul(B::float_mul(grad.clone(), up), slope), B::float_mul(grad, open))
}

/// `1 / (1 + e^-x)`; an overflowing exponential makes it zero, as it should.
fn logistic<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    B::float_recip(B::float_add_scalar(B::float_exp(B::float_neg(x)), 1f32.into()))
}
