//! Layer normalisation against an f64 reference and finite differences, on every compiled device.
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use burn::tensor::{Device, Tensor, TensorData};
use kiln_kernels::layer_norm;
use support::{close, devices, noise, values};

const EPS: f64 = 1e-5;
/// Rows, width, scale and offset of x: odd, one element, wide, and a mean far from zero.
const CASES: [(usize, usize, f32, f32); 6] = [
    (1, 1, 1.0, 0.0),
    (3, 2, 1.0, 0.0),
    (7, 17, 3.0, 1.0),
    (33, 128, 1.0, -2.0),
    (5, 1031, 0.1, 0.0),
    (6, 31, 1.0, 50.0),
];

struct Data {
    x: Vec<f64>,
    gamma: Vec<f64>,
    beta: Vec<f64>,
    dy: Vec<f64>,
    width: usize,
}

impl Data {
    fn new((rows, width, scale, offset): (usize, usize, f32, f32)) -> Self {
        let some = |n: usize, seed: u64, scale: f32, offset: f32| -> Vec<f64> {
            noise(n, seed).iter().map(|x| f64::from(x * scale + offset)).collect()
        };
        Self {
            x: some(rows * width, 1, scale, offset),
            gamma: some(width, 2, 0.5, 1.0),
            beta: some(width, 3, 0.5, 0.0),
            dy: some(rows * width, 4, 1.0, 0.0),
            width,
        }
    }

    fn forward(&self, x: &[f64]) -> Vec<f64> {
        let mut y = Vec::new();
        for row in x.chunks(self.width) {
            let (mean, rstd) = self.stats(row);
            y.extend(row.iter().zip(self.gamma.iter().zip(&self.beta)).map(|(x, (g, b))| (x - mean) * rstd * g + b));
        }
        y
    }

    fn stats(&self, row: &[f64]) -> (f64, f64) {
        let n = self.width as f64;
        let mean = row.iter().sum::<f64>() / n;
        (mean, 1.0 / (row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n + EPS).sqrt())
    }

    /// Gradients of `sum(y * dy)` with respect to x, gamma and beta.
    fn backward(&self) -> [Vec<f64>; 3] {
        let (mut dx, mut dgamma, mut dbeta) = (Vec::new(), vec![0.0; self.width], vec![0.0; self.width]);
        for (row, dy) in self.x.chunks(self.width).zip(self.dy.chunks(self.width)) {
            let (mean, rstd) = self.stats(row);
            let normal: Vec<f64> = row.iter().map(|x| (x - mean) * rstd).collect();
            let scaled: Vec<f64> = dy.iter().zip(&self.gamma).map(|(dy, g)| dy * g).collect();
            let shift = scaled.iter().sum::<f64>() / self.width as f64;
            let along = scaled.iter().zip(&normal).map(|(a, b)| a * b).sum::<f64>() / self.width as f64;
            dx.extend(scaled.iter().zip(&normal).map(|(s, n)| (s - shift - n * along) * rstd));
            for j in 0..self.width {
                dgamma[j] += dy[j] * normal[j];
                dbeta[j] += dy[j];
            }
        }
        [dx, dgamma, dbeta]
    }
}

