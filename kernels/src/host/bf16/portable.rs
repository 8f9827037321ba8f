//! The reference: both operands rounded, then the f32 product.

use std::mem::MaybeUninit;

use super::super::{Matrix, gemm};

/// `out = a b`, both rounded to bf16.
pub(super) fn product_over(a: Matrix, b: Matrix, out: &mut [MaybeUninit<f32>]) {
    let (left, right) = (rounded(a), rounded(b));
    gemm::product_over(Matrix::new(&left, a.rows, a.columns), Matrix::new(&right, b.rows, b.columns), out);
}

/// `out += a b`, or `out = a b` where `add` is false, both rounded to bf16.
pub(super) fn product_into(a: Matrix, b: Matrix, out: &mut [f32], add: bool) {
    let (left, right) = (rounded(a), rounded(b));
    gemm::product_into(Matrix::new(&left, a.rows, a.columns), Matrix::new(&right, b.rows, b.columns), out, add);
}

/// The elements of a view, row by row, each the nearest bf16.
pub(super) fn rounded(m: Matrix) -> Vec<f32> {
    let at = |i: usize, j: usize| m.values[i * m.row_stride + j * m.column_stride];
    (0..m.rows).flat_map(|i| (0..m.columns).map(move |j| nearest(at(i, j)))).collect()
}

/// The nearest bf16, ties to even; NaN stays NaN, a subnormal is zero.
pub(super) fn nearest(x: f32) -> f32 {
    if x.is_nan() {
        return x;
    }
    if x.is_subnormal() {
        return 0f32.copysign(x);
    }
    let bits = x.to_bits();
    f32::from_bits((bits + 0x7fff + (bits >> 16 & 1)) & 0xffff_0000)
}
