//! The position-wise feed-forward part of a transformer's block.

use burn::{
    module::Module,
    tensor::{Device, Tensor},
};

use kiln_kernels::{Activation, swiglu};

use super::{Dropout, DropoutConfig, Linear, LinearConfig};

/// Builds a [`FeedForward`].
#[derive(Debug, Clone)]
pub struct FeedForwardConfig {
    /// Width in and out.
    pub width: usize,
    /// Width between.
    pub hidden: usize,
    /// `silu(x gate) * (x up)` (SwiGLU, Shazeer 2020) instead of `gelu(x up)`.
    pub gated: bool,
    /// Whether the linear layers have biases.
    pub bias: bool,
    /// Standard deviation of the weights into the hidden layer.
    pub std: f64,
    /// Standard deviation of the weights back into the residual stream.
    pub output_std: f64,
    /// Probability of zeroing an output while training.
    pub dropout: f64,
}

impl FeedForwardConfig {
    /// Draws the parameters on `device`.
    pub fn init(&self, device: &Device) -> FeedForward {
        let up = LinearConfig::new(self.width, self.hidden).bias(self.bias).normal(self.std);
        let down = LinearConfig::new(self.hidden, self.width).bias(self.bias).normal(self.output_std);
        FeedForward {
            up: up.init(device),
            gate: self.gated.then(|| up.init(device)),
            down: down.init(device),
            dropout: DropoutConfig::new(self.dropout).init(),
        }
    }
}

/// Two linear layers with a non-linearity between, or three with a gate.
#[derive(Module, Debug)]
pub struct FeedForward {
    up: Linear,
    gate: Option<Linear>,
    down: Linear,
    dropout: Dropout,
}

impl FeedForward {
    /// `[b, t, c]` to the same shape and dtype.
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let hidden = match &self.gate {
            Some(gate) => swiglu(gate.forward(x.clone()), self.up.forward(x)), // [b, t, hidden]
            None => self.up.then(x, Activation::Gelu),
        };
        self.dropout.forward(self.down.forward(hidden)) // [b, t, c]
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn gelu_matches_its_formula() {
        let values = [-4.0f32, -1.0, -0.1, 0.0, 0.5, 1.0, 3.0];
        let x = Tensor::<1>::from_data(values, &Device::flex());
        let found = kiln_kernels::gelu(x).into_data().try_to_vec::<f32>().unwrap();
        for (x, found) in values.iter().map(|&x| f64::from(x)).zip(found) {
            let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3));
            assert!((0.5 * x * (1.0 + inner.tanh()) - f64::from(found)).abs() < 1e-6, "gelu({x}) = {found}");
        }
    }

    #[test]
    fn a_gate_adds_a_third_matrix() {
        let config = FeedForwardConfig {
            width: 4,
            hidden: 6,
            gated: true,
            bias: false,
            std: 0.02,
            output_std: 0.02,
            dropout: 0.0,
        };
        let device = Device::flex();
        let layer = config.init(&device);
        assert_eq!(layer.num_params(), 3 * 4 * 6);
        assert_eq!(layer.forward(Tensor::ones([2, 3, 4], &device)).dims(), [2, 3, 4]);
    }
}
