//! Matrix factorisation: a vector for every user and item, and a bias for each.

use burn::{
    module::Module,
    tensor::{Device, FloatDType, Tensor},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Choices, Signature, cost::Cost, rules};
use crate::{error::Result, nn::Embedding};

const KIND: &str = "matrix-factorization";

/// `kind = "matrix-factorization"` (Koren et al. 2009).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FactorsConfig {
    /// Numbers of a user's and of an item's vector.
    pub width: usize,
}

impl Default for FactorsConfig {
    fn default() -> Self {
        Self { width: 64 }
    }
}

/// The score of a pair: the product of its vectors, and its biases. Vectors start normal(0, 1/sqrt(width)), biases 0.
#[derive(Module, Debug)]
pub struct Factors {
    user_embedding: Embedding,
    item_embedding: Embedding,
    user_bias_embedding: Embedding,
    item_bias_embedding: Embedding,
}

impl FactorsConfig {
    pub(super) fn check(&self, sig: &Signature) -> Result<()> {
        rules::choices(KIND, sig)?;
        rules::size("model.width", self.width, 1 << 17)
    }

    pub(super) fn cost(&self, sig: &Signature) -> Result<Cost> {
        let (users, items) = rules::choices(KIND, sig)?;
        // A user against one item.
        Ok(Cost::params((users + items) * (self.width + 1)) + Cost { params: 0, flops: 2.0 * self.width as f64 })
    }

    pub(super) fn init(&self, sig: &Signature, device: &Device) -> Result<Factors> {
        let (users, items) = rules::choices(KIND, sig)?;
        let std = 1.0 / (self.width as f64).sqrt();
        Ok(Factors {
            user_embedding: Embedding::new(users, self.width, std, device),
            item_embedding: Embedding::new(items, self.width, std, device),
            user_bias_embedding: Embedding::new(users, 1, 0.0, device),
            item_bias_embedding: Embedding::new(items, 1, 0.0, device),
        })
    }
}

impl Factors {
    /// Scores `[b, m]` of `m` items for each of `b` users.
    pub(super) fn forward(&self, choices: Choices, compute: FloatDType) -> Tensor<2> {
        let (users, items) = choices.places();
        let x = self.user_embedding.forward(users.clone(), compute); // [b, 1, w]
        let y = self.item_embedding.forward(items.clone(), compute); // [b or 1, m, w]
        let bias = self.user_bias_embedding.forward(users, compute).squeeze_dim::<2>(2) // [b, 1]
            + self.item_bias_embedding.forward(items, compute).squeeze_dim::<2>(2); // [b or 1, m]
        products(x, y) + bias
    }
}

/// The product of every user's vector with each of its items', `[b, 1, w]` and `[b or 1, m, w]` to `[b, m]`.
pub(super) fn products(x: Tensor<3>, y: Tensor<3>) -> Tensor<2> {
    let ([b, _, w], [lists, m, _]) = (x.dims(), y.dims());
    if lists == 1 {
        // One list for all users: a product of matrices.
        return x.reshape([b, w]).matmul(y.reshape([m, w]).transpose());
    }
    (x * y).sum_dim(2).squeeze_dim::<2>(2)
}
