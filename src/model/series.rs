//! Models of windows over the rows of a table: convolutions, gated recurrent units, a transformer.

use burn::{
    module::Module,
    tensor::{Device, Tensor},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Signature, cost::Cost, rules};
use crate::{
    error::{Error, Result},
    nn::{
        AttentionConfig, Block, BlockConfig, Cell, Conv1d, Conv1dConfig, Dropout, DropoutConfig, Embedding,
        FeedForwardConfig, Linear, LinearConfig, Norm, NormChoice, Recurrent, RecurrentConfig, Sight,
    },
};

/// `kind = "conv1d"`: convolutions that each halve the number of steps, then a linear head on all that are left.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Conv1dModelConfig {
    /// Convolutions.
    pub layers: usize,
    /// Values of a step after each.
    pub width: usize,
    /// Steps that each looks at; odd.
    pub kernel: usize,
    /// Probability of zeroing a value before the head while training.
    pub dropout: f64,
}

impl Default for Conv1dModelConfig {
    fn default() -> Self {
        Self { layers: 3, width: 64, kernel: 5, dropout: 0.0 }
    }
}

/// `kind = "series-gru"`: gated recurrent units (Cho et al. 2014), a linear head on the last state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SeriesGruConfig {
    /// Layers on top of each other.
    pub layers: usize,
    /// Width of the state.
    pub width: usize,
    /// Probability of zeroing an output of a layer while training.
    pub dropout: f64,
}

impl Default for SeriesGruConfig {
    fn default() -> Self {
        Self { layers: 1, width: 64, dropout: 0.0 }
    }
}

/// `kind = "series-transformer"`: pre-norm blocks (Vaswani et al. 2017; Radford et al. 2019) over steps with learned
/// positions, a linear head on the last one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SeriesTransformerConfig {
    /// Blocks.
    pub layers: usize,
    /// Attention heads; must divide `width`.
    pub heads: usize,
    /// Width of the residual stream.
    pub width: usize,
    /// Probability of zeroing embeddings, attention weights and block outputs while training.
    pub dropout: f64,
}

impl Default for SeriesTransformerConfig {
    fn default() -> Self {
        Self { layers: 2, heads: 4, width: 64, dropout: 0.0 }
    }
}

/// Convolutions over a window.
#[derive(Module, Debug)]
pub struct SeriesConv {
    convs: Vec<Conv1d>,
    head: Linear,
    dropout: Dropout,
}

impl Conv1dModelConfig {
    pub(super) fn check(&self, sig: &Signature) -> Result<()> {
        rules::sequence("conv1d", sig)?;
        rules::size("model.layers", self.layers, 64)?;
        rules::size("model.width", self.width, 1 << 16)?;
        rules::size("model.kernel", self.kernel, 1 << 12)?;
        rules::dropout(self.dropout)?;
        match self.kernel % 2 {
            1 => Ok(()),
            _ => Err(Error::input(format!("`model.kernel` = {} is even, so it has no middle", self.kernel))
                .next(format!("choose {}", self.kernel + 1))),
        }
    }

    /// (values before, steps after) every convolution, and the values that the head reads.
    fn stages(&self, sig: &Signature) -> Result<(Vec<(usize, usize)>, usize)> {
        let [mut steps, mut values] = rules::sequence("conv1d", sig)?;
        let mut stages = Vec::with_capacity(self.layers);
        for _ in 0..self.layers {
            steps = steps.div_ceil(2);
            stages.push((values, steps));
            values = self.width;
        }
        Ok((stages, values * steps))
    }

    pub(super) fn cost(&self, sig: &Signature) -> Result<Cost> {
        let (stages, flat) = self.stages(sig)?;
        let convs: Cost =
            stages.iter().map(|&(values, steps)| Cost::linear(values * self.kernel, self.width, true, steps)).sum();
        Ok(convs + Cost::linear(flat, sig.outputs, true, 1))
    }

    pub(super) fn init(&self, sig: &Signature, device: &Device) -> Result<SeriesConv> {
        let (stages, flat) = self.stages(sig)?;
        let conv = |&(inputs, _): &(usize, usize)| {
            Conv1dConfig { inputs, outputs: self.width, kernel: self.kernel, stride: 2 }.init(device)
        };
        Ok(SeriesConv {
            convs: stages.iter().map(conv).collect(),
            head: LinearConfig::new(flat, sig.outputs).init(device),
            dropout: DropoutConfig::new(self.dropout).init(),
        })
    }
}

impl SeriesConv {
    /// `[b, t, f]` to `[b, outputs]`.
    pub(super) fn forward(&self, x: Tensor<3>) -> Tensor<2> {
        let x = self.convs.iter().fold(x.swap_dims(1, 2), |x, conv| conv.forward_relu(x)); // [b, width, t'] each
        self.head.forward(self.dropout.forward(x.flatten::<2>(1, 2)))
    }
}

/// Gated recurrent units over a window.
#[derive(Module, Debug)]
pub struct SeriesGru {
    recurrent: Recurrent,
    head: Linear,
    dropout: Dropout,
}

