//! Forward, a picture at a time.

use std::mem::MaybeUninit;

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::{
    super::{Conv2dOptions, geometry::Geometry, product::Gather, stage},
    Scratch, blocks, tile_of, work,
};
use crate::host::{HostTensor, dims, packed, written};
use crate::profile::timed;

/// The output, and for a pooled one its choices (else nothing).
pub(super) fn forward<T: HostTensor>(x: T, weight: T, bias: T, options: Conv2dOptions) -> (T, T) {
    let g = Geometry::new(dims(&x), dims(&weight), options);
    let operands = [x, weight, bias].map(packed);
    let [height, width] = g.pooled;
    let shape = |batch| [batch, g.outputs, height, width];
    timed("conv2d.forward", work(&g, 1.0), || {
        let mut y = None;
        let choices = written(shape(if g.pool { g.batch } else { 0 }), |choices| {
            y = Some(written(shape(g.batch), |y| compute(&operands, y, choices, &g)));
        });
        (y.unwrap_or_else(|| unreachable!("it was just computed")), choices)
    })
}

/// Fills `y`, and `choices` where it has room for them.
fn compute<T: HostTensor>(
    [x, weight, bias]: &[T; 3],
    y: &mut [MaybeUninit<f32>],
    choices: &mut [MaybeUninit<f32>],
    g: &Geometry,
) {
    let (taps, weight, bias) = (g.taps(), weight.values(), bias.values());
    let (weights, start) = (blocks(g.outputs, taps, |o, t| weight[o * taps + t]), blocks(g.outputs, 1, |o, _| bias[o]));
    let offsets = g.offsets();
    let product = Gather { weights: &weights, offsets: &offsets, start: &start, relu: g.relu };
    let mut choices: Vec<&mut [MaybeUninit<f32>]> = match g.pool {
        true => choices.chunks_mut(g.results().max(1)).collect(),
        false => (0..g.batch).map(|_| Default::default()).collect(),
    };
    let pictures = x.values().par_chunks(g.pixels().max(1)).zip(choices.par_iter_mut());
    y.par_chunks_mut(g.results().max(1)).zip(pictures).for_each_init(
        || Scratch::new(g, 1),
        |scratch, (y, (x, choices))| Arch::new().dispatch(Picture { x, y, choices, product: &product, scratch, g }),
    );
}

/// One picture forward.
struct Picture<'a> {
    x: &'a [f32],
    y: &'a mut [MaybeUninit<f32>],
    /// Nothing unless the output is pooled.
    choices: &'a mut [MaybeUninit<f32>],
    product: &'a Gather<'a>,
    scratch: &'a mut Scratch,
    g: &'a Geometry,
}

impl WithSimd for Picture<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { x, y, choices, product, scratch, g } = self;
        stage::pad(x, &mut scratch.planes, g);
        for first in (0..g.map[0]).step_by(g.band()) {
            let end = (first + g.band()).min(g.map[0]);
            let stride = ((end - first) * g.width).next_multiple_of(16);
            let tile = tile_of(&mut scratch.tile, g.outputs, stride);
            product.run(simd, &scratch.planes[first * g.width..], tile, stride);
            if g.pool {
                stage::pool(tile, stride, (first, end), (&mut *y, &mut *choices), g);
            } else {
                stage::crop(tile, stride, (first, end), y, g);
            }
        }
    }
}
