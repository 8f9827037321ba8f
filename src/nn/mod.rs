//! Layers: a config beside its module, and a module's tensors by name.
//!
//! Parameters are f32 and stay f32. A layer casts its own weights to the dtype of its input, so the dtype of the
//! activations decides the precision; statistics and softmax are taken in f32 whatever it is.
//! Shapes in comments: b batch, t tokens, c width, h heads, d width of a head.

use std::collections::BTreeMap;

use burn::tensor::{FloatDType, Tensor, TensorData};

mod attention;
mod batch_norm;
mod block;
mod conv;
mod embedding;
mod feed_forward;
mod linear;
mod norm;
mod rotary;
mod state;

pub use attention::{Attention, AttentionConfig, KvCache, Sight};
pub use batch_norm::BatchNorm;
pub use block::{Block, BlockConfig, NormChoice};
pub use burn::nn::{Dropout, DropoutConfig};
pub use conv::{Conv, ConvConfig};
pub use embedding::Embedding;
pub use feed_forward::{FeedForward, FeedForwardConfig};
pub use linear::{Linear, LinearConfig};
pub use norm::Norm;
pub use rotary::Rotary;
pub use state::{ModulePath, hash_of, load_tensors, num_bytes, tensors_of};
pub(crate) use state::{misfit, mismatch};

/// A module's (or an optimizer's) tensors by dotted path, such as `blocks.0.attention.qkv.weight`.
pub type Tensors = BTreeMap<String, TensorData>;

/// Casts to the dtype of another tensor; free when it is the same.
fn cast_like<const D: usize, const E: usize>(x: Tensor<D>, like: &Tensor<E>) -> Tensor<D> {
    if x.dtype() == like.dtype() { x } else { x.cast(like.dtype()) }
}

/// Casts to f32; free when it is f32.
fn to_f32<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    x.cast(FloatDType::F32)
}
