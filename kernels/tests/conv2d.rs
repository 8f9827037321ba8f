//! Convolution against an f64 reference and finite differences, on every compiled device.
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use burn::tensor::{Device, Tensor, TensorData};
use kiln_kernels::{Conv2dOptions, conv2d};
use proptest::prelude::*;
use support::{close, devices, noise, values};

/// A convolution of random numbers, in f64.
#[derive(Debug, Clone, Copy)]
struct Case {
    batch: usize,
    channels: [usize; 2],
    picture: [usize; 2],
    kernel: [usize; 2],
    stride: [usize; 2],
    padding: [usize; 2],
    relu: bool,
    pool: bool,
}

const fn case(batch: usize, channels: [usize; 2], picture: [usize; 2], kernel: usize, steps: [usize; 2]) -> Case {
    let [stride, padding] = steps;
    Case {
        batch,
        channels,
        picture,
        kernel: [kernel; 2],
        stride: [stride; 2],
        padding: [padding; 2],
        relu: false,
        pool: false,
    }
}

/// Batch, channels in and out, picture, kernel, [stride, padding]: one pixel, one channel, kernels that step over
/// pixels, more channels than a block, pictures of more than one band of rows, and sides that differ.
const CASES: [Case; 14] = [
    case(1, [1, 1], [1, 1], 1, [1, 0]),
    case(2, [3, 5], [1, 1], 3, [1, 1]),
    case(3, [1, 9], [7, 5], 3, [1, 1]),
    case(2, [4, 8], [8, 8], 1, [1, 0]),
    case(2, [3, 2], [9, 7], 1, [2, 0]),
    case(2, [3, 4], [6, 6], 1, [1, 2]),
    case(5, [2, 17], [14, 14], 3, [1, 1]),
    case(2, [2, 3], [9, 10], 3, [2, 1]),
    case(2, [2, 3], [8, 8], 2, [2, 0]),
    case(1, [2, 3], [11, 9], 5, [1, 2]),
    case(2, [3, 2], [12, 11], 7, [2, 3]),
    case(1, [1, 2], [10, 13], 3, [3, 0]),
    case(1, [2, 9], [70, 37], 3, [1, 1]),
    Case { kernel: [2, 3], stride: [2, 1], padding: [0, 2], relu: true, ..case(2, [3, 4], [7, 6], 3, [1, 1]) },
];

/// Every case with and without ReLU and, where there is something to pool, pooled.
fn variants() -> impl Iterator<Item = Case> {
    let all = CASES.into_iter().flat_map(|case| [case, Case { relu: !case.relu, ..case }]);
    all.flat_map(|case| {
        let pooled = case.map().iter().all(|side| *side > 1).then_some(Case { pool: true, ..case });
        [Some(case), pooled].into_iter().flatten()
    })
}

struct Data {
    case: Case,
    x: Vec<f64>,
    weight: Vec<f64>,
    bias: Vec<f64>,
    dy: Vec<f64>,
}

impl Case {
    fn map(&self) -> [usize; 2] {
        std::array::from_fn(|i| (self.picture[i] + 2 * self.padding[i] - self.kernel[i]) / self.stride[i] + 1)
    }

    /// Of x, the weights, and the output.
    fn shapes(&self) -> ([usize; 4], [usize; 4], [usize; 4]) {
        let ([inputs, outputs], [h, w], [kh, kw]) = (self.channels, self.picture, self.kernel);
        let map = self.map().map(|side| if self.pool { side / 2 } else { side });
        ([self.batch, inputs, h, w], [outputs, inputs, kh, kw], [self.batch, outputs, map[0], map[1]])
    }

    fn options(&self) -> Conv2dOptions {
        Conv2dOptions { stride: self.stride, padding: self.padding, relu: self.relu, pool: self.pool }
    }

    fn data(self) -> Data {
        let some = |n: usize, seed: u64| noise(n, seed).into_iter().map(f64::from).collect::<Vec<f64>>();
        let (x, weight, y) = self.shapes();
        let size = |shape: [usize; 4]| shape.iter().product::<usize>();
        Data {
            case: self,
            x: some(size(x), 1),
            weight: some(size(weight), 2),
            bias: some(y[1], 3),
            dy: some(size(y), 4),
        }
    }

