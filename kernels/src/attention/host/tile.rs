//! A product of blocks that keeps its result in registers until the caller has had each vector of it.
//!
//! Attention's products are some 64 wide in every direction and each wants something done to its result: a matrix
//! product that packs its operands and stores before it returns spends as long on that as on the arithmetic.

use std::{f32::consts::LN_2, ops::Range};

use pulp::Simd;

/// Rows of a result that are computed together; row counts of buffers are multiples of it.
pub(super) const ROWS: usize = 8;

/// A left operand: element `(i, k)` is `values[i * row + k * step]`.
#[derive(Clone, Copy)]
pub(super) struct Left<'a> {
    pub(super) values: &'a [f32],
    pub(super) row: usize,
    pub(super) step: usize,
}

/// A row-major right operand with `row` elements from row to row; columns come in multiples of 16.
#[derive(Clone, Copy)]
pub(super) struct Right<'a> {
    pub(super) values: &'a [f32],
    pub(super) row: usize,
    pub(super) columns: usize,
}

/// Calls `sink(row, column, vector)` for every vector of `left right`, [`ROWS`] rows, summed over `inner` in order.
#[inline(always)]
pub(super) fn product<S: Simd>(
    simd: S,
    left: Left<'_>,
    right: Right<'_>,
    inner: Range<usize>,
    mut sink: impl FnMut(usize, usize, S::f32s),
) {
    debug_assert!(right.columns.is_multiple_of(16));
    if inner.is_empty() {
        return;
    }
    let last = inner.end - 1;
    assert!((ROWS - 1) * left.row + last * left.step < left.values.len(), "a left operand runs past its buffer");
    assert!(last * right.row + right.columns <= right.values.len(), "a right operand runs past its buffer");
    let lanes = S::F32_LANES;
    let mut column = 0;
    // SAFETY: every index below is one of ROWS rows, an inner index up to `last`, and a column below `columns`; the
    // operands were just checked to reach that far.
    unsafe {
        if S::REGISTER_COUNT >= 32 {
            while column + 4 * lanes <= right.columns {
                tile::<S, 4, 4>(simd, left, right, inner.clone(), [0, column], &mut sink);
                tile::<S, 4, 4>(simd, left, right, inner.clone(), [4, column], &mut sink);
                column += 4 * lanes;
            }
            if column + 2 * lanes <= right.columns {
                tile::<S, 8, 2>(simd, left, right, inner.clone(), [0, column], &mut sink);
                column += 2 * lanes;
            }
            if column < right.columns {
                tile::<S, 8, 1>(simd, left, right, inner.clone(), [0, column], &mut sink);
            }
        } else {
            while column + 2 * lanes <= right.columns {
                tile::<S, 4, 2>(simd, left, right, inner.clone(), [0, column], &mut sink);
                tile::<S, 4, 2>(simd, left, right, inner.clone(), [4, column], &mut sink);
                column += 2 * lanes;
            }
            // Registers of one element, or an odd number of them.
            while column < right.columns {
                tile::<S, 8, 1>(simd, left, right, inner.clone(), [0, column], &mut sink);
                column += lanes;
            }
        }
    }
}

/// # Safety
/// R rows from `row` and V vectors from `column` must lie within both operands for all of `inner`.
#[inline(always)]
unsafe fn tile<S: Simd, const R: usize, const V: usize>(
    simd: S,
    left: Left<'_>,
    right: Right<'_>,
    inner: Range<usize>,
    [row, column]: [usize; 2],
    sink: &mut impl FnMut(usize, usize, S::f32s),
) {
    let lanes = S::F32_LANES;
    let mut sums = [[simd.splat_f32s(0.0); V]; R];
    for k in inner {
        // SAFETY: the caller's promise; a vector is read from any address.
        unsafe {
            let from = right.values.as_ptr().add(k * right.row + column);
            let vectors: [S::f32s; V] = std::array::from_fn(|v| from.add(v * lanes).cast::<S::f32s>().read_unaligned());
            for (r, sums) in sums.iter_mut().enumerate() {
                let scalar = *left.values.as_ptr().add((row + r) * left.row + k * left.step);
                let scalar = simd.splat_f32s(scalar);
                for (sum, vector) in sums.iter_mut().zip(vectors) {
                    *sum = simd.mul_add_e_f32s(scalar, vector, *sum);
                }
            }
        }
    }
    for (r, sums) in sums.into_iter().enumerate() {
        for (v, sum) in sums.into_iter().enumerate() {
            sink(row + r, column + v * lanes, sum);
        }
    }
}

