//! The decoder-only transformer: GPT-2 (Radford et al. 2019), with Llama's choices (Touvron et al. 2023) by option.

use burn::{
    module::Module,
    tensor::{Device, FloatDType, Int, Tensor},
};

use super::{FeedForwardKind, GptConfig, NormKind, Outputs, PositionKind, Signature, cost::Cost, rules};
use crate::{
    error::{Error, Result},
    nn::{
        AttentionConfig, Block, BlockConfig, Dropout, DropoutConfig, Embedding, FeedForwardConfig, KvCache, Linear,
        LinearConfig, Norm, NormChoice, Rotary, Sight,
    },
};

const KIND: &str = "gpt";
const EPSILON: f64 = 1e-5;
/// Standard deviation of all weights, positions included: OpenAI's code has 0.01 for positions, nanoGPT and Hugging
/// Face 0.02.
const STD: f64 = 0.02;

/// A language model.
///
/// Weights start normal(0, 0.02) and biases zero; the projections back into the residual stream are scaled by
/// 1/sqrt(2 layers) (Radford et al. 2019, section 2.3).
#[derive(Module, Debug)]
pub struct Gpt {
    token_embedding: Embedding,
    position_embedding: Option<Embedding>,
    blocks: Vec<Block>,
    norm: Norm,
    /// None: the head is the token embedding.
    head: Option<Linear>,
    dropout: Dropout,
    heads: usize,
    kv_heads: usize,
}

/// The parameters that a token's id picks a row of, at both ends of the model.
pub(super) struct Tables {
    input: Tensor<2>,  // [vocab, c]
    output: Tensor<2>, // [vocab, c]
    tied: bool,
}

impl Tables {
    /// `[b, t]` to `[b, t, c]`, in the tables' dtype.
    fn embed(&self, ids: Tensor<2, Int>) -> Tensor<3> {
        match self.tied {
            true => kiln_kernels::tied_embedding(self.input.clone(), ids),
            false => kiln_kernels::embedding(self.input.clone(), ids),
        }
    }
}

impl GptConfig {
    fn kv_heads(&self) -> usize {
        if self.kv_heads == 0 { self.heads } else { self.kv_heads }
    }

    /// Width between the linear layers of the feed-forward part.
    fn hidden(&self) -> usize {
        match self.feed_forward {
            FeedForwardKind::Gelu => 4 * self.width,
            FeedForwardKind::Swiglu => (8 * self.width).div_ceil(3).next_multiple_of(32),
        }
    }

    fn norm(&self) -> NormChoice {
        match self.norm {
            NormKind::Layer => NormChoice::Layer { bias: self.bias, epsilon: EPSILON },
            NormKind::Rms => NormChoice::Rms { epsilon: EPSILON },
        }
    }

    pub(super) fn check(&self, sig: &Signature) -> Result<()> {
        let (vocab, _) = rules::tokens(KIND, sig)?;
        rules::size("model.layers", self.layers, 10_000)?;
        rules::size("model.width", self.width, 1 << 17)?;
        rules::size("model.heads", self.heads, 1 << 17)?;
        rules::dropout(self.dropout)?;
        rules::divides(("`model.heads`", self.heads), ("`model.width`", self.width))?;
        rules::divides(("`model.kv_heads`", self.kv_heads()), ("`model.heads`", self.heads))?;
        let head = self.width / self.heads;
        if self.position == PositionKind::Rope && head % 2 == 1 {
            return Err(Error::input(format!(
                "`model.position` = \"rope\" needs heads of even width, but `model.width` / `model.heads` = {head}"
            ))
            .next("change `model.heads` or `model.width`"));
        }
        if sig.outputs != vocab {
            let outputs = sig.outputs;
            return Err(Error::input(format!(
                "`model.kind` = \"gpt\" predicts the next of {vocab} tokens, but the task wants {outputs} outputs"
            ))
            .next("set `data.task` = \"language-model\""));
        }
        Ok(())
    }

    pub(super) fn cost(&self, sig: &Signature) -> Result<Cost> {
        let (vocab, t) = rules::tokens(KIND, sig)?;
        let (width, hidden) = (self.width, self.hidden());
        let joint = width + 2 * self.kv_heads() * (width / self.heads.max(1));
        let norm = match self.norm {
            NormKind::Layer if self.bias => Cost::params(2 * width),
            _ => Cost::params(width),
        };
        let attention = Cost::linear(width, joint, self.bias, t)
            + Cost::attention(t, width)
            + Cost::linear(width, width, self.bias, t);
        let feed_forward = match self.feed_forward {
            FeedForwardKind::Gelu => {
                Cost::linear(width, hidden, self.bias, t) + Cost::linear(hidden, width, self.bias, t)
            }
            FeedForwardKind::Swiglu => Cost::linear(width, hidden, false, t) * 3,
        };
        let positions = if self.position == PositionKind::Learned { Cost::params(t * width) } else { Cost::default() };
        let mut head = Cost::linear(width, vocab, false, t);
        if self.tied {
            head.params = 0;
        }
        let blocks = (norm * 2 + attention + feed_forward) * self.layers;
        Ok(Cost::params(vocab * width) + positions + blocks + norm + head)
    }

