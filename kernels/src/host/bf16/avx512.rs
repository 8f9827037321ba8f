//! The micro-kernel on vectors: 32 x 32 of the result, 8 rows of two vectors at a time.
#![allow(unsafe_code)] // vector intrinsics

use std::arch::x86_64::{
    __m512bh, __m512i, _mm512_dpbf16_ps, _mm512_loadu_ps, _mm512_loadu_si512, _mm512_set1_epi32, _mm512_setzero_ps,
    _mm512_storeu_ps,
};
use std::mem::transmute;

/// As [`super::amx::Tiles::multiply`], from the same panels.
///
/// # Safety
/// As there; the processor must have AVX512-BF16.
#[target_feature(enable = "avx512f,avx512bf16")]
pub(super) unsafe fn multiply(a: *const u16, b: *const u16, steps: usize, c: *mut f32, stride: usize, add: bool) {
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
                    // Any bits are numbers.
                    let pairs = |bits| transmute::<__m512i, __m512bh>(bits);
                    let left = pairs(_mm512_loadu_si512(b.add(pair * 16).cast()));
                    let right = pairs(_mm512_loadu_si512(b.add(256 + pair * 16).cast()));
                    for (row, sums) in sums.iter_mut().enumerate() {
                        let terms = pairs(_mm512_set1_epi32(*a.add(row * 16 + pair)));
                        sums[0] = _mm512_dpbf16_ps(sums[0], terms, left);
                        sums[1] = _mm512_dpbf16_ps(sums[1], terms, right);
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
