//! Convolution over the steps of a sequence.

use burn::{
    module::{Initializer, Module, Param},
    tensor::{Device, Tensor},
};
use kiln_kernels::{Conv2dOptions, conv2d};

use super::cast_like;

/// Builds a [`Conv1d`].
#[derive(Debug, Clone)]
pub struct Conv1dConfig {
    /// Values of a step.
    pub inputs: usize,
    /// Values of a step after it.
    pub outputs: usize,
    /// Steps that are looked at, odd.
    pub kernel: usize,
    /// Steps from one place to the next.
    pub stride: usize,
}

impl Conv1dConfig {
    /// Draws the parameters on `device`: uniform within ±1/sqrt(fan-in), PyTorch's default.
    pub fn init(&self, device: &Device) -> Conv1d {
        let bound = 1.0 / ((self.inputs * self.kernel).max(1) as f64).sqrt();
        let uniform = Initializer::Uniform { min: -bound, max: bound };
        Conv1d {
            weight: uniform.init([self.outputs, self.inputs, self.kernel], device),
            bias: uniform.init([self.outputs], device),
            stride: self.stride,
        }
    }
}

/// A convolution over steps, padded with zeros so that stride 1 keeps their number.
#[derive(Module, Debug)]
pub struct Conv1d {
    /// `[outputs, inputs, kernel]`.
    pub weight: Param<Tensor<3>>,
    /// `[outputs]`.
    pub bias: Param<Tensor<1>>,
    stride: usize,
}

impl Conv1d {
    /// `[b, inputs, t]` to `[b, outputs, ceil(t / stride)]`, then ReLU in the same pass.
    pub fn forward_relu(&self, x: Tensor<3>) -> Tensor<3> {
        let weight = cast_like(self.weight.val(), &x);
        let bias = cast_like(self.bias.val(), &x);
        let padding = [0, weight.dims()[2] / 2];
        let options = Conv2dOptions { stride: [1, self.stride], padding, relu: true, ..Conv2dOptions::default() };
        // Steps are the columns of a picture of one row.
        conv2d(x.unsqueeze_dim::<4>(2), weight.unsqueeze_dim::<4>(2), Some(bias), options).squeeze_dim::<3>(2)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn sums_neighbours_by_hand() {
        let device = Device::flex();
        let x = Tensor::<3>::from_data([[[1.0f32, 2.0, 3.0, 4.0, 5.0]]], &device);
        let mut conv = Conv1d {
            weight: Param::from_data([[[1.0f32, 10.0, 100.0]]], &device),
            bias: Param::from_data([-321.0f32], &device),
            stride: 1,
        };
        let run = |conv: &Conv1d| conv.forward_relu(x.clone()).into_data().try_to_vec::<f32>().unwrap();
        assert_eq!(run(&conv), [0.0, 0.0, 111.0, 222.0, 0.0]);
        conv.stride = 2;
        assert_eq!(run(&conv), [0.0, 111.0, 0.0]);
    }
}
