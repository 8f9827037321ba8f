//! Pictures to padded planes and back.

use std::mem::MaybeUninit;

use super::geometry::Geometry;

/// Elements that are moved at once.
const PIECE: usize = 16;
const HALF: usize = PIECE / 2;

/// A piece whose first `n` elements are kept begins at `PIECE - n`.
const MASKS: [u32; 2 * PIECE] = {
    let mut masks = [0; 2 * PIECE];
    let mut i = 0;
    while i < PIECE {
        masks[i] = u32::MAX;
        i += 1;
    }
    masks
};

/// Rows of `width` elements, and how far apart they are in the output and in the input.
#[derive(Clone, Copy)]
struct Rows {
    width: usize,
    out_step: usize,
    step: usize,
}

impl Rows {
    /// `out = of(x, y)` for `count` rows.
    ///
    /// Rows are short, so they are moved in whole pieces: up to 15 elements after a row become 0, as far as `out`
    /// goes; rows after it overwrite them.
    #[inline(always)]
    fn each<O: Slot>(self, out: &mut [O], [x, y]: [&[f32]; 2], count: usize, of: impl Fn(f32, f32) -> f32) {
        let whole = self.width / PIECE * PIECE;
        let rest = *MASKS[PIECE - (self.width - whole)..].first_chunk().unwrap_or(&[0; PIECE]);
        for row in 0..count {
            let (at, to) = (row * self.step, row * self.out_step);
            for column in (0..whole).step_by(PIECE) {
                piece(&mut out[to + column..], [&x[at + column..], &y[at + column..]], [u32::MAX; PIECE], &of);
            }
            if whole < self.width {
                let (out, x, y) = (&mut out[to + whole..], &x[at + whole..], &y[at + whole..]);
                if out.len().min(x.len()).min(y.len()) >= PIECE {
                    piece(out, [x, y], rest, &of);
                } else {
                    let ends = out.iter_mut().zip(x).zip(y).take(self.width - whole);
                    ends.for_each(|((out, x), y)| *out = O::of(of(*x, *y)));
                }
            }
        }
    }
}

/// `of(x, y)` where the mask is set, else 0.
#[inline(always)]
fn piece<O: Slot>(out: &mut [O], [x, y]: [&[f32]; 2], mask: [u32; PIECE], of: &impl Fn(f32, f32) -> f32) {
    if let (Some(out), Some(x), Some(y)) = (out.first_chunk_mut::<PIECE>(), x.first_chunk(), y.first_chunk()) {
        let (x, y): ([f32; PIECE], [f32; PIECE]) = (*x, *y);
        *out = std::array::from_fn(|i| O::of(f32::from_bits(of(x[i], y[i]).to_bits() & mask[i])));
    }
}

/// A place for a number, written before or not.
trait Slot: Copy {
    fn of(x: f32) -> Self;
}

impl Slot for f32 {
    #[inline(always)]
    fn of(x: f32) -> Self {
        x
    }
}

impl Slot for MaybeUninit<f32> {
    #[inline(always)]
    fn of(x: f32) -> Self {
        Self::new(x)
    }
}

/// Writes a picture `[inputs, h, w]` into its padded planes, whose margins are zero and stay so.
#[inline(always)]
pub(super) fn pad(picture: &[f32], planes: &mut [f32], g: &Geometry) {
    let ([h, w], phases) = (g.picture, g.phases[0] * g.phases[1]);
    for (channel, planes) in picture.chunks_exact(h * w).zip(planes.chunks_exact_mut(phases * g.plane)) {
        for (phase, plane) in planes.chunks_exact_mut(g.plane).enumerate() {
            let (rows, columns) = (g.within(0, phase / g.phases[1]), g.within(1, phase % g.phases[1]));
            let (out, x) = (&mut plane[rows.0 * g.width + columns.0..], &channel[rows.2 * w + columns.2..]);
            let (count, width) = (rows.1 - rows.0, columns.1 - columns.0);
            if g.stride[1] == 1 {
                let copy = Rows { width, out_step: g.width, step: g.stride[0] * w };
                copy.each(out, [x, x], count, |x, _| x);
                continue;
            }
            for (out, x) in out.chunks_mut(g.width).zip(x.chunks(g.stride[0] * w)).take(count) {
                out.iter_mut().zip(x.iter().step_by(g.stride[1])).take(width).for_each(|(out, x)| *out = *x);
            }
        }
    }
}

/// Writes rows `first..end` of one phase into a picture; `tile` `[inputs, .., stride]` holds them alone.
#[inline(always)]
pub(super) fn unpad(
    tile: &[f32],
    stride: usize,
    phase: [usize; 2],
    (first, end): (usize, usize),
    picture: &mut [MaybeUninit<f32>],
    g: &Geometry,
) {
    let [h, w] = g.picture;
    let (rows, columns) = (g.within(0, phase[0]), g.within(1, phase[1]));
    let (count, width) = (end - first, columns.1 - columns.0);
    let start = rows.2 + (first - rows.0) * g.stride[0];
    for (channel, tile) in picture.chunks_exact_mut(h * w).zip(tile.chunks_exact(stride)) {
        let (out, x) = (&mut channel[start * w + columns.2..], &tile[columns.0..]);
        if g.stride == [1, 1] {
            let out = &mut out[..(count - 1) * w + width];
            let copy = Rows { width, out_step: w, step: g.width };
            copy.each(out, [x, x], count, |x, _| x);
            continue;
        }
        for (out, x) in out.chunks_mut(g.stride[0] * w).zip(x.chunks(g.width)).take(count) {
            let moved = out.iter_mut().step_by(g.stride[1]).zip(x).take(width);
            moved.for_each(|(out, x)| *out = MaybeUninit::new(*x));
        }
    }
}