    /// Calls `visit(y, x, weight)` with the indices of every product in a sum before pooling.
    fn terms(&self, mut visit: impl FnMut(usize, usize, usize)) {
        let ((x, weight, _), map) = (self.shapes(), self.map());
        let y = [self.batch, self.channels[1], map[0], map[1]];
        let at = |shape: [usize; 4], [a, b, c, d]: [usize; 4]| ((a * shape[1] + b) * shape[2] + c) * shape[3] + d;
        let all = |shape: [usize; 4]| {
            let size = shape.iter().product::<usize>();
            (0..size).map(move |i| {
                [
                    i / shape[3] / shape[2] / shape[1],
                    i / shape[3] / shape[2] % shape[1],
                    i / shape[3] % shape[2],
                    i % shape[3],
                ]
            })
        };
        for [b, o, row, column] in all(y) {
            for [_, c, i, j] in all([1, weight[1], weight[2], weight[3]]) {
                let (row_of, column_of) = (row * self.stride[0] + i, column * self.stride[1] + j);
                let inside = row_of >= self.padding[0] && column_of >= self.padding[1];
                let (h, w) = (row_of.wrapping_sub(self.padding[0]), column_of.wrapping_sub(self.padding[1]));
                if inside && h < x[2] && w < x[3] {
                    visit(at(y, [b, o, row, column]), at(x, [b, c, h, w]), at(weight, [o, c, i, j]));
                }
            }
        }
    }
}

impl Data {
    /// Before ReLU and pooling.
    fn sums(&self, x: &[f64], weight: &[f64]) -> Vec<f64> {
        let ([h, w], outputs) = (self.case.map(), self.case.channels[1]);
        let mut y: Vec<f64> =
            (0..self.case.batch * outputs * h * w).map(|i| self.bias[i / (h * w) % outputs]).collect();
        self.case.terms(|i, j, k| y[i] += x[j] * weight[k]);
        y
    }

    /// Which of the sums each output is: the first of the largest.
    fn chosen(&self, sums: &[f64]) -> Vec<usize> {
        let ([h, w], [_, _, height, width]) = (self.case.map(), self.case.shapes().2);
        let chosen = (0..self.dy.len()).map(|i| {
            let (plane, row, column) = (i / (height * width), i / width % height, i % width);
            if !self.case.pool {
                return i;
            }
            let first = (plane * h + 2 * row) * w + 2 * column;
            [first + 1, first + w, first + w + 1].into_iter().fold(first, |a, b| if sums[b] > sums[a] { b } else { a })
        });
        chosen.collect()
    }

    fn forward(&self, x: &[f64], weight: &[f64]) -> Vec<f64> {
        let sums = self.sums(x, weight);
        let cut = |y: f64| if self.case.relu { y.max(0.0) } else { y };
        self.chosen(&sums).into_iter().map(|i| cut(sums[i])).collect()
    }

    /// Gradients of `sum(y * dy)` with respect to x, weight and bias.
    fn backward(&self) -> [Vec<f64>; 3] {
        let ([h, w], outputs, sums) = (self.case.map(), self.case.channels[1], self.sums(&self.x, &self.weight));
        let mut dsums = vec![0.0; sums.len()];
        for (i, dy) in self.chosen(&sums).into_iter().zip(&self.dy) {
            dsums[i] = if self.case.relu && sums[i] <= 0.0 { 0.0 } else { *dy };
        }
        let (mut dx, mut dweight, mut dbias) =
            (vec![0.0; self.x.len()], vec![0.0; self.weight.len()], vec![0.0; outputs]);
        self.case.terms(|i, j, k| {
            dx[j] += dsums[i] * self.weight[k];
            dweight[k] += dsums[i] * self.x[j];
        });
        dsums.iter().enumerate().for_each(|(i, dy)| dbias[i / (h * w) % outputs] += dy);
        [dx, dweight, dbias]
    }
}

