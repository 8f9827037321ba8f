//! What the CubeCL overrides share: buffers, element types, and pieces of kernels.

use burn::tensor::{DType, Shape};
use burn_cubecl::{ops::numeric::empty_device_contiguous_dtype, tensor::CubeTensor};
use cubecl::{ir::ElemType, prelude::*};

/// A buffer on the device of `like`, nothing written to it yet.
pub(crate) fn unwritten<const D: usize>(like: &CubeTensor, shape: [usize; D], dtype: DType) -> CubeTensor {
    empty_device_contiguous_dtype(like.client.clone(), like.device.clone(), Shape::new(shape), dtype)
}

/// How a kernel names the elements of `tensor`.
pub(crate) fn elements(tensor: &CubeTensor) -> ElemType {
    burn::backend::cubecl::dtype_to_storage_type(tensor.dtype)
}

/// Whether a kernel that reads any float and computes in f32 loses nothing of it.
pub(crate) fn fits_f32(dtype: DType) -> bool {
    matches!(dtype, DType::F32 | DType::F16 | DType::BF16)
}

/// The sum over all units of a cube, in one order; `units` is a power of two, `parts` has a place for each.
#[cube]
pub(crate) fn sum_units(parts: &mut Shared<[f32]>, value: f32, #[comptime] units: usize) -> f32 {
    let unit = UNIT_POS_X as usize;
    parts[unit] = value;
    sync_cube();
    let mut half = comptime!(units / 2).runtime();
    while half > 0 {
        if unit < half {
            let other = parts[unit + half];
            parts[unit] += other;
        }
        sync_cube();
        half /= 2;
    }
    let sum = parts[0];
    sync_cube(); // before anybody writes a next value
    sum
}

/// Zeros in registers.
#[cube]
pub(crate) fn zeros(#[comptime] len: usize) -> Array<f32> {
    let mut zeros = Array::<f32>::new(len);
    #[unroll]
    for i in 0..len {
        zeros[i] = f32::new(0.0);
    }
    zeros
}
