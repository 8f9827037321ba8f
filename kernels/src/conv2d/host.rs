//! Pictures spread over threads; gradients of the weights are summed in fixed groups of pictures, in order.

mod backward;
mod forward;

use burn::backend::tensor::FloatTensor;

use super::{Conv2d, Conv2dOptions, geometry::Geometry, product::ROWS, reference};
use crate::host::{HostBackend, dims, packed, tensor, written};
use crate::profile::{Work, timed};
use backward::backward;
use forward::forward;

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
