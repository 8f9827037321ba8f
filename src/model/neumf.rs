//! Neural collaborative filtering: factors and a perceptron side by side (He et al. 2017, NeuMF).

use burn::{
    module::Module,
    tensor::{Device, FloatDType, Tensor, activation},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Choices, Signature, cost::Cost, rules};
use crate::{
    error::Result,
    nn::{Dropout, DropoutConfig, Embedding, Linear, LinearConfig},
};

const KIND: &str = "neumf";
/// Standard deviation of vectors at the start, as the authors have it.
const STD: f64 = 0.01;

/// `kind = "neumf"` (He et al. 2017).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NeumfConfig {
    /// Numbers of a vector on the side of the factors, and on that of the perceptron.
    pub width: usize,
    /// Widths of the perceptron's layers.
    pub hidden: Vec<usize>,
    /// Probability of zeroing a hidden unit while training.
    pub dropout: f64,
}

impl Default for NeumfConfig {
    fn default() -> Self {
        Self { width: 64, hidden: vec![128, 64], dropout: 0.1 }
    }
}

/// The score of a pair: a linear map of the product of two vectors, element by element, and of what a perceptron makes of
/// two others.
///
/// The perceptron's first layer is kept as its two halves, so that a user's and an item's part are computed once each
/// when all pairs are scored.
#[derive(Module, Debug)]
pub struct Neumf {
    user_embedding: Embedding,
    item_embedding: Embedding,
    user_hidden_embedding: Embedding,
    item_hidden_embedding: Embedding,
    user_first: Linear,
    item_first: Linear,
    hidden: Vec<Linear>,
    head_factors: Linear,
    head_hidden: Linear,
    dropout: Dropout,
}

impl NeumfConfig {
    pub(super) fn check(&self, sig: &Signature) -> Result<()> {
        rules::choices(KIND, sig)?;
        rules::size("model.width", self.width, 1 << 17)?;
        rules::dropout(self.dropout)?;
        rules::size("the number of layers in model.hidden", self.hidden.len(), 1000)?;
        rules::sizes("model.hidden", &self.hidden)
    }

    /// (first hidden width, later layers, last hidden width)
    fn layers(&self) -> (usize, Vec<(usize, usize)>, usize) {
        let pairs = self.hidden.iter().copied().zip(self.hidden.iter().copied().skip(1)).collect();
        let end = |width: Option<&usize>| width.copied().unwrap_or(self.width);
        (end(self.hidden.first()), pairs, end(self.hidden.last()))
    }

    pub(super) fn cost(&self, sig: &Signature) -> Result<Cost> {
        let (users, items) = rules::choices(KIND, sig)?;
        let (first, layers, last) = self.layers();
        let halves = Cost::linear(self.width, first, true, 1) + Cost::linear(self.width, first, false, 1);
        let hidden: Cost = layers.iter().map(|&(inputs, outputs)| Cost::linear(inputs, outputs, true, 1)).sum();
        let heads = Cost::linear(self.width, 1, false, 1) + Cost::linear(last, 1, true, 1);
        Ok(Cost::params(2 * (users + items) * self.width) + halves + hidden + heads)
    }

    pub(super) fn init(&self, sig: &Signature, device: &Device) -> Result<Neumf> {
        let (users, items) = rules::choices(KIND, sig)?;
        let (first, layers, last) = self.layers();
        let embedding = |count| Embedding::new(count, self.width, STD, device);
        Ok(Neumf {
            user_embedding: embedding(users),
            item_embedding: embedding(items),
            user_hidden_embedding: embedding(users),
            item_hidden_embedding: embedding(items),
            user_first: LinearConfig::new(self.width, first).init(device),
            item_first: LinearConfig::new(self.width, first).bias(false).init(device),
            hidden: layers.iter().map(|&(inputs, outputs)| LinearConfig::new(inputs, outputs).init(device)).collect(),
            head_factors: LinearConfig::new(self.width, 1).bias(false).init(device),
            head_hidden: LinearConfig::new(last, 1).init(device),
            dropout: DropoutConfig::new(self.dropout).init(),
        })
    }
}

impl Neumf {
    /// Scores `[b, m]` of `m` items for each of `b` users.
    pub(super) fn forward(&self, choices: Choices, compute: FloatDType) -> Tensor<2> {
        let (users, items) = choices.places();
        let pairs = self.user_embedding.forward(users.clone(), compute) // [b, 1, w]
            * self.item_embedding.forward(items.clone(), compute); // [b or 1, m, w] to [b, m, w]
        let first = self.user_first.forward(self.user_hidden_embedding.forward(users, compute))
            + self.item_first.forward(self.item_hidden_embedding.forward(items, compute)); // [b, m, first]
        let relu = |x| self.dropout.forward(activation::relu(x));
        let hidden = self.hidden.iter().fold(relu(first), |x, layer| relu(layer.forward(x))); // [b, m, last]
        let scores = self.head_factors.forward(pairs) + self.head_hidden.forward(hidden); // [b, m, 1]
        scores.squeeze_dim::<2>(2)
    }
}
