//! RMS normalisation against an f64 reference whose gradients are finite differences, on every compiled device.
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use burn::tensor::{Device, Tensor};
use kiln_kernels::rms_norm;
use support::{close, devices, slopes, upload, values, wide_noise};

const EPS: f64 = 1e-5;

struct Data {
    x: Vec<f64>,
    gamma: Vec<f64>,
    dy: Vec<f64>,
    sizes: [usize; 2],
}

impl Data {
    fn new(sizes @ [rows, width]: [usize; 2], scale: f32) -> Self {
        let gamma = wide_noise(width, 2, 0.5).into_iter().map(|gamma| gamma + 1.0).collect();
        Self { x: wide_noise(rows * width, 1, scale), gamma, dy: wide_noise(rows * width, 3, 1.0), sizes }
    }

    fn forward(&self, x: &[f64], gamma: &[f64]) -> Vec<f64> {
        let width = self.sizes[1];
        let normal = |row: &[f64]| {
            let root = (row.iter().map(|x| x * x).sum::<f64>() / width as f64 + EPS).sqrt();
            row.iter().zip(gamma).map(|(x, gamma)| x / root * gamma).collect::<Vec<_>>()
        };
        x.chunks(width).flat_map(normal).collect()
    }

    fn scalar(&self, x: &[f64], gamma: &[f64]) -> f64 {
        self.forward(x, gamma).iter().zip(&self.dy).map(|(y, dy)| y * dy).sum()
    }
}

/// Results are near 1, where f32 rounds by 6e-8; a sum over a row or over rows adds the root of its length of that. A
/// gradient of x is divided by the row's root, so that small rows magnify the error.
fn check(what: &str, data: &Data, x: Tensor<2>, device: &Device) {
    let [rows, width] = data.sizes;
    let x = x.require_grad();
    let gamma = upload(&data.gamma, [width], device).require_grad();
    let y = rms_norm(x.clone(), gamma.clone(), EPS);
    let gradients = (y.clone() * upload(&data.dy, [rows, width], device)).sum().backward();
    close(&format!("{what} y"), &values(y), &data.forward(&data.x, &data.gamma), 2e-6, 2e-6);
    let dx = slopes(&data.x, |x| data.scalar(x, &data.gamma));
    let largest = dx.iter().fold(1f64, |most, dx| most.max(dx.abs()));
    close(&format!("{what} dx"), &values(x.grad(&gradients).unwrap()), &dx, 4e-6 * largest, 1e-5);
    let dgamma = slopes(&data.gamma, |gamma| data.scalar(&data.x, gamma));
    close(&format!("{what} dgamma"), &values(gamma.grad(&gradients).unwrap()), &dgamma, 2e-5, 1e-5);
}

#[test]
fn every_device_matches_the_reference() {
    for (name, device) in devices() {
        let device = device.autodiff();
        for (sizes, scale) in [([1, 1], 1.0), ([3, 2], 1.0), ([7, 17], 3.0), ([33, 64], 0.01), ([2, 131], 1e4)] {
            let data = Data::new(sizes, scale);
            check(&format!("{name} {sizes:?} {scale}"), &data, upload(&data.x, sizes, &device), &device);
        }
    }
}

#[test]
fn strided_input_gives_the_same_result() {
    for (name, device) in devices() {
        let device = device.autodiff();
        let data = Data::new([7, 17], 1.0);
        let x = upload(&data.x, [7, 17], &device);
        check(&format!("{name} transposed"), &data, (x.clone().transpose() * 1.0).transpose().detach(), &device);
        let padded = Tensor::cat(vec![x.clone() * 2.0, x.clone(), x * 3.0], 1);
        check(&format!("{name} sliced"), &data, padded.slice([0..7, 17..34]).detach(), &device);
    }
}

#[test]
fn any_rank_no_rows_and_nan() {
    for (name, device) in devices() {
        let gamma = Tensor::<1>::ones([4], &device);
        let y = values(rms_norm(Tensor::<3>::ones([2, 3, 4], &device) * 2.0, gamma.clone(), 0.0));
        assert!(y.len() == 24 && y.iter().all(|y| (y - 1.0).abs() < 1e-6), "{name}: {y:?}");
        let x = Tensor::<2>::from_floats([[f32::NAN, 1.0, 1.0, 1.0], [1.0; 4]], &device);
        let y = values(rms_norm(x, gamma.clone(), EPS));
        assert!(y[..4].iter().all(|y| y.is_nan()) && y[4..].iter().all(|y| y.is_finite()), "{name}: {y:?}");
        if name == "flex" {
            assert_eq!(rms_norm(Tensor::<2>::ones([0, 4], &device), gamma, EPS).dims(), [0, 4]);
        }
    }
}

#[test]
#[cfg(feature = "flex")]
fn flex_gives_the_same_bits_on_any_number_of_threads() {
    let sizes = [501, 97];
    let data = Data::new(sizes, 2.0);
    let bits = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let device = Device::flex().autodiff();
            let x = upload(&data.x, sizes, &device).require_grad();
            let gamma = upload(&data.gamma, [97], &device).require_grad();
            let y = rms_norm(x.clone(), gamma.clone(), EPS);
            let gradients = (y.clone() * upload(&data.dy, sizes, &device)).sum().backward();
            let all = [values(y), values(x.grad(&gradients).unwrap()), values(gamma.grad(&gradients).unwrap())];
            all.concat().iter().map(|x| x.to_bits()).collect::<Vec<_>>()
        })
    };
    let one = bits(1);
    assert!(one == bits(2) && one == bits(7));
}
