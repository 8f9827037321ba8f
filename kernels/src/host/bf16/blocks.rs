//! How a product is cut: which operand is packed once and which by the thread that uses it, and what a thread does.
//!
//! The operand with more lanes is cut into blocks, each packed by the thread that multiplies it, so that a large weight
//! goes by once; the other one is packed whole beforehand, for all threads. Terms are cut into blocks of a size that
//! depends on their number alone: the order of a sum is the same on any number of threads.
#![allow(unsafe_code)] // calls what needs the processor's instructions

use std::cell::Cell;
use std::mem::MaybeUninit;
use std::ops::Range;

use rayon::prelude::*;

use super::Matrix;
use super::floats::Left;
use super::pack::{LANES, Operand, Step, TERMS};
use super::result::{Out, Right, Unit};

/// At most so many terms in a block of them: two panels of 64 KB in bf16.
const BLOCK: usize = 32 * TERMS;
/// Steps of the operand packed whole that there are at a time: 4 MB.
const WHOLE: usize = 2048;
/// Panels of a block, 64 KB each: rows of 2 KB of a row-major operand in one go.
const PANELS: usize = 16;
/// Threads cost some microseconds to wake: not for a product that takes less.
const WORTH_IT: usize = 1 << 20;
/// A result of more bytes is no longer in the cache when it is read.
const STREAMED: usize = if cfg!(test) { 16 << 10 } else { 16 << 20 };

/// What multiplies, and of which numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Instructions {
    /// Tiles of bf16.
    Amx,
    /// Dot products of pairs of bf16 in vectors.
    Pairs,
    /// Multiply-adds of f32 in vectors: no rounding.
    Floats,
}

thread_local! {
    // Taken while in use: a thread that waits for others may begin another product.
    static SHARED_BUFFER: Cell<Vec<Step>> = const { Cell::new(Vec::new()) };
    static OWN_BUFFER: Cell<Vec<Step>> = const { Cell::new(Vec::new()) };
}

/// `out = a b`, or `out += a b` where `add` is set and `out` therefore initialised; writes every element.
///
/// # Safety
/// The processor must have the instructions, and what [`super::pack::available`] asks for.
pub(super) unsafe fn product(
    instructions: Instructions,
    a: Matrix,
    b: Matrix,
    out: &mut [MaybeUninit<f32>],
    add: bool,
) {
    assert_eq!(a.columns, b.rows, "a product of {} x {} and {} x {}", a.rows, a.columns, b.rows, b.columns);
    if a.columns == 0 && !add {
        out.fill(MaybeUninit::new(0.0));
    }
    if out.is_empty() || a.columns == 0 {
        return;
    }
    let by_rows = a.rows > b.columns;
    let floats = instructions == Instructions::Floats;
    let (left, right) = (Operand::left(a, floats), Operand::right(b, floats));
    let (cut, whole) = if by_rows { (left, right) } else { (right, left) };
    let threads = match a.rows * a.columns * b.columns {
        work if work < WORTH_IT => 1,
        _ => rayon::current_num_threads(),
    };
    // A sum over several blocks of terms comes back to the result, which therefore has to stay near.
    let streamed = !add && a.columns <= BLOCK && size_of_val(out) >= STREAMED;
    let out = Out::new(out, a.rows, b.columns);
    Product { instructions, cut, whole, by_rows, out, add, streamed, threads }.run();
}

struct Product<'a> {
    instructions: Instructions,
    /// Packed in blocks.
    cut: Operand<'a>,
    /// Packed beforehand.
    whole: Operand<'a>,
    /// Whether the operand that is cut is the left one.
    by_rows: bool,
    out: Out<'a>,
    add: bool,
    streamed: bool,
    threads: usize,
}

