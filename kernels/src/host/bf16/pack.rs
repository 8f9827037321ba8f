//! Rounding to bf16 into panels of 32 lanes: rows of `a` or columns of `b`.
//!
//! A panel is a sequence of steps of 32 terms; a step is two tiles of 16 lanes x 32 terms, 1 KB each. In a tile of `a`
//! the 16 pairs of terms of a lane lie together, in a tile of `b` the 16 lanes of a pair of terms do. So one is the
//! other transposed as a matrix of 16 x 16 pairs, and a view whose terms lie the wrong way is loaded as the other and
//! turned in registers.
#![allow(unsafe_code)] // vector intrinsics

use std::arch::x86_64::*;
use std::ops::Range;

use super::super::Matrix;
use super::floats;

/// Lanes in a panel.
pub(super) const LANES: usize = 32;
/// Terms in a step of bf16; one of f32 has [half as many](floats::TERMS).
pub(super) const TERMS: usize = 32;

/// Whether the processor has what this file uses.
pub(super) fn available() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512bf16")
}

/// Whether the processor is one of AMD's.
pub(super) fn is_amd() -> bool {
    let vendor = __cpuid(0);
    [vendor.ebx, vendor.edx, vendor.ecx].map(u32::to_le_bytes).concat() == b"AuthenticAMD"
}

/// Which of a tile's two dimensions lies together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// The terms of a lane: what a product wants of `a`.
    Terms,
    /// The lanes of a pair of terms: what a product wants of `b`.
    Lanes,
}

/// A step of a panel as packed, in units of bf16.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct Step(pub(super) [u16; LANES * TERMS]);

/// An operand: element `term` of `lane` is at `lane * lane_stride + term * term_stride`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Operand<'a> {
    pub(super) values: &'a [f32],
    pub(super) lanes: usize,
    pub(super) terms: usize,
    pub(super) lane_stride: usize,
    pub(super) term_stride: usize,
    order: Order,
    /// Whether it is packed as it is, not rounded to bf16.
    floats: bool,
}

impl<'a> Operand<'a> {
    /// The left operand: its lanes are rows.
    pub(super) fn left(a: Matrix<'a>, floats: bool) -> Self {
        let Matrix { values, rows, columns, row_stride, column_stride } = a;
        Self {
            values,
            lanes: rows,
            terms: columns,
            lane_stride: row_stride,
            term_stride: column_stride,
            order: Order::Terms,
            floats,
        }
    }

    /// The right operand: its lanes are columns.
    pub(super) fn right(b: Matrix<'a>, floats: bool) -> Self {
        Self { order: Order::Lanes, ..Self::left(b.transposed(), floats) }
    }

    /// Terms in a step.
    pub(super) fn step(&self) -> usize {
        if self.floats { floats::TERMS } else { TERMS }
    }

    /// Whether the micro-kernel takes it as it lies, as a left operand: rows whose terms follow each other, unless the same
    /// term of all rows would fall on the same few lines of the first cache.
    pub(super) fn stays(&self) -> bool {
        const SAME_LINES: usize = 4096 / size_of::<f32>();
        self.floats
            && self.order == Order::Terms
            && self.term_stride == 1
            && !self.lane_stride.is_multiple_of(SAME_LINES)
    }

