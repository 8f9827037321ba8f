//! The forward of one key-value head and the query heads that share it.

use pulp::{Simd, WithSimd};

use super::{
    Task,
    bands::Band,
    pack::{BLOCK, VECTOR, transpose, write},
    scratch::Carver,
    tile::{Left, ROWS, Right, below, exp2, ln, product},
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
    head: usize,
}

impl WithSimd for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let Task { t, len, d, .. } = self.task;
        let (rows, width) = (len.next_multiple_of(BLOCK), d.next_multiple_of(VECTOR));
        let mut carve = Carver(self.scratch);
        let keys = carve.take(rows * width); // by blocks [width, BLOCK]
        let values = carve.take(rows * width); // [rows, width]
        let staged = carve.take(BLOCK * width);
        for (first, block) in (0..len).step_by(BLOCK).zip(keys.chunks_exact_mut(BLOCK * width)) {
            let count = BLOCK.min(len - first);
            self.task.keys.copy(simd, first..first + count, 1.0, self.task.angles, staged, width);
            transpose(staged, width, block);
        }
        self.task.values.copy(simd, 0..len, 1.0, None, values, width);

        let mut block = Block {
            keys,
            values,
            queries: carve.take(BLOCK * width),
            scores: carve.take(BLOCK * SCORES),
            sums: carve.take(BLOCK * width),
            largest: carve.take(BLOCK),
            total: carve.take(BLOCK),
            head: 0,
        };
        let kept = self.task.dropout.map_or(1.0, |dropout| dropout.scale);
        for (i, log_sum) in self.log_sum.chunks_exact_mut(t).enumerate() {
            let queries = self.task.queries(i);
            block.head = self.task.head + i;
            for first in (0..len).step_by(BLOCK) {
                let count = BLOCK.min(len - first);
                // Scores in units of ln 2, as the exponential is one of 2.
                queries.copy(simd, first..first + count, self.task.scale(), self.task.angles, block.queries, width);

                self.task.attend(simd, first, count, width, &mut block);
                for r in 0..count {
                    let out = &mut self.output.row(first + r)[i * d..(i + 1) * d];
                    write(simd, &block.sums[r * width..(r + 1) * width], kept / block.total[r], out);
                }
                let rows = block.largest.iter().zip(block.total.iter());
                for (log_sum, (largest, total)) in log_sum[first..first + count].iter_mut().zip(rows) {
                    *log_sum = largest * std::f32::consts::LN_2 + ln(*total);
                }
            }
            log_sum[len..].fill(0.0);
        }
        (len..t).for_each(|row| self.output.row(row).fill(0.0));
    }
}

