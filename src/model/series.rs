//! A transformer over the steps of a window.

use burn::{
    module::Module,
    tensor::{Device, Tensor},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Signature, cost::Cost, rules};
use crate::{
    error::Result,
    nn::{
        AttentionConfig, Block, BlockConfig, Dropout, DropoutConfig, Embedding, FeedForwardConfig, Linear,
        LinearConfig, Norm, NormChoice, Sight,
    },
};

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
