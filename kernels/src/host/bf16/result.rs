//! What is written: a row-major result that threads fill in disjoint parts, 32 rows at a time.
#![allow(unsafe_code)] // threads write to one buffer; stores past the cache

use std::arch::x86_64::{
    __mmask16, _mm_sfence, _mm512_loadu_ps, _mm512_mask_storeu_ps, _mm512_maskz_loadu_ps, _mm512_stream_ps,
};
use std::marker::PhantomData;
use std::mem::MaybeUninit;

use super::blocks::Instructions;
use super::floats::Left;
use super::pack::{LANES, Step};
use super::{amx::Tiles, avx512, floats};

/// Panels whose products go through a strip: 32 rows of 1 KB.
const PANELS: usize = 8;
const WIDTH: usize = PANELS * LANES;

/// The instructions of one task, set up on its thread.
pub(super) enum Unit {
    Tiles(Tiles),
    Vectors,
    /// The same for f32.
    Floats,
}

impl Unit {
    /// # Safety
    /// The processor must have these instructions.
    pub(super) unsafe fn new(instructions: Instructions) -> Self {
        match instructions {
            // SAFETY: as promised.
            Instructions::Amx => Self::Tiles(unsafe { Tiles::new() }),
            Instructions::Pairs => Self::Vectors,
            Instructions::Floats => Self::Floats,
        }
    }

    /// `c = a b` or `c += a b` for 32 rows of `a`, 32 columns of `b` and `terms` terms.
    ///
    /// # Safety
    /// `c` must have room for 32 rows of 32 elements `stride` apart, initialised if `add` is set.
    unsafe fn multiply(&self, a: Left, b: &[Step], terms: usize, c: *mut f32, stride: usize, add: bool) {
        let steps = b.len();
        assert!(!b.is_empty() && matches!(a, Left::InPlace { .. }) | matches!(a, Left::Packed(a) if a.len() == steps));
        let b = b.as_ptr();
        // SAFETY: the panels have `steps` steps each; `c` as promised; this exists only where the instructions do.
        unsafe {
            match (self, a) {
                (Self::Tiles(tiles), Left::Packed(a)) => {
                    tiles.multiply(a.as_ptr().cast(), b.cast(), steps, c, stride, add);
                }
                (Self::Vectors, Left::Packed(a)) => {
                    avx512::multiply(a.as_ptr().cast(), b.cast(), steps, c, stride, add);
                }
                (Self::Floats, a) => {
                    assert!(terms <= steps * floats::TERMS);
                    floats::multiply(a, b.cast(), terms, c, stride, add);
                }
                _ => unreachable!("only f32 is multiplied in its place"),
            }
        }
    }
}

/// Panels of a right operand over the same terms.
#[derive(Clone, Copy)]
pub(super) struct Right<'a> {
    pub(super) panels: &'a [Step],
    /// Of each panel.
    pub(super) steps: usize,
    pub(super) terms: usize,
}

/// A row-major result.
#[derive(Clone, Copy)]
pub(super) struct Out<'a> {
    start: *mut f32,
    rows: usize,
    columns: usize,
    buffer: PhantomData<&'a mut [MaybeUninit<f32>]>,
}

// SAFETY: the two functions that write leave it to their callers that no two threads write the same elements.
unsafe impl Sync for Out<'_> {}

impl<'a> Out<'a> {
    /// The whole of a buffer.
    pub(super) fn new(buffer: &'a mut [MaybeUninit<f32>], rows: usize, columns: usize) -> Self {
        assert_eq!(buffer.len(), rows * columns, "the result of a product has another size than its buffer");
        Self { start: buffer.as_mut_ptr().cast(), rows, columns, buffer: PhantomData }
    }

