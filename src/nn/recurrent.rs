//! LSTM and GRU layers over padded batches.

use burn::{
    module::{Initializer, Module},
    tensor::{Device, Tensor},
};
use kiln_kernels::{RecurrentOptions, recurrent};

use super::{Dropout, DropoutConfig, Linear, cast_like, to_f32};

pub use kiln_kernels::Cell;

/// Builds a [`Recurrent`].
#[derive(Debug, Clone)]
pub struct RecurrentConfig {
    /// LSTM or GRU.
    pub cell: Cell,
    /// Width of a step's input.
    pub inputs: usize,
    /// Width of the state, of each direction.
    pub width: usize,
    /// Layers on top of each other.
    pub layers: usize,
    /// Whether every layer goes through the steps from the end too.
    pub bidirectional: bool,
    /// Probability of zeroing an output of every layer but the last while training.
    pub dropout: f64,
}

impl RecurrentConfig {
    /// Draws the parameters on `device`: uniform within ±1/sqrt(width), PyTorch's default.
    pub fn init(&self, device: &Device) -> Recurrent {
        let layer = |i| {
            let inputs = if i == 0 { self.inputs } else { self.outputs() };
            Layer {
                forward: self.direction(inputs, device),
                backward: self.bidirectional.then(|| self.direction(inputs, device)),
            }
        };
        Recurrent {
            layers: (0..self.layers).map(layer).collect(),
            dropout: DropoutConfig::new(self.dropout).init(),
            cell: self.cell,
        }
    }

    /// Width of a step's output.
    pub fn outputs(&self) -> usize {
        if self.bidirectional { 2 * self.width } else { self.width }
    }

    fn direction(&self, inputs: usize, device: &Device) -> Direction {
        let bound = 1.0 / (self.width.max(1) as f64).sqrt();
        let uniform = Initializer::Uniform { min: -bound, max: bound };
        let columns = self.cell.gates() * self.width;
        let linear = |inputs: usize| Linear {
            weight: uniform.init([inputs, columns], device),
            bias: Some(uniform.init([columns], device)),
        };
        Direction { input: linear(inputs), hidden: linear(self.width) }
    }
}

/// Layers of LSTMs (Hochreiter and Schmidhuber 1997) or GRUs (Cho et al. 2014) that begin with a state of zeros.
///
/// The gates' columns, their two biases and their equations are PyTorch's: `input` is its `weight_ih` transposed and
/// `bias_ih`, `hidden` its `weight_hh` and `bias_hh`.
#[derive(Module, Debug)]
pub struct Recurrent {
    layers: Vec<Layer>,
    dropout: Dropout,
    #[module(skip)]
    cell: Cell,
}

#[derive(Module, Debug)]
struct Layer {
    forward: Direction,
    backward: Option<Direction>,
}

#[derive(Module, Debug)]
struct Direction {
    input: Linear,
    hidden: Linear,
}

/// What the last layer gives.
#[derive(Debug, Clone)]
pub struct Unrolled {
    /// The state after every step, zeros at padding; both directions' beside each other: `[b, t, outputs]`.
    pub steps: Tensor<3>,
    /// The state after a sequence's last step, and that of the way back after its first: `[b, outputs]`.
    pub last: Tensor<2>,
}

impl Recurrent {
    /// `x` `[b, t, inputs]`; `valid` `[b, t]` is 0 at padding and 1 elsewhere. Results are in the dtype of `x`; states
    /// are f32.
    pub fn forward(&self, x: Tensor<3>, valid: Option<&Tensor<2>>) -> Unrolled {
        let (like, count) = (x.clone(), self.layers.len());
        let mut found = Unrolled { last: x.clone().narrow(1, 0, 1).squeeze_dim(1), steps: x };
        for (i, layer) in self.layers.iter().enumerate() {
            found = layer.unroll(found.steps, valid, self.cell);
            if i + 1 < count {
                found.steps = self.dropout.forward(found.steps);
            }
        }
        Unrolled { steps: cast_like(found.steps, &like), last: cast_like(found.last, &like) }
    }
}

impl Layer {
    fn unroll(&self, x: Tensor<3>, valid: Option<&Tensor<2>>, cell: Cell) -> Unrolled {
        let Some(backward) = &self.backward else { return self.forward.unroll(x, valid, cell, false) };
        let ahead = self.forward.unroll(x.clone(), valid, cell, false);
        let back = backward.unroll(x, valid, cell, true);
        Unrolled {
            steps: Tensor::cat(vec![ahead.steps, back.steps], 2),
            last: Tensor::cat(vec![ahead.last, back.last], 1),
        }
    }
}

impl Direction {
    fn unroll(&self, x: Tensor<3>, valid: Option<&Tensor<2>>, cell: Cell, reverse: bool) -> Unrolled {
        let t = x.dims()[1];
        let gates = to_f32(self.input.forward(x)); // [b, t, g h]
        let (weight, bias) = (self.hidden.weight.val(), self.hidden.bias.as_ref().map(|bias| bias.val()));
        let bias = bias.unwrap_or_else(|| Tensor::zeros([weight.dims()[1]], &gates.device()));
        let states = recurrent(gates, weight, bias, valid.cloned(), RecurrentOptions { cell, reverse }); // [b, t, h]
        // The state goes through padding as it is, so the last step has it whatever the length.
        let end = if reverse { 0 } else { t - 1 };
        let last = states.clone().narrow(1, end, 1).squeeze_dim(1);
        let steps = match valid {
            Some(valid) => states * valid.clone().unsqueeze_dim::<3>(2),
            None => states,
        };
        Unrolled { steps, last }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use burn::tensor::{DType, Distribution, FloatDType, Tolerance};

    use super::*;

    fn config(cell: Cell) -> RecurrentConfig {
        RecurrentConfig { cell, inputs: 3, width: 4, layers: 2, bidirectional: true, dropout: 0.0 }
    }

    #[test]
    fn padding_changes_nothing() {
        let device = Device::flex();
        device.seed(1);
        for cell in [Cell::Lstm, Cell::Gru] {
            let layer = config(cell).init(&device);
            let x = Tensor::<3>::random([2, 5, 3], Distribution::Normal(0.0, 1.0), &device);
            let alone = layer.forward(x.clone(), None);
            let padded = Tensor::cat(vec![x, Tensor::full([2, 3, 3], 7.0, &device)], 1);
            let valid = Tensor::<2>::ones([2, 5], &device);
            let valid = Tensor::cat(vec![valid, Tensor::zeros([2, 3], &device)], 1);
            let found = layer.forward(padded, Some(&valid));
            let near = |a: Tensor<2>, b: Tensor<2>| {
                a.into_data().assert_approx_eq(&b.into_data(), Tolerance::<f32>::absolute(1e-6))
            };
            near(found.last, alone.last);
            near(found.steps.clone().narrow(1, 0, 5).flatten(0, 1), alone.steps.flatten(0, 1));
            assert_eq!(found.steps.narrow(1, 5, 3).abs().max().into_scalar::<f32>(), 0.0);
        }
    }

    #[test]
    fn follows_the_dtype_of_its_input() {
        let device = Device::flex().autodiff();
        let layer = config(Cell::Gru).init(&device);
        let found = layer.forward(Tensor::<3>::ones([2, 3, 3], &device).cast(FloatDType::BF16), None);
        assert_eq!((found.steps.dtype(), found.last.dims()), (DType::BF16, [2, 8]));
        let grads = found.last.cast(FloatDType::F32).sum().backward();
        assert_eq!(layer.layers[0].forward.hidden.weight.val().grad(&grads).unwrap().dtype(), DType::F32);
    }
}
