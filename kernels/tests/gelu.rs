//! GELU against an f64 reference and finite differences, on every compiled device.
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use burn::tensor::{Device, Tensor, TensorData};
use kiln_kernels::{gelu, gelu_erf};
use support::{close, devices, noise, values};

/// A form of GELU, and what it is.
type Form = (&'static str, fn(Tensor<2>) -> Tensor<2>, fn(f64) -> f64);

const FORMS: [Form; 2] = [("tanh", gelu, tanh), ("erf", gelu_erf, erf)];

fn tanh(x: f64) -> f64 {
    0.5 * x * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3))).tanh())
}

/// `x Φ(x)`: Φ by its power series, and beyond 3 by the tail's continued fraction.
fn erf(x: f64) -> f64 {
    let density = (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt();
    let share = if x.abs() < 3.0 {
        let terms = std::iter::successors(Some((x, 3.0)), |(term, odd)| Some((term * x * x / odd, odd + 2.0)));
        0.5 + density * terms.take(100).map(|(term, _)| term).sum::<f64>()
    } else {
        let tail = density / (1..100).rev().fold(x.abs(), |under, n| x.abs() + f64::from(n) / under);
        if x < 0.0 { tail } else { 1.0 - tail }
    };
    x * share
}

fn data(shape: [usize; 2], device: &Device) -> Tensor<2> {
    // Beyond the range where anything but the tails is left, and both sides of it.
    let values: Vec<f32> = noise(shape[0] * shape[1], 5).iter().map(|x| x * 12.0).collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// An f32 exponential is good to 2e-7 of a value up to 12, and a GPU's to some 1e-6.
fn check(what: &str, x: &Tensor<2>) {
    FORMS.iter().for_each(|form| check_form(&format!("{what} {}", form.0), x.clone(), *form));
}

fn check_form(what: &str, x: Tensor<2>, (_, op, right): Form) {
    let slope = |x: f64| (right(x + 1e-5) - right(x - 1e-5)) / 2e-5;
    let x = x.require_grad();
    let y = op(x.clone());
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
            check(&format!("{name} {shape:?}"), &data(shape, &device));
        }
        let checkpointed = device.gradient_checkpointing();
        check(&format!("{name} checkpointed"), &data([9, 7], &checkpointed));
    }
}

#[test]
fn strided_input_gives_the_same_result() {
    for (name, device) in devices() {
        let device = device.autodiff();
        check(&format!("{name} transposed"), &data([13, 7], &device).transpose().detach());
        check(&format!("{name} sliced"), &data([13, 40], &device).slice([2..11, 3..36]).detach());
    }
}

#[test]
fn the_ends_are_exact_and_nan_stays() {
    for ((name, device), (_, op, _)) in devices().flat_map(|at| FORMS.map(|form| (at.clone(), form))) {
        let x = Tensor::<2>::from_floats([[-1e4, 0.0, 1e4, f32::NAN]], &device.autodiff()).require_grad();
        let y = op(x.clone());
        let gradients = y.clone().sum().backward();
        let (y, dx) = (values(y), values(x.grad(&gradients).unwrap()));
        assert_eq!((y[0], y[1], y[2]), (0.0, 0.0, 1e4), "{name}");
        assert_eq!((dx[0], dx[1], dx[2]), (0.0, 0.5, 1.0), "{name}");
        assert!(y[3].is_nan() && dx[3].is_nan(), "{name}");
    }
}