    /// The rows of panel `i` as they lie, from term `term` on.
    pub(super) fn rows(&self, i: usize, term: usize) -> floats::Left<'a> {
        let first = i * LANES;
        let values = &self.values[first * self.lane_stride + term..];
        floats::Left::InPlace { values, rows: (self.lanes - first).min(LANES), stride: self.lane_stride }
    }

    /// Packs the terms of `range` of panel `first` and those after it, as many as `panels` has room for; what lies
    /// beyond the operand is zero.
    ///
    /// # Safety
    /// The processor must have what [`available`] asks for.
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    pub(super) unsafe fn pack(&self, first: usize, range: Range<usize>, panels: &mut [Step]) {
        let steps = range.len().div_ceil(self.step());
        let count = panels.len() / steps;
        let mut one = |panel: usize, step: usize| {
            let (lane, term) = ((first + panel) * LANES, range.start + step * self.step());
            let out = &mut panels[panel * steps + step];
            if self.floats {
                // SAFETY: the processor has the instructions.
                return unsafe { floats::pack(self, lane, term, range.end, out) };
            }
            let (upper, lower) = out.0.split_at_mut(16 * TERMS);
            self.tile(lane, term, range.end, upper);
            self.tile(lane + 16, term, range.end, lower);
        };
        // Along what lies together in the view.
        if self.lane_stride == 1 {
            (0..steps).for_each(|step| (0..count).for_each(|panel| one(panel, step)));
        } else {
            (0..count).for_each(|panel| (0..steps).for_each(|step| one(panel, step)));
        }
    }

    /// Packs 16 lanes from `lane` on and a step's terms from `term` on, those before `end`.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    fn tile(&self, lane: usize, term: usize, end: usize, out: &mut [u16]) {
        let lanes = self.lanes.saturating_sub(lane).min(16);
        let terms = end.saturating_sub(term).min(self.step());
        // Beyond the operand it is nowhere, but nothing is read then.
        let start = self.values.as_ptr().wrapping_add(lane * self.lane_stride + term * self.term_stride);
        // SAFETY: `lanes` and `terms` count those within the view, which lies within its buffer.
        let (rows, found) = unsafe {
            if self.lane_stride == 1 {
                (along_lanes(start, self.term_stride, lanes, terms), Order::Lanes)
            } else if self.term_stride == 1 {
                (along_terms(start, self.lane_stride, lanes, terms), Order::Terms)
            } else {
                (scattered(start, self.lane_stride, self.term_stride, lanes, terms), Order::Terms)
            }
        };
        let rows = if found == self.order { rows } else { turned(rows) };
        for (row, out) in rows.into_iter().zip(out.as_chunks_mut::<32>().0) {
            // SAFETY: `out` has 64 bytes.
            unsafe { _mm512_storeu_si512(out.as_mut_ptr().cast(), row) };
        }
    }
}

/// The low `n` bits.
#[inline(always)]
pub(super) fn low(n: usize) -> __mmask16 {
    ((1u32 << n.min(16)) - 1) as __mmask16
}

/// For each of 16 pairs of terms its 16 lanes, from a view whose lanes lie together.
///
/// # Safety
/// `lanes` elements must be there to read in each of `terms` rows, `stride` apart.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
unsafe fn along_lanes(start: *const f32, stride: usize, lanes: usize, terms: usize) -> [__m512i; 16] {
    // Lane i of the first row beside lane i of the second.
    let mut beside = [0u16; 32];
    for (i, beside) in beside.iter_mut().enumerate() {
        *beside = (i / 2 + i % 2 * 16) as u16;
    }
    // SAFETY: `beside` has 64 bytes; a prefetch may name any address; a masked load reads nothing outside its mask.
    unsafe {
        let beside = _mm512_loadu_si512(beside.as_ptr().cast());
        let row = |term: usize| {
            let mask = if term < terms { low(lanes) } else { 0 };
            let row = start.wrapping_add(term * stride);
            // The same row of the next step: rows of a large view lie pages apart, where no prefetcher follows.
            _mm_prefetch::<_MM_HINT_T0>(row.wrapping_add(TERMS * stride).cast());
            _mm512_maskz_loadu_ps(mask, row)
        };
        let mut pairs = [_mm512_setzero_si512(); 16];
        for (pair, out) in pairs.iter_mut().enumerate() {
            let both = _mm512_cvtne2ps_pbh(row(2 * pair + 1), row(2 * pair));
            *out = _mm512_permutexvar_epi16(beside, std::mem::transmute::<__m512bh, __m512i>(both));
        }
        pairs
    }
}

