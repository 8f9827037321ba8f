//! The backward of one key-value head and the query heads that share it: weights are computed again, block by block.

use pulp::{Simd, WithSimd};

use super::{
    Task,
    bands::Band,
    pack::{BLOCK, Head, VECTOR, position, transpose, turn_back},
    scratch::Carver,
    tile::{Left, ROWS, Right, exp2, product},
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
        let Task { t, d, angles, .. } = task;
        let (rows, width) = (t.next_multiple_of(BLOCK), d.next_multiple_of(VECTOR));
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
        shared.fill(&task, block.queries);
        for (i, log_sum) in log_sum.chunks_exact(t).enumerate() {
            let (queries, output, grad) = (task.queries(i), output.after(i * d), grad.after(i * d));
            for first in (0..t).step_by(BLOCK) {
                let count = BLOCK.min(t - first);
                queries.copy(first, count, task.scale(), angles, block.queries, width);
                grad.copy(first, count, 1.0, None, block.grad, width);
                for r in 0..count {
                    block.log_sum[r] = log_sum[first + r] * std::f32::consts::LOG2_E;
                    block.along[r] = dot(output.at(first + r), grad.at(first + r));
                }
                block.log_sum[count..].fill(0.0);
                block.along[count..].fill(0.0);
                block.dqueries.fill(0.0);
                let end = if task.causal { first + count } else { t };
                for key in (0..end).step_by(BLOCK) {
                    task.differentiate(simd, [first, key], count, &mut shared, &mut block);
                }
                let scale = task.scale() * std::f32::consts::LN_2;
                for r in 0..count {
                    let out = &mut dqueries.row(first + r)[i * d..(i + 1) * d];
                    task.finish(&block.dqueries[r * width..][..d], first + r, scale, out);
                }
            }
        }
        for row in 0..t {
            // The queries were scaled into units of ln 2.
            task.finish(&shared.dkeys[row * width..][..d], row, std::f32::consts::LN_2, dkeys.row(row));
            dvalues.row(row).copy_from_slice(&shared.dvalues[row * width..][..d]);
        }
    }
}

impl Shared<'_> {
    #[inline(always)]
    fn fill(&mut self, task: &Task<'_>, staged: &mut [f32]) {
        let (t, width) = (task.t, self.width);
        task.keys.copy(0, t, 1.0, task.angles, self.keys, width);
        let blocks = self.keys_across.chunks_exact_mut(BLOCK * width);
        blocks.zip(self.keys.chunks_exact(BLOCK * width)).for_each(|(out, rows)| transpose(rows, width, out));
        for (first, out) in (0..t).step_by(BLOCK).zip(self.values_across.chunks_exact_mut(BLOCK * width)) {
            task.values.copy(first, BLOCK.min(t - first), 1.0, None, staged, width);
            transpose(staged, width, out);
        }
        self.dkeys.fill(0.0);
        self.dvalues.fill(0.0);
    }
}

