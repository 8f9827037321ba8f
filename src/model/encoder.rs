//! The transformer encoder (Vaswani et al. 2017) over texts, as BERT has it (Devlin et al. 2018) by option.

use burn::{
    module::{Initializer, Module, Param},
    tensor::{Device, FloatDType, Int, Tensor},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Pooling, Signature, cost::Cost, pretrained::Pretrained, rules, text::Texts};
use crate::{
    error::{Error, Result},
    nn::{
        AttentionConfig, Dropout, DropoutConfig, Embedding, EncoderBlock, EncoderBlockConfig, Hidden, Linear,
        LinearConfig, Norm,
    },
};

const KIND: &str = "encoder";
/// Standard deviation of all weights, as BERT's.
const STD: f64 = 0.02;

/// Where a block normalises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum NormPlacement {
    /// What goes into attention and into the feed-forward part; trains from scratch without trouble.
    Pre,
    /// The sums after them, as BERT.
    Post,
}

/// `kind = "encoder"`: a transformer encoder of texts, from scratch or pretrained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EncoderConfig {
    /// Weights to start from: `{ dataset = "minilm" }`, or `{ path = "folder" }` of a BERT-family model with its
    /// `config.json`, `model.safetensors` and `tokenizer.json`. Its sizes and its tokenizer are then the model's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pretrained: Option<Pretrained>,
    /// The embeddings and this many blocks from the first on stay as they are; 0 trains everything.
    pub freeze: usize,
    /// Blocks.
    pub layers: usize,
    /// Attention heads; must divide `width`.
    pub heads: usize,
    /// Width of the residual stream.
    pub width: usize,
    /// Width between the feed-forward part's linear layers; 0 means 4 `width`.
    pub hidden: usize,
    /// Where blocks normalise.
    pub norm: NormPlacement,
    /// Added to the variance by every LayerNorm.
    pub epsilon: f64,
    /// How the vectors of a text become one.
    pub pooling: Pooling,
    /// Tokens that there are embeddings of; 0 means the tokenizer's.
    pub vocab: usize,
    /// Positions that there are embeddings of; 0 means `data.context`.
    pub positions: usize,
    /// Probability of zeroing embeddings, attention weights, outputs of the parts, and what the head sees, while
    /// training.
    pub dropout: f64,
}

impl Default for EncoderConfig {
    fn default() -> Self {
        Self {
            pretrained: None,
            freeze: 0,
            layers: 4,
            heads: 4,
            width: 128,
            hidden: 0,
            norm: NormPlacement::Pre,
            epsilon: 1e-12,
            pooling: Pooling::Mean,
            vocab: 0,
            positions: 0,
            dropout: 0.1,
        }
    }
}

/// A classifier or regressor of texts.
///
/// Weights start normal(0, 0.02) and biases zero.
#[derive(Module, Debug)]
pub struct Encoder {
    token_embedding: Embedding,
    position_embedding: Embedding,
    class_embedding: Option<Param<Tensor<1>>>,
    embedding_norm: Option<Norm>,
    blocks: Vec<EncoderBlock>,
    norm: Option<Norm>,
    head: Linear,
    dropout: Dropout,
    mean: bool,
}

impl EncoderConfig {
    /// Embeddings of tokens and of positions.
    fn tables(&self, sig: &Signature) -> Result<(usize, usize)> {
        let (vocab, context) = rules::tokens(KIND, sig)?;
        let own = |size, given| if size == 0 { given } else { size };
        Ok((own(self.vocab, vocab), own(self.positions, context + usize::from(self.has_class()))))
    }

    /// Whether a learned vector stands before every text: a pretrained model has a token for it.
    fn has_class(&self) -> bool {
        self.pooling == Pooling::Cls && self.pretrained.is_none()
    }

    fn block(&self) -> EncoderBlockConfig {
        EncoderBlockConfig {
            attention: AttentionConfig::full(self.width, self.heads, STD, self.dropout),
            hidden: if self.hidden == 0 { 4 * self.width } else { self.hidden },
            activation: Hidden::Gelu,
            std: Some(STD),
            post_norm: self.norm == NormPlacement::Post,
            first_norm: true,
            epsilon: self.epsilon,
            hidden_dropout: 0.0,
            dropout: self.dropout,
        }
    }

