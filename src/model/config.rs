//! The `[model]` section: one architecture a kind, every key with a default but the sizes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    AutoencoderConfig, Conv1dModelConfig, EmbeddingBagConfig, EncoderConfig, FactorsConfig, FtTransformerConfig,
    NeumfConfig, RecurrentModelConfig, SeriesTransformerConfig, TwoTowerConfig, VaeConfig, WideAndDeepConfig,
};

/// The shape of one example, as a model sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InputShape {
    /// `context` token ids below `vocab`.
    Tokens {
        /// Number of distinct tokens.
        vocab: usize,
        /// Most tokens in one example.
        context: usize,
    },
    /// A vector of this many features.
    Features(usize),
    /// The same, some of which are codes of categories.
    Mixed {
        /// All features.
        features: usize,
        /// Those that are codes.
        codes: Vec<Categories>,
    },
    /// `[channels, height, width]`.
    Image {
        /// 1 or 3.
        channels: usize,
        /// Rows of pixels.
        height: usize,
        /// Columns of pixels.
        width: usize,
    },
    /// A window of steps.
    Sequence {
        /// Steps.
        length: usize,
        /// Values of a step.
        values: usize,
    },
    /// A user, and items to score for it.
    Choices {
        /// Number of users.
        users: usize,
        /// Number of items.
        items: usize,
    },
}

/// A feature that is a code to embed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Categories {
    /// Index of the feature.
    pub feature: usize,
    /// Codes are below this; the last one stands for a category that training did not see.
    pub codes: usize,
}

/// What a model maps from and to; the task derives it from the data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// The shape of one example.
    pub input: InputShape,
    /// Values a row (or a position): classes, regression targets, or the vocabulary.
    pub outputs: usize,
}

/// Which architecture, with its sizes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum ModelConfig {
    /// Linear, logistic or softmax regression.
    Linear(LinearModelConfig),
    /// A multi-layer perceptron.
    Mlp(MlpConfig),
    /// A convolutional network: a small stack, or a residual network.
    Cnn(CnnConfig),
    /// A decoder-only transformer.
    Gpt(GptConfig),
    /// A vision transformer.
    Vit(VitConfig),
    /// A transformer over the columns of a table.
    FtTransformer(FtTransformerConfig),
    /// A linear model and a perceptron over a table, trained as one.
    WideAndDeep(WideAndDeepConfig),
    /// The mean of a text's embeddings, then a perceptron.
    EmbeddingBag(EmbeddingBagConfig),
    /// A long short-term memory over a text or a window.
    Lstm(RecurrentModelConfig),
    /// Gated recurrent units over a text or a window.
    Gru(RecurrentModelConfig),
    /// A transformer encoder over a text, from scratch or pretrained.
    Encoder(EncoderConfig),
    /// Convolutions over a text or a window.
    Conv1d(Conv1dModelConfig),
    /// Windows: a transformer over their steps.
    SeriesTransformer(SeriesTransformerConfig),
    /// Anomalies: rows through a narrow code and back.
    Autoencoder(AutoencoderConfig),
    /// Anomalies: the same with a code that is a distribution.
    Vae(VaeConfig),
    /// Recommendation: a vector and a bias for every user and item.
    MatrixFactorization(FactorsConfig),
    /// Recommendation: neural collaborative filtering.
    Neumf(NeumfConfig),
    /// Recommendation: a tower for users and one for items.
    TwoTower(TwoTowerConfig),
}

/// `kind = "linear"`; over a text, a bag of its tokens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields, default)]
pub struct LinearModelConfig {}

/// `kind = "mlp"`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MlpConfig {
    /// Width of every hidden layer, in order.
    pub hidden: Vec<usize>,
    /// Applied after every hidden layer.
    pub activation: Activation,
    /// Probability of zeroing a hidden unit while training.
    pub dropout: f64,
}

impl Default for MlpConfig {
    fn default() -> Self {
        Self { hidden: vec![256, 256], activation: Activation::Relu, dropout: 0.0 }
    }
}

