//! Normalisation over the last dimension.

use burn::{
    module::{Initializer, Module, Param},
    tensor::{Device, Tensor},
};

use super::{cast_like, to_f32};

/// LayerNorm (Ba et al. 2016) or RMSNorm (Zhang and Sennrich 2019). Statistics are f32 whatever the input.
///
/// One type for both, so that a parameter's path doesn't depend on the choice.
#[derive(Module, Debug)]
pub struct Norm {
    /// `[width]`, starts at 1.
    pub weight: Param<Tensor<1>>,
    /// `[width]`, starts at 0; LayerNorm only.
    pub bias: Option<Param<Tensor<1>>>,
    centred: bool,
    epsilon: f64,
}

impl Norm {
    /// LayerNorm: subtracts the mean, divides by the standard deviation.
    pub fn layer(width: usize, bias: bool, epsilon: f64, device: &Device) -> Self {
        let bias = bias.then(|| Initializer::Zeros.init([width], device));
        Self { weight: Initializer::Ones.init([width], device), bias, centred: true, epsilon }
    }

    /// RMSNorm: divides by the root of the mean square.
    pub fn rms(width: usize, epsilon: f64, device: &Device) -> Self {
        Self { weight: Initializer::Ones.init([width], device), bias: None, centred: false, epsilon }
    }

    /// `[.., width]` to the same shape and dtype.
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let weight = self.weight.val();
        let wide = to_f32(x.clone());
        let y = if self.centred {
            kiln_kernels::layer_norm(wide, weight, self.bias.as_ref().map(Param::val), self.epsilon)
        } else {
            kiln_kernels::rms_norm(wide, weight, self.epsilon)
        };
        cast_like(y, &x)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use burn::tensor::{DType, FloatDType};

    use super::*;

    fn run(norm: &Norm) -> Vec<f32> {
        let x = Tensor::<2>::from_data([[1.0f32, 2.0, 3.0, 6.0]], &Device::flex());
        norm.forward(x).into_data().try_to_vec::<f32>().unwrap()
    }

    #[test]
    fn layer_norm_by_hand() {
        // mean 3, variance 3.5
        let expected = [-2.0, -1.0, 0.0, 3.0].map(|v: f32| v / 3.5f32.sqrt());
        let found = run(&Norm::layer(4, true, 0.0, &Device::flex()));
        assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{found:?}");
    }

    #[test]
    fn rms_norm_by_hand() {
        // mean square 12.5
        let expected = [1.0, 2.0, 3.0, 6.0].map(|v: f32| v / 12.5f32.sqrt());
        let found = run(&Norm::rms(4, 0.0, &Device::flex()));
        assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{found:?}");
    }

    #[test]
    fn statistics_are_f32_for_bf16_input() {
        // In bf16, 256 + 1 is 256: a bf16 mean would lose the ones.
        let device = Device::flex();
        let x = Tensor::<2>::ones([1, 512], &device).cast(FloatDType::BF16);
        let y = Norm::rms(512, 0.0, &device).forward(x);
        assert_eq!(y.dtype(), DType::BF16);
        assert_eq!(y.cast(FloatDType::F32).sum().into_scalar::<f32>(), 512.0);
    }
}