impl Task<'_> {
    /// The rows `first..first + count`: weighted sums of values, the sums of their weights and the largest scores.
    #[inline(always)]
    fn attend<S: Simd>(&self, simd: S, first: usize, count: usize, width: usize, block: &mut Block<'_>) {
        let end = if self.causal { first + count } else { self.len };
        for chunk in (0..end).step_by(CHUNK) {
            for row in (0..count).step_by(ROWS) {
                // The keys of this chunk that the last of these rows sees.
                let seen = if self.causal { self.len.min(first + row + ROWS) } else { self.len };
                let Some(seen) = seen.checked_sub(chunk).filter(|seen| *seen > 0) else { continue };
                let seen = seen.min(CHUNK);
                self.score(simd, [first, row], chunk, seen, width, block);
                let columns = seen.next_multiple_of(VECTOR);
                let stats = [&mut block.largest[row..row + ROWS], &mut block.total[row..row + ROWS]];
                let scores = &mut block.scores[row * SCORES..];
                let fade = soften(simd, scores, columns, chunk == 0, stats);
                if let Some(dropout) = self.dropout {
                    let keys = dropout.keys(block.head, first + row);
                    drop_some(simd, scores, columns, |r, c| dropout.kept(simd, keys[r], chunk + c));
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

    /// The scores of [`ROWS`] rows and the keys `chunk..chunk + seen`; minus infinity where a key is not seen, up to a
    /// whole vector.
    #[inline(always)]
    fn score<S: Simd>(
        &self,
        simd: S,
        [first, row]: [usize; 2],
        chunk: usize,
        seen: usize,
        width: usize,
        block: &mut Block<'_>,
    ) {
        let left = Left { values: &block.queries[row * width..], row: width, step: 1 };
        for key in (0..seen).step_by(BLOCK) {
            let columns = BLOCK.min((seen - key).next_multiple_of(VECTOR));
            let right = Right { values: &block.keys[(chunk + key) * width..], row: BLOCK, columns };
            let scores = &mut block.scores[row * SCORES + key..];
            // Keys seen by row 0, counted from here; each row after it sees one more.
            let (own, more) = if self.causal { (first + row + 1 - chunk - key, 1) } else { (seen - key, 0) };
            product(
                simd,
                left,
                right,
                0..self.d,
                #[inline(always)]
                |r, c, value| {
                    let (scores, _) = S::as_mut_simd_f32s(&mut scores[r * SCORES + c..r * SCORES + c + S::F32_LANES]);
                    let own = (own + more * r).saturating_sub(c);
                    scores[0] = if own < S::F32_LANES {
                        simd.select_f32s(below(simd, own), value, simd.splat_f32s(f32::NEG_INFINITY))
                    } else {
                        value
                    };
                },
            );
        }
    }
}

/// Turns [`ROWS`] rows of scores into `2^(score - largest)` and keeps largest scores and sums in `stats`; returns by
/// what earlier sums of the same rows, unless this is the first chunk, are to be multiplied.
#[inline(always)]
fn soften<S: Simd>(
    simd: S,
    scores: &mut [f32],
    columns: usize,
    first: bool,
    [largest, total]: [&mut [f32]; 2],
) -> [f32; ROWS] {
    let mut maxima = [simd.splat_f32s(f32::NEG_INFINITY); ROWS];
    for c in (0..columns).step_by(S::F32_LANES) {
        for (r, maximum) in maxima.iter_mut().enumerate() {
            let (scores, _) = S::as_simd_f32s(&scores[r * SCORES + c..r * SCORES + c + S::F32_LANES]);
            *maximum = simd.max_f32s(scores[0], *maximum);
        }
    }
    let mut fade = [0f32; ROWS];
    for ((maximum, fade), largest) in maxima.iter_mut().zip(&mut fade).zip(&mut *largest) {
        let mut now = simd.reduce_max_f32s(*maximum);
        if !first {
            now = now.max(*largest);
            *fade = (*largest - now).exp2();
        }
        *largest = now;
        *maximum = simd.splat_f32s(now);
    }
    let mut sums = [simd.splat_f32s(0.0); ROWS];
    for c in (0..columns).step_by(S::F32_LANES) {
        for (r, (sum, maximum)) in sums.iter_mut().zip(maxima).enumerate() {
            let (scores, _) = S::as_mut_simd_f32s(&mut scores[r * SCORES + c..r * SCORES + c + S::F32_LANES]);
            scores[0] = exp2(simd, simd.sub_f32s(scores[0], maximum));
            *sum = simd.add_f32s(*sum, scores[0]);
        }
    }
    for ((sum, fade), total) in sums.into_iter().zip(&fade).zip(total) {
        let sum = simd.reduce_sum_f32s(sum);
        *total = if first { sum } else { *total * fade + sum };
    }
    fade
}

/// Sets to zero what of [`ROWS`] rows is not `kept`.
#[inline(always)]
fn drop_some<S: Simd>(simd: S, weights: &mut [f32], columns: usize, kept: impl Fn(usize, usize) -> S::m32s) {
    for c in (0..columns).step_by(S::F32_LANES) {
        for r in 0..ROWS {
            let (weights, _) = S::as_mut_simd_f32s(&mut weights[r * SCORES + c..r * SCORES + c + S::F32_LANES]);
            weights[0] = simd.select_f32s(kept(r, c), weights[0], simd.splat_f32s(0.0));
        }
    }
}