impl SeriesGruConfig {
    pub(super) fn check(&self, sig: &Signature) -> Result<()> {
        rules::sequence("series-gru", sig)?;
        rules::size("model.layers", self.layers, 64)?;
        rules::size("model.width", self.width, 1 << 16)?;
        rules::dropout(self.dropout)
    }

    pub(super) fn cost(&self, sig: &Signature) -> Result<Cost> {
        let [steps, values] = rules::sequence("series-gru", sig)?;
        let layer = |inputs| {
            Cost::linear(inputs, 3 * self.width, true, steps) + Cost::linear(self.width, 3 * self.width, true, steps)
        };
        let upper = layer(self.width) * self.layers.saturating_sub(1);
        Ok(layer(values) + upper + Cost::linear(self.width, sig.outputs, true, 1))
    }

    pub(super) fn init(&self, sig: &Signature, device: &Device) -> Result<SeriesGru> {
        let [_, inputs] = rules::sequence("series-gru", sig)?;
        let Self { layers, width, dropout } = *self;
        let recurrent = RecurrentConfig { cell: Cell::Gru, inputs, width, layers, bidirectional: false, dropout };
        Ok(SeriesGru {
            recurrent: recurrent.init(device),
            head: LinearConfig::new(width, sig.outputs).init(device),
            dropout: DropoutConfig::new(dropout).init(),
        })
    }
}

impl SeriesGru {
    /// `[b, t, f]` to `[b, outputs]`.
    pub(super) fn forward(&self, x: Tensor<3>) -> Tensor<2> {
        self.head.forward(self.dropout.forward(self.recurrent.forward(x, None).last))
    }
}

const NORM: NormChoice = NormChoice::Layer { bias: true, epsilon: 1e-5 };
const STD: f64 = 0.02;

/// A transformer over a window.
#[derive(Module, Debug)]
pub struct SeriesTransformer {
    input: Linear,
    position_embedding: Embedding,
    blocks: Vec<Block>,
    norm: Norm,
    head: Linear,
    dropout: Dropout,
}

impl SeriesTransformerConfig {
    pub(super) fn check(&self, sig: &Signature) -> Result<()> {
        rules::sequence("series-transformer", sig)?;
        rules::size("model.layers", self.layers, 10_000)?;
        rules::size("model.width", self.width, 1 << 17)?;
        rules::size("model.heads", self.heads, 1 << 17)?;
        rules::dropout(self.dropout)?;
        rules::divides(("`model.heads`", self.heads), ("`model.width`", self.width))
    }

    pub(super) fn cost(&self, sig: &Signature) -> Result<Cost> {
        let ([t, values], width) = (rules::sequence("series-transformer", sig)?, self.width);
        let attention =
            Cost::linear(width, 3 * width, true, t) + Cost::attention(t, width) + Cost::linear(width, width, true, t);
        let feed_forward = Cost::linear(width, 4 * width, true, t) + Cost::linear(4 * width, width, true, t);
        let norm = Cost::params(2 * width);
        let blocks = (norm * 2 + attention + feed_forward) * self.layers;
        let input = Cost::linear(values, width, true, t) + Cost::params(t * width);
        Ok(input + blocks + norm + Cost::linear(width, sig.outputs, true, 1))
    }

    pub(super) fn init(&self, sig: &Signature, device: &Device) -> Result<SeriesTransformer> {
        let [steps, values] = rules::sequence("series-transformer", sig)?;
        let Self { layers, heads, width, dropout } = *self;
        let (std, output_std) = (STD, STD);
        let attention = AttentionConfig { output_std, ..AttentionConfig::full(width, heads, std, dropout) };
        let feed_forward =
            FeedForwardConfig { width, hidden: 4 * width, gated: false, bias: true, std, output_std, dropout };
        let block = BlockConfig { norm: NORM, attention, feed_forward };
        Ok(SeriesTransformer {
            input: LinearConfig::new(values, width).init(device),
            position_embedding: Embedding::new(steps, width, STD, device),
            blocks: (0..layers).map(|_| block.init(device)).collect(),
            norm: NORM.init(width, device),
            head: LinearConfig::new(width, sig.outputs).normal(STD).init(device),
            dropout: DropoutConfig::new(dropout).init(),
        })
    }
}

impl SeriesTransformer {
    /// `[b, t, f]` to `[b, outputs]`.
    pub(super) fn forward(&self, x: Tensor<3>) -> Tensor<2> {
        let ([_, t, _], dtype) = (x.dims(), x.dtype());
        let x = self.input.forward(x) + self.position_embedding.range(0, t, dtype.into()); // [b, t, c]
        let sight = Sight::full();
        let x = self.blocks.iter().fold(self.dropout.forward(x), |x, block| block.forward(x, &sight, None));
        self.head.forward(self.norm.forward(x.narrow(1, t - 1, 1).squeeze_dim::<2>(1)))
    }
}
