//! The backward of one key-value head and the query heads that share it: weights are computed again, block by block.

use pulp::{Simd, WithSimd};

use super::{
    Task,
    bands::Band,
    pack::{BLOCK, Head, VECTOR, dot, position, transpose, turn_back, write},
    scratch::Carver,
    tile::{Left, ROWS, Right, below, exp2, product},
};

pub(super) struct Backward<'a> {
    pub(super) task: Task<'a>,
    /// The first query head's output and its gradient.
    pub(super) output: Head<'a>,
    pub(super) grad: Head<'a>,
    /// `[h / g, t]`
    pub(super) log_sum: &'a [f32],
    /// The gradients of the group's queries `[t, h / g d]`, of the keys and of the values, `[t, d]` each.
    pub(super) gradients: [Band<'a>; 3],
    pub(super) scratch: &'a mut [f32],
}

impl Backward<'_> {
    /// The elements of `scratch`.
    pub(super) fn scratch(t: usize, d: usize) -> usize {
        let (rows, width) = (t.next_multiple_of(BLOCK), d.next_multiple_of(VECTOR));
        5 * rows * width + BLOCK * (4 * width + 2 * BLOCK + 2)
    }
}

/// What all query blocks share; rows are padded with zeros to whole blocks and vectors.
struct Shared<'a> {
    width: usize,
    keys: &'a mut [f32],        // [rows, width]
    keys_across: &'a mut [f32], // by blocks [width, BLOCK]
    values_across: &'a mut [f32],
    dkeys: &'a mut [f32], // [rows, width]
    dvalues: &'a mut [f32],
}

/// A block of query rows.
struct Block<'a> {
    queries: &'a mut [f32],  // [BLOCK, width]
    grad: &'a mut [f32],     // [BLOCK, width], of the output
    dqueries: &'a mut [f32], // [BLOCK, width]
    weights: &'a mut [f32],  // [BLOCK, BLOCK]
    dscores: &'a mut [f32],  // [BLOCK, BLOCK]
    log_sum: &'a mut [f32],  // in units of ln 2
    along: &'a mut [f32],    // the sum of weight times its gradient
}

impl WithSimd for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { task, output, grad, log_sum, gradients: [mut dqueries, mut dkeys, mut dvalues], scratch } = self;
        let Task { t, len, d, angles, .. } = task;
        let (rows, width) = (len.next_multiple_of(BLOCK), d.next_multiple_of(VECTOR));
        let mut carve = Carver(scratch);
        let mut shared = Shared {
            width,
            keys: carve.take(rows * width),
            keys_across: carve.take(rows * width),
            values_across: carve.take(rows * width),
            dkeys: carve.take(rows * width),
            dvalues: carve.take(rows * width),
        };
        let mut block = Block {
            queries: carve.take(BLOCK * width),
            grad: carve.take(BLOCK * width),
            dqueries: carve.take(BLOCK * width),
            weights: carve.take(BLOCK * BLOCK),
            dscores: carve.take(BLOCK * BLOCK),
            log_sum: carve.take(BLOCK),
            along: carve.take(BLOCK),
        };
        shared.fill(simd, &task, block.queries);
        for (i, log_sum) in log_sum.chunks_exact(t).enumerate() {
            let (queries, output, grad) = (task.queries(i), output.after(i * d), grad.after(i * d));
            for first in (0..len).step_by(BLOCK) {
                let count = BLOCK.min(len - first);
                queries.copy(simd, first..first + count, task.scale(), angles, block.queries, width);
                grad.copy(simd, first..first + count, 1.0, None, block.grad, width);
                for r in 0..count {
                    block.log_sum[r] = log_sum[first + r] * std::f32::consts::LOG2_E;
                    block.along[r] = dot(simd, output.at(first + r), grad.at(first + r));
                }
                block.log_sum[count..].fill(0.0);
                block.along[count..].fill(0.0);
                let end = if task.causal { first + count } else { len };
                for key in (0..end).step_by(BLOCK) {
                    let diagonal = task.causal && first == key;
                    let fresh = i == 0 && if task.causal { diagonal } else { first == 0 };
                    let place =
                        Place { head: task.head + i, first, key, count, keys: BLOCK.min(len - key), diagonal, fresh };
                    task.differentiate(simd, place, &mut shared, &mut block);
                }
                let scale = task.scale() * std::f32::consts::LN_2;
                for r in 0..count {
                    let out = &mut dqueries.row(first + r)[i * d..(i + 1) * d];
                    task.finish(simd, &block.dqueries[r * width..(r + 1) * width], first + r, scale, out);
                }
            }
        }
        for row in 0..len {
            // The queries were scaled into units of ln 2.
            task.finish(
                simd,
                &shared.dkeys[row * width..(row + 1) * width],
                row,
                std::f32::consts::LN_2,
                dkeys.row(row),
            );
            write(simd, &shared.dvalues[row * width..(row + 1) * width], 1.0, dvalues.row(row));
        }
        for row in len..t {
            [&mut dqueries, &mut dkeys, &mut dvalues].into_iter().for_each(|band| band.row(row).fill(0.0));
        }
    }
}