fn upload<const D: usize>(values: &[f64], shape: [usize; D], device: &Device) -> Tensor<D> {
    let values: Vec<f32> = values.iter().map(|x| *x as f32).collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// f32's rounding of sums of up to 2,590 products of numbers up to 1. No sum is so near to 0 or to another of its window
/// that rounding decides.
fn run(what: &str, data: &Data, x: Tensor<4>, device: &Device) {
    let (_, weight_shape, y_shape) = data.case.shapes();
    let x = x.require_grad();
    let weight = upload(&data.weight, weight_shape, device).require_grad();
    let bias = upload(&data.bias, [y_shape[1]], device).require_grad();
    let y = conv2d(x.clone(), weight.clone(), Some(bias.clone()), data.case.options());
    assert_eq!(y.dims(), y_shape, "{what}");
    let gradients = (y.clone() * upload(&data.dy, y_shape, device)).sum().backward();
    close(&format!("{what} y"), &values(y), &data.forward(&data.x, &data.weight), 1e-5, 1e-5);
    let [dx, dweight, dbias] = data.backward();
    close(&format!("{what} dx"), &values(x.grad(&gradients).unwrap()), &dx, 1e-5, 1e-5);
    close(&format!("{what} dweight"), &values(weight.grad(&gradients).unwrap()), &dweight, 5e-5, 1e-5);
    close(&format!("{what} dbias"), &values(bias.grad(&gradients).unwrap()), &dbias, 5e-5, 1e-5);
}

#[test]
fn the_reference_gradient_is_the_slope_of_the_reference() {
    for case in [CASES[7], CASES[13], Case { pool: true, ..CASES[2] }] {
        let data = case.data();
        let [dx, dweight, _] = data.backward();
        let loss = |x: &[f64], weight: &[f64]| -> f64 {
            data.forward(x, weight).iter().zip(&data.dy).map(|(y, dy)| y * dy).sum()
        };
        let moved = |values: &[f64], j: usize, by: f64| -> Vec<f64> {
            values.iter().enumerate().map(|(i, v)| if i == j { v + by } else { *v }).collect()
        };
        for j in (0..data.x.len()).step_by(11) {
            let [up, down] = [1e-6, -1e-6].map(|by| loss(&moved(&data.x, j, by), &data.weight));
            assert!(((up - down) / 2e-6 - dx[j]).abs() < 1e-6, "{case:?} dx[{j}]");
        }
        for j in (0..data.weight.len()).step_by(5) {
            let [up, down] = [1e-6, -1e-6].map(|by| loss(&data.x, &moved(&data.weight, j, by)));
            assert!(((up - down) / 2e-6 - dweight[j]).abs() < 1e-6, "{case:?} dweight[{j}]");
        }
    }
}

#[test]
fn every_device_matches_the_reference() {
    for (name, device) in devices() {
        let device = device.autodiff();
        for case in variants() {
            let data = case.data();
            run(&format!("{name} {case:?}"), &data, upload(&data.x, case.shapes().0, &device), &device);
        }
    }
}

#[test]
fn strided_input_gives_the_same_result() {
    for (name, device) in devices() {
        let device = device.autodiff();
        let data = CASES[2].data();
        let x = upload(&data.x, CASES[2].shapes().0, &device);
        let turned = (x.clone().permute([2, 0, 3, 1]) * 1.0).permute([1, 3, 0, 2]).detach();
        run(&format!("{name} permuted"), &data, turned, &device);
        let inside = Tensor::cat(vec![x.clone() * 2.0, x.clone(), x * 3.0], 0).narrow(0, 3, 3).detach();
        run(&format!("{name} narrowed"), &data, inside, &device);
    }
}

#[test]
fn no_bias_no_pictures_and_weights_alone() {
    for (name, device) in devices() {
        let device = device.autodiff();
        let data = Case { batch: 3, ..CASES[6] }.data();
        let (x, weight, y) = data.case.shapes();
        let kernel = upload(&data.weight, weight, &device).require_grad();
        let none = conv2d(Tensor::zeros([0, x[1], x[2], x[3]], &device), kernel.clone(), None, data.case.options());
        assert_eq!(none.dims(), [0, y[1], y[2], y[3]], "{name}");
        let found = conv2d(upload(&data.x, x, &device), kernel.clone(), None, data.case.options());
        let gradients = (found * upload(&data.dy, y, &device)).sum().backward();
        close(name, &values(kernel.grad(&gradients).unwrap()), &data.backward()[1], 5e-5, 1e-5);
    }
}

#[test]
fn the_first_of_equals_takes_the_gradient() {
    for (name, device) in devices() {
        let device = device.autodiff();
        let x = Tensor::<4>::ones([1, 1, 4, 5], &device).require_grad();
        let options = Conv2dOptions { relu: true, pool: true, ..Conv2dOptions::default() };
        let y = conv2d(x.clone(), Tensor::ones([1, 1, 1, 1], &device), None, options);
        let gradients = y.sum().backward();
        let mut first = [0.0; 20];
        [0, 2, 10, 12].into_iter().for_each(|i| first[i] = 1.0);
        assert_eq!(values(x.grad(&gradients).unwrap()), first, "{name}");
    }
}

#[test]
fn nan_goes_through() {
    for (name, device) in devices() {
        for (relu, pool) in [(false, false), (true, false), (false, true), (true, true)] {
            let data = Case { relu, pool, ..CASES[2] }.data();
            let (x, weight, y) = data.case.shapes();
            let mut pixels = data.x.clone();
            pixels[17] = f64::NAN;
            let kernel = upload(&data.weight, weight, &device);
            let found = values(conv2d(upload(&pixels, x, &device), kernel, None, data.case.options()));
            let touched = found.chunks(y[2] * y[3]).take(y[1]).all(|map| map.iter().any(|y| y.is_nan()));
            // On the others ReLU and pooling are burn's.
            assert!(touched || ((relu || pool) && name != "flex"), "{name}: NaN is lost");
            assert!(found.iter().skip(y[1] * y[2] * y[3]).all(|y| y.is_finite()), "{name}: NaN spreads");
        }
    }
}

#[test]
#[cfg(feature = "flex")]
fn flex_gives_the_same_bits_on_any_number_of_threads() {
    let pooled = Case { relu: true, pool: true, ..case(37, [3, 10], [9, 7], 3, [1, 1]) };
    for case in [case(37, [3, 10], [9, 7], 3, [1, 1]), pooled, case(5, [2, 3], [40, 41], 3, [2, 1])] {
        let data = case.data();
        let (x, weight, y) = case.shapes();
        let bits = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let device = Device::flex().autodiff();
                let (x, weight) =
                    (upload(&data.x, x, &device).require_grad(), upload(&data.weight, weight, &device).require_grad());
                let bias = upload(&data.bias, [y[1]], &device).require_grad();
                let found = conv2d(x.clone(), weight.clone(), Some(bias.clone()), case.options());
                let gradients = (found.clone() * upload(&data.dy, y, &device)).sum().backward();
                let (dx, dbias) = (values(x.grad(&gradients).unwrap()), values(bias.grad(&gradients).unwrap()));
                let all = [values(found), dx, values(weight.grad(&gradients).unwrap()), dbias];
                all.concat().iter().map(|x| x.to_bits()).collect::<Vec<_>>()
            })
        };
        let one = bits(1);
        assert!(one == bits(2) && one == bits(3));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_shape_matches_the_reference(
        (batch, inputs, outputs) in (1usize..4, 1usize..5, 1usize..11),
        (picture, kernel) in ([1usize..13, 1usize..13], [1usize..5, 1usize..5]),
        (stride, padding) in ([1usize..4, 1usize..4], [0usize..3, 0usize..3]),
        (relu, pool) in any::<(bool, bool)>(),
    ) {
        prop_assume!((0..2).all(|i| kernel[i] <= picture[i] + 2 * padding[i]));
        let case = Case { batch, channels: [inputs, outputs], picture, kernel, stride, padding, relu, pool };
        prop_assume!(!pool || case.map().iter().all(|side| *side > 1));
        let (device, data) = (support::devices().next().unwrap().1.autodiff(), case.data());
        run(&format!("{:?}", data.case), &data, upload(&data.x, data.case.shapes().0, &device), &device);
    }
}
