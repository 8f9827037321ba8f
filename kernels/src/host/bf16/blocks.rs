//! How a product is cut: which operand is packed once and which by the thread that uses it, and what a thread does.
//!
//! The operand with more lanes is cut into blocks, each packed by the thread that multiplies it, so that a large weight
//! goes by once; the other one is packed whole beforehand, for all threads. Terms are cut into blocks of a size that
//! depends on their number alone: the order of a sum is the same on any number of threads.
#![allow(unsafe_code)] // threads write to disjoint parts of one result

use std::cell::Cell;
use std::mem::MaybeUninit;

use rayon::prelude::*;

use super::pack::{LANES, Operand, Step, TERMS};
use super::{Bf16, Matrix, amx::Tiles, avx512};

/// At most so many steps in a block of terms: two panels of 64 KB.
const STEPS: usize = 32;
/// Steps of the shared operand that are packed at a time: 4 MB.
const SHARED: usize = 2048;
/// Threads cost some microseconds to wake: not for a product that takes less.
const WORTH_IT: usize = 1 << 20;

thread_local! {
    // Taken while in use: a thread that waits for others may begin another product.
    static WHOLE: Cell<Vec<Step>> = const { Cell::new(Vec::new()) };
    static OWN: Cell<Vec<Step>> = const { Cell::new(Vec::new()) };
}

/// A buffer that holds something, for one that need not.
pub(super) fn initialised(out: &mut [f32]) -> &mut [MaybeUninit<f32>] {
    // SAFETY: the same elements; those who get it write only whole f32 there.
    unsafe { &mut *(out as *mut [f32] as *mut [MaybeUninit<f32>]) }
}

/// `out = a b`, or `out += a b` where `add` is set and `out` therefore initialised; writes every element.
pub(super) fn product(instructions: Bf16, a: Matrix, b: Matrix, out: &mut [MaybeUninit<f32>], add: bool) {
    assert_eq!(a.columns, b.rows, "a product of {} x {} and {} x {}", a.rows, a.columns, b.rows, b.columns);
    assert_eq!(out.len(), a.rows * b.columns, "the result of a product has another size than its buffer");
    if out.is_empty() {
        return;
    }
    if a.columns == 0 {
        if !add {
            out.fill(MaybeUninit::new(0.0));
        }
        return;
    }
    let (left, right) = (Operand::left(a), Operand::right(b));
    let by_rows = a.rows > b.columns;
    let (cut, whole) = if by_rows { (left, right) } else { (right, left) };
    let threads = match a.rows * a.columns * b.columns {
        work if work < WORTH_IT => 1,
        _ => rayon::current_num_threads(),
    };
    let out = Out { start: out.as_mut_ptr().cast(), rows: a.rows, columns: b.columns };
    Product { instructions, cut, whole, by_rows, out, add, threads }.run();
}

/// The result: row-major, written by many threads.
#[derive(Clone, Copy)]
struct Out {
    start: *mut f32,
    rows: usize,
    columns: usize,
}

// SAFETY: every element is written by the one task that has its block of lanes of the operand that is cut.
unsafe impl Sync for Out {}

struct Product<'a> {
    instructions: Bf16,
    /// Packed in blocks.
    cut: Operand<'a>,
    /// Packed beforehand.
    whole: Operand<'a>,
    /// Whether the operand that is cut is the left one.
    by_rows: bool,
    out: Out,
    add: bool,
    threads: usize,
}

/// A number of terms, packed at a time.
#[derive(Clone, Copy)]
struct Terms {
    from: usize,
    to: usize,
}

impl Terms {
    fn steps(self) -> usize {
        (self.to - self.from).div_ceil(TERMS)
    }
}

