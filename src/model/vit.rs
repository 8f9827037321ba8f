//! The vision transformer (Dosovitskiy et al. 2020).

use burn::{
    module::{Initializer, Module, Param},
    tensor::{Device, Tensor},
};

use super::{Signature, VitConfig, cost::Cost, rules};
use crate::{
    error::Result,
    nn::{
        AttentionConfig, Block, BlockConfig, Dropout, DropoutConfig, Embedding, FeedForwardConfig, Linear,
        LinearConfig, Norm, NormChoice, Sight,
    },
};

const KIND: &str = "vit";
const NORM: NormChoice = NormChoice::Layer { bias: true, epsilon: 1e-6 };
/// Standard deviation of weights and positions, as the authors' positions and DeiT's weights (Touvron et al. 2020).
const STD: f64 = 0.02;

/// A classifier or regressor of pictures: patches and a class token through pre-norm blocks, the head on the class
/// token.
///
/// GELU is the one by tanh, as the authors' code computes it (torchvision takes erf: within 5e-4). Weights and positions
/// start normal(0, 0.02), biases and the class token zero.
#[derive(Module, Debug)]
pub struct Vit {
    patch_embedding: Linear,
    class_embedding: Param<Tensor<1>>,
    position_embedding: Embedding,
    blocks: Vec<Block>,
    norm: Norm,
    head: Linear,
    dropout: Dropout,
    patch: usize,
}

impl VitConfig {
    pub(super) fn check(&self, sig: &Signature) -> Result<()> {
        let [_, height, width] = rules::image(KIND, sig)?;
        rules::size("model.layers", self.layers, 10_000)?;
        rules::size("model.width", self.width, 1 << 17)?;
        rules::size("model.heads", self.heads, 1 << 17)?;
        rules::size("model.patch", self.patch, 1 << 16)?;
        rules::dropout(self.dropout)?;
        rules::divides(("`model.heads`", self.heads), ("`model.width`", self.width))?;
        rules::divides(("`model.patch`", self.patch), ("the pictures' height", height))?;
        rules::divides(("`model.patch`", self.patch), ("the pictures' width", width))
    }

    /// (patches, values of a patch).
    fn patches(&self, sig: &Signature) -> Result<(usize, usize)> {
        let [channels, height, width] = rules::image(KIND, sig)?;
        let patch = self.patch.max(1);
        Ok(((height / patch) * (width / patch), channels * patch * patch))
    }

    pub(super) fn cost(&self, sig: &Signature) -> Result<Cost> {
        let ((patches, pixels), width) = (self.patches(sig)?, self.width);
        let t = patches + 1;
        let attention =
            Cost::linear(width, 3 * width, true, t) + Cost::attention(t, width) + Cost::linear(width, width, true, t);
        let feed_forward = Cost::linear(width, 4 * width, true, t) + Cost::linear(4 * width, width, true, t);
        let norm = Cost::params(2 * width);
        let embeddings = Cost::linear(pixels, width, true, patches) + Cost::params(width + t * width);
        let blocks = (norm * 2 + attention + feed_forward) * self.layers;
        Ok(embeddings + blocks + norm + Cost::linear(width, sig.outputs, true, 1))
    }

    pub(super) fn init(&self, sig: &Signature, device: &Device) -> Result<Vit> {
        let ((patches, pixels), width, dropout) = (self.patches(sig)?, self.width, self.dropout);
        let heads = self.heads;
        let block = BlockConfig {
            norm: NORM,
            attention: AttentionConfig::full(width, heads, STD, dropout),
            feed_forward: FeedForwardConfig {
                width,
                hidden: 4 * width,
                gated: false,
                bias: true,
                std: STD,
                output_std: STD,
                dropout,
            },
        };
        Ok(Vit {
            patch_embedding: LinearConfig::new(pixels, width).normal(STD).init(device),
            class_embedding: Initializer::Zeros.init([width], device),
            position_embedding: Embedding::new(patches + 1, width, STD, device),
            blocks: (0..self.layers).map(|_| block.init(device)).collect(),
            norm: NORM.init(width, device),
            head: LinearConfig::new(width, sig.outputs).normal(STD).init(device),
            dropout: DropoutConfig::new(dropout).init(),
            patch: self.patch,
        })
    }
}

impl Vit {
    /// `[b, channels, height, width]` to `[b, outputs]`, in the dtype of `x`.
    pub(super) fn forward(&self, x: Tensor<4>) -> Tensor<2> {
        let (b, dtype) = (x.dims()[0], x.dtype());
        let patches = self.patch_embedding.forward(self.cut(x)); // [b, n, c]
        let [_, n, c] = patches.dims();
        let class = self.class_embedding.val().cast(dtype).reshape([1, 1, c]).expand([b, 1, c]);
        let mut x = Tensor::cat(vec![class, patches], 1); // [b, 1 + n, c]
        x = x + self.position_embedding.range(0, n + 1, dtype.into());
        x = self.dropout.forward(x);
        for block in &self.blocks {
            x = block.forward(x, &Sight::full(), None);
        }
        let class = x.narrow(1, 0, 1).squeeze_dim::<2>(1); // [b, c]
        self.head.forward(self.norm.forward(class))
    }

    /// Cuts `[b, channels, height, width]` into patches, row by row: `[b, n, channels * patch * patch]`.
    ///
    /// A patch's values are in the order of a convolution's weights (channel, row, column).
    fn cut(&self, x: Tensor<4>) -> Tensor<3> {
        let ([b, channels, height, width], p) = (x.dims(), self.patch);
        let grid = x.reshape([b, channels, height / p, p, width / p, p]);
        grid.permute([0, 2, 4, 1, 3, 5]).reshape([b, (height / p) * (width / p), channels * p * p])
    }
}
