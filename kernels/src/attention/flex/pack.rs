//! Rows of heads into blocks that the products take whole, and back.

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
    pub(super) fn copy(
        self,
        first: usize,
        count: usize,
        scale: f32,
        angles: Angles<'_>,
        out: &mut [f32],
        width: usize,
    ) {
        let (rows, padding) = out.split_at_mut(count * width);
        for (i, out) in rows.chunks_exact_mut(width).enumerate() {
            let from = self.at(first + i);
            let (out, rest) = out.split_at_mut(self.d);
            rest.fill(0.0);
            match angles {
                None => out.iter_mut().zip(from).for_each(|(out, x)| *out = x * scale),
                Some(angles) => turn(from, position(angles, first + i, self.d), scale, out),
            }
        }
        padding.fill(0.0);
    }
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
