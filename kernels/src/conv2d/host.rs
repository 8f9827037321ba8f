//! Pictures spread over threads; gradients of the weights are summed in fixed groups of pictures, in order.

use std::mem::MaybeUninit;

use burn::backend::tensor::FloatTensor;
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::{
    Conv2d, Conv2dOptions,
    geometry::Geometry,
    product::{Correlate, Gather, ROWS},
    reference, stage,
};
use crate::host::{HostBackend, HostTensor, dims, packed, tensor, written};
use crate::profile::{Work, timed};

impl<B: HostBackend> Conv2d for B {
    fn conv2d_relu(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        options: Conv2dOptions,
    ) -> FloatTensor<Self> {
        if !B::here(&[&x, &weight, &bias]) {
            return reference::forward::<Self>(x, weight, bias, options);
        }
        forward(x, weight, bias, options).0
    }

    fn conv2d_pooled(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        options: Conv2dOptions,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        forward(x, weight, bias, options)
    }

    fn conv2d_relu_backward(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        y: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        options: Conv2dOptions,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        if !B::here(&[&x, &weight, &grad]) {
            let dx = reference::backward_x::<Self>(x.clone(), weight.clone(), (y.clone(), grad.clone()), options);
            let (dweight, dbias) = reference::backward_weights::<Self>(x, weight, (y, grad), options);
            return (dx, dweight, dbias);
        }
        let g = Geometry::new(dims(&x), dims(&weight), options);
        let mut sums = (Vec::new(), Vec::new());
        let dx = timed("conv2d.backward", work(&g, 2.0), || {
            let operands = [x, weight, y, grad].map(packed);
            let shape = [g.batch, g.inputs, g.picture[0], g.picture[1]];
            written(shape, |dx| sums = backward(&operands, Some(dx), &g))
        });
        (dx, tensor(sums.0, weights(&g)), tensor(sums.1, [g.outputs]))
    }

    fn conv2d_relu_backward_weights(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        y: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        options: Conv2dOptions,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        if !B::here(&[&x, &weight, &grad]) {
            return reference::backward_weights::<Self>(x, weight, (y, grad), options);
        }
        let g = Geometry::new(dims(&x), dims(&weight), options);
        let sums = timed("conv2d.backward", work(&g, 1.0), || backward(&[x, weight, y, grad].map(packed), None, &g));
        (tensor(sums.0, weights(&g)), tensor(sums.1, [g.outputs]))
    }
}

fn weights(g: &Geometry) -> [usize; 4] {
    [g.outputs, g.inputs, g.kernel[0], g.kernel[1]]
}

/// What `products` products of the convolution's size do.
fn work(g: &Geometry, products: f64) -> Work {
    let [pixels, results] = [g.pixels(), g.results()].map(|n| (n * g.batch) as f64);
    let (positions, weights) = ((g.batch * g.map[0] * g.map[1]) as f64, (g.outputs * g.taps()) as f64);
    Work { flops: products * 2.0 * positions * weights, bytes: 4.0 * products * (pixels + results + weights) }
}

/// Rows of `matrix`, `count` of them found by `row`, in blocks: `[blocks, columns]` of `ROWS` each, zeros past the end.
fn blocks(count: usize, columns: usize, element: impl Fn(usize, usize) -> f32) -> Vec<[f32; ROWS]> {
    (0..count)
        .step_by(ROWS)
        .flat_map(|row| (0..columns).map(move |column| (row, column)))
        .map(|(row, column)| std::array::from_fn(|m| if row + m < count { element(row + m, column) } else { 0.0 }))
        .collect()
}

/// The output, and for a pooled one its choices (else nothing).
fn forward<T: HostTensor>(x: T, weight: T, bias: T, options: Conv2dOptions) -> (T, T) {
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

/// What a thread needs for `pictures` pictures: their padded planes, those of the gradient, and a result.
struct Scratch {
    planes: Vec<f32>,
    gradients: Vec<f32>,
    tile: Vec<f32>,
}

impl Scratch {
    fn new(g: &Geometry, pictures: usize) -> Self {
        Self { planes: vec![0.0; pictures * g.planes() * g.plane], gradients: Vec::new(), tile: Vec::new() }
    }

    fn with_gradients(g: &Geometry, pictures: usize) -> Self {
        Self { gradients: vec![0.0; pictures * g.outputs * g.gradient_plane], ..Self::new(g, pictures) }
    }
}

/// `tile` for `rows` rows of `stride`, whatever they hold.
#[inline(always)]
fn tile_of(tile: &mut Vec<f32>, rows: usize, stride: usize) -> &mut [f32] {
    let size = rows.next_multiple_of(ROWS) * stride;
    if tile.len() < size {
        tile.resize(size, 0.0);
    }
    &mut tile[..size]
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
fn backward<T: HostTensor>(
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