impl Product<'_> {
    fn run(&self) {
        let terms = self.cut.terms;
        let blocks = terms.div_ceil(STEPS * TERMS);
        let each = terms.div_ceil(blocks).next_multiple_of(TERMS);
        let panels = self.whole.lanes.div_ceil(LANES);
        // As many blocks of terms at a time as the shared operand has room for.
        let group = (SHARED / (panels * each / TERMS)).max(1) * each;
        let mut shared = WHOLE.take();
        for from in (0..terms).step_by(group) {
            let parts: Vec<Terms> = (from..terms.min(from + group))
                .step_by(each)
                .map(|from| Terms { from, to: terms.min(from + each) })
                .collect();
            self.group(&parts, panels, &mut shared);
        }
        WHOLE.set(shared);
    }

    /// Adds the products of a few blocks of terms.
    fn group(&self, parts: &[Terms], panels: usize, shared: &mut Vec<Step>) {
        let steps: usize = parts.iter().map(|part| part.steps()).sum();
        let shared = room(shared, panels * steps);
        // Block of terms after block of terms, each panel after panel.
        let mut rest = &mut *shared;
        let mut packed = Vec::with_capacity(parts.len());
        for part in parts {
            let (here, after) = rest.split_at_mut(panels * part.steps());
            let pack = |(panel, out): (usize, &mut [Step])| {
                // SAFETY: the caller has chosen instructions that the processor has.
                unsafe { self.whole.pack(panel, [part.from, part.to], out, part.steps()) }
            };
            if self.threads == 1 {
                here.chunks_mut(part.steps()).enumerate().for_each(pack);
            } else {
                here.par_chunks_mut(part.steps()).enumerate().for_each(pack);
            }
            packed.push((*part, &*here));
            rest = after;
        }
        let cut = self.cut.lanes.div_ceil(LANES);
        // Blocks for each thread to even out, of panels that fit its cache.
        let each = cut.div_ceil(4 * self.threads).clamp(1, 8);
        let task = |block: usize| self.block(&packed, block * each, cut.min((block + 1) * each));
        if self.threads == 1 {
            (0..cut.div_ceil(each)).for_each(task);
        } else {
            (0..cut.div_ceil(each)).into_par_iter().for_each(task);
        }
    }

    /// Packs panels `first..end` of the operand that is cut and multiplies them by the whole of the other.
    fn block(&self, shared: &[(Terms, &[Step])], first: usize, end: usize) {
        // SAFETY: chosen only where the processor has tiles.
        let tiles = (self.instructions == Bf16::Amx).then(|| unsafe { Tiles::new() });
        let mut own = OWN.take();
        for (part, shared) in shared {
            let steps = part.steps();
            let own = room(&mut own, (end - first) * steps);
            // SAFETY: the caller has chosen instructions that the processor has.
            unsafe { self.cut.pack(first, [part.from, part.to], own, steps) };
            let add = self.add || part.from > 0;
            for (i, theirs) in shared.chunks(steps).enumerate() {
                for (j, ours) in own.chunks(steps).enumerate() {
                    let (row, column, a, b) =
                        if self.by_rows { (first + j, i, ours, theirs) } else { (i, first + j, theirs, ours) };
                    self.patch(tiles.as_ref(), a, b, row * LANES, column * LANES, add);
                }
            }
        }
        OWN.set(own);
    }

    /// The 32 x 32 elements of the result from `row` and `column` on, or those of them that there are.
    fn patch(&self, tiles: Option<&Tiles>, a: &[Step], b: &[Step], row: usize, column: usize, add: bool) {
        let Out { start, rows, columns } = self.out;
        let multiply = |c: *mut f32, stride: usize| {
            debug_assert!(a.len() == b.len() && !a.is_empty());
            let (a, b, steps) = (a.as_ptr().cast(), b.as_ptr().cast(), a.len());
            // SAFETY: the panels have `steps` steps each; `c` is room for 32 rows, initialised where it is added to.
            unsafe {
                match tiles {
                    Some(tiles) => tiles.multiply(a, b, steps, c, stride, add),
                    None => avx512::multiply(a, b, steps, c, stride, add),
                }
            }
        };
        debug_assert!(row < rows && column < columns);
        // SAFETY: within the result, which this task alone writes here.
        let corner = unsafe { start.add(row * columns + column) };
        let (height, width) = ((rows - row).min(LANES), (columns - column).min(LANES));
        if (height, width) == (LANES, LANES) {
            return multiply(corner, columns);
        }
        let mut edge = [0f32; LANES * LANES];
        for (i, edge) in edge.chunks_mut(LANES).take(height).enumerate() {
            if add {
                // SAFETY: `width` elements of row `i`, initialised.
                edge[..width].copy_from_slice(unsafe { std::slice::from_raw_parts(corner.add(i * columns), width) });
            }
        }
        multiply(edge.as_mut_ptr(), LANES);
        for (i, edge) in edge.chunks(LANES).take(height).enumerate() {
            // SAFETY: `width` elements of row `i`.
            unsafe { corner.add(i * columns).copy_from_nonoverlapping(edge.as_ptr(), width) };
        }
    }
}

/// The first `n` of a buffer that grows to what was ever asked for.
fn room(buffer: &mut Vec<Step>, n: usize) -> &mut [Step] {
    if buffer.len() < n {
        buffer.resize(n, Step([0; LANES * TERMS]));
    }
    &mut buffer[..n]
}
