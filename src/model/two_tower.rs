//! Two towers: a perceptron over a user's vector and one over an item's, compared by the cosine (Yi et al. 2019).

use burn::{
    module::Module,
    tensor::{Device, FloatDType, Tensor, activation},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Choices, Signature, cost::Cost, factors::products, rules};
use crate::{
    error::{Error, Result},
    nn::{Dropout, DropoutConfig, Embedding, Linear, LinearConfig},
};

const KIND: &str = "two-tower";

/// `kind = "two-tower"`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TwoTowerConfig {
    /// Numbers of a user's and of an item's vector.
    pub width: usize,
    /// Widths of each tower's layers; the last one is what is compared. Without any, the vectors are.
    pub hidden: Vec<usize>,
    /// What the cosine is divided by.
    pub temperature: f64,
    /// Probability of zeroing a hidden unit while training.
    pub dropout: f64,
}

impl Default for TwoTowerConfig {
    fn default() -> Self {
        Self { width: 64, hidden: vec![64], temperature: 0.1, dropout: 0.0 }
    }
}

/// The score of a pair: the cosine of what the towers make of its vectors, over the temperature.
#[derive(Module, Debug)]
pub struct TwoTower {
    user_embedding: Embedding,
    item_embedding: Embedding,
    users: Vec<Linear>,
    items: Vec<Linear>,
    dropout: Dropout,
    temperature: f64,
}

impl TwoTowerConfig {
    pub(super) fn check(&self, sig: &Signature) -> Result<()> {
        rules::choices(KIND, sig)?;
        rules::size("model.width", self.width, 1 << 17)?;
        rules::dropout(self.dropout)?;
        if !(self.temperature > 0.0 && self.temperature.is_finite()) {
            return Err(Error::input(format!("`model.temperature` = {} must be above 0", self.temperature))
                .next("choose one such as 0.1"));
        }
        rules::sizes("model.hidden", &self.hidden)
    }

    fn layers(&self) -> impl Iterator<Item = (usize, usize)> {
        std::iter::once(self.width).chain(self.hidden.iter().copied()).zip(self.hidden.iter().copied())
    }

    pub(super) fn cost(&self, sig: &Signature) -> Result<Cost> {
        let (users, items) = rules::choices(KIND, sig)?;
        let tower: Cost = self.layers().map(|(inputs, outputs)| Cost::linear(inputs, outputs, true, 1)).sum();
        let last = self.hidden.last().copied().unwrap_or(self.width);
        Ok(Cost::params((users + items) * self.width) + tower * 2 + Cost { params: 0, flops: 2.0 * last as f64 })
    }

    pub(super) fn init(&self, sig: &Signature, device: &Device) -> Result<TwoTower> {
        let (users, items) = rules::choices(KIND, sig)?;
        let std = 1.0 / (self.width as f64).sqrt();
        let tower = || self.layers().map(|(inputs, outputs)| LinearConfig::new(inputs, outputs).init(device)).collect();
        Ok(TwoTower {
            user_embedding: Embedding::new(users, self.width, std, device),
            item_embedding: Embedding::new(items, self.width, std, device),
            users: tower(),
            items: tower(),
            dropout: DropoutConfig::new(self.dropout).init(),
            temperature: self.temperature,
        })
    }
}

impl TwoTower {
    /// Scores `[b, m]` of `m` items for each of `b` users.
    pub(super) fn forward(&self, choices: Choices, compute: FloatDType) -> Tensor<2> {
        let (users, items) = choices.places();
        let x = self.tower(&self.users, self.user_embedding.forward(users, compute)); // [b, 1, last]
        let y = self.tower(&self.items, self.item_embedding.forward(items, compute)); // [b or 1, m, last]
        products(x, y) / self.temperature
    }

    /// To vectors of length 1.
    fn tower(&self, layers: &[Linear], x: Tensor<3>) -> Tensor<3> {
        let mut left = layers.len();
        let x = layers.iter().fold(x, |x, layer| {
            left -= 1;
            let x = layer.forward(x);
            if left == 0 { x } else { self.dropout.forward(activation::relu(x)) }
        });
        let length = (x.clone() * x.clone()).sum_dim(2).add_scalar(1e-12).sqrt();
        x / length
    }
}