    pub(super) fn init(&self, sig: &Signature, device: &Device) -> Result<Gpt> {
        let (vocab, context) = rules::tokens(KIND, sig)?;
        let (width, dropout) = (self.width, self.dropout);
        let output_std = STD / (2.0 * self.layers as f64).sqrt();
        let gated = self.feed_forward == FeedForwardKind::Swiglu;
        let block = BlockConfig {
            norm: self.norm(),
            attention: AttentionConfig {
                width,
                heads: self.heads,
                kv_heads: self.kv_heads(),
                bias: self.bias,
                std: STD,
                output_std,
                dropout,
            },
            feed_forward: FeedForwardConfig {
                width,
                hidden: self.hidden(),
                gated,
                bias: self.bias && !gated,
                std: STD,
                output_std,
                dropout,
            },
        };
        let learned = self.position == PositionKind::Learned;
        Ok(Gpt {
            token_embedding: Embedding::new(vocab, width, STD, device),
            position_embedding: learned.then(|| Embedding::new(context, width, STD, device)),
            blocks: (0..self.layers).map(|_| block.init(device)).collect(),
            norm: self.norm().init(width, device),
            head: (!self.tied).then(|| LinearConfig::new(width, vocab).bias(false).normal(STD).init(device)),
            dropout: DropoutConfig::new(dropout).init(),
            heads: self.heads,
            kv_heads: self.kv_heads(),
        })
    }
}

impl Gpt {
    /// Ids `[b, t]` to the last layer's input and its table, for `b * t` rows; activations are in `compute`.
    pub(super) fn forward(&self, ids: Tensor<2, Int>, compute: FloatDType) -> Outputs {
        let tables = self.tables();
        let x = self.trunk(ids, &tables, 0, &mut [], compute); // [b, t, c]
        Outputs::Unprojected { x: self.norm.forward(x.flatten::<2>(0, 1)), table: tables.output }
    }

    /// The tables of the first and the last layer, each `[vocab, c]`.
    pub(super) fn tables(&self) -> Tables {
        let input = self.token_embedding.weight.val();
        match &self.head {
            Some(head) => Tables { input, output: head.weight.val().transpose(), tied: false },
            None => {
                let shared = kiln_kernels::tied(input);
                Tables { input: shared.clone(), output: shared, tied: true }
            }
        }
    }

    /// Ids `[b, t]` that follow `past` cached positions, to the residual stream `[b, t, c]` after the last block.
    ///
    /// `caches` holds one for every block, or is empty.
    pub(super) fn trunk(
        &self,
        ids: Tensor<2, Int>,
        tables: &Tables,
        past: usize,
        caches: &mut [KvCache],
        compute: FloatDType,
    ) -> Tensor<3> {
        let ([_, t], device) = (ids.dims(), ids.device());
        let mut x = tables.embed(ids).cast(compute); // [b, t, c]
        let rotary = match &self.position_embedding {
            Some(positions) => {
                x = x + positions.range(past, t, compute);
                None
            }
            None => Some(Rotary::new(self.head_width(), past, t, &device)),
        };
        let sight = Sight::causal(past).rotary(rotary);
        x = self.dropout.forward(x);
        for (i, block) in self.blocks.iter().enumerate() {
            x = block.forward(x, &sight, caches.get_mut(i));
        }
        x
    }

    /// The residual stream `[rows, c]` to logits `[rows, vocab]`.
    pub(super) fn logits(&self, x: Tensor<2>, tables: Tables) -> Tensor<2> {
        Outputs::Unprojected { x: self.norm.forward(x), table: tables.output }.logits()
    }

    /// A cache for every block.
    pub(super) fn caches(&self, batch: usize, context: usize) -> Vec<KvCache> {
        let device = self.token_embedding.weight.val().device();
        let cache = |_: &Block| KvCache::new(batch, self.kv_heads, context, self.head_width(), &device);
        self.blocks.iter().map(cache).collect()
    }

    /// Most positions the model can tell apart; None if any number.
    pub(super) fn max_positions(&self) -> Option<usize> {
        self.position_embedding.as_ref().map(|positions| positions.weight.lazy_shape()[0])
    }

    fn head_width(&self) -> usize {
        self.token_embedding.weight.lazy_shape()[1] / self.heads
    }
}
