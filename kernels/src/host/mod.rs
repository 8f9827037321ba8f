//! What the CPU overrides share: tensors of this process, vector dispatch, and an exponential that vectorises.
//!
//! Every row is computed by one thread in a fixed order of [`LANES`] partial sums, so a result depends neither on the
//! number of threads nor on the width of the machine's vectors.

mod bf16;
mod gemm;
mod pass;
mod seed;
mod sums;
mod tensor;
#[cfg(feature = "tch")]
mod torch;

use std::mem::MaybeUninit;

use pulp::{Arch, Simd, WithSimd};

use crate::precision::Products;

pub(crate) use bf16::{Bf16, bf16_support};
pub(crate) use gemm::{HostMatrix, Matrix, matrix};
pub(crate) use pass::{PASS, owned, region};
pub(crate) use seed::{seed, seed_of};
pub(crate) use sums::{add_up, column_sums, summed_rows};
pub(crate) use tensor::{HostBackend, HostTensor, copied, dims, packed, tensor, writable, written};
#[cfg(feature = "tch")]
pub use torch::compose_torch;

/// `a b`, row-major, in a new buffer.
pub(crate) fn product(a: Matrix, b: Matrix, products: Products) -> Vec<f32> {
    unwritten(a.rows * b.columns, |out| product_over(a, b, out, products))
}

/// `a b` in a new tensor of rank 2.
pub(crate) fn product_tensor<T: HostTensor>(a: Matrix, b: Matrix, products: Products) -> T {
    written([a.rows, b.columns], |out| product_over(a, b, out, products))
}

/// `out = a b`; `out` is row-major, and all of it is written.
pub(crate) fn product_over(a: Matrix, b: Matrix, out: &mut [MaybeUninit<f32>], products: Products) {
    if is_low(products) { bf16::product_over(a, b, out) } else { gemm::product_over(a, b, out) }
}

/// `out += a b`, or `out = a b` where `add` is false; `out` is row-major.
pub(crate) fn product_into(a: Matrix, b: Matrix, out: &mut [f32], add: bool, products: Products) {
    if is_low(products) { bf16::product_into(a, b, out, add) } else { gemm::product_into(a, b, out, add) }
}

fn is_low(products: Products) -> bool {
    products == Products::Bf16 && bf16_support() != Bf16::None
}

/// Partial results of a reduction over a row: one AVX-512 register of f32.
pub(crate) const LANES: usize = 16;

/// Work that the compiler vectorises for the processor found at run time.
///
/// The body and all that it calls must be `#[inline(always)]`: only inlined code gets the processor's instructions.
pub(crate) trait Kernel {
    type Output;
    fn run(self) -> Self::Output;
}

/// Runs `kernel` with the best instructions that this processor has.
pub(crate) fn vectorised<K: Kernel>(kernel: K) -> K::Output {
    struct Dispatched<K>(K);
    impl<K: Kernel> WithSimd for Dispatched<K> {
        type Output = K::Output;
        #[inline(always)]
        fn with_simd<S: Simd>(self, _: S) -> K::Output {
            self.0.run()
        }
    }
    Arch::new().dispatch(Dispatched(kernel))
}

/// `n` values that `fill` writes, every one: a large result is not set to zero before.
#[allow(unsafe_code)]
pub(crate) fn unwritten(n: usize, fill: impl FnOnce(&mut [MaybeUninit<f32>])) -> Vec<f32> {
    let mut values = Vec::with_capacity(n);
    fill(&mut values.spare_capacity_mut()[..n]);
    // SAFETY: the capacity is there, and `fill` has written every element; this is private to the crate, and each
    // caller's product or pass writes its whole result.
    unsafe { values.set_len(n) };
    values
}

/// How many rows of `width` elements make a task that is worth a thread's while.
pub(crate) fn rows_per_task(width: usize) -> usize {
    const ELEMENTS: usize = 16 * 1024;
    (ELEMENTS / width.max(1)).max(1)
}

