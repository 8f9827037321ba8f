//! Rows of heads into blocks that the products take whole, and back.

use std::ops::Range;

use pulp::Simd;

/// Rows and columns of a block of scores.
pub(super) const BLOCK: usize = 64;

/// Columns of the host's widest vector: widths of blocks are multiples of it.
pub(super) const VECTOR: usize = 16;

/// The cosines and the sines of all positions, `[t, d / 2]` each.
pub(super) type Angles<'a> = Option<(&'a [f32], &'a [f32])>;

/// The rows of one head within a buffer that holds those of all.
#[derive(Clone, Copy)]
pub(super) struct Head<'a> {
    /// From the head's first element on.
    pub(super) values: &'a [f32],
    /// Elements from row to row.
    pub(super) row: usize,
    /// Elements of a row.
    pub(super) d: usize,
}

impl<'a> Head<'a> {
    #[inline(always)]
    pub(super) fn at(self, row: usize) -> &'a [f32] {
        &self.values[row * self.row..row * self.row + self.d]
    }

    /// The same rows from another column on.
    #[inline(always)]
    pub(super) fn after(self, columns: usize) -> Self {
        Self { values: &self.values[columns..], ..self }
    }

    /// Copies rows `first..first + count` times `scale`, turned by their angles, to rows of `width` elements that are
    /// padded with zeros; so are rows after them, to the end of `out`.
    #[inline(always)]
    pub(super) fn copy<S: Simd>(
        self,
        simd: S,
        rows: Range<usize>,
        scale: f32,
        angles: Angles<'_>,
        out: &mut [f32],
        width: usize,
    ) {
        let (copied, padding) = out.split_at_mut(rows.len() * width);
        for (row, out) in rows.zip(copied.chunks_exact_mut(width)) {
            match angles {
                None => write(simd, self.at(row), scale, out),
                Some(angles) => {
                    let (out, rest) = out.split_at_mut(self.d);
                    turn(self.at(row), position(angles, row, self.d), scale, out);
                    rest.fill(0.0);
                }
            }
        }
        padding.fill(0.0);
    }
}

/// `out` is `x` times `scale`, then zeros; one of the two may be shorter, by less than a [`VECTOR`].
#[inline(always)]
pub(super) fn write<S: Simd>(simd: S, x: &[f32], scale: f32, out: &mut [f32]) {
    let scale = simd.splat_f32s(scale);
    let ((from, from_rest), (to, to_rest)) = (S::as_simd_f32s(x), S::as_mut_simd_f32s(out));
    let whole = from.len().min(to.len());
    let (copied, padding) = to.split_at_mut(whole);
    for (to, from) in copied.iter_mut().zip(from) {
        *to = simd.mul_f32s(*from, scale);
    }
    if from.len() > whole {
        simd.partial_store_f32s(to_rest, simd.mul_f32s(from[whole], scale));
    }
    if let [first, padding @ ..] = padding {
        *first = simd.mul_f32s(simd.partial_load_f32s(from_rest), scale);
        padding.fill(simd.splat_f32s(0.0));
    }
}

/// The sum of products, in a vector of partial sums.
#[inline(always)]
pub(super) fn dot<S: Simd>(simd: S, a: &[f32], b: &[f32]) -> f32 {
    let ((a, a_rest), (b, b_rest)) = (S::as_simd_f32s(a), S::as_simd_f32s(b));
    let mut sum = simd.mul_f32s(simd.partial_load_f32s(a_rest), simd.partial_load_f32s(b_rest));
    for (a, b) in a.iter().zip(b) {
        sum = simd.mul_add_e_f32s(*a, *b, sum);
    }
    simd.reduce_sum_f32s(sum)
}

/// The angles of one position, `d / 2` each.
#[inline(always)]
pub(super) fn position<'a>((cos, sin): (&'a [f32], &'a [f32]), t: usize, d: usize) -> (&'a [f32], &'a [f32]) {
    let at = t * (d / 2)..(t + 1) * (d / 2);
    (&cos[at.clone()], &sin[at])
}

/// `out` is `x` times `scale`, its pairs `(i, i + d / 2)` turned.
#[inline(always)]
pub(super) fn turn(x: &[f32], (cos, sin): (&[f32], &[f32]), scale: f32, out: &mut [f32]) {
    let half = x.len() / 2;
    let (a, b) = x.split_at(half);
    let (first, second) = out.split_at_mut(half);
    for i in 0..half {
        let (cos, sin) = (cos[i] * scale, sin[i] * scale);
        first[i] = a[i] * cos - b[i] * sin;
        second[i] = b[i] * cos + a[i] * sin;
    }
}

/// As [`turn`], backwards.
#[inline(always)]
pub(super) fn turn_back(x: &[f32], (cos, sin): (&[f32], &[f32]), scale: f32, out: &mut [f32]) {
    let half = x.len() / 2;
    let (a, b) = x.split_at(half);
    let (first, second) = out.split_at_mut(half);
    for i in 0..half {
        let (cos, sin) = (cos[i] * scale, sin[i] * scale);
        first[i] = a[i] * cos + b[i] * sin;
        second[i] = b[i] * cos - a[i] * sin;
    }
}

/// [`BLOCK`] rows of `width` elements, a multiple of 4, to `width` rows of [`BLOCK`].
#[inline(always)]
pub(super) fn transpose(rows: &[f32], width: usize, out: &mut [f32]) {
    for (j, rows) in rows.chunks_exact(4 * width).enumerate() {
        let (a, rest) = rows.split_at(width);
        let (b, rest) = rest.split_at(width);
        let (c, d) = rest.split_at(width);
        let quads = a
            .as_chunks::<4>()
            .0
            .iter()
            .zip(b.as_chunks::<4>().0)
            .zip(c.as_chunks::<4>().0.iter().zip(d.as_chunks::<4>().0));
        for (((a, b), (c, d)), out) in quads.zip(out.chunks_exact_mut(4 * BLOCK)) {
            for i in 0..4 {
                out[i * BLOCK + 4 * j..i * BLOCK + 4 * j + 4].copy_from_slice(&[a[i], b[i], c[i], d[i]]);
            }
        }
    }
}
