//! Two-dimensional convolution.

use burn::{
    module::{Initializer, Module, Param},
    tensor::{Device, Tensor},
};
use kiln_kernels::{Conv2dOptions, conv2d};

use super::cast_like;

/// Builds a [`Conv`].
#[derive(Debug, Clone)]
pub struct ConvConfig {
    inputs: usize,
    outputs: usize,
    kernel: usize,
    stride: usize,
    bias: bool,
    kaiming: bool,
}

impl ConvConfig {
    /// A square kernel of odd side, padded so that stride 1 keeps the picture's size, with a bias. Weights and
    /// biases start uniform within ±1/sqrt(fan-in), PyTorch's default.
    pub fn new(inputs: usize, outputs: usize, kernel: usize) -> Self {
        Self { inputs, outputs, kernel, stride: 1, bias: true, kaiming: false }
    }

    /// Steps by `stride` pixels.
    pub fn stride(self, stride: usize) -> Self {
        Self { stride, ..self }
    }

    /// No bias; weights start normal with standard deviation sqrt(2 / fan-out) (He et al. 2015, Delving deep into
    /// rectifiers, equation 14).
    pub fn kaiming(self) -> Self {
        Self { bias: false, kaiming: true, ..self }
    }

    /// Draws the parameters on `device`.
    pub fn init(&self, device: &Device) -> Conv {
        let area = self.kernel * self.kernel;
        let bound = 1.0 / ((self.inputs * area).max(1) as f64).sqrt();
        let uniform = Initializer::Uniform { min: -bound, max: bound };
        let std = (2.0 / (self.outputs * area).max(1) as f64).sqrt();
        let weights = if self.kaiming { Initializer::Normal { mean: 0.0, std } } else { uniform.clone() };
        Conv {
            weight: weights.init([self.outputs, self.inputs, self.kernel, self.kernel], device),
            bias: self.bias.then(|| uniform.init([self.outputs], device)),
            stride: self.stride,
        }
    }
}

/// A convolution over pictures.
#[derive(Module, Debug)]
pub struct Conv {
    /// `[outputs, inputs, kernel, kernel]`.
    pub weight: Param<Tensor<4>>,
    /// `[outputs]`.
    pub bias: Option<Param<Tensor<1>>>,
    stride: usize,
}

impl Conv {
    /// `[b, inputs, height, width]` to `[b, outputs, ceil(height / stride), ceil(width / stride)]`.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        self.run(x, Conv2dOptions::default())
    }

    /// As [`Self::forward`], then ReLU in the same pass.
    pub fn forward_relu(&self, x: Tensor<4>) -> Tensor<4> {
        self.run(x, Conv2dOptions { relu: true, ..Conv2dOptions::default() })
    }

    /// As [`Self::forward_relu`], then the largest of every 2 x 2: half the size, rounded down.
    pub fn forward_relu_pool(&self, x: Tensor<4>) -> Tensor<4> {
        self.run(x, Conv2dOptions { relu: true, pool: true, ..Conv2dOptions::default() })
    }

    fn run(&self, x: Tensor<4>, after: Conv2dOptions) -> Tensor<4> {
        let weight = cast_like(self.weight.val(), &x);
        let bias = self.bias.as_ref().map(|bias| cast_like(bias.val(), &x));
        let padding = weight.dims()[2] / 2;
        conv2d(x, weight, bias, Conv2dOptions { stride: [self.stride; 2], padding: [padding; 2], ..after })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn sums_neighbours_by_hand() {
        let device = Device::flex();
        let conv = Conv {
            weight: Param::from_tensor(Tensor::ones([1, 1, 3, 3], &device)),
            bias: Some(Param::from_data([0.5f32], &device)),
            stride: 1,
        };
        let x = Tensor::<2>::from_data([[1.0f32, 2.0], [3.0, 4.0]], &device).unsqueeze::<4>();
        assert_eq!(conv.forward(x).into_data().try_to_vec::<f32>().unwrap(), [10.5; 4]);
    }

    #[test]
    fn a_stride_rounds_sizes_up() {
        let device = Device::flex();
        for (kernel, size) in [(1, 5usize), (3, 5), (7, 9)] {
            let conv = ConvConfig::new(2, 3, kernel).stride(2).kaiming().init(&device);
            let y = conv.forward(Tensor::ones([1, 2, size, size], &device));
            assert_eq!(y.dims(), [1, 3, size.div_ceil(2), size.div_ceil(2)]);
        }
    }
}