impl Task<'_> {
    /// Adds what the block of scores at `[query, key]` contributes to all three gradients.
    #[inline(always)]
    fn differentiate<S: Simd>(
        &self,
        simd: S,
        [first, key]: [usize; 2],
        count: usize,
        shared: &mut Shared<'_>,
        block: &mut Block<'_>,
    ) {
        let width = shared.width;
        let keys = BLOCK.min(self.t - key);
        let diagonal = self.causal && first == key;
        let rows = count.next_multiple_of(ROWS);
        // How many keys of the block the rows before `end` see.
        let seen = |end: usize| if diagonal { keys.min(end) } else { keys };
        for row in (0..rows).step_by(ROWS) {
            let seen_by = |r: usize| seen(row + r + 1);
            self.weigh(simd, row, key, seen(row + ROWS), seen_by, width, shared, block);
        }
        for column in (0..keys.next_multiple_of(ROWS)).step_by(ROWS) {
            let inner = if diagonal { column..rows } else { 0..rows };
            let at = (key + column) * width..(key + column + ROWS) * width;
            let across = |values| Left { values, row: 1, step: BLOCK };
            let right = |values| Right { values, row: width, columns: width };
            let left = across(&block.weights[column..]);
            product(simd, left, right(block.grad), inner.clone(), add(simd, &mut shared.dvalues[at.clone()], width));
            let left = across(&block.dscores[column..]);
            product(simd, left, right(block.queries), inner, add(simd, &mut shared.dkeys[at], width));
        }
        for row in (0..rows).step_by(ROWS) {
            let left = Left { values: &block.dscores[row * BLOCK..], row: BLOCK, step: 1 };
            let right = Right { values: &shared.keys[key * width..], row: width, columns: width };
            let out = &mut block.dqueries[row * width..(row + ROWS) * width];
            product(simd, left, right, 0..seen(row + ROWS), add(simd, out, width));
        }
    }

    /// [`ROWS`] rows of weights and of the scores' gradients, for the first `seen` keys of a block.
    #[inline(always)]
    #[allow(clippy::too_many_arguments)]
    fn weigh<S: Simd>(
        &self,
        simd: S,
        row: usize,
        key: usize,
        seen: usize,
        seen_by: impl Fn(usize) -> usize,
        width: usize,
        shared: &Shared<'_>,
        block: &mut Block<'_>,
    ) {
        let columns = seen.next_multiple_of(VECTOR);
        let at = row * BLOCK..(row + ROWS) * BLOCK;
        let (weights, dscores) = (&mut block.weights[at.clone()], &mut block.dscores[at]);
        let right = Right { values: &shared.keys_across[key * width..], row: BLOCK, columns };
        let left = Left { values: &block.queries[row * width..], row: width, step: 1 };
        let log_sum = &block.log_sum[row..row + ROWS];
        product(
            simd,
            left,
            right,
            0..self.d,
            #[inline(always)]
            |r, c, score| {
                let (out, _) = S::as_mut_simd_f32s(&mut weights[r * BLOCK + c..r * BLOCK + c + S::F32_LANES]);
                out[0] = exp2(simd, simd.sub_f32s(score, simd.splat_f32s(log_sum[r])));
            },
        );
        for r in 0..ROWS {
            weights[r * BLOCK..][..columns][seen_by(r)..].fill(0.0);
        }
        let right = Right { values: &shared.values_across[key * width..], row: BLOCK, columns };
        let left = Left { values: &block.grad[row * width..], row: width, step: 1 };
        let along = &block.along[row..row + ROWS];
        product(
            simd,
            left,
            right,
            0..self.d,
            #[inline(always)]
            |r, c, dweight| {
                let at = r * BLOCK + c..r * BLOCK + c + S::F32_LANES;
                let (weight, _) = S::as_simd_f32s(&weights[at.clone()]);
                let (out, _) = S::as_mut_simd_f32s(&mut dscores[at]);
                out[0] = simd.mul_f32s(weight[0], simd.sub_f32s(dweight, simd.splat_f32s(along[r])));
            },
        );
    }

    /// A row of the gradient of turned queries or keys, turned back.
    #[inline(always)]
    fn finish(&self, row: &[f32], at: usize, scale: f32, out: &mut [f32]) {
        match self.angles {
            Some(angles) => turn_back(row, position(angles, at, self.d), scale, out),
            None => out.iter_mut().zip(row).for_each(|(out, x)| *out = x * scale),
        }
    }
}

/// Adds every vector to its place in [`ROWS`] rows of `width`.
#[inline(always)]
fn add<S: Simd>(simd: S, out: &mut [f32], width: usize) -> impl FnMut(usize, usize, S::f32s) {
    #[inline(always)]
    move |r, c, value| {
        let (out, _) = S::as_mut_simd_f32s(&mut out[r * width + c..r * width + c + S::F32_LANES]);
        out[0] = simd.add_f32s(out[0], value);
    }
}

#[inline(always)]
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0f32; VECTOR];
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<VECTOR>(), b.as_chunks::<VECTOR>());
    for (a, b) in a.iter().zip(b) {
        lanes.iter_mut().zip(a.iter().zip(b)).for_each(|(lane, (a, b))| *lane += a * b);
    }
    lanes.iter_mut().zip(a_rest.iter().zip(b_rest)).for_each(|(lane, (a, b))| *lane += a * b);
    crate::host::fold(lanes)
}
