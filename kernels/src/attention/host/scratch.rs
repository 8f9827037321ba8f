//! Memory that a thread keeps from task to task.

use std::cell::RefCell;

use super::pack::VECTOR;

thread_local! {
    static SCRATCH: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

/// Runs `task` with `n` elements of this thread's scratch, aligned to a vector and full of what was there before.
pub(super) fn with_scratch<T>(n: usize, task: impl FnOnce(&mut [f32]) -> T) -> T {
    SCRATCH.with_borrow_mut(|scratch| {
        if scratch.len() < n + VECTOR {
            scratch.resize(n + VECTOR, 0.0);
        }
        let start = scratch.as_ptr().align_offset(VECTOR * size_of::<f32>()).min(VECTOR);
        task(&mut scratch[start..start + n])
    })
}

/// Cuts scratch into aligned pieces.
pub(super) struct Carver<'a>(pub(super) &'a mut [f32]);

impl<'a> Carver<'a> {
    pub(super) fn take(&mut self, n: usize) -> &'a mut [f32] {
        let (piece, rest) = std::mem::take(&mut self.0).split_at_mut(n.next_multiple_of(VECTOR));
        self.0 = rest;
        &mut piece[..n]
    }
}
