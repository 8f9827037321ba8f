//! Tensor kernels for kiln, where burn's decomposition costs time or memory.
//!
//! One folder an op: `mod.rs` is the op with its hand-written backward, `reference.rs` composes it from burn's own
//! operations (what every backend without an override runs), `host.rs` is the override for f32 tensors in this process's
//! memory: flex's, and libtorch's on the CPU. `README.md` beside this crate counts each op's FLOPs and bytes; `LOG.md`
//! keeps what did not pay.
// Upstream drops NdArray and LibTorch after 0.22; until then they are devices like the others.
#![cfg_attr(any(feature = "ndarray", feature = "tch"), allow(deprecated))]

mod attention;
#[cfg(feature = "flex")]
pub mod ceiling;
mod conv2d;
mod cross_entropy;
#[cfg(feature = "cube")]
mod cube;
mod dropout;
mod embedding;
mod gelu;
mod gradients;
#[cfg(feature = "flex")]
mod host;
pub mod launches;
mod layer_norm;
mod linear;
mod linear_cross_entropy;
mod memory;
pub mod optimizer;
mod precision;
pub mod profile;
mod recurrent;
mod rms_norm;
mod swiglu;
mod threads;

#[cfg(feature = "cube")]
use burn_cubecl::CubeBackend;

pub use attention::{AttentionOptions, attention, padded_attention};
#[cfg(feature = "flex")]
pub use ceiling::{Ceilings, ceilings};
pub use conv2d::{Conv2dOptions, conv2d};
pub use cross_entropy::cross_entropy;
pub use dropout::dropout;
pub use embedding::{embedding, tied, tied_embedding};
pub use gelu::{gelu, gelu_erf};
pub use gradients::{accumulate, norm};
#[cfg(feature = "tch")]
pub use host::compose_torch;
pub use layer_norm::layer_norm;
pub use linear::{Activation, linear};
pub use linear_cross_entropy::linear_cross_entropy;
pub use memory::keep_freed_pages;
pub use precision::{Products, with_products};
pub use recurrent::{Cell, RecurrentOptions, recurrent};
pub use rms_norm::rms_norm;
pub use swiglu::swiglu;
#[cfg(feature = "tch")]
pub use threads::leave_threads_to_kernels;
pub use threads::on_kernel_threads;

/// The processor's instructions for bf16 products with f32 sums that are faster than f32's: `"AMX"`, of AMD's
/// `"AVX512-BF16"`, or none, as anywhere under the environment's `KILN_NO_BF16`.
pub fn bf16_instructions() -> Option<&'static str> {
    #[cfg(feature = "flex")]
    match host::bf16_support() {
        host::Bf16::Amx => return Some("AMX"),
        host::Bf16::Avx512 => return Some("AVX512-BF16"),
        host::Bf16::None => {}
    }
    None
}

/// Where a backend runs this crate's overrides. Elsewhere some ops are left to burn's own, whose backward keeps what a
/// composition here would have to compute again.
trait Overridden: burn::backend::Backend {
    /// Whether it does so for a tensor like this one.
    fn overrides(_tensor: &Self::FloatTensorPrimitive) -> bool {
        false
    }
}

#[cfg(feature = "flex")]
impl<B: host::HostBackend> Overridden for B {
    fn overrides(tensor: &Self::FloatTensorPrimitive) -> bool {
        B::here(&[tensor])
    }
}
#[cfg(feature = "ndarray")]
impl Overridden for burn::backend::NdArray {}
#[cfg(feature = "cube")]
impl Overridden for CubeBackend {}
#[cfg(feature = "cube")]
impl<B: burn::backend::fusion::FusionBackend> Overridden for burn::backend::fusion::Fusion<B> {}
