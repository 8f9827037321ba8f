//! Every compiled device takes the same small training step; one that this machine lacks is skipped out loud.
#![allow(missing_docs, clippy::unwrap_used)]

use std::time::Instant;

use burn::tensor::{Device, Int, Tensor, TensorData};
use kiln::device::{Adapter, DeviceSpec, Torch};

const SPECS: [DeviceSpec; 9] = [
    DeviceSpec::NdArray,
    DeviceSpec::Tch(Torch::Cpu),
    DeviceSpec::Tch(Torch::Cuda(0)),
    DeviceSpec::Vulkan(Adapter::Best),
    DeviceSpec::Vulkan(Adapter::Software),
    DeviceSpec::Wgpu(Adapter::Best),
    DeviceSpec::Wgpu(Adapter::Software),
    DeviceSpec::Metal,
    DeviceSpec::Cuda(0),
];

/// Numbers in [-0.5, 0.5) that need no generator.
fn wave<const D: usize>(shape: [usize; D], step: f32, device: &Device) -> Tensor<D> {
    let values: Vec<f32> = (0..shape.iter().product()).map(|i| (i as f32 * step).sin() / 2.0).collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// Loss and gradients of two matrices around a GELU and a layer norm, under cross-entropy.
fn step(device: &Device) -> Vec<f32> {
    let device = device.clone().autodiff();
    let (first, second) = (wave([12, 16], 0.7, &device).require_grad(), wave([16, 10], 1.3, &device).require_grad());
    let gamma = wave([16], 0.9, &device).require_grad();
    let hidden = kiln_kernels::gelu(wave([8, 12], 0.37, &device).matmul(first.clone()));
    let hidden = kiln_kernels::layer_norm(hidden, gamma.clone(), None, 1e-5);
    let targets = Tensor::<1, Int>::from_ints([3, -1, 0, 9, 4, 4, -1, 7], &device);
    let loss = kiln_kernels::cross_entropy(hidden.matmul(second.clone()), targets, 0.1);
    let gradients = loss.clone().backward();
    let matrices = [first, second].into_iter().map(|matrix| values(matrix.grad(&gradients).unwrap()));
    [values(loss), values(gamma.grad(&gradients).unwrap())].into_iter().chain(matrices).flatten().collect()
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().convert::<f32>().try_into_vec().unwrap()
}

#[test]
fn devices_take_the_same_step() {
    let right = step(&DeviceSpec::Flex.open().unwrap().device);
    for spec in SPECS {
        let opened = match spec.open() {
            Ok(opened) => opened,
            Err(why) => {
                eprintln!("SKIPPED {spec}: {why}");
                continue;
            }
        };
        let start = Instant::now();
        let got = step(&opened.device);
        eprintln!("{}: first step {:.2} s", opened.name, start.elapsed().as_secs_f64());
        for (i, (got, right)) in got.iter().zip(&right).enumerate() {
            // Sums of 8 to 16 products of order 1, in another order: some 1e-6; 5e-5 leaves room for a GPU's `exp`.
            assert!((got - right).abs() <= 5e-5 * right.abs().max(1.0), "{spec}: value {i} is {got}, on flex {right}");
        }
    }
}
