//! The two products of a convolution, on operands that are read where they lie.
//!
//! Each keeps a block of the result in registers while it goes along the sum: 24 vectors where the processor has 32
//! registers. The order of the sums depends on the width of the vectors, as that of any matrix product here.

#![allow(unsafe_code)] // checking bounds in the inner loop took a sixth of the backward's time

use pulp::Simd;

/// Rows of the result that a block of packed weights holds.
pub(super) const ROWS: usize = 8;

/// `tile[m][q] = start[m] + sum over taps t of weights[m][t] * source[offsets[t] + q]`.
pub(super) struct Gather<'a> {
    /// `[blocks, taps]`.
    pub weights: &'a [[f32; ROWS]],
    pub offsets: &'a [usize],
    /// What every sum starts from, one element a row.
    pub start: &'a [[f32; ROWS]],
    pub relu: bool,
}

impl Gather<'_> {
    /// Fills `[blocks * ROWS, stride]` for `stride` positions, a multiple of 16, of `source`.
    #[inline(always)]
    pub(super) fn run<S: Simd>(&self, simd: S, source: &[f32], tile: &mut [f32], stride: usize) {
        let most = if S::REGISTER_COUNT >= 32 { 3 } else { 1 };
        let mut q = 0;
        while q < stride {
            match ((stride - q) / S::F32_LANES).min(most) {
                3 => q = self.columns::<S, 3>(simd, source, tile, stride, q),
                2 => q = self.columns::<S, 2>(simd, source, tile, stride, q),
                _ => q = self.columns::<S, 1>(simd, source, tile, stride, q),
            }
        }
    }

    /// `N` vectors of every row, from position `q`; the position after.
    #[inline(always)]
    fn columns<S: Simd, const N: usize>(
        &self,
        simd: S,
        source: &[f32],
        tile: &mut [f32],
        stride: usize,
        q: usize,
    ) -> usize {
        let zero = simd.splat_f32s(0.0);
        let blocks = self.weights.chunks_exact(self.offsets.len()).zip(self.start);
        for ((weights, start), tile) in blocks.zip(tile.chunks_exact_mut(ROWS * stride)) {
            let sums = block::<S, N>(simd, weights, start, self.offsets, &source[q..]);
            for m in 0..ROWS {
                let (out, _) = S::as_mut_simd_f32s(&mut tile[m * stride + q..][..N * S::F32_LANES]);
                for n in 0..N {
                    let negative = simd.less_than_f32s(sums[m][n], zero);
                    out[n] = if self.relu { simd.select_f32s(negative, zero, sums[m][n]) } else { sums[m][n] };
                }
            }
        }
        q + N * S::F32_LANES
    }
}

#[inline(always)]
fn block<S: Simd, const N: usize>(
    simd: S,
    weights: &[[f32; ROWS]],
    start: &[f32; ROWS],
    offsets: &[usize],
    source: &[f32],
) -> [[S::f32s; N]; ROWS] {
    let mut sums = [[simd.splat_f32s(0.0); N]; ROWS];
    for m in 0..ROWS {
        sums[m] = [simd.splat_f32s(start[m]); N];
    }
    for (weights, offset) in weights.iter().zip(offsets) {
        let (row, _) = S::as_simd_f32s(&source[*offset..][..N * S::F32_LANES]);
        for m in 0..ROWS {
            let weight = simd.splat_f32s(weights[m]);
            for n in 0..N {
                sums[m][n] = simd.mul_add_e_f32s(weight, row[n], sums[m][n]);
            }
        }
    }
    sums
}

/// `sums[m][t] += sum over segments s and positions q of a[s.0 + m * plane + q] * b[s.1 + offsets[t] + q]`.
pub(super) struct Correlate<'a> {
    pub a: &'a [f32],
    /// Elements between two rows of `a`.
    pub plane: usize,
    pub b: &'a [f32],
    pub offsets: &'a [usize],
    /// Where each segment begins in `a` and in `b`.
    pub segments: &'a [(usize, usize)],
    /// Positions of a segment.
    pub length: usize,
}

