//! On a GPU: burn's fusion makes few kernels of the forward; the backward is two here, where it would be several, as
//! its sums go along rows and along columns.

#![allow(clippy::too_many_arguments)] // a kernel takes its buffers one by one
#![allow(unsafe_code)] // indices are bounded in the kernels, where a second check of every element would cost

use burn::backend::{TensorMetadata, fusion::custom::TensorSpec, tensor::FloatTensor};
use burn::tensor::DType;
use burn_cubecl::kernel::into_contiguous;
use cubecl::prelude::*;

use super::{LayerNorm, reference};
use crate::{
    CubeBackend,
    cube::{elements, fits_f32, sum_units, unwritten, zeros},
};

/// Units of a cube.
const UNITS: usize = 128;
/// The widest row, of which a unit's registers hold two sums a column.
const WIDEST: usize = 32 * UNITS;
/// Cubes that share the rows out, each with a sum over its rows of its own.
const CUBES: usize = 256;

impl LayerNorm for CubeBackend {
    fn layer_norm_backward(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        mean: FloatTensor<Self>,
        rstd: FloatTensor<Self>,
        grad: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let [rows, width] = x.shape().dims::<2>();
        if !fits_f32(x.dtype) || rows * width == 0 || width > WIDEST {
            return reference::backward::<Self>(x, gamma, (mean, rstd), grad);
        }
        let [x, gamma, mean, rstd, grad] = [x, gamma, mean, rstd, grad].map(into_contiguous);
        let (client, dtype) = (x.client.clone(), x.dtype);
        let cubes = rows.min(CUBES);
        let dx = unwritten(&x, [rows, width], dtype);
        let sums = unwritten(&x, [cubes, 2, width], DType::F32);
        let [dgamma, dbeta] = [(); 2].map(|()| unwritten(&x, [width], dtype));
        let elements = elements(&x);
        // SAFETY: rows and columns are compared with the shapes before they are read or written.
        unsafe {
            along_rows::launch_unchecked(
                &client,
                CubeCount::Static(cubes as u32, 1, 1),
                CubeDim::new_1d(UNITS as u32),
                x.into_tensor_arg(),
                gamma.into_tensor_arg(),
                mean.into_tensor_arg(),
                rstd.into_tensor_arg(),
                grad.into_tensor_arg(),
                dx.clone().into_tensor_arg(),
                sums.clone().into_tensor_arg(),
                rows,
                width,
                width.div_ceil(UNITS),
                elements,
            );
            along_columns::launch_unchecked(
                &client,
                CubeCount::Static(width.div_ceil(UNITS) as u32, 1, 1),
                CubeDim::new_1d(UNITS as u32),
                sums.into_tensor_arg(),
                dgamma.clone().into_tensor_arg(),
                dbeta.clone().into_tensor_arg(),
                cubes,
                width,
                elements,
            );
        }
        (dx, dgamma, dbeta)
    }
}

/// The gradient of x, and each cube's sums over its rows of the gradients of gamma and beta, `[cubes, 2, width]`.
#[cube(launch_unchecked)]
fn along_rows<F: Float>(
    x: &Tensor<F>,
    gamma: &Tensor<F>,
    mean: &Tensor<F>,
    rstd: &Tensor<F>,
    grad: &Tensor<F>,
    dx: &mut Tensor<F>,
    sums: &mut Tensor<f32>,
    rows: usize,
    width: usize,
    #[comptime] columns: usize,
    #[define(F)] _elements: ElemType,
) {
    let unit = UNIT_POS_X as usize;
    let cube = CUBE_POS_X as usize;
    let mut dgamma = zeros(columns);
    let mut dbeta = zeros(columns);
    let mut parts = Shared::<[f32]>::new_slice(UNITS);
    let mut row = cube;
    while row < rows {
        let start = row * width;
        let centre = f32::cast_from(mean[row]);
        let scale = f32::cast_from(rstd[row]);
        let mut along = f32::new(0.0);
        let mut shift = f32::new(0.0);
        #[unroll]
        for k in 0..columns {
            let c = unit + k * UNITS;
            if c < width {
                let normal = (f32::cast_from(x[start + c]) - centre) * scale;
                let dy = f32::cast_from(grad[start + c]);
                let dnormal = dy * f32::cast_from(gamma[c]);
                along += dnormal * normal;
                shift += dnormal;
                dgamma[k] += dy * normal;
                dbeta[k] += dy;
            }
        }
        along = sum_units(&mut parts, along, UNITS) / f32::cast_from(width as u32);
        shift = sum_units(&mut parts, shift, UNITS) / f32::cast_from(width as u32);
        #[unroll]
        for k in 0..columns {
            let c = unit + k * UNITS;
            if c < width {
                let normal = (f32::cast_from(x[start + c]) - centre) * scale;
                let dnormal = f32::cast_from(grad[start + c]) * f32::cast_from(gamma[c]);
                dx[start + c] = F::cast_from((dnormal - shift - normal * along) * scale);
            }
        }
        row += CUBE_COUNT_X as usize;
    }
    #[unroll]
    for k in 0..columns {
        let c = unit + k * UNITS;
        if c < width {
            sums[2 * cube * width + c] = dgamma[k];
            sums[(2 * cube + 1) * width + c] = dbeta[k];
        }
    }
}

/// The gradients of gamma and beta out of all cubes' sums, in their order.
#[cube(launch_unchecked)]
fn along_columns<F: Float>(
    sums: &Tensor<f32>,
    dgamma: &mut Tensor<F>,
    dbeta: &mut Tensor<F>,
    cubes: usize,
    width: usize,
    #[define(F)] _elements: ElemType,
) {
    let c = ABSOLUTE_POS;
    if c >= width {
        terminate!();
    }
    let mut gamma = f32::new(0.0);
    let mut beta = f32::new(0.0);
    for cube in 0..cubes {
        gamma += sums[2 * cube * width + c];
        beta += sums[(2 * cube + 1) * width + c];
    }
    dgamma[c] = F::cast_from(gamma);
    dbeta[c] = F::cast_from(beta);
}

/// What [`LayerNorm::layer_norm_backward`] gives.
pub(super) fn backward_spec(
    x: &TensorSpec,
    gamma: &TensorSpec,
    _mean: &TensorSpec,
    _rstd: &TensorSpec,
    _grad: &TensorSpec,
) -> (TensorSpec, TensorSpec, TensorSpec) {
    (x.clone(), gamma.clone(), gamma.clone())
}
