//! A matrix cut into bands of columns that tasks write at the same time.

use std::marker::PhantomData;

/// Some columns of a row-major buffer, which nobody else touches.
pub(super) struct Band<'a> {
    start: *mut f32,
    rows: usize,
    stride: usize,
    width: usize,
    buffer: PhantomData<&'a mut [f32]>,
}

// SAFETY: a band is an exclusive borrow of its elements.
unsafe impl Send for Band<'_> {}

impl Band<'_> {
    /// Row `i` of the band.
    #[inline(always)]
    pub(super) fn row(&mut self, i: usize) -> &mut [f32] {
        assert!(i < self.rows);
        // SAFETY: the band reaches that far, as checked when it was made, and is borrowed mutably here.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(i * self.stride), self.width) }
    }
}

/// A buffer of rows that is written band by band.
#[derive(Clone, Copy)]
pub(super) struct Shared<'a> {
    start: *mut f32,
    len: usize,
    stride: usize,
    buffer: PhantomData<&'a mut [f32]>,
}

// SAFETY: only `band` gives access, whose caller promises that bands don't meet.
unsafe impl Send for Shared<'_> {}
// SAFETY: as above.
unsafe impl Sync for Shared<'_> {}

impl<'a> Shared<'a> {
    /// Rows of `stride` elements each.
    pub(super) fn new(buffer: &'a mut [f32], stride: usize) -> Self {
        Self { start: buffer.as_mut_ptr(), len: buffer.len(), stride, buffer: PhantomData }
    }

    /// `rows` rows from `row`, of each the `width` columns from `column`.
    ///
    /// # Safety
    /// No two bands that live at the same time may have an element in common.
    pub(super) unsafe fn band(self, [row, column]: [usize; 2], [rows, width]: [usize; 2]) -> Band<'a> {
        assert!(column + width <= self.stride && (row + rows) * self.stride <= self.len);
        // SAFETY: the first element lies within the buffer.
        let start = unsafe { self.start.add(row * self.stride + column) };
        Band { start, rows, stride: self.stride, width, buffer: PhantomData }
    }
}
