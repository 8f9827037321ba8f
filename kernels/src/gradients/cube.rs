//! On a GPU: six gradients a kernel, each adding to the same partial sums.

#![allow(clippy::too_many_arguments)] // a kernel takes its buffers one by one
#![allow(unsafe_code)] // indices are bounded in the kernel, where a second check of every element would cost

use burn::backend::{
    Backend, Dispatch, DispatchTensor, DispatchTensorKind, backend_extension, ops::FloatTensorOps, tensor::FloatTensor,
};
use burn::tensor::{self, DType};
use burn_cubecl::{kernel::into_contiguous, tensor::CubeTensor};
use cubecl::prelude::*;

use crate::{
    CubeBackend,
    cube::{sum_units, unwritten},
};

/// Gradients a kernel: with the sums and the sizes these are the 8 buffers that every WebGPU device binds.
const TOGETHER: usize = 6;
/// Partial sums, a cube each.
const CUBES: usize = 256;
/// Units of a cube.
const UNITS: usize = 256;

/// As [`super::norm`], of gradients on a CubeCL device; None elsewhere.
pub(super) fn norm(grads: &[tensor::Tensor<2>]) -> Option<tensor::Tensor<1>> {
    if grads.iter().any(|grad| grad.dtype() != DType::F32) {
        return None;
    }
    let grads: Vec<DispatchTensor> = grads.iter().map(|grad| grad.clone().into_dispatch()).collect();
    let here = |grad: &DispatchTensor| matches!(grad.kind, DispatchTensorKind::Cube(_));
    if grads.is_empty() || !grads.iter().all(here) {
        return None;
    }
    let mut sums: Option<DispatchTensor> = None;
    for group in grads.chunks(TOGETHER) {
        let grad = |i: usize| group[i.min(group.len() - 1)].clone();
        let start = sums.is_none();
        let before = sums.unwrap_or_else(|| grad(0));
        let [a, b, c, d, e, f] = std::array::from_fn(grad);
        sums = Some(Dispatch::add_squares(before, a, b, c, d, e, f, group.len(), start));
    }
    sums.map(|sums| tensor::Tensor::<1>::from_dispatch(sums).sum_dim(0).sqrt())
}

#[backend_extension(Cube, Fusion)]
pub(crate) trait Squares: Backend {
    /// Partial sums of the squares of the first `count` tensors, added to `sums`, or alone where they `start`; all f32
    /// and `[_, _]`, the sums `[256]`.
    #[fusion(dtype = DType::F32, shape = tensor::Shape::new([CUBES]))]
    fn add_squares(
        sums: FloatTensor<Self>,
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        c: FloatTensor<Self>,
        d: FloatTensor<Self>,
        e: FloatTensor<Self>,
        f: FloatTensor<Self>,
        count: usize,
        start: bool,
    ) -> FloatTensor<Self>;
}

impl Squares for CubeBackend {
    fn add_squares(
        sums: FloatTensor<Self>,
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        c: FloatTensor<Self>,
        d: FloatTensor<Self>,
        e: FloatTensor<Self>,
        f: FloatTensor<Self>,
        count: usize,
        start: bool,
    ) -> FloatTensor<Self> {
        let sums = match start {
            true => unwritten(&a, [CUBES], DType::F32),
            false if sums.can_mut() => sums,
            false => sums.copy(),
        };
        let [a, b, c, d, e, f] = [a, b, c, d, e, f].map(packed);
        // SAFETY: every index is below the length of the tensor it is for, or that of the sums.
        unsafe {
            add_squares::launch_unchecked(
                &sums.client,
                CubeCount::Static(CUBES as u32, 1, 1),
                CubeDim::new_1d(UNITS as u32),
                sums.clone().into_tensor_arg(),
                a.into_tensor_arg(),
                b.into_tensor_arg(),
                c.into_tensor_arg(),
                d.into_tensor_arg(),
                e.into_tensor_arg(),
                f.into_tensor_arg(),
                count,
                start,
            );
        }
        sums
    }
}

/// Without gaps, in any order: that of a sum.
fn packed(tensor: CubeTensor) -> CubeTensor {
    let turned = tensor.meta.strides()[0] < tensor.meta.strides()[1];
    into_contiguous(if turned { CubeBackend::float_transpose(tensor) } else { tensor })
}

#[cube(launch_unchecked)]
fn add_squares(
    sums: &mut Tensor<f32>,
    a: &Tensor<f32>,
    b: &Tensor<f32>,
    c: &Tensor<f32>,
    d: &Tensor<f32>,
    e: &Tensor<f32>,
    f: &Tensor<f32>,
    #[comptime] count: usize,
    #[comptime] start: bool,
) {
    let mut sum = squares(a);
    if comptime!(count > 1) {
        sum += squares(b);
    }
    if comptime!(count > 2) {
        sum += squares(c);
    }
    if comptime!(count > 3) {
        sum += squares(d);
    }
    if comptime!(count > 4) {
        sum += squares(e);
    }
    if comptime!(count > 5) {
        sum += squares(f);
    }
    let mut parts = Shared::<[f32]>::new_slice(UNITS);
    let sum = sum_units(&mut parts, sum, UNITS);
    if UNIT_POS_X == 0 {
        let cube = CUBE_POS_X as usize;
        if comptime!(start) {
            sums[cube] = sum;
        } else {
            sums[cube] += sum;
        }
    }
}

/// This unit's share of a tensor's sum of squares.
#[cube]
fn squares(x: &Tensor<f32>) -> f32 {
    let mut sum = f32::new(0.0);
    let mut at = ABSOLUTE_POS;
    while at < x.len() {
        sum += x[at] * x[at];
        at += CUBES * UNITS;
    }
    sum
}
