//! What decides which elements are dropped.

use burn::backend::{Backend, tensor::FloatTensor};
use burn::tensor::{Distribution, FloatDType, Shape};

/// Two whole numbers below 2^24, which f32 holds, drawn from the device's generator.
pub(crate) fn seed<B: Backend>(device: &B::Device) -> FloatTensor<B> {
    let whole = Distribution::Uniform(0.0, f64::from(1 << 24));
    B::float_floor(B::float_random(Shape::new([2]), whole, device, FloatDType::F32))
}

/// The two halves of a [`seed`] together.
pub(crate) fn seed_of(halves: &[f32]) -> u64 {
    halves.iter().fold(0, |seed, half| seed << 24 | *half as u64)
}
