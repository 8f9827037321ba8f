//! In which precision the products of a forward pass, and of its backward, are computed.

use std::cell::Cell;

/// The operands of matrix products on the host; sums and results are f32 either way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Products {
    /// As they are.
    #[default]
    F32,
    /// Rounded to bf16 on the way into the product, where the processor multiplies bf16 faster than f32 (AMX, AMD's
    /// AVX512-BF16); elsewhere as [`Products::F32`].
    Bf16,
}

thread_local! {
    static CURRENT: Cell<Products> = const { Cell::new(Products::F32) };
}

/// Runs `forward` with its products in `products`; the backward of an op takes what its forward took.
///
/// Weights, activations, statistics and gradients stay f32, as under PyTorch's autocast. Tensors that are not in this
/// process's memory take no notice: their precision is the dtype of the activations.
pub fn with_products<T>(products: Products, forward: impl FnOnce() -> T) -> T {
    struct Restore(Products);
    impl Drop for Restore {
        fn drop(&mut self) {
            CURRENT.set(self.0);
        }
    }
    let _restore = Restore(CURRENT.replace(products));
    forward()
}

/// What the calling thread computes products in.
pub(crate) fn products() -> Products {
    CURRENT.get()
}
