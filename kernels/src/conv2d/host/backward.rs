//! Backward, a group of pictures at a time.

use std::mem::MaybeUninit;

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::{
    super::{
        geometry::Geometry,
        product::{Correlate, Gather, ROWS},
        stage,
    },
    Scratch, blocks, tile_of,
};
use crate::host::HostTensor;

/// The product that gives one phase of the gradient of a picture.
struct Phase {
    at: [usize; 2],
    weights: Vec<[f32; ROWS]>,
    offsets: Vec<usize>,
    start: Vec<[f32; ROWS]>,
}

impl Phase {
    fn all(weight: &[f32], g: &Geometry) -> Vec<Self> {
        let [kh, kw] = g.kernel;
        let phases = (0..g.phases[0]).flat_map(|y| (0..g.phases[1]).map(move |x| [y, x]));
        phases
            .map(|at| {
                let taps = g.phase_taps(at);
                let terms: Vec<_> = (0..g.outputs).flat_map(|o| taps.iter().map(move |tap| (o, *tap))).collect();
                Self {
                    at,
                    weights: blocks(g.inputs, terms.len(), |c, term| {
                        let (o, (i, j)) = terms[term];
                        weight[((o * g.inputs + c) * kh + i) * kw + j]
                    }),
                    offsets: terms.iter().map(|(o, tap)| g.gradient_offset(*o, *tap)).collect(),
                    start: vec![[0.0; ROWS]; g.inputs.div_ceil(ROWS)],
                }
            })
            .collect()
    }
}

/// Gradients of the weights and the bias; that of x is written to `dx` if that is asked for.
pub(super) fn backward<T: HostTensor>(
    [x, weight, y, grad]: &[T; 4],
    dx: Option<&mut [MaybeUninit<f32>]>,
    g: &Geometry,
) -> (Vec<f32>, Vec<f32>) {
    let (group, per_task) = groups(g);
    let phases = if dx.is_some() { Phase::all(weight.values(), g) } else { Vec::new() };
    let offsets = g.offsets();
    let (x, y, grad) = (x.values(), y.values(), grad.values());
    let mut dx: Vec<Option<&mut [MaybeUninit<f32>]>> = match dx {
        Some(dx) => dx.chunks_mut((per_task * g.pixels()).max(1)).map(Some).collect(),
        None => (0..g.batch.div_ceil(per_task)).map(|_| None).collect(),
    };
    let partial: Vec<(Vec<f32>, Vec<f32>)> = dx
        .par_iter_mut()
        .enumerate()
        .map_init(
            || Scratch::with_gradients(g, group),
            |scratch, (task, dx)| {
                let mut sums = (vec![0.0; g.outputs * g.taps()], vec![0.0; g.outputs]);
                let pictures = task * per_task..((task + 1) * per_task).min(g.batch);
                for first in pictures.clone().step_by(group) {
                    let (count, pixels, results) = (group.min(pictures.end - first), g.pixels(), g.results());
                    let maps = first * results..(first + count) * results;
                    let skipped = (first - pictures.start) * pixels;
                    Arch::new().dispatch(Group {
                        x: &x[first * pixels..(first + count) * pixels],
                        y: &y[maps.clone()],
                        grad: &grad[maps],
                        dx: dx.as_deref_mut().map(|dx| &mut dx[skipped..skipped + count * pixels]),
                        phases: &phases,
                        offsets: &offsets,
                        dweight: &mut sums.0,
                        dbias: &mut sums.1,
                        scratch,
                        g,
                    });
                }
                sums
            },
        )
        .collect();
    add_in_order(partial)
}

/// Pictures that are correlated together, and pictures whose sums a task adds up: shapes alone decide.
fn groups(g: &Geometry) -> (usize, usize) {
    // Adding up the lanes of a block costs as much as some hundred positions.
    const POSITIONS: usize = 1536;
    const TASKS: usize = 32;
    /// Elements of all partial sums together.
    const SUMS: usize = 1 << 22;
    let group = POSITIONS.div_ceil(g.map[0] * g.width).next_power_of_two().min(g.batch);
    let tasks = (SUMS / (g.outputs * g.taps()).max(1)).clamp(2, TASKS);
    (group, g.batch.div_ceil(tasks).next_multiple_of(group))
}

fn add_in_order(partial: Vec<(Vec<f32>, Vec<f32>)>) -> (Vec<f32>, Vec<f32>) {
    let add = |mut total: Vec<f32>, part: Vec<f32>| {
        total.iter_mut().zip(part).for_each(|(total, part)| *total += part);
        total
    };
    partial.into_iter().reduce(|total, part| (add(total.0, part.0), add(total.1, part.1))).unwrap_or_default()
}

/// Some pictures backward.
struct Group<'a> {
    x: &'a [f32],
    /// The output, or the choices of a pooled one.
    y: &'a [f32],
    grad: &'a [f32],
    dx: Option<&'a mut [MaybeUninit<f32>]>,
    phases: &'a [Phase],
    offsets: &'a [usize],
    dweight: &'a mut [f32],
    dbias: &'a mut [f32],
    scratch: &'a mut Scratch,
    g: &'a Geometry,
}

impl WithSimd for Group<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { x, y, grad, mut dx, phases, offsets, dweight, dbias, scratch, g } = self;
        let (of_x, of_grad) = (g.planes() * g.plane, g.outputs * g.gradient_plane);
        let count = x.len() / g.pixels();
        for i in 0..count {
            let map = i * g.results()..(i + 1) * g.results();
            let gradients = &mut scratch.gradients[i * of_grad..(i + 1) * of_grad];
            stage::pad(&x[i * g.pixels()..], &mut scratch.planes[i * of_x..(i + 1) * of_x], g);
            stage::pad_gradient(&grad[map.clone()], &y[map], gradients, dbias, g);
            if let Some(dx) = &mut dx {
                let dx = &mut dx[i * g.pixels()..(i + 1) * g.pixels()];
                spread(simd, phases, gradients, &mut scratch.tile, dx, g);
            }
        }
        for first in (0..g.map[0]).step_by(g.band()) {
            let end = (first + g.band()).min(g.map[0]);
            let segments: Vec<(usize, usize)> =
                (0..count).map(|i| (i * of_grad + g.front + first * g.width, i * of_x + first * g.width)).collect();
            let product = Correlate {
                a: &scratch.gradients,
                plane: g.gradient_plane,
                b: &scratch.planes,
                offsets,
                segments: &segments,
                length: (end - first) * g.width,
            };
            product.run(simd, g.outputs, dweight);
        }
    }
}

/// The gradient of one picture from that of its output, phase by phase.
#[inline(always)]
fn spread<S: Simd>(
    simd: S,
    phases: &[Phase],
    gradients: &[f32],
    tile: &mut Vec<f32>,
    dx: &mut [MaybeUninit<f32>],
    g: &Geometry,
) {
    if g.stride != [1, 1] {
        dx.fill(MaybeUninit::new(0.0)); // a pixel between two positions may meet no tap
    }
    for Phase { at, weights, offsets, start } in phases {
        let product = Gather { weights, offsets, start, relu: false };
        let (low, high, _) = g.within(0, at[0]);
        for first in (low..high).step_by(g.band()) {
            let end = (first + g.band()).min(high);
            let stride = ((end - first) * g.width).next_multiple_of(16);
            let tile = tile_of(tile, g.inputs, stride);
            product.run(simd, &gradients[first * g.width..], tile, stride);
            stage::unpad(tile, stride, *at, (first, end), dx, g);
        }
    }
}
