//! On a GPU: a cube for every token that looked something up; the first with a row adds all of that row's gradients, so
//! that sums need no atomic additions and have one order.

#![allow(unsafe_code)] // indices are bounded in the kernel, where a second check of every element would cost

use burn::backend::{
    TensorMetadata,
    tensor::{FloatTensor, IntTensor},
};
use burn_cubecl::kernel::into_contiguous;
use cubecl::prelude::*;

use super::{EmbeddingOp, reference};
use crate::{
    CubeBackend,
    cube::{elements, fits_f32, sum_units, zeros},
};

/// Units of a cube.
const UNITS: usize = 128;
/// The widest row of a table, of which a unit's registers hold its columns.
const WIDEST: usize = 32 * UNITS;
/// Cubes along either side of a grid, in the narrowest API.
const MOST_CUBES: usize = 65_535;

impl EmbeddingOp for CubeBackend {
    fn add_rows(table: FloatTensor<Self>, ids: IntTensor<Self>, grad: FloatTensor<Self>) -> FloatTensor<Self> {
        let ([rows, width], count) = (table.shape().dims::<2>(), ids.shape()[0]);
        if !fits_f32(table.dtype) || width > WIDEST || count > MOST_CUBES * MOST_CUBES {
            return reference::add_rows::<Self>(table, ids, grad);
        }
        if count * width == 0 {
            return table;
        }
        let table = into_contiguous(table);
        let table = if table.can_mut() { table } else { table.copy() };
        let [ids, grad] = [ids, grad].map(into_contiguous);
        let kinds = [elements(&table), elements(&ids)];
        let cubes = CubeCount::Static(count.min(MOST_CUBES) as u32, count.div_ceil(MOST_CUBES) as u32, 1);
        // SAFETY: tokens, rows and columns are compared with the shapes before anything is read or written.
        unsafe {
            add_rows::launch_unchecked(
                &table.client,
                cubes,
                CubeDim::new_1d(UNITS as u32),
                table.clone().into_tensor_arg(),
                ids.into_tensor_arg(),
                grad.into_tensor_arg(),
                count,
                rows,
                width,
                width.div_ceil(UNITS),
                kinds,
            );
        }
        table
    }
}

#[cube(launch_unchecked)]
fn add_rows<F: Float, I: Int>(
    table: &mut Tensor<F>,
    ids: &Tensor<I>,
    grad: &Tensor<F>,
    count: usize,
    rows: usize,
    width: usize,
    #[comptime] columns: usize,
    #[define(F, I)] _elements: [ElemType; 2],
) {
    let token = CUBE_POS_X as usize + CUBE_POS_Y as usize * CUBE_COUNT_X as usize;
    let unit = UNIT_POS_X as usize;
    if token >= count {
        terminate!();
    }
    let id = i32::cast_from(ids[token]);
    let mut earlier = f32::new(0.0);
    let mut other = unit;
    while other < token {
        if i32::cast_from(ids[other]) == id {
            earlier = f32::new(1.0);
        }
        other += UNITS;
    }
    let mut parts = Shared::<[f32]>::new_slice(UNITS);
    let first = sum_units(&mut parts, earlier, UNITS) == f32::new(0.0);
    if first && id >= 0 && (id as usize) < rows {
        let mut sums = zeros(columns);
        for other in token..count {
            if i32::cast_from(ids[other]) == id {
                #[unroll]
                for k in 0..columns {
                    let c = unit + k * UNITS;
                    if c < width {
                        sums[k] += f32::cast_from(grad[other * width + c]);
                    }
                }
            }
        }
        #[unroll]
        for k in 0..columns {
            let c = unit + k * UNITS;
            if c < width {
                let at = id as usize * width + c;
                table[at] = F::cast_from(f32::cast_from(table[at]) + sums[k]);
            }
        }
    }
}
