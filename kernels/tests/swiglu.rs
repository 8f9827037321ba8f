//! SwiGLU's gate against an f64 formula whose gradients are finite differences, on every compiled device.
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use burn::tensor::{Device, Tensor};
use kiln_kernels::swiglu;
use support::{close, devices, upload, values, wide_noise};

fn silu(x: f64) -> f64 {
    x / (1.0 + (-x).exp())
}

fn slope(x: f64) -> f64 {
    (silu(x + 1e-5) - silu(x - 1e-5)) / 2e-5
}

/// On both sides of the range where more than the tails is left.
fn data([rows, columns]: [usize; 2], device: &Device) -> [Tensor<2>; 2] {
    [(1, 20.0), (2, 3.0)].map(|(seed, scale)| {
        let values = wide_noise(rows * columns, seed, scale);
        upload(&values, [rows, columns], device)
    })
}

/// An f32 exponential is good to 2e-7 of a value up to 60, and a GPU's to some 1e-6.
fn check(what: &str, [gate, up]: [Tensor<2>; 2]) {
    let (gate, up) = (gate.require_grad(), up.require_grad());
    let y = swiglu(gate.clone(), up.clone());
    let gradients = (y.clone() * 0.5).sum().backward();
    let wide = |x: &Tensor<2>| values(x.clone()).into_iter().map(f64::from).collect::<Vec<_>>();
    let pairs: Vec<(f64, f64)> = wide(&gate).into_iter().zip(wide(&up)).collect();
    let right = |f: fn(&(f64, f64)) -> f64| pairs.iter().map(f).collect::<Vec<_>>();
    let near = |what: &str, got: Tensor<2>, right: Vec<f64>| close(what, &values(got), &right, 1e-6, 4e-6);
    near(&format!("{what} y"), y, right(|(gate, up)| silu(*gate) * up));
    near(&format!("{what} dgate"), gate.grad(&gradients).unwrap(), right(|(gate, up)| 0.5 * up * slope(*gate)));
    near(&format!("{what} dup"), up.grad(&gradients).unwrap(), right(|(gate, _)| 0.5 * silu(*gate)));
}

#[test]
fn every_device_matches_the_reference() {
    for (name, device) in devices() {
        let device = device.autodiff();
        for shape in [[1, 1], [3, 5], [17, 31], [129, 257]] {
            check(&format!("{name} {shape:?}"), data(shape, &device));
        }
        check(&format!("{name} checkpointed"), data([9, 7], &device.gradient_checkpointing()));
    }
}

#[test]
fn strided_input_gives_the_same_result() {
    for (name, device) in devices() {
        let device = device.autodiff();
        check(&format!("{name} transposed"), data([13, 7], &device).map(|x| x.transpose().detach()));
        check(&format!("{name} sliced"), data([13, 40], &device).map(|x| x.slice([2..11, 3..36]).detach()));
    }
}

#[test]
fn the_ends_are_exact_and_nan_stays() {
    for (name, device) in devices() {
        let gate = Tensor::<1>::from_floats([-1e4, 0.0, 1e4, f32::NAN], &device.clone().autodiff()).require_grad();
        let up = Tensor::<1>::from_floats([2.0, 2.0, 2.0, 2.0], &device.clone().autodiff()).require_grad();
        let y = swiglu(gate.clone(), up.clone());
        let gradients = y.clone().sum().backward();
        let (y, dgate, dup) = (values(y), values(gate.grad(&gradients).unwrap()), values(up.grad(&gradients).unwrap()));
        assert_eq!((y[0], y[1], y[2]), (0.0, 0.0, 2e4), "{name}");
        assert_eq!((dgate[0], dgate[1], dgate[2]), (0.0, 1.0, 2.0), "{name}");
        assert_eq!((dup[0], dup[1], dup[2]), (0.0, 0.0, 1e4), "{name}");
        assert!(y[3].is_nan() && dgate[3].is_nan() && dup[3].is_nan(), "{name}");
        if name == "flex" {
            let none = Tensor::<2>::ones([0, 3], &device);
            assert_eq!(swiglu(none.clone(), none).dims(), [0, 3]);
        }
    }
}
