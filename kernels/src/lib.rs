//! Tensor kernels for kiln, where burn's decomposition costs time or memory.
//!
//! One folder an op: `mod.rs` is the op with its hand-written backward, `reference.rs` composes it from burn's own
//! operations (what every backend without an override runs), `flex.rs` is the CPU override. `README.md` beside this
//! crate counts each op's FLOPs and bytes; `LOG.md` keeps what did not pay.
// Upstream drops NdArray and LibTorch after 0.22; until then they are devices like the others.
#![cfg_attr(any(feature = "ndarray", feature = "tch"), allow(deprecated))]

mod attention;
mod cross_entropy;
mod gelu;
#[cfg(feature = "flex")]
mod host;
mod layer_norm;
mod memory;
pub mod profile;

pub use attention::{AttentionOptions, attention};
pub use cross_entropy::cross_entropy;
pub use gelu::gelu;
pub use layer_norm::layer_norm;
pub use memory::keep_freed_pages;

/// The cubecl backend under its fusion layer, which burn exports by name for some of its runtimes only.
#[cfg(feature = "cube")]
type CubeBackend = <burn::backend::Cube as Layered>::Inner;

#[cfg(feature = "cube")]
trait Layered {
    type Inner;
}

#[cfg(feature = "cube")]
impl<B: burn::backend::fusion::FusionBackend> Layered for burn::backend::fusion::Fusion<B> {
    type Inner = B;
}