/// Writes rows `first..end` of the maps; `tile` `[outputs, .., stride]` holds them alone.
#[inline(always)]
pub(super) fn crop(
    tile: &[f32],
    stride: usize,
    (first, end): (usize, usize),
    maps: &mut [MaybeUninit<f32>],
    g: &Geometry,
) {
    let [h, w] = g.map;
    let copy = Rows { width: w, out_step: w, step: g.width };
    for (map, tile) in maps.chunks_exact_mut(h * w).zip(tile.chunks_exact(stride)) {
        let out = &mut map[first * w..end * w];
        copy.each(out, [tile, tile], end - first, |x, _| x);
    }
}

/// As [`crop`], the largest of every 2 x 2 alone; `choices` says which.
#[inline(always)]
pub(super) fn pool(
    tile: &[f32],
    stride: usize,
    (first, end): (usize, usize),
    (maps, choices): (&mut [MaybeUninit<f32>], &mut [MaybeUninit<f32>]),
    g: &Geometry,
) {
    let [h, w] = g.pooled;
    let planes = maps.chunks_exact_mut(h * w).zip(choices.chunks_exact_mut(h * w)).zip(tile.chunks_exact(stride));
    for ((map, choice), tile) in planes {
        for row in first / 2..(end / 2).min(h) {
            let (upper, _) = tile[(2 * row - first) * g.width..][..2 * w].as_chunks::<2>();
            let (lower, _) = tile[(2 * row + 1 - first) * g.width..][..2 * w].as_chunks::<2>();
            let (map, choice) = (&mut map[row * w..(row + 1) * w], &mut choice[row * w..(row + 1) * w]);
            for (((map, choice), [a, b]), [c, d]) in map.iter_mut().zip(choice).zip(upper).zip(lower) {
                let best = larger(larger((*a, 0.0), (*b, 1.0)), larger((*c, 2.0), (*d, 3.0)));
                map.write(best.0);
                choice.write(if g.relu && best.0 <= 0.0 { 4.0 } else { best.1 });
            }
        }
    }
}

/// The first of the two unless the second is larger, or NaN alone.
#[inline(always)]
fn larger(a: (f32, f32), b: (f32, f32)) -> (f32, f32) {
    let keep = a.0 >= b.0 || a.0.is_nan();
    if keep { a } else { b }
}

/// Writes the gradient of a picture's output into its padded planes and adds its sums to `dbias`.
///
/// `y` is the output where ReLU has cut some of it, or the choices of [`pool`].
#[inline(always)]
pub(super) fn pad_gradient(grad: &[f32], y: &[f32], planes: &mut [f32], dbias: &mut [f32], g: &Geometry) {
    let [h, w] = g.pooled;
    let copy = Rows { width: w, out_step: g.width, step: w };
    let maps = grad.chunks_exact(h * w).zip(y.chunks_exact(h * w));
    for ((plane, dbias), (grad, y)) in planes.chunks_exact_mut(g.gradient_plane).zip(dbias).zip(maps) {
        let out = &mut plane[g.front..];
        match (g.pool, g.relu) {
            (true, _) => unpool(grad, y, out, g),
            (false, true) => copy.each(out, [grad, y], h, |grad, y| if y <= 0.0 { 0.0 } else { grad }),
            (false, false) => copy.each(out, [grad, grad], h, |grad, _| grad),
        }
        *dbias += crate::host::sum(&out[..g.map[0] * g.width], |x| x);
    }
}

/// Each element of a pooled map's gradient where it was chosen.
#[inline(always)]
fn unpool(grad: &[f32], choice: &[f32], out: &mut [f32], g: &Geometry) {
    let w = g.pooled[1];
    for row in 0..2 * g.pooled[0] {
        let (at, places) = (row / 2 * w, [(row % 2 * 2) as f32, (row % 2 * 2 + 1) as f32]);
        for column in (0..w).step_by(HALF) {
            let left = (w - column).min(HALF);
            let (out, at) = (&mut out[row * g.width + 2 * column..], at + column);
            let inputs = (grad[at..].first_chunk::<HALF>(), choice[at..].first_chunk::<HALF>());
            if let (Some(out), (Some(grad), Some(choice))) = (out.first_chunk_mut::<PIECE>(), inputs) {
                let mask = *MASKS[PIECE - left..].first_chunk().unwrap_or(&[0; HALF]);
                *out = pairs(*grad, *choice, mask, places);
                continue;
            }
            for (i, out) in out.iter_mut().take(2 * left).enumerate() {
                *out = if choice[at + i / 2] == places[i % 2] { grad[at + i / 2] } else { 0.0 };
            }
        }
    }
}

/// Gradients of one row of windows: each where the choice is the column's place, else 0; without a branch, since
/// choices are as good as random.
#[inline(always)]
fn pairs(grad: [f32; HALF], choice: [f32; HALF], mask: [u32; HALF], places: [f32; 2]) -> [f32; PIECE] {
    let column = |place: f32| -> [f32; HALF] {
        std::array::from_fn(|i| {
            let chosen = u32::from(choice[i] == place).wrapping_neg();
            f32::from_bits(grad[i].to_bits() & chosen & mask[i])
        })
    };
    let (even, odd) = (column(places[0]), column(places[1]));
    std::array::from_fn(|i| if i % 2 == 0 { even[i / 2] } else { odd[i / 2] })
}