/// `e^x` to 2 units in the last place: 0 below -87.3, infinite above 88.37 (where 2^128 would be needed), NaN for NaN.
///
/// Cody and Waite's reduction and the Cephes polynomial. Multiplications and additions stay apart, because a fused
/// one would make the result depend on the processor.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    const LOWEST: f32 = -87.3;
    const HIGHEST: f32 = 88.37;
    // Adding 1.5 * 2^23 rounds to the nearest integer and leaves it in the low bits.
    const ROUND: f32 = 12_582_912.0;
    let clamped = if x < LOWEST { LOWEST } else { x };
    let clamped = if clamped > HIGHEST { HIGHEST } else { clamped };
    let shifted = clamped * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = clamped - n * 0.693_359_4 + n * 2.121_944_4e-4;
    let p = 1.987_569_1e-4;
    let p = p * r + 1.398_199_9e-3;
    let p = p * r + 8.333_452e-3;
    let p = p * r + 4.166_579_6e-2;
    let p = p * r + 1.666_666_5e-1;
    let p = p * r + 5e-1;
    let p = p * (r * r) + r + 1.0;
    let exponent = shifted.to_bits().wrapping_sub(ROUND.to_bits()).wrapping_add(127) << 23;
    let value = p * f32::from_bits(exponent);
    let value = if x < LOWEST { 0.0 } else { value };
    if x > HIGHEST { f32::INFINITY } else { value }
}

/// Sums `f(x)` over a row in f32, in [`LANES`] interleaved partial sums that are then added pairwise.
#[inline(always)]
pub(crate) fn sum(row: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    let mut lanes = [0f32; LANES];
    let (chunks, rest) = row.as_chunks::<LANES>();
    for chunk in chunks {
        for (lane, x) in lanes.iter_mut().zip(chunk) {
            *lane += f(*x);
        }
    }
    for (lane, x) in lanes.iter_mut().zip(rest) {
        *lane += f(*x);
    }
    fold(lanes)
}

/// Adds the lanes pairwise.
#[inline(always)]
pub(crate) fn fold(mut lanes: [f32; LANES]) -> f32 {
    let mut width = LANES / 2;
    while width > 0 {
        for i in 0..width {
            lanes[i] += lanes[i + width];
        }
        width /= 2;
    }
    lanes[0]
}

/// The largest element of a row; NaN is passed over.
#[inline(always)]
pub(crate) fn max(row: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let (chunks, rest) = row.as_chunks::<LANES>();
    for chunk in chunks {
        for (lane, x) in lanes.iter_mut().zip(chunk) {
            *lane = if *x > *lane { *x } else { *lane };
        }
    }
    for (lane, x) in lanes.iter_mut().zip(rest) {
        *lane = if *x > *lane { *x } else { *lane };
    }
    lanes.into_iter().fold(f32::NEG_INFINITY, |a, b| if b > a { b } else { a })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lanes of a vector.
    struct Lanes;

    impl WithSimd for Lanes {
        type Output = usize;

        #[inline(always)]
        fn with_simd<S: Simd>(self, _: S) -> usize {
            S::F32_LANES
        }
    }

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn the_widest_vectors_are_found() {
        let lanes = Arch::new().dispatch(Lanes);
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") && is_x86_feature_detected!("bmi2") {
            assert!(lanes >= 8, "AVX2 is there, and a vector has {lanes} lanes");
        }
        if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512dq") {
            assert_eq!(lanes, 16);
        }
    }

    #[test]
    fn the_exponential_is_right_to_two_units_and_at_the_ends() {
        for i in -8720..=8837 {
            let x = i as f32 * 0.01;
            let right = f64::from(x).exp();
            let relative = (f64::from(exp(x)) - right).abs() / right;
            assert!(relative < 2.4e-7, "e^{x} is off by {relative}");
        }
        assert_eq!((exp(-1e9), exp(f32::NEG_INFINITY), exp(0.0)), (0.0, 0.0, 1.0));
        assert!(exp(f32::NAN).is_nan() && exp(89.0).is_infinite());
    }

    #[test]
    fn reductions_take_rows_of_any_length() {
        for n in 0..70 {
            let row: Vec<f32> = (0..n).map(|i| (i as f32 * 0.7).sin()).collect();
            let right: f64 = row.iter().map(|x| f64::from(*x)).sum();
            assert!((f64::from(sum(&row, |x| x)) - right).abs() < 1e-5);
            assert_eq!(max(&row), row.iter().copied().fold(f32::NEG_INFINITY, f32::max));
        }
    }
}
