//! The same for f32, nothing rounded: in panels the 32 lanes of a term lie together, and the rows of a left operand may
//! stay where they are.
#![allow(unsafe_code)] // vector intrinsics

use std::arch::x86_64::*;

use super::pack::{LANES, Operand, Step, low, turned};

/// Terms in a step.
pub(super) const TERMS: usize = 16;

/// 32 rows of a left operand.
#[derive(Clone, Copy)]
pub(super) enum Left<'a> {
    Packed(&'a [Step]),
    /// Of f32, `rows` of the 32, a row's terms one after the other and the next row's `stride` after them.
    InPlace {
        values: &'a [f32],
        rows: usize,
        stride: usize,
    },
}

/// Packs 32 lanes from `lane` on and a step's terms from `term` on, those before `end`; what lies beyond is zero.
///
/// # Safety
/// The processor must have AVX-512.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) unsafe fn pack(operand: &Operand, lane: usize, term: usize, end: usize, out: &mut Step) {
    let lanes = operand.lanes.saturating_sub(lane).min(LANES);
    let terms = end.saturating_sub(term).min(TERMS);
    let (lane_stride, term_stride) = (operand.lane_stride, operand.term_stride);
    // Beyond the operand it is nowhere, but nothing is read then.
    let start = operand.values.as_ptr().wrapping_add(lane * lane_stride + term * term_stride);
    let out: *mut f32 = out.0.as_mut_ptr().cast();
    // SAFETY: `lanes` and `terms` count those within the view, which lies within its buffer; a step has room for 16 terms
    // of 32 lanes.
    unsafe {
        match (lane_stride, term_stride) {
            (1, _) if lanes == LANES && terms == TERMS => copy(start, term_stride, LANES, TERMS, out),
            (1, _) => copy(start, term_stride, lanes, terms, out),
            (_, 1) if lanes == LANES && terms == TERMS => turn(start, lane_stride, LANES, TERMS, out),
            (_, 1) => turn(start, lane_stride, lanes, terms, out),
            _ => scatter(start, [lane_stride, term_stride], lanes, terms, out),
        }
    }
}

/// # Safety
/// `terms` rows of `lanes` elements must be there to read, `stride` apart, and a step to write.
#[inline(always)]
unsafe fn copy(start: *const f32, stride: usize, lanes: usize, terms: usize, out: *mut f32) {
    let masks = [low(lanes), low(lanes.saturating_sub(16))];
    for term in 0..TERMS {
        let row = start.wrapping_add(term * stride);
        // The same row of the next step: rows of a large view lie pages apart, where no prefetcher follows.
        let next = row.wrapping_add(TERMS * stride);
        for (half, mask) in masks.into_iter().enumerate() {
            let mask = if term < terms { mask } else { 0 };
            // SAFETY: a prefetch may name any address; a masked load reads nothing outside its mask.
            unsafe {
                _mm_prefetch::<_MM_HINT_T0>(next.wrapping_add(16 * half).cast());
                let values = _mm512_maskz_loadu_ps(mask, row.wrapping_add(16 * half));
                _mm512_storeu_ps(out.add(term * LANES + 16 * half), values);
            }
        }
    }
}

/// # Safety
/// `lanes` rows of `terms` elements must be there to read, `stride` apart, and a step to write.
#[inline(always)]
unsafe fn turn(start: *const f32, stride: usize, lanes: usize, terms: usize, out: *mut f32) {
    let mask = low(terms);
    for half in [0, 16] {
        // SAFETY: as in `copy`.
        unsafe {
            let mut rows = [_mm512_setzero_si512(); 16];
            for (i, vector) in rows.iter_mut().enumerate() {
                let row = start.wrapping_add((half + i) * stride);
                _mm_prefetch::<_MM_HINT_T0>(row.wrapping_add(TERMS).cast());
                let mask = if half + i < lanes { mask } else { 0 };
                *vector = _mm512_castps_si512(_mm512_maskz_loadu_ps(mask, row));
            }
            for (term, vector) in turned(rows).into_iter().enumerate() {
                _mm512_storeu_si512(out.add(term * LANES + half).cast(), vector);
            }
        }
    }
}

/// # Safety
/// `lanes` times `terms` elements must be there to read, and a step to write.
#[cold]
unsafe fn scatter(start: *const f32, strides: [usize; 2], lanes: usize, terms: usize, out: *mut f32) {
    for (term, lane) in (0..TERMS * LANES).map(|i| (i / LANES, i % LANES)) {
        let here = term < terms && lane < lanes;
        // SAFETY: within the view, as promised.
        unsafe {
            let value = if here { *start.add(lane * strides[0] + term * strides[1]) } else { 0.0 };
            out.add(term * LANES + lane).write(value);
        }
    }
}

/// Rows of the result that are summed at a time, in two vectors each.
const ROWS: usize = 8;

/// `c = a b` or `c += a b`: `c` 32 rows of 32 elements `stride` apart, or as many rows as there are of `a` in its place.
///
/// # Safety
/// `a`, where it is packed, and `b` must have `terms` times 32 elements to read, and `c` must have its rows to write,
/// initialised if `add` is set; the processor must have AVX-512.
#[target_feature(enable = "avx512f")]
pub(super) unsafe fn multiply(a: Left, b: *const f32, terms: usize, c: *mut f32, stride: usize, add: bool) {
    for top in (0..LANES).step_by(ROWS) {
        // SAFETY: `top` is the first of eight rows of the 32.
        unsafe {
            let c = c.add(top * stride);
            match a {
                Left::Packed(panel) => {
                    let a = panel.as_ptr().cast::<f32>().add(top);
                    eight(|row, term| a.add(term * LANES + row), b, terms, c, stride, add);
                }
                Left::InPlace { values, rows, stride: step } if top < rows => {
                    assert!((rows - 1) * step + terms <= values.len());
                    // Rows that aren't there are the last one again: their part of the result goes nowhere.
                    let starts: [_; ROWS] =
                        std::array::from_fn(|i| values.as_ptr().add((top + i).min(rows - 1) * step));
                    eight(|row, term| starts[row].add(term), b, terms, c, stride, add);
                }
                Left::InPlace { .. } => {}
            }
        }
    }
}

/// Eight rows of the result; `a` tells where the term of a row is.
///
/// # Safety
/// As [`multiply`]; what `a` says must be there to read.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn eight(
    a: impl Fn(usize, usize) -> *const f32,
    b: *const f32,
    terms: usize,
    c: *mut f32,
    stride: usize,
    add: bool,
) {
    let mut sums = [[_mm512_setzero_ps(); 2]; ROWS];
    // SAFETY: as promised.
    unsafe {
        if add {
            for (row, sums) in sums.iter_mut().enumerate() {
                *sums = [_mm512_loadu_ps(c.add(row * stride)), _mm512_loadu_ps(c.add(row * stride + 16))];
            }
        }
        for term in 0..terms {
            let b = b.add(term * LANES);
            let (left, right) = (_mm512_loadu_ps(b), _mm512_loadu_ps(b.add(16)));
            for (row, sums) in sums.iter_mut().enumerate() {
                let value = _mm512_set1_ps(*a(row, term));
                *sums = [_mm512_fmadd_ps(value, left, sums[0]), _mm512_fmadd_ps(value, right, sums[1])];
            }
        }
        for (row, sums) in sums.into_iter().enumerate() {
            _mm512_storeu_ps(c.add(row * stride), sums[0]);
            _mm512_storeu_ps(c.add(row * stride + 16), sums[1]);
        }
    }
}