impl Correlate<'_> {
    /// `sums` is `[rows, offsets]`.
    #[inline(always)]
    pub(super) fn run<S: Simd>(&self, simd: S, rows: usize, sums: &mut [f32]) {
        self.check(rows, S::F32_LANES);
        if S::REGISTER_COUNT >= 32 {
            self.blocks::<S, 4, 6>(simd, rows, sums);
        } else {
            self.blocks::<S, 2, 4>(simd, rows, sums);
        }
    }

    /// Blocks of `M` rows and `T` taps; those past the end repeat the last row or tap and are not added.
    #[inline(always)]
    fn blocks<S: Simd, const M: usize, const T: usize>(&self, simd: S, rows: usize, sums: &mut [f32]) {
        let taps = self.offsets.len();
        for row in (0..rows).step_by(M) {
            for tap in (0..taps).step_by(T) {
                let mut starts = ([0; M], [0; T]);
                for m in 0..M {
                    starts.0[m] = (row + m).min(rows - 1) * self.plane;
                }
                for t in 0..T {
                    starts.1[t] = self.offsets[(tap + t).min(taps - 1)];
                }
                let block = self.block::<S, M, T>(simd, starts);
                for m in 0..M.min(rows - row) {
                    for t in 0..T.min(taps - tap) {
                        sums[(row + m) * taps + tap + t] += simd.reduce_sum_f32s(block[m][t]);
                    }
                }
            }
        }
    }

    #[inline(always)]
    fn block<S: Simd, const M: usize, const T: usize>(
        &self,
        simd: S,
        (rows, taps): ([usize; M], [usize; T]),
    ) -> [[S::f32s; T]; M] {
        let mut sums = [[simd.splat_f32s(0.0); T]; M];
        let whole = self.length / S::F32_LANES * S::F32_LANES;
        for (a, b) in self.segments {
            let mut x = [simd.splat_f32s(0.0); M];
            for q in (0..whole).step_by(S::F32_LANES) {
                for m in 0..M {
                    x[m] = self.vector::<S>(self.a, a + rows[m] + q);
                }
                self.add(simd, x, taps, b + q, &mut sums);
            }
            if whole < self.length {
                for m in 0..M {
                    x[m] = simd.partial_load_f32s(&self.a[a + rows[m] + whole..a + rows[m] + self.length]);
                }
                self.add(simd, x, taps, b + whole, &mut sums);
            }
        }
        sums
    }

    #[inline(always)]
    fn add<S: Simd, const M: usize, const T: usize>(
        &self,
        simd: S,
        x: [S::f32s; M],
        taps: [usize; T],
        at: usize,
        sums: &mut [[S::f32s; T]; M],
    ) {
        for t in 0..T {
            let y = self.vector::<S>(self.b, at + taps[t]);
            for m in 0..M {
                sums[m][t] = simd.mul_add_e_f32s(x[m], y, sums[m][t]);
            }
        }
    }

    /// A vector's worth of elements; [`Self::run`] has checked that they are there.
    #[inline(always)]
    fn vector<S: Simd>(&self, values: &[f32], at: usize) -> S::f32s {
        debug_assert!(at + S::F32_LANES <= values.len());
        // SAFETY: `at` is the sum of a segment's start, a row or a tap, and a position below `length`; `run` has
        // checked the largest of each against both buffers. A vector of f32 has any bits, and it need not be aligned.
        unsafe { values.as_ptr().add(at).cast::<S::f32s>().read_unaligned() }
    }

    /// Panics unless every position of every segment lies within both buffers.
    fn check(&self, rows: usize, lanes: usize) {
        let last = |of: fn(&(usize, usize)) -> usize| self.segments.iter().map(of).max().unwrap_or(0);
        let length = self.length.next_multiple_of(lanes);
        let tap = self.offsets.iter().max().copied().unwrap_or(0);
        assert!(last(|s| s.0) + rows.saturating_sub(1) * self.plane + self.length <= self.a.len());
        assert!(last(|s| s.1) + tap + length <= self.b.len());
    }
}