/// For each of 16 lanes its 16 pairs of terms, from a view whose terms lie together.
///
/// # Safety
/// `terms` elements must be there to read in each of `lanes` rows, `stride` apart.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
unsafe fn along_terms(start: *const f32, stride: usize, lanes: usize, terms: usize) -> [__m512i; 16] {
    let (lower, upper) = (low(terms), low(terms.saturating_sub(16)));
    let mut rows = [_mm512_setzero_si512(); 16];
    for (lane, out) in rows.iter_mut().enumerate() {
        let (lower, upper) = if lane < lanes { (lower, upper) } else { (0, 0) };
        let row = start.wrapping_add(lane * stride);
        // SAFETY: a prefetch may name any address; a masked load reads nothing outside its mask.
        unsafe {
            _mm_prefetch::<_MM_HINT_T0>(row.wrapping_add(TERMS).cast());
            _mm_prefetch::<_MM_HINT_T0>(row.wrapping_add(TERMS + 16).cast());
            let (lower, upper) =
                (_mm512_maskz_loadu_ps(lower, row), _mm512_maskz_loadu_ps(upper, row.wrapping_add(16)));
            *out = std::mem::transmute::<__m512bh, __m512i>(_mm512_cvtne2ps_pbh(upper, lower));
        }
    }
    rows
}

/// As [`along_terms`] for a view in which nothing lies together, element by element.
///
/// # Safety
/// `lanes` times `terms` elements must be there to read.
#[cold]
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
unsafe fn scattered(
    start: *const f32,
    lane_stride: usize,
    term_stride: usize,
    lanes: usize,
    terms: usize,
) -> [__m512i; 16] {
    let mut rows = [0f32; 16 * TERMS];
    for lane in 0..lanes {
        for term in 0..terms {
            // SAFETY: within the view, as promised.
            rows[lane * TERMS + term] = unsafe { *start.add(lane * lane_stride + term * term_stride) };
        }
    }
    // SAFETY: `rows` is whole.
    unsafe { along_terms(rows.as_ptr(), TERMS, 16, TERMS) }
}

/// A matrix of 16 x 16 pairs, transposed.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
pub(super) fn turned(rows: [__m512i; 16]) -> [__m512i; 16] {
    // Pairs of rows, then quadruples within each quarter of a vector ...
    let mut twos = rows;
    for i in 0..8 {
        twos[2 * i] = _mm512_unpacklo_epi32(rows[2 * i], rows[2 * i + 1]);
        twos[2 * i + 1] = _mm512_unpackhi_epi32(rows[2 * i], rows[2 * i + 1]);
    }
    let mut fours = twos;
    for i in 0..4 {
        for side in 0..2 {
            let (first, second) = (twos[4 * i + side], twos[4 * i + 2 + side]);
            fours[4 * i + 2 * side] = _mm512_unpacklo_epi64(first, second);
            fours[4 * i + 2 * side + 1] = _mm512_unpackhi_epi64(first, second);
        }
    }
    // ... then the quarters: row 4 q + r of the result is quarter q of the four vectors r.
    let mut out = rows;
    for r in 0..4 {
        let (a, b, c, d) = (fours[r], fours[4 + r], fours[8 + r], fours[12 + r]);
        let (ab_even, cd_even) = (_mm512_shuffle_i32x4::<0x88>(a, b), _mm512_shuffle_i32x4::<0x88>(c, d));
        let (ab_odd, cd_odd) = (_mm512_shuffle_i32x4::<0xdd>(a, b), _mm512_shuffle_i32x4::<0xdd>(c, d));
        out[r] = _mm512_shuffle_i32x4::<0x88>(ab_even, cd_even);
        out[8 + r] = _mm512_shuffle_i32x4::<0xdd>(ab_even, cd_even);
        out[4 + r] = _mm512_shuffle_i32x4::<0x88>(ab_odd, cd_odd);
        out[12 + r] = _mm512_shuffle_i32x4::<0xdd>(ab_odd, cd_odd);
    }
    out
}
