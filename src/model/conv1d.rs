//! Convolutions over the steps of a window, or the tokens of a text.

use burn::{
    module::Module,
    tensor::{Device, FloatDType, Tensor},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Input, Signature,
    cost::Cost,
    rules::{self, Steps},
    text::Texts,
};
use crate::{
    error::{Error, Result},
    nn::{Conv1d, Conv1dConfig, Dropout, DropoutConfig, Embedding, Linear, LinearConfig},
};

/// `kind = "conv1d"`. Over a window every convolution halves the number of steps, and a linear head reads all that are
/// left. Over a text none does, and the head reads the largest value of each of the last one's outputs (Kim 2014).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Conv1dModelConfig {
    /// Texts: width of a token's embedding.
    pub embedding: usize,
    /// Convolutions.
    pub layers: usize,
    /// Values of a step after each.
    pub width: usize,
    /// Steps that each looks at; odd.
    pub kernel: usize,
    /// Probability of zeroing an embedding, or a value before the head, while training.
    pub dropout: f64,
}

impl Default for Conv1dModelConfig {
    fn default() -> Self {
        Self { embedding: 64, layers: 3, width: 64, kernel: 5, dropout: 0.0 }
    }
}

/// A classifier or regressor that looks for patterns, wherever they are.
#[derive(Module, Debug)]
pub struct ConvModel {
    token_embedding: Option<Embedding>,
    convs: Vec<Conv1d>,
    head: Linear,
    dropout: Dropout,
}

/// What is read.
struct Sizes {
    /// Of texts.
    vocab: Option<usize>,
    /// (values of a step before, steps after) every convolution.
    stages: Vec<(usize, usize)>,
    /// Values that the head reads.
    seen: usize,
}

impl Conv1dModelConfig {
    fn sizes(&self, sig: &Signature) -> Result<Sizes> {
        let Steps { vocab, mut steps, mut values } = rules::steps("conv1d", self.embedding, sig)?;
        let mut stages = Vec::with_capacity(self.layers);
        for _ in 0..self.layers {
            steps = if vocab.is_none() { steps.div_ceil(2) } else { steps };
            stages.push((values, steps));
            values = self.width;
        }
        Ok(Sizes { vocab, stages, seen: if vocab.is_none() { values * steps } else { values } })
    }

    pub(super) fn check(&self, sig: &Signature) -> Result<()> {
        rules::size("model.layers", self.layers, 64)?;
        rules::size("model.embedding", self.embedding, 1 << 16)?;
        rules::size("model.width", self.width, 1 << 16)?;
        rules::size("model.kernel", self.kernel, 1 << 12)?;
        rules::dropout(self.dropout)?;
        self.sizes(sig)?;
        match self.kernel % 2 {
            1 => Ok(()),
            _ => Err(Error::input(format!("`model.kernel` = {} is even, so it has no middle", self.kernel))
                .next(format!("choose {}", self.kernel + 1))),
        }
    }

    pub(super) fn cost(&self, sig: &Signature) -> Result<Cost> {
        let Sizes { vocab, stages, seen } = self.sizes(sig)?;
        let convs: Cost =
            stages.iter().map(|&(values, steps)| Cost::linear(values * self.kernel, self.width, true, steps)).sum();
        let embedding = Cost::params(vocab.unwrap_or(0) * self.embedding);
        Ok(embedding + convs + Cost::linear(seen, sig.outputs, true, 1))
    }

    pub(super) fn init(&self, sig: &Signature, device: &Device) -> Result<ConvModel> {
        let Sizes { vocab, stages, seen } = self.sizes(sig)?;
        let stride = if vocab.is_none() { 2 } else { 1 };
        let conv = |&(inputs, _): &(usize, usize)| {
            Conv1dConfig { inputs, outputs: self.width, kernel: self.kernel, stride }.init(device)
        };
        Ok(ConvModel {
            token_embedding: vocab.map(|vocab| Embedding::new(vocab, self.embedding, 1.0, device)),
            convs: stages.iter().map(conv).collect(),
            head: LinearConfig::new(seen, sig.outputs).init(device),
            dropout: DropoutConfig::new(self.dropout).init(),
        })
    }
}

impl ConvModel {
    /// Ids `[b, t]`, negative at padding, or steps `[b, t, f]`, to `[b, outputs]`.
    pub(super) fn forward(&self, input: Input, compute: FloatDType) -> Tensor<2> {
        let seen = match &self.token_embedding {
            Some(embedding) => {
                let texts = Texts::new(input.tokens());
                let x = self.dropout.forward(embedding.forward(texts.ids.clone(), compute)); // [b, t, c]
                // After a ReLU nothing is below the zeros at padding.
                let valid = texts.valid.cast(compute).unsqueeze_dim::<3>(1); // [b, 1, t]
                let x = x.swap_dims(1, 2) * valid.clone();
                let x = self.convs.iter().fold(x, |x, conv| conv.forward_relu(x) * valid.clone());
                x.max_dim(2).squeeze_dim::<2>(2)
            }
            None => {
                let x = input.sequence().cast(compute).swap_dims(1, 2);
                self.convs.iter().fold(x, |x, conv| conv.forward_relu(x)).flatten::<2>(1, 2)
            }
        }; // [b, values]
        self.head.forward(self.dropout.forward(seen))
    }
}