    /// Sets rows `row..row + 32` and the columns of `b`'s panels, of which `column` is the first, to the products of
    /// panel `a` over these terms, or adds them to what is there; only as far as there are rows and columns.
    ///
    /// # Safety
    /// No other thread may touch these elements meanwhile; they must be initialised if `add` is set.
    pub(super) unsafe fn fill(&self, unit: &Unit, a: Left, b: Right, row: usize, column: usize, add: bool) {
        for (panel, right) in b.panels.chunks_exact(b.steps).enumerate() {
            let column = column + panel * LANES;
            let (height, width) = self.room(row, column, LANES);
            // SAFETY: `row` and `column` lie within the result, and so do `height` rows of `width` elements from
            // there; a whole tile goes straight there, a part of one by way of `edge`.
            unsafe {
                let corner = self.start.add(row * self.columns + column);
                if (height, width) == (LANES, LANES) {
                    unit.multiply(a, right, b.terms, corner, self.columns, add);
                    continue;
                }
                let mut edge = [0f32; LANES * LANES];
                let line = |i: usize| corner.add(i * self.columns);
                if add {
                    for (i, edge) in edge.chunks_mut(LANES).take(height).enumerate() {
                        line(i).copy_to_nonoverlapping(edge.as_mut_ptr(), width);
                    }
                }
                unit.multiply(a, right, b.terms, edge.as_mut_ptr(), LANES, add);
                for (i, edge) in edge.chunks(LANES).take(height).enumerate() {
                    line(i).copy_from_nonoverlapping(edge.as_ptr(), width);
                }
            }
        }
    }

    /// As [`Self::fill`] without adding, and past the cache: a store that misses it reads the line first, so that a
    /// large result costs twice its size.
    ///
    /// # Safety
    /// As there; the processor must have AVX-512.
    #[target_feature(enable = "avx512f")]
    pub(super) unsafe fn stream(&self, unit: &Unit, a: Left, b: Right, row: usize, column: usize) {
        #[repr(align(64))]
        struct Strip([MaybeUninit<f32>; LANES * WIDTH]);
        let mut strip = Strip([const { MaybeUninit::uninit() }; LANES * WIDTH]);
        for (group, panels) in b.panels.chunks(PANELS * b.steps).enumerate() {
            let start = strip.0.as_mut_ptr().cast::<f32>();
            for (panel, right) in panels.chunks_exact(b.steps).enumerate() {
                // SAFETY: the strip has 32 rows of eight panels.
                unsafe { unit.multiply(a, right, b.terms, start.add(panel * LANES), WIDTH, false) };
            }
            let column = column + group * WIDTH;
            let (height, width) = self.room(row, column, panels.len() / b.steps * LANES);
            for i in 0..height {
                // SAFETY: the strip's row has been written as far as there are panels, and `room` has told how much
                // of the result there is.
                unsafe { stream(start.add(i * WIDTH), self.start.add((row + i) * self.columns + column), width) };
            }
        }
        // What was streamed is visible before the thread's next store.
        _mm_sfence();
    }

    /// How many rows, at most 32, and columns, at most `width`, there are from here on.
    fn room(&self, row: usize, column: usize, width: usize) -> (usize, usize) {
        assert!(row < self.rows && column < self.columns);
        ((self.rows - row).min(LANES), (self.columns - column).min(width))
    }
}

/// Copies `n` elements, whole lines past the cache.
///
/// # Safety
/// `from` must have `n` initialised elements and `to` room for them.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn stream(from: *const f32, to: *mut f32, n: usize) {
    // At most 15 elements, since a line has 16.
    let part = |at: usize, n: usize| {
        let mask = ((1u32 << n) - 1) as __mmask16;
        // SAFETY: nothing outside the mask is touched.
        unsafe { _mm512_mask_storeu_ps(to.add(at), mask, _mm512_maskz_loadu_ps(mask, from.add(at))) };
    };
    let head = to.align_offset(64).min(n);
    part(0, head);
    let mut at = head;
    while at + 16 <= n {
        // SAFETY: 16 elements from `at` on are within both, and `to` is at the start of a line.
        unsafe { _mm512_stream_ps(to.add(at), _mm512_loadu_ps(from.add(at))) };
        at += 16;
    }
    part(at, n - at);
}
