//! The pre-norm transformer block.

use burn::{
    module::Module,
    tensor::{Device, Tensor},
};

use super::{Attention, AttentionConfig, FeedForward, FeedForwardConfig, KvCache, Norm, Sight};

/// Which normalisation, with its epsilon.
#[derive(Debug, Clone, Copy)]
pub enum NormChoice {
    /// LayerNorm.
    Layer {
        /// Whether it has a bias.
        bias: bool,
        /// Added to the variance.
        epsilon: f64,
    },
    /// RMSNorm.
    Rms {
        /// Added to the mean square.
        epsilon: f64,
    },
}

impl NormChoice {
    /// The layer over `width` values.
    pub fn init(self, width: usize, device: &Device) -> Norm {
        match self {
            Self::Layer { bias, epsilon } => Norm::layer(width, bias, epsilon, device),
            Self::Rms { epsilon } => Norm::rms(width, epsilon, device),
        }
    }
}

/// Builds a [`Block`].
#[derive(Debug, Clone)]
pub struct BlockConfig {
    /// Before attention and before the feed-forward part.
    pub norm: NormChoice,
    /// Attention.
    pub attention: AttentionConfig,
    /// Feed-forward part.
    pub feed_forward: FeedForwardConfig,
}

impl BlockConfig {
    /// Draws the parameters on `device`.
    pub fn init(&self, device: &Device) -> Block {
        let width = self.attention.width;
        Block {
            attention_norm: self.norm.init(width, device),
            attention: self.attention.init(device),
            feed_forward_norm: self.norm.init(width, device),
            feed_forward: self.feed_forward.init(device),
        }
    }
}

/// Attention, then the feed-forward part, each normalised before and added to the residual stream
/// (Radford et al. 2019, section 2.3).
#[derive(Module, Debug)]
pub struct Block {
    attention_norm: Norm,
    attention: Attention,
    feed_forward_norm: Norm,
    feed_forward: FeedForward,
}

impl Block {
    /// `[b, t, c]` to the same shape and dtype.
    pub fn forward(&self, x: Tensor<3>, sight: &Sight, cache: Option<&mut KvCache>) -> Tensor<3> {
        let x = x.clone() + self.attention.forward(self.attention_norm.forward(x), sight, cache);
        x.clone() + self.feed_forward.forward(self.feed_forward_norm.forward(x))
    }
}
