//! Which weights are dropped: a function of the call's seed, the head, the row and the column, so that the backward
//! draws it again and blocks of any size draw the same.

use pulp::Simd;

use super::tile::{INDICES, ROWS};
use crate::host::seed_of;

#[derive(Clone, Copy)]
pub(super) struct Dropout {
    seed: u64,
    /// A weight is dropped where its 32 bits are below.
    threshold: u32,
    /// What the others are multiplied by.
    pub(super) scale: f32,
}

impl Dropout {
    /// `seed` is two numbers below 2^24.
    pub(super) fn new(seed: &[f32], probability: f64) -> Self {
        let seed = seed_of(seed);
        // The probability is below 1, and the cast goes no higher than the largest number.
        let threshold = (probability * (1u64 << 32) as f64) as u32;
        Self { seed, threshold, scale: (1.0 / (1.0 - probability)) as f32 }
    }

    /// The keys of [`ROWS`] rows from `row` of head `head`, counted over all sequences.
    #[inline(always)]
    pub(super) fn keys(self, head: usize, row: usize) -> [[u32; 2]; ROWS] {
        std::array::from_fn(|r| {
            let mixed = mix(mix(self.seed ^ mix(head as u64)) ^ (row + r) as u64);
            [mixed as u32, (mixed >> 32) as u32]
        })
    }

    /// Which of the columns from `column` on are kept, in the row with this key.
    ///
    /// Wellons' 32-bit mixer (low bias 32) of a counter that starts at one half of the key; the other half comes in
    /// between its rounds, else two rows whose counters overlap would be copies of each other, shifted.
    #[inline(always)]
    pub(super) fn kept<S: Simd>(self, simd: S, [low, high]: [u32; 2], column: usize) -> S::m32s {
        let splat = |x: u32| simd.splat_u32s(x);
        let fold = |x, by| simd.xor_u32s(x, simd.wrapping_dyn_shr_u32s(x, splat(by)));
        let (indices, _) = S::as_simd_u32s(&INDICES);
        let x = fold(simd.add_u32s(indices[0], splat(low.wrapping_add(column as u32))), 16);
        let x = fold(simd.xor_u32s(simd.mul_u32s(x, splat(0x7feb_352d)), splat(high)), 15);
        let x = fold(simd.mul_u32s(x, splat(0x846c_a68b)), 16);
        simd.greater_than_or_equal_u32s(x, splat(self.threshold))
    }
}

/// Steele, Lea and Flood 2014 (SplitMix): every bit of the result depends on every bit.
#[inline(always)]
fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}
