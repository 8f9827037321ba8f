//! The micro-kernels on vectors: 32 x 32 of the result, 8 rows of two vectors at a time.
#![allow(unsafe_code)] // vector intrinsics

use std::arch::x86_64::{
    __m512, __m512bh, __m512i, _mm512_castsi512_ps, _mm512_dpbf16_ps, _mm512_fmadd_ps, _mm512_loadu_ps,
    _mm512_loadu_si512, _mm512_set1_epi32, _mm512_setzero_ps, _mm512_storeu_ps,
};
use std::mem::transmute;

/// As [`super::amx::Tiles::multiply`], from the same panels, or with `F32` from panels of f32 that have a term where the
/// others have a pair.
///
/// # Safety
/// As there; the processor must have AVX512-BF16.
#[target_feature(enable = "avx512f,avx512bf16")]
pub(super) unsafe fn multiply<const F32: bool>(
    a: *const u16,
    b: *const u16,
    steps: usize,
    c: *mut f32,
    stride: usize,
    add: bool,
) {
    const ROWS: usize = 8;
    for top in (0..32).step_by(ROWS) {
        // SAFETY: `top` is the first of eight rows of the 32; within a step the tiles of `a` lie one after the other,
        // a row every 16 dwords, and so do those of `b`, a row of pairs every 16 dwords.
        unsafe {
            let c = c.add(top * stride);
            let mut sums = [[_mm512_setzero_ps(); 2]; ROWS];
            if add {
                for (row, sums) in sums.iter_mut().enumerate() {
                    *sums = [_mm512_loadu_ps(c.add(row * stride)), _mm512_loadu_ps(c.add(row * stride + 16))];
                }
            }
            for step in 0..steps {
                let a = a.add(step * 1024).cast::<i32>().add(top * 16);
                let b = b.add(step * 1024).cast::<i32>();
                for pair in 0..16 {
                    let left = _mm512_loadu_si512(b.add(pair * 16).cast());
                    let right = _mm512_loadu_si512(b.add(256 + pair * 16).cast());
                    for (row, sums) in sums.iter_mut().enumerate() {
                        let term = _mm512_set1_epi32(*a.add(row * 16 + pair));
                        sums[0] = added::<F32>(sums[0], term, left);
                        sums[1] = added::<F32>(sums[1], term, right);
                    }
                }
            }
            for (row, sums) in sums.into_iter().enumerate() {
                _mm512_storeu_ps(c.add(row * stride), sums[0]);
                _mm512_storeu_ps(c.add(row * stride + 16), sums[1]);
            }
        }
    }
}

/// `sum` and the products of 16 numbers or of 16 pairs.
#[inline]
#[target_feature(enable = "avx512f,avx512bf16")]
fn added<const F32: bool>(sum: __m512, a: __m512i, b: __m512i) -> __m512 {
    if F32 {
        return _mm512_fmadd_ps(_mm512_castsi512_ps(a), _mm512_castsi512_ps(b), sum);
    }
    // SAFETY: both have 512 bits, any of which are numbers.
    let [a, b] = unsafe { [transmute::<__m512i, __m512bh>(a), transmute::<__m512i, __m512bh>(b)] };
    _mm512_dpbf16_ps(sum, a, b)
}