/// `2^x` to 2 units in the last place for `x` up to 127; 0 below -125, NaN for NaN.
#[inline(always)]
pub(super) fn exp2<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    const LOWEST: f32 = -125.0;
    // Adding 1.5 * 2^23 rounds to the nearest integer and leaves it in the low bits.
    const ROUND: f32 = 12_582_912.0;
    const POLYNOMIAL: [f32; 6] = [1.339_993_1e-3, 9.618_489e-3, 5.550_328_6e-2, 2.402_264_6e-1, LN_2, 1.0];
    let splat = |x: f32| simd.splat_f32s(x);
    let shifted = simd.add_f32s(x, splat(ROUND));
    let fraction = simd.sub_f32s(x, simd.sub_f32s(shifted, splat(ROUND)));
    let power =
        POLYNOMIAL.into_iter().fold(splat(1.534_581_2e-4), |power, c| simd.mul_add_e_f32s(power, fraction, splat(c)));
    // The integer goes into the exponent; what the constant leaves above it is shifted out.
    let exponent = simd.wrapping_dyn_shl_u32s(simd.transmute_u32s_f32s(shifted), simd.splat_u32s(23));
    let value = simd.transmute_f32s_u32s(simd.add_u32s(simd.transmute_u32s_f32s(power), exponent));
    simd.select_f32s(simd.less_than_f32s(x, splat(LOWEST)), splat(0.0), value)
}

/// The natural logarithm of a normal number above 0, to 2 units in the last place (Cephes); NaN and infinity stay.
#[inline(always)]
pub(super) fn ln(x: f32) -> f32 {
    const HALF_ROOT: u32 = 0x3f35_04f3;
    let shifted = x.to_bits().wrapping_sub(HALF_ROOT);
    let exponent = (shifted as i32 >> 23) as f32;
    let m = f32::from_bits((shifted & 0x007f_ffff).wrapping_add(HALF_ROOT)) - 1.0; // in [sqrt(1/2) - 1, sqrt(2) - 1)
    let square = m * m;
    let p = [
        -1.151_461e-1,
        1.167_699_9e-1,
        -1.242_014_1e-1,
        1.424_932_3e-1,
        -1.666_805_7e-1,
        2.000_071_5e-1,
        -2.499_999_4e-1,
        0.333_333_3,
    ]
    .into_iter()
    .fold(7.037_683_6e-2, |p, c| p * m + c);
    let tail = m * square * p - exponent * 2.121_944_4e-4 - 0.5 * square;
    let value = exponent * 0.693_359_4 + (m + tail);
    if x < f32::INFINITY { value } else { x }
}

/// As many as the widest vector has lanes.
pub(super) const INDICES: [u32; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

/// The lanes whose index is below `n`.
#[inline(always)]
pub(super) fn below<S: Simd>(simd: S, n: usize) -> S::m32s {
    let (indices, _) = S::as_simd_u32s(&INDICES);
    simd.less_than_u32s(indices[0], simd.splat_u32s(n as u32))
}

#[cfg(test)]
mod tests {
    use pulp::{Arch, WithSimd};

    use super::*;

    struct Powers<'a>(&'a mut [f32]);

    impl WithSimd for Powers<'_> {
        type Output = ();

        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) {
            S::as_mut_simd_f32s(self.0).0.iter_mut().for_each(|x| *x = exp2(simd, *x));
        }
    }

    fn powers(mut x: Vec<f32>) -> Vec<f32> {
        x.resize(x.len().next_multiple_of(16), 0.0);
        Arch::new().dispatch(Powers(&mut x));
        x
    }

    #[test]
    fn powers_are_right_to_two_units_and_at_the_ends() {
        let x: Vec<f32> = (-12_490..=12_690).map(|i| i as f32 * 0.01).collect();
        for (x, found) in x.iter().zip(powers(x.clone())) {
            let right = f64::from(*x).exp2();
            assert!((f64::from(found) - right).abs() < 2.4e-7 * right, "2^{x} is {found}, not {right}");
        }
        let ends = powers(vec![0.0, -126.0, f32::NEG_INFINITY, -1e30, f32::NAN]);
        assert!(ends[..4] == [1.0, 0.0, 0.0, 0.0] && ends[4].is_nan(), "{ends:?}");
    }

    #[test]
    fn logarithms_are_right_to_two_units_and_at_the_ends() {
        for x in (0..4000).map(|i| 1.01f32.powi(i) * 0.01).take_while(|x| *x < 1e38) {
            let right = f64::from(x).ln();
            assert!(
                (f64::from(ln(x)) - right).abs() < 2.4e-7 * right.abs().max(0.5),
                "ln {x} is {}, not {right}",
                ln(x)
            );
        }
        assert!(ln(1.0) == 0.0 && ln(f32::INFINITY) == f32::INFINITY && ln(f32::NAN).is_nan());
    }
}
