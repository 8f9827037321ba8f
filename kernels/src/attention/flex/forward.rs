//! The forward of one key-value head and the query heads that share it.

use pulp::{Simd, WithSimd};

use super::{
    Task,
    bands::Band,
    pack::{BLOCK, VECTOR, transpose},
    scratch::Carver,
    tile::{Left, ROWS, Right, exp2, product},
};

/// Keys whose scores are held at once; a longer row is done in several goes, each correcting the ones before.
const CHUNK: usize = 512;
/// One vector more, so that rows of scores don't fall on the same lines of the first cache.
const SCORES: usize = CHUNK + VECTOR;

pub(super) struct Forward<'a> {
    pub(super) task: Task<'a>,
    /// `[t, h / g d]`
    pub(super) output: Band<'a>,
    /// `[h / g, t]`
    pub(super) log_sum: &'a mut [f32],
    pub(super) scratch: &'a mut [f32],
}

impl Forward<'_> {
    /// The elements of `scratch`.
    pub(super) fn scratch(t: usize, d: usize) -> usize {
        let (rows, width) = (t.next_multiple_of(BLOCK), d.next_multiple_of(VECTOR));
        2 * rows * width + BLOCK * (3 * width + SCORES + 2) + 8 * VECTOR
    }
}

/// What a block of query rows is computed from and in.
struct Block<'a> {
    keys: &'a [f32],
    values: &'a [f32],
    queries: &'a mut [f32],
    scores: &'a mut [f32],
    sums: &'a mut [f32],
    largest: &'a mut [f32],
    total: &'a mut [f32],
}

impl WithSimd for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let Task { t, d, .. } = self.task;
        let (rows, width) = (t.next_multiple_of(BLOCK), d.next_multiple_of(VECTOR));
        let mut carve = Carver(self.scratch);
        let keys = carve.take(rows * width); // by blocks [width, BLOCK]
        let values = carve.take(rows * width); // [rows, width]
        let staged = carve.take(BLOCK * width);
        for (first, block) in (0..t).step_by(BLOCK).zip(keys.chunks_exact_mut(BLOCK * width)) {
            let count = BLOCK.min(t - first);
            self.task.keys.copy(first, count, 1.0, self.task.angles, staged, width);
            transpose(staged, width, block);
        }
        self.task.values.copy(0, t, 1.0, None, values, width);
        let mut block = Block {
            keys,
            values,
            queries: carve.take(BLOCK * width),
            scores: carve.take(BLOCK * SCORES),
            sums: carve.take(BLOCK * width),
            largest: carve.take(BLOCK),
            total: carve.take(BLOCK),
        };
        for (i, log_sum) in self.log_sum.chunks_exact_mut(t).enumerate() {
            let queries = self.task.queries(i);
            for first in (0..t).step_by(BLOCK) {
                let count = BLOCK.min(t - first);
                // Scores in units of ln 2, as the exponential is one of 2.
                queries.copy(first, count, self.task.scale(), self.task.angles, block.queries, width);
                self.task.attend(simd, first, count, width, &mut block);
                for r in 0..count {
                    let scale = 1.0 / block.total[r];
                    let out = &mut self.output.row(first + r)[i * d..(i + 1) * d];
                    out.iter_mut().zip(&block.sums[r * width..]).for_each(|(out, sum)| *out = sum * scale);
                    log_sum[first + r] = (block.largest[r] + block.total[r].log2()) * std::f32::consts::LN_2;
                }
            }
        }
    }
}

impl Task<'_> {
    /// The rows `first..first + count`: weighted sums of values, the sums of their weights and the largest scores.
    #[inline(always)]
    fn attend<S: Simd>(&self, simd: S, first: usize, count: usize, width: usize, block: &mut Block<'_>) {
        let end = if self.causal { first + count } else { self.t };
        for chunk in (0..end).step_by(CHUNK) {
            for row in (0..count).step_by(ROWS) {
                // The keys of this chunk that the last of these rows sees.
                let seen = if self.causal { self.t.min(first + row + ROWS) } else { self.t };
                let Some(seen) = seen.checked_sub(chunk).filter(|seen| *seen > 0) else { continue };
                let seen = seen.min(CHUNK);
                self.score(simd, row, chunk, seen, width, block);
                let mut fade = [1f32; ROWS];
                for (r, fade) in fade.iter_mut().enumerate().take(count - row) {
                    let own = if self.causal { seen.min(first + row + r + 1 - chunk) } else { seen };
                    let scores = &mut block.scores[(row + r) * SCORES..][..seen.next_multiple_of(VECTOR)];
                    scores[own..].fill(f32::NEG_INFINITY);
                    let (largest, total) = (&mut block.largest[row + r], &mut block.total[row + r]);
                    let before = if chunk == 0 { f32::NEG_INFINITY } else { *largest };
                    let (now, sum) = soften(simd, scores, before);
                    *fade = (before - now).exp2();
                    *total = if chunk == 0 { sum } else { *total * *fade + sum };
                    *largest = now;
                }
                let left = Left { values: &block.scores[row * SCORES..], row: SCORES, step: 1 };
                let right = Right { values: &block.values[chunk * width..], row: width, columns: width };
                let sums = &mut block.sums[row * width..(row + ROWS) * width];
                product(
                    simd,
                    left,
                    right,
                    0..seen,
                    #[inline(always)]
                    |r, c, value| {
                        let (sums, _) = S::as_mut_simd_f32s(&mut sums[r * width + c..r * width + c + S::F32_LANES]);
                        sums[0] = if chunk == 0 {
                            value
                        } else {
                            simd.mul_add_e_f32s(sums[0], simd.splat_f32s(fade[r]), value)
                        };
                    },
                );
            }
        }
    }

    /// The scores of [`ROWS`] rows and the keys `chunk..chunk + seen`, and some after them up to a whole vector.
    #[inline(always)]
    fn score<S: Simd>(&self, simd: S, row: usize, chunk: usize, seen: usize, width: usize, block: &mut Block<'_>) {
        let left = Left { values: &block.queries[row * width..], row: width, step: 1 };
        for key in (0..seen).step_by(BLOCK) {
            let columns = BLOCK.min((seen - key).next_multiple_of(VECTOR));
            let right = Right { values: &block.keys[(chunk + key) * width..], row: BLOCK, columns };
            let scores = &mut block.scores[row * SCORES + key..];
            product(
                simd,
                left,
                right,
                0..self.d,
                #[inline(always)]
                |r, c, value| {
                    let (scores, _) = S::as_mut_simd_f32s(&mut scores[r * SCORES + c..r * SCORES + c + S::F32_LANES]);
                    scores[0] = value;
                },
            );
        }
    }
}

/// Turns scores into `2^(score - largest)`; returns the largest of them and `before`, and the sum.
#[inline(always)]
fn soften<S: Simd>(simd: S, scores: &mut [f32], before: f32) -> (f32, f32) {
    let (vectors, _) = S::as_mut_simd_f32s(scores);
    let mut largest = simd.splat_f32s(before);
    for vector in vectors.iter() {
        largest = simd.max_f32s(*vector, largest);
    }
    let largest = simd.reduce_max_f32s(largest);
    let mut sum = simd.splat_f32s(0.0);
    for vector in vectors.iter_mut() {
        *vector = exp2(simd, simd.sub_f32s(*vector, simd.splat_f32s(largest)));
        sum = simd.add_f32s(sum, *vector);
    }
    (largest, simd.reduce_sum_f32s(sum))
}