/// An element-wise non-linearity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Activation {
    /// max(0, x).
    Relu,
    /// x Φ(x), by tanh (Hendrycks and Gimpel 2016, as GPT-2 computes it).
    Gelu,
    /// x sigmoid(x).
    Silu,
    /// tanh(x).
    Tanh,
}

/// `kind = "cnn"`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CnnConfig {
    /// The family.
    pub variant: CnnVariant,
    /// `small`: convolutions, each doubling the width. `resnet`: 18 or 34 (basic blocks), 50, 101 or 152
    /// (bottlenecks); for 32x32 pictures 20, 32, 44, 56 or 110 (He et al. 2015, section 4.2).
    pub depth: usize,
    /// Channels of the first stage; 0 means the usual: 32 for `small`, 64 or 16 (depths 20 to 110) for `resnet`.
    pub width: usize,
    /// Probability of zeroing a unit before the head while training.
    pub dropout: f64,
}

/// A family of convolutional networks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CnnVariant {
    /// 3x3 convolution, ReLU, 2x2 max-pool, `depth` times; then one hidden layer and the head.
    Small,
    /// Residual network (He et al. 2015).
    Resnet,
}

impl Default for CnnConfig {
    fn default() -> Self {
        Self { variant: CnnVariant::Small, depth: 2, width: 0, dropout: 0.0 }
    }
}

/// The normalisation of a transformer's blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum NormKind {
    /// LayerNorm (Ba et al. 2016), eps 1e-5.
    Layer,
    /// RMSNorm (Zhang and Sennrich 2019), eps 1e-5.
    Rms,
}

/// How a transformer knows the order of its tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PositionKind {
    /// A learned vector per position.
    Learned,
    /// Rotary embedding of queries and keys (Su et al. 2021), base 10,000, rotating halves.
    Rope,
}

/// The feed-forward part of a transformer's block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FeedForwardKind {
    /// `width → 4 width`, GELU, `4 width → width`.
    Gelu,
    /// SwiGLU (Shazeer 2020), hidden size 8/3 width rounded up to a multiple of 32, no biases.
    Swiglu,
}

/// `kind = "gpt"`: GPT-2 by default (Radford et al. 2019); Llama's choices by option.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GptConfig {
    /// Blocks.
    pub layers: usize,
    /// Attention heads; must divide `width`.
    pub heads: usize,
    /// Key-value heads for grouped-query attention; must divide `heads`; 0 means `heads`.
    pub kv_heads: usize,
    /// Width of the residual stream.
    pub width: usize,
    /// Normalisation.
    pub norm: NormKind,
    /// Position information.
    pub position: PositionKind,
    /// Feed-forward part.
    pub feed_forward: FeedForwardKind,
    /// The head reuses the token embedding.
    pub tied: bool,
    /// Biases in linear layers and LayerNorm.
    pub bias: bool,
    /// Probability of zeroing embeddings, attention weights and block outputs while training.
    pub dropout: f64,
}

impl Default for GptConfig {
    fn default() -> Self {
        Self {
            layers: 12,
            heads: 12,
            kv_heads: 0,
            width: 768,
            norm: NormKind::Layer,
            position: PositionKind::Learned,
            feed_forward: FeedForwardKind::Gelu,
            tied: true,
            bias: true,
            dropout: 0.0,
        }
    }
}

/// `kind = "vit"` (Dosovitskiy et al. 2020).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct VitConfig {
    /// Side of a square patch in pixels; must divide the picture's sides.
    pub patch: usize,
    /// Blocks.
    pub layers: usize,
    /// Attention heads; must divide `width`.
    pub heads: usize,
    /// Width of the residual stream.
    pub width: usize,
    /// Probability of zeroing embeddings, attention weights and block outputs while training.
    pub dropout: f64,
}

impl Default for VitConfig {
    fn default() -> Self {
        Self { patch: 4, layers: 6, heads: 4, width: 128, dropout: 0.0 }
    }
}