impl Shared<'_> {
    #[inline(always)]
    fn fill<S: Simd>(&mut self, simd: S, task: &Task<'_>, staged: &mut [f32]) {
        let (len, width) = (task.len, self.width);
        task.keys.copy(simd, 0..len, 1.0, task.angles, self.keys, width);
        let blocks = self.keys_across.chunks_exact_mut(BLOCK * width);
        blocks.zip(self.keys.chunks_exact(BLOCK * width)).for_each(|(out, rows)| transpose(rows, width, out));
        for (first, out) in (0..len).step_by(BLOCK).zip(self.values_across.chunks_exact_mut(BLOCK * width)) {
            task.values.copy(simd, first..len.min(first + BLOCK), 1.0, None, staged, width);
            transpose(staged, width, out);
        }
    }
}

/// Which block of scores.
#[derive(Clone, Copy)]
struct Place {
    head: usize,
    /// The first query.
    first: usize,
    /// The first key.
    key: usize,
    /// Queries and keys in the block.
    count: usize,
    keys: usize,
    /// Whether a query sees its own key and those before it alone.
    diagonal: bool,
    /// Whether nothing was added to these keys' gradients yet.
    fresh: bool,
}

impl Place {
    /// How many keys of the block the rows before `end` see.
    #[inline(always)]
    fn seen(self, end: usize) -> usize {
        if self.diagonal { self.keys.min(end) } else { self.keys }
    }
}

