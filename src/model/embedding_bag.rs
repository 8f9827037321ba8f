//! The mean of a text's embeddings, then a perceptron (Joulin et al. 2016; Iyyer et al. 2015).

use burn::{
    module::Module,
    tensor::{Device, FloatDType, Int, Tensor},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Signature, cost::Cost, rules, text::Texts};
use crate::{
    error::Result,
    nn::{Dropout, DropoutConfig, Embedding, Linear, LinearConfig},
};

const KIND: &str = "embedding-bag";

/// `kind = "embedding-bag"`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EmbeddingBagConfig {
    /// Width of a token's embedding.
    pub width: usize,
    /// Width of every hidden layer after the mean, in order.
    pub hidden: Vec<usize>,
    /// Probability of zeroing a value of the mean, or a hidden unit, while training.
    pub dropout: f64,
}

impl Default for EmbeddingBagConfig {
    fn default() -> Self {
        Self { width: 64, hidden: vec![], dropout: 0.0 }
    }
}

/// A classifier or regressor of texts that does not look at the order of their tokens.
#[derive(Module, Debug)]
pub struct EmbeddingBag {
    token_embedding: Embedding,
    hidden: Vec<Linear>,
    head: Linear,
    dropout: Dropout,
}

impl EmbeddingBagConfig {
    pub(super) fn check(&self, sig: &Signature) -> Result<()> {
        rules::tokens(KIND, sig)?;
        rules::dropout(self.dropout)?;
        rules::size("model.width", self.width, 1 << 17)?;
        let mut hidden = self.hidden.iter().enumerate();
        hidden.try_for_each(|(i, &width)| rules::size(&format!("model.hidden[{i}]"), width, 1 << 20))
    }

    /// (inputs, outputs) of the layers after the mean.
    fn layers(&self, sig: &Signature) -> Vec<(usize, usize)> {
        let outputs = self.hidden.iter().copied().chain([sig.outputs]);
        [self.width].into_iter().chain(self.hidden.iter().copied()).zip(outputs).collect()
    }

    pub(super) fn cost(&self, sig: &Signature) -> Result<Cost> {
        let (vocab, _) = rules::tokens(KIND, sig)?;
        let layers: Cost = self.layers(sig).into_iter().map(|(i, o)| Cost::linear(i, o, true, 1)).sum();
        Ok(Cost::params(vocab * self.width) + layers)
    }

    pub(super) fn init(&self, sig: &Signature, device: &Device) -> Result<EmbeddingBag> {
        let (vocab, _) = rules::tokens(KIND, sig)?;
        let layers = self.layers(sig);
        let linear = |&(inputs, outputs): &(usize, usize)| LinearConfig::new(inputs, outputs).init(device);
        let last = layers.last().copied().unwrap_or((self.width, sig.outputs));
        Ok(EmbeddingBag {
            token_embedding: Embedding::new(vocab, self.width, (self.width as f64).powf(-0.5), device),
            hidden: layers.iter().take(self.hidden.len()).map(linear).collect(),
            head: linear(&last),
            dropout: DropoutConfig::new(self.dropout).init(),
        })
    }
}

impl EmbeddingBag {
    /// Ids `[b, t]`, negative at padding, to `[b, outputs]`.
    pub(super) fn forward(&self, ids: Tensor<2, Int>, compute: FloatDType) -> Tensor<2> {
        let texts = Texts::new(ids);
        let x = self.token_embedding.forward(texts.ids.clone(), FloatDType::F32); // [b, t, c]
        let mean = self.dropout.forward(texts.mean(x).cast(compute));
        let hidden = self.hidden.iter().fold(mean, |x, layer| {
            self.dropout.forward(burn::tensor::activation::relu(layer.forward(x))) // [b, width]
        });
        self.head.forward(hidden)
    }
}
