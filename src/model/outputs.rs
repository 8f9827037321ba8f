//! What a model says about a batch.

use burn::tensor::{FloatDType, Tensor};
use kiln_kernels::Activation;

/// A model's outputs; a language model's are the largest tensor of a step, and its loss does without them.
#[derive(Debug, Clone)]
#[allow(clippy::large_enum_variant)] // one a step
pub enum Outputs {
    /// `[n, v]`.
    Logits(Tensor<2>),
    /// The last layer, not applied yet: the logits are `x tableᵀ`.
    Unprojected {
        /// `[n, c]`.
        x: Tensor<2>,
        /// `[v, c]`.
        table: Tensor<2>,
    },
}

impl Outputs {
    /// The outputs themselves, `[n, v]` in f32.
    pub fn logits(self) -> Tensor<2> {
        let logits = match self {
            Self::Logits(logits) => logits,
            Self::Unprojected { x, table } => {
                let table = table.cast(x.dtype());
                kiln_kernels::linear(x, table.transpose(), None, Activation::None)
            }
        };
        logits.cast(FloatDType::F32)
    }
}