impl Task<'_> {
    /// Adds what a block of scores contributes to all three gradients.
    #[inline(always)]
    fn differentiate<S: Simd>(&self, simd: S, place: Place, shared: &mut Shared<'_>, block: &mut Block<'_>) {
        let (width, Place { key, keys, diagonal, fresh, .. }) = (shared.width, place);
        let rows = place.count.next_multiple_of(ROWS);
        for row in (0..rows).step_by(ROWS) {
            self.weigh(simd, row, place, shared, block);
        }
        let right = |values| Right { values, row: width, columns: width };
        for column in (0..keys.next_multiple_of(ROWS)).step_by(ROWS) {
            let inner = if diagonal { column..rows } else { 0..rows };
            let at = (key + column) * width..(key + column + ROWS) * width;
            let across = |values| Left { values, row: 1, step: BLOCK };
            let (dvalues, dkeys) = (&mut shared.dvalues[at.clone()], &mut shared.dkeys[at]);
            let left = across(&block.weights[column..]);
            product(simd, left, right(block.grad), inner.clone(), add(simd, fresh, dvalues, width));
            let left = across(&block.dscores[column..]);
            product(simd, left, right(block.queries), inner, add(simd, fresh, dkeys, width));
        }
        for row in (0..rows).step_by(ROWS) {
            let left = Left { values: &block.dscores[row * BLOCK..], row: BLOCK, step: 1 };
            let out = &mut block.dqueries[row * width..(row + ROWS) * width];
            let keys = right(&shared.keys[key * width..]);
            product(simd, left, keys, 0..place.seen(row + ROWS), add(simd, key == 0, out, width));
        }
    }

    /// [`ROWS`] rows of weights and of the scores' gradients.
    #[inline(always)]
    fn weigh<S: Simd>(&self, simd: S, row: usize, place: Place, shared: &Shared<'_>, block: &mut Block<'_>) {
        let width = shared.width;
        let columns = place.seen(row + ROWS).next_multiple_of(VECTOR);
        let at = row * BLOCK..(row + ROWS) * BLOCK;
        let (weights, dscores) = (&mut block.weights[at.clone()], &mut block.dscores[at]);
        let left = |values| Left { values, row: width, step: 1 };
        let keys = Right { values: &shared.keys_across[place.key * width..], row: BLOCK, columns };
        let log_sum = &block.log_sum[row..row + ROWS];
        product(
            simd,
            left(&block.queries[row * width..]),
            keys,
            0..self.d,
            #[inline(always)]
            |r, c, score| {
                let (out, _) = S::as_mut_simd_f32s(&mut weights[r * BLOCK + c..r * BLOCK + c + S::F32_LANES]);
                let weight = exp2(simd, simd.sub_f32s(score, simd.splat_f32s(log_sum[r])));
                let seen = place.seen(row + r + 1).saturating_sub(c);
                out[0] = if seen < S::F32_LANES {
                    simd.select_f32s(below(simd, seen), weight, simd.splat_f32s(0.0))
                } else {
                    weight
                };
            },
        );
        let values = Right { values: &shared.values_across[place.key * width..], row: BLOCK, columns };
        let along = &block.along[row..row + ROWS];
        let keys = self.dropout.map(|dropout| (dropout, dropout.keys(place.head, place.first + row)));
        product(
            simd,
            left(&block.grad[row * width..]),
            values,
            0..self.d,
            #[inline(always)]
            |r, c, dweight| {
                let at = r * BLOCK + c..r * BLOCK + c + S::F32_LANES;
                let (weight, _) = S::as_mut_simd_f32s(&mut weights[at.clone()]);
                let (out, _) = S::as_mut_simd_f32s(&mut dscores[at]);
                let (whole, mut dweight) = (weight[0], dweight);
                if let Some((dropout, keys)) = keys {
                    let kept = dropout.kept(simd, keys[r], place.key + c);
                    let scaled = |x| simd.mul_f32s(x, simd.splat_f32s(dropout.scale));
                    dweight = simd.select_f32s(kept, scaled(dweight), simd.splat_f32s(0.0));
                    weight[0] = simd.select_f32s(kept, scaled(whole), simd.splat_f32s(0.0));
                }
                out[0] = simd.mul_f32s(whole, simd.sub_f32s(dweight, simd.splat_f32s(along[r])));
            },
        );
    }

    /// A row of the gradient of turned queries or keys, turned back.
    #[inline(always)]
    fn finish<S: Simd>(&self, simd: S, row: &[f32], at: usize, scale: f32, out: &mut [f32]) {
        match self.angles {
            Some(angles) => turn_back(&row[..self.d], position(angles, at, self.d), scale, out),
            None => write(simd, row, scale, out),
        }
    }
}

/// Adds every vector to its place in [`ROWS`] rows of `width`, or puts it there where those are `fresh`.
#[inline(always)]
fn add<S: Simd>(simd: S, fresh: bool, out: &mut [f32], width: usize) -> impl FnMut(usize, usize, S::f32s) {
    #[inline(always)]
    move |r, c, value| {
        let (out, _) = S::as_mut_simd_f32s(&mut out[r * width + c..r * width + c + S::F32_LANES]);
        out[0] = if fresh { value } else { simd.add_f32s(out[0], value) };
    }
}
