//! What the models of texts share: padded ids, and one vector of many.

use burn::tensor::{FloatDType, Int, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::nn::Sight;

/// How the vectors of a text become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Pooling {
    /// Their mean.
    Mean,
    /// The first one's: a token of its own, learned, or the tokenizer's `[CLS]` where the model is pretrained.
    Cls,
}

/// A batch of texts of different lengths.
pub(super) struct Texts {
    /// `[b, t]`; 0 at padding.
    pub(super) ids: Tensor<2, Int>,
    /// `[b, t]` in f32: 0 at padding, 1 elsewhere.
    pub(super) valid: Tensor<2>,
}

impl Texts {
    /// Of ids `[b, t]` that are negative at padding.
    pub(super) fn new(ids: Tensor<2, Int>) -> Self {
        let valid = ids.clone().greater_equal_elem(0).float().cast(FloatDType::F32);
        Self { ids: ids.clamp_min(0), valid }
    }

    /// What attention may look at.
    pub(super) fn sight(&self) -> Sight {
        Sight::within(self.lengths().squeeze_dim(1))
    }

    /// With one more position before every text, which is no padding.
    pub(super) fn after_one(self) -> Self {
        let [b, _] = self.valid.dims();
        let first = Tensor::<2>::ones([b, 1], &self.valid.device()).cast(FloatDType::F32);
        let valid = Tensor::cat(vec![first, self.valid], 1);
        Self { valid, ..self }
    }

    /// The mean of `x` `[b, t, c]` over what is no padding, `[b, c]` in f32; zeros of an empty text.
    pub(super) fn mean(&self, x: Tensor<3>) -> Tensor<2> {
        self.sum(x) / self.count()
    }

    /// The same sum.
    pub(super) fn sum(&self, x: Tensor<3>) -> Tensor<2> {
        let x = x.cast(FloatDType::F32) * self.valid.clone().unsqueeze_dim::<3>(2);
        x.sum_dim(1).squeeze_dim(1)
    }

    /// Tokens of every text, at least 1: `[b, 1]`.
    pub(super) fn count(&self) -> Tensor<2> {
        self.lengths().clamp_min(1.0)
    }

    /// Tokens of every text, `[b, 1]`.
    fn lengths(&self) -> Tensor<2> {
        self.valid.clone().sum_dim(1)
    }
}