    pub(super) fn check(&self, sig: &Signature) -> Result<()> {
        let (vocab, context) = rules::tokens(KIND, sig)?;
        rules::size("model.layers", self.layers, 1000)?;
        rules::size("model.width", self.width, 1 << 16)?;
        rules::size("model.heads", self.heads, 1 << 16)?;
        rules::dropout(self.dropout)?;
        rules::divides(("`model.heads`", self.heads), ("`model.width`", self.width))?;
        if self.hidden > 0 {
            rules::size("model.hidden", self.hidden, 1 << 18)?;
        }
        if self.freeze > self.layers {
            return Err(Error::input(format!("`model.freeze` = {} of {} layers", self.freeze, self.layers))
                .next(format!("give at most {}", self.layers)));
        }
        let (tokens, positions) = self.tables(sig)?;
        rules::size("model.vocab", tokens, 1 << 24)?;
        rules::size("model.positions", positions, 1 << 24)?;
        if tokens < vocab {
            return Err(Error::input(format!("the model has {tokens} tokens, but the tokenizer {vocab}"))
                .next("use the tokenizer that the model was made with, or set `model.vocab` to 0"));
        }
        let needed = context + usize::from(self.has_class());
        if positions < needed {
            return Err(Error::input(format!(
                "the model has {positions} positions, but `data.context` = {context} needs {needed}"
            ))
            .next(format!("set `data.context` to at most {}", positions - usize::from(self.has_class()))));
        }
        Ok(())
    }

    pub(super) fn cost(&self, sig: &Signature) -> Result<Cost> {
        let ((tokens, positions), (_, context)) = (self.tables(sig)?, rules::tokens(KIND, sig)?);
        let (t, width, block) = (context + usize::from(self.has_class()), self.width, self.block());
        let products = Cost::linear(width, 4 * width, false, t) + Cost::linear(width, 2 * block.hidden, false, t);
        let flops = (products + Cost::attention(t, width)).flops;
        let blocks = Cost { params: block.num_params() as u64, flops } * self.layers;
        let class = if self.has_class() { width } else { 0 };
        let embeddings = Cost::params((tokens + positions) * width + class);
        Ok(embeddings + Cost::params(2 * width) + blocks + Cost::linear(width, sig.outputs, true, 1))
    }

    pub(super) fn init(&self, sig: &Signature, device: &Device) -> Result<Encoder> {
        let (tokens, positions) = self.tables(sig)?;
        let (width, block) = (self.width, self.block());
        let norm = |wanted: bool| wanted.then(|| Norm::layer(width, true, self.epsilon, device));
        let encoder = Encoder {
            token_embedding: Embedding::new(tokens, width, STD, device),
            position_embedding: Embedding::new(positions, width, STD, device),
            class_embedding: self
                .has_class()
                .then(|| Initializer::Normal { mean: 0.0, std: STD }.init([width], device)),
            embedding_norm: norm(block.post_norm),
            blocks: (0..self.layers).map(|_| block.init(device)).collect(),
            norm: norm(!block.post_norm),
            head: LinearConfig::new(width, sig.outputs).normal(STD).init(device),
            dropout: DropoutConfig::new(self.dropout).init(),
            mean: self.pooling == Pooling::Mean,
        };
        Ok(encoder.frozen(self.freeze))
    }
}

impl Encoder {
    /// The embeddings and the first blocks take no part in training.
    fn frozen(mut self, blocks: usize) -> Self {
        if blocks == 0 {
            return self;
        }
        self.token_embedding = self.token_embedding.no_grad();
        self.position_embedding = self.position_embedding.no_grad();
        self.class_embedding = self.class_embedding.map(Module::no_grad);
        self.embedding_norm = self.embedding_norm.map(Module::no_grad);
        let freeze = |(i, block): (usize, EncoderBlock)| if i < blocks { block.no_grad() } else { block };
        self.blocks = self.blocks.into_iter().enumerate().map(freeze).collect();
        self
    }

    /// Blocks.
    pub(super) fn layers(&self) -> usize {
        self.blocks.len()
    }

    /// Ids `[b, t]`, negative at padding, to `[b, outputs]`.
    pub(super) fn forward(&self, ids: Tensor<2, Int>, compute: FloatDType) -> Tensor<2> {
        self.head.forward(self.dropout.forward(self.pooled(ids, compute).cast(compute)))
    }

    /// Ids `[b, t]`, negative at padding, to one vector a text, `[b, c]` in f32: what sentences are compared by, once it
    /// is of length 1.
    pub fn pooled(&self, ids: Tensor<2, Int>, compute: FloatDType) -> Tensor<2> {
        let mut texts = Texts::new(ids);
        let mut x = self.token_embedding.forward(texts.ids.clone(), compute); // [b, t, c]
        let [b, _, c] = x.dims();
        if let Some(class) = &self.class_embedding {
            let class = class.val().cast(compute).reshape([1, 1, c]).expand([b, 1, c]);
            x = Tensor::cat(vec![class, x], 1);
            texts = texts.after_one();
        }
        let t = x.dims()[1];
        x = x + self.position_embedding.range(0, t, compute);
        if let Some(norm) = &self.embedding_norm {
            x = norm.forward(x);
        }
        x = self.dropout.forward(x);
        let sight = texts.sight();
        for block in &self.blocks {
            x = block.forward(x, &sight);
        }
        if let Some(norm) = &self.norm {
            x = norm.forward(x);
        }
        if self.mean { texts.mean(x) } else { x.narrow(1, 0, 1).squeeze_dim::<2>(1).cast(FloatDType::F32) }
    }
}