fn upload<const D: usize>(values: &[f64], shape: [usize; D], device: &Device) -> Tensor<D> {
    let values: Vec<f32> = values.iter().map(|x| *x as f32).collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// f32's rounding, magnified by 1 / deviation: the offset case loses 50 * 2^-24 to a deviation of 0.6, and a sum over
/// 33 rows or 1,031 columns adds its own.
fn run(what: &str, data: &Data, x: Tensor<2>, device: &Device) {
    let rows = data.x.len() / data.width;
    let x = x.require_grad();
    let gamma = upload(&data.gamma, [data.width], device).require_grad();
    let beta = upload(&data.beta, [data.width], device).require_grad();
    let y = layer_norm(x.clone(), gamma.clone(), Some(beta.clone()), EPS);
    let gradients = (y.clone() * upload(&data.dy, [rows, data.width], device)).sum().backward();
    close(&format!("{what} y"), &values(y), &data.forward(&data.x), 5e-5, 1e-5);
    let [dx, dgamma, dbeta] = data.backward();
    let scale = if data.width == 1 { 1.0 / EPS.sqrt() } else { 10.0 };
    close(&format!("{what} dx"), &values(x.grad(&gradients).unwrap()), &dx, 2e-5 * scale, 1e-4);
    close(&format!("{what} dgamma"), &values(gamma.grad(&gradients).unwrap()), &dgamma, 2e-4, 1e-4);
    close(&format!("{what} dbeta"), &values(beta.grad(&gradients).unwrap()), &dbeta, 2e-5, 1e-5);
}

#[test]
fn the_reference_gradient_is_the_slope_of_the_reference() {
    let data = Data::new(CASES[2]);
    let [dx, ..] = data.backward();
    let loss = |x: &[f64]| -> f64 { data.forward(x).iter().zip(&data.dy).map(|(y, dy)| y * dy).sum() };
    for (j, slope) in dx.iter().enumerate().step_by(5) {
        let moved = |by: f64| {
            loss(&data.x.iter().enumerate().map(|(i, x)| if i == j { x + by } else { *x }).collect::<Vec<_>>())
        };
        let difference = (moved(1e-5) - moved(-1e-5)) / 2e-5;
        assert!((difference - slope).abs() < 1e-7, "{difference} and {slope}");
    }
}

#[test]
fn every_device_matches_the_reference() {
    for (name, device) in devices() {
        let device = device.autodiff();
        for case in CASES {
            let data = Data::new(case);
            run(&format!("{name} {case:?}"), &data, upload(&data.x, [case.0, case.1], &device), &device);
        }
    }
}

#[test]
fn strided_input_gives_the_same_result() {
    for (name, device) in devices() {
        let device = device.autodiff();
        let (data, (rows, width, ..)) = (Data::new(CASES[2]), CASES[2]);
        let x = upload(&data.x, [rows, width], &device);
        run(&format!("{name} transposed"), &data, (x.clone().transpose() * 1.0).transpose().detach(), &device);
        let padded = Tensor::cat(vec![x.clone() * 2.0, x.clone(), x * 3.0], 1);
        run(&format!("{name} sliced"), &data, padded.slice([0..rows, width..2 * width]).detach(), &device);
    }
}

#[test]
fn any_rank_and_no_beta() {
    for (name, device) in devices() {
        let x = upload(&Data::new(CASES[3]).x, [3, 11, 128], &device);
        let gamma = Tensor::<1>::ones([128], &device);
        let y = layer_norm(x, gamma, None, EPS);
        assert_eq!(y.dims(), [3, 11, 128], "{name}");
        let mean: f32 = values(y.clone()).iter().sum::<f32>() / (33.0 * 128.0);
        let square: f32 = values(y).iter().map(|y| y * y).sum::<f32>() / (33.0 * 128.0);
        assert!(mean.abs() < 1e-5 && (square - 1.0).abs() < 1e-3, "{name}: {mean} {square}");
    }
}

#[test]
#[cfg(feature = "flex")]
fn flex_gives_the_same_bits_on_any_number_of_threads() {
    let data = Data::new((501, 97, 2.0, 0.5));
    let bits = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let device = Device::flex().autodiff();
            let x = upload(&data.x, [501, 97], &device).require_grad();
            let gamma = upload(&data.gamma, [97], &device).require_grad();
            let y = layer_norm(x.clone(), gamma.clone(), None, EPS);
            let gradients = (y.clone() * upload(&data.dy, [501, 97], &device)).sum().backward();
            let all = [values(y), values(x.grad(&gradients).unwrap()), values(gamma.grad(&gradients).unwrap())];
            all.concat().iter().map(|x| x.to_bits()).collect::<Vec<_>>()
        })
    };
    let one = bits(1);
    assert!(one == bits(2) && one == bits(7));
}
