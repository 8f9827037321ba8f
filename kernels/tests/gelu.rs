//! GELU against an f64 reference and finite differences, on every compiled device.
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use burn::tensor::{Device, Tensor, TensorData};
use kiln_kernels::gelu;
use support::{close, devices, noise, values};

fn right(x: f64) -> f64 {
    0.5 * x * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3))).tanh())
}

fn slope(x: f64) -> f64 {
    (right(x + 1e-5) - right(x - 1e-5)) / 2e-5
}

fn data(shape: [usize; 2], device: &Device) -> Tensor<2> {
    // Beyond the range where anything but the tails is left, and both sides of it.
    let values: Vec<f32> = noise(shape[0] * shape[1], 5).iter().map(|x| x * 12.0).collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// An f32 exponential is good to 2e-7 of a value up to 12, and a GPU's to some 1e-6.
fn check(what: &str, x: Tensor<2>) {
    let x = x.require_grad();
    let y = gelu(x.clone());
    let gradients = (y.clone() * 0.5).sum().backward();
    let wide: Vec<f64> = values(x.clone()).iter().map(|x| f64::from(*x)).collect();
    close(&format!("{what} y"), &values(y), &wide.iter().map(|x| right(*x)).collect::<Vec<_>>(), 4e-6, 4e-6);
    let dx: Vec<f64> = wide.iter().map(|x| 0.5 * slope(*x)).collect();
    close(&format!("{what} dx"), &values(x.grad(&gradients).unwrap()), &dx, 4e-6, 4e-6);
}

#[test]
fn every_device_matches_the_reference() {
    for (name, device) in devices() {
        let device = device.autodiff();
        for shape in [[1, 1], [3, 5], [17, 31], [129, 257]] {
            check(&format!("{name} {shape:?}"), data(shape, &device));
        }
        let checkpointed = device.gradient_checkpointing();
        check(&format!("{name} checkpointed"), data([9, 7], &checkpointed));
    }
}

#[test]
fn strided_input_gives_the_same_result() {
    for (name, device) in devices() {
        let device = device.autodiff();
        check(&format!("{name} transposed"), data([13, 7], &device).transpose().detach());
        check(&format!("{name} sliced"), data([13, 40], &device).slice([2..11, 3..36]).detach());
    }
}

#[test]
fn the_ends_are_exact_and_nan_stays() {
    for (name, device) in devices() {
        let x = Tensor::<1>::from_floats([-1e4, 0.0, 1e4, f32::NAN], &device.autodiff()).require_grad();
        let y = gelu(x.clone());
        let gradients = y.clone().sum().backward();
        let (y, dx) = (values(y), values(x.grad(&gradients).unwrap()));
        assert_eq!((y[0], y[1], y[2]), (0.0, 0.0, 1e4), "{name}");
        assert_eq!((dx[0], dx[1], dx[2]), (0.0, 0.5, 1.0), "{name}");
        assert!(y[3].is_nan() && dx[3].is_nan(), "{name}");
    }
}
