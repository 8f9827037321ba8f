//! The affine map.

use burn::{
    module::{Initializer, Module, Param},
    tensor::{Device, Tensor},
};
use kiln_kernels::{Activation, linear};

use super::cast_like;

/// Builds a [`Linear`].
#[derive(Debug, Clone)]
pub struct LinearConfig {
    inputs: usize,
    outputs: usize,
    bias: bool,
    std: Option<f64>,
}

impl LinearConfig {
    /// A map from `inputs` to `outputs` values with a bias. Weights and biases start uniform within
    /// ±1/sqrt(inputs), PyTorch's default (Kaiming-uniform with a = sqrt(5); LeCun et al. 1998, section 4.6).
    pub fn new(inputs: usize, outputs: usize) -> Self {
        Self { inputs, outputs, bias: true, std: None }
    }

    /// Whether there is a bias.
    pub fn bias(self, bias: bool) -> Self {
        Self { bias, ..self }
    }

    /// Weights start normal with this standard deviation, biases zero.
    pub fn normal(self, std: f64) -> Self {
        Self { std: Some(std), ..self }
    }

    /// Draws the parameters on `device`.
    pub fn init(&self, device: &Device) -> Linear {
        let bound = 1.0 / (self.inputs.max(1) as f64).sqrt();
        let uniform = Initializer::Uniform { min: -bound, max: bound };
        let (weights, biases) = match self.std {
            Some(std) => (Initializer::Normal { mean: 0.0, std }, Initializer::Zeros),
            None => (uniform.clone(), uniform),
        };
        Linear {
            weight: weights.init([self.inputs, self.outputs], device),
            bias: self.bias.then(|| biases.init([self.outputs], device)),
        }
    }
}

/// `y = x W + b`.
#[derive(Module, Debug)]
pub struct Linear {
    /// `[inputs, outputs]`.
    pub weight: Param<Tensor<2>>,
    /// `[outputs]`.
    pub bias: Option<Param<Tensor<1>>>,
}

impl Linear {
    /// `[.., inputs]` to `[.., outputs]`, in the dtype of `x`.
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        self.then(x, Activation::None)
    }

    /// [`Self::forward`] with an activation after it.
    pub fn then<const D: usize>(&self, x: Tensor<D>, activation: Activation) -> Tensor<D> {
        let weight = cast_like(self.weight.val(), &x);
        let bias = self.bias.as_ref().map(|bias| cast_like(bias.val(), &x));
        linear(x, weight, bias, activation)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use burn::tensor::{DType, FloatDType};

    use super::*;

    #[test]
    fn maps_by_hand() {
        let device = Device::flex();
        let layer = Linear {
            weight: Param::from_data([[1.0f32, 2.0], [3.0, 4.0]], &device),
            bias: Some(Param::from_data([0.5f32, -0.5], &device)),
        };
        let y = layer.forward(Tensor::<2>::from_data([[1.0f32, -1.0]], &device));
        assert_eq!(y.into_data().try_to_vec::<f32>().unwrap(), [-1.5, -2.5]);
    }

    #[test]
    fn starts_within_the_bound() {
        let device = Device::flex();
        device.seed(1);
        let layer = LinearConfig::new(16, 64).init(&device);
        let most = layer.weight.val().abs().max().into_scalar::<f32>();
        assert!(most <= 0.25 && most > 0.24, "{most}");
    }

    #[test]
    fn follows_the_dtype_of_its_input_and_keeps_f32_gradients() {
        let device = Device::flex().autodiff();
        let layer = LinearConfig::new(3, 2).init(&device);
        let y = layer.forward(Tensor::<3>::ones([2, 4, 3], &device).cast(FloatDType::BF16));
        assert_eq!((y.dtype(), y.dims()), (DType::BF16, [2, 4, 2]));
        let grads = y.cast(FloatDType::F32).sum().backward();
        let grad = layer.weight.val().grad(&grads).unwrap();
        assert_eq!((grad.dtype(), grad.dims()), (DType::F32, [3, 2]));
        assert_eq!(grad.into_data().try_to_vec::<f32>().unwrap(), [8.0; 6]);
    }
}
