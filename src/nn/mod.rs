//! Layers: a config beside its module, and a module's tensors by name.
//!
//! Parameters are f32 and stay f32. A layer casts its own weights to the dtype of its input, so the dtype of the
//! activations decides the precision; statistics and softmax are taken in f32 whatever it is.
//! Shapes in comments: b batch, t tokens, c width, h heads, d width of a head.

use std::collections::BTreeMap;

use burn::tensor::{FloatDType, Tensor, TensorData};
use kiln_kernels::Products;

mod attention;
mod batch_norm;
mod block;
mod conv;
mod conv1d;
mod dropout;
mod embedding;
mod encoder;
mod feed_forward;
mod linear;
mod norm;
mod recurrent;
mod rotary;
mod state;

pub use attention::{Attention, AttentionConfig, KvCache, Sight};
pub use batch_norm::BatchNorm;
pub use block::{Block, BlockConfig, NormChoice};
pub use conv::{Conv, ConvConfig};
pub use conv1d::{Conv1d, Conv1dConfig};
pub use dropout::{Dropout, DropoutConfig};
pub use embedding::Embedding;
pub use encoder::{EncoderBlock, EncoderBlockConfig, Hidden};
pub use feed_forward::{FeedForward, FeedForwardConfig};
pub use linear::{Linear, LinearConfig};
pub use norm::Norm;
pub use recurrent::{Cell, Recurrent, RecurrentConfig, Unrolled};
pub use rotary::Rotary;
pub use state::{ModulePath, hash_of, load_tensors, num_bytes, tensors_of};
pub(crate) use state::{misfit, mismatch};

/// A module's (or an optimizer's) tensors by dotted path, such as `blocks.0.attention.qkv.weight`.
pub type Tensors = BTreeMap<String, TensorData>;

/// The number formats of a forward pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compute {
    /// The dtype of activations.
    pub activations: FloatDType,
    /// What the operands of matrix products are rounded to on the host, where activations stay f32.
    pub products: Products,
}

impl Compute {
    /// Everything in f32.
    pub const F32: Self = Self { activations: FloatDType::F32, products: Products::F32 };

    /// Runs `forward` with its products in this precision; the backward takes what the forward took.
    pub fn scope<T>(self, forward: impl FnOnce() -> T) -> T {
        kiln_kernels::with_products(self.products, forward)
    }
}

impl From<FloatDType> for Compute {
    fn from(activations: FloatDType) -> Self {
        Self { activations, products: Products::F32 }
    }
}

/// Casts to the dtype of another tensor; free when it is the same.
fn cast_like<const D: usize, const E: usize>(x: Tensor<D>, like: &Tensor<E>) -> Tensor<D> {
    if x.dtype() == like.dtype() { x } else { x.cast(like.dtype()) }
}

/// Casts to f32; free when it is f32.
fn to_f32<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    x.cast(FloatDType::F32)
}