impl Product<'_> {
    fn run(&self) {
        let terms = self.cut.terms;
        let each = terms.div_ceil(terms.div_ceil(BLOCK)).next_multiple_of(TERMS);
        let panels = if self.whole.stays() { 0 } else { self.whole.lanes.div_ceil(LANES) };
        // As many blocks of terms at a time as there is room for.
        let group = (WHOLE / (panels * each / self.cut.step()).max(1)).max(1) * each;
        let mut buffer = SHARED_BUFFER.take();
        for from in (0..terms).step_by(group) {
            let to = terms.min(from + group);
            let parts: Vec<Range<usize>> = (from..to).step_by(each).map(|from| from..to.min(from + each)).collect();
            self.group(&parts, panels, &mut buffer);
        }
        SHARED_BUFFER.set(buffer);
    }

    /// The products of a few blocks of terms.
    fn group(&self, parts: &[Range<usize>], panels: usize, buffer: &mut Vec<Step>) {
        let steps = parts.iter().map(|part| self.steps_of(part)).sum::<usize>();
        let mut rest = room(buffer, panels * steps);
        let mut shared = Vec::with_capacity(parts.len());
        for part in parts {
            let (here, after) = rest.split_at_mut(panels * self.steps_of(part));
            if panels > 0 {
                self.each(here.chunks_mut(self.steps_of(part)).enumerate().collect(), |(panel, out)| {
                    // SAFETY: the processor has the instructions: see `product`.
                    unsafe { self.whole.pack(panel, part.clone(), out) }
                });
            }
            shared.push((part.clone(), &*here));
            rest = after;
        }
        // As many for each thread.
        let cut = self.cut.lanes.div_ceil(LANES);
        let panels = cut.div_ceil(cut.div_ceil(PANELS).next_multiple_of(self.threads));
        let blocks = (0..cut).step_by(panels).map(|first| first..cut.min(first + panels));
        self.each(blocks.collect(), |block| self.block(&shared, block));
    }

    /// Runs the tasks on as many threads as the product is worth.
    fn each<T: Send>(&self, tasks: Vec<T>, run: impl Fn(T) + Sync + Send) {
        match self.threads {
            1 => tasks.into_iter().for_each(run),
            _ => tasks.into_par_iter().for_each(run),
        }
    }

    /// Packs a block of panels of the operand that is cut and multiplies them by the whole of the other.
    fn block(&self, shared: &[(Range<usize>, &[Step])], panels: Range<usize>) {
        // SAFETY: the processor has the instructions: see `product`.
        let unit = unsafe { Unit::new(self.instructions) };
        let mut buffer = OWN_BUFFER.take();
        for (part, whole) in shared {
            let steps = self.steps_of(part);
            let own = room(&mut buffer, if self.cut.stays() { 0 } else { panels.len() * steps });
            if !own.is_empty() {
                // SAFETY: the processor has the instructions: see `product`.
                unsafe { self.cut.pack(panels.start, part.clone(), own) };
            }
            let (rows, column, left, right) = if self.by_rows {
                (panels.clone(), 0, &*own, *whole)
            } else {
                (0..self.whole.lanes.div_ceil(LANES), panels.start * LANES, *whole, &*own)
            };
            let operand = if self.by_rows { &self.cut } else { &self.whole };
            let right = Right { panels: right, steps, terms: part.len() };
            let add = self.add || part.start > 0;
            // Along the rows of the result, whose lines and pages follow each other.
            for (i, panel) in rows.enumerate() {
                let a = match operand.stays() {
                    true => operand.rows(panel, part.start),
                    false => Left::Packed(&left[i * steps..(i + 1) * steps]),
                };
                // SAFETY: the rows or the columns are of this block, which no other task has; what an earlier block
                // of terms has written is there to be added to.
                unsafe {
                    match self.streamed {
                        true => self.out.stream(&unit, a, right, panel * LANES, column),
                        false => self.out.fill(&unit, a, right, panel * LANES, column, add),
                    }
                }
            }
        }
        OWN_BUFFER.set(buffer);
    }

    /// How many steps a block of terms has; the last is filled up with zeros.
    fn steps_of(&self, terms: &Range<usize>) -> usize {
        terms.len().div_ceil(self.cut.step())
    }
}

/// The first `n` of a buffer that grows to what was ever asked for.
fn room(buffer: &mut Vec<Step>, n: usize) -> &mut [Step] {
    if buffer.len() < n {
        buffer.resize(n, Step([0; LANES * TERMS]));
    }
    &mut buffer[..n]
}
