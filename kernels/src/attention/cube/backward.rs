//! Weights are computed again from the scores' logarithmic sums; no atomic additions, so that sums have one order.

use cubecl::prelude::*;

use super::{
    part::{store, store_kept, to_dscores, to_weights, turn_back, write},
    tile::{Call, PART, PITCH, TILE, add_product, add_scores, joint_head, load, output_head},
};
use crate::cube::zeros;

/// Row by row the sum of weight times its gradient, which is that of output times its own: `along` `[b, h, t]`, one
/// unit a row.
#[cube(launch_unchecked)]
pub(super) fn along<F: Float>(
    output: &Tensor<F>,
    grad: &Tensor<F>,
    along: &mut Tensor<f32>,
    call: Call,
    #[define(F)] _elements: ElemType,
) {
    let row = ABSOLUTE_POS;
    if row >= along.len() {
        terminate!();
    }
    let position = row % call.t;
    let head = row / call.t;
    let at = output_head(&call, head / call.heads, head % call.heads);
    let first = at.first + position * at.pitch;
    let mut sum = f32::new(0.0);
    for column in first..first + call.d {
        sum += f32::cast_from(output[column]) * f32::cast_from(grad[column]);
    }
    along[row] = sum;
}

/// The queries' columns of `gradient`; cubes `[tiles of queries, h, b]`.
#[cube(launch_unchecked)]
pub(super) fn queries<F: Float>(
    joint: &Tensor<F>,
    angles: &Tensor<f32>,
    noise: &Tensor<f32>,
    log_sum: &Tensor<f32>,
    along: &Tensor<f32>,
    grad: &Tensor<F>,
    gradient: &mut Tensor<F>,
    call: Call,
    #[comptime] chunks: usize,
    #[comptime] dropout: bool,
    #[define(F)] _elements: ElemType,
) {
    let (b, head) = (CUBE_POS_Z as usize, CUBE_POS_Y as usize);
    let row = (call.t.div_ceil(TILE) - 1 - CUBE_POS_X as usize) * TILE;
    let group = call.heads / call.kv_heads;
    let queries_at = joint_head(&call, b, head);
    let keys_at = joint_head(&call, b, call.heads + head / group);
    let values_at = joint_head(&call, b, call.heads + call.kv_heads + head / group);
    let grad_at = output_head(&call, b, head);

    let mut left = Shared::<[f32]>::new_slice(TILE * PITCH);
    let mut right = Shared::<[f32]>::new_slice(TILE * PITCH);
    let mut weights = Shared::<[f32]>::new_slice(TILE * PITCH);
    let mut result = zeros(comptime!(PART * PART * chunks));

    let end = select(call.causal == 1, min(row + TILE, call.t), call.t);
    for tile in 0..end.div_ceil(TILE) {
        let first = tile * TILE;
        let mut scores = zeros(comptime!(PART * PART));
        let mut dweights = zeros(comptime!(PART * PART));
        #[unroll]
        for chunk in 0..chunks {
            load::<F>(&mut left, joint, angles, &call, &queries_at, row, call.turning, chunk);
            load::<F>(&mut right, joint, angles, &call, &keys_at, first, call.turning, chunk);
            sync_cube();
            add_scores(&mut scores, &left, &right);
            sync_cube();
            load::<F>(&mut left, grad, angles, &call, &grad_at, row, 0usize, chunk);
            load::<F>(&mut right, joint, angles, &call, &values_at, first, 0usize, chunk);
            sync_cube();
            add_scores(&mut dweights, &left, &right);
            sync_cube();
        }
        to_weights(&mut scores, log_sum, &call, b, head, row, first);
        let dscores = to_dscores(&scores, &dweights, along, noise, &call, b, head, row, first, dropout);
        store(&mut weights, &dscores);
        #[unroll]
        for chunk in 0..chunks {
            load::<F>(&mut right, joint, angles, &call, &keys_at, first, call.turning, chunk);
            sync_cube();
            add_product(&mut result, &weights, &right, chunk, false);
            sync_cube();
        }
    }
    write::<F>(gradient, &result, &call, &queries_at, row, chunks);
    turn_back::<F>(gradient, angles, &call, &queries_at, row);
}

/// The keys' and values' columns of `gradient`; cubes `[tiles of keys, g, b]`.
#[cube(launch_unchecked)]
pub(super) fn keys_values<F: Float>(
    joint: &Tensor<F>,
    angles: &Tensor<f32>,
    noise: &Tensor<f32>,
    log_sum: &Tensor<f32>,
    along: &Tensor<f32>,
    grad: &Tensor<F>,
    gradient: &mut Tensor<F>,
    call: Call,
    #[comptime] chunks: usize,
    #[comptime] dropout: bool,
    #[define(F)] _elements: ElemType,
) {
    let (b, kv_head) = (CUBE_POS_Z as usize, CUBE_POS_Y as usize);
    let first = CUBE_POS_X as usize * TILE;
    let group = call.heads / call.kv_heads;
    let keys_at = joint_head(&call, b, call.heads + kv_head);
    let values_at = joint_head(&call, b, call.heads + call.kv_heads + kv_head);

    let mut left = Shared::<[f32]>::new_slice(TILE * PITCH);
    let mut right = Shared::<[f32]>::new_slice(TILE * PITCH);
    let mut weights = Shared::<[f32]>::new_slice(TILE * PITCH);
    let mut dkeys = zeros(comptime!(PART * PART * chunks));
    let mut dvalues = zeros(comptime!(PART * PART * chunks));

    // A tile of queries before the keys sees none of them.
    let unseen = select(call.causal == 1, CUBE_POS_X as usize, 0usize);
    for member in 0..group {
        let head = kv_head * group + member;
        let queries_at = joint_head(&call, b, head);
        let grad_at = output_head(&call, b, head);
        for tile in unseen..call.t.div_ceil(TILE) {
            let row = tile * TILE;
            let mut scores = zeros(comptime!(PART * PART));
            let mut dweights = zeros(comptime!(PART * PART));
            #[unroll]
            for chunk in 0..chunks {
                load::<F>(&mut left, joint, angles, &call, &queries_at, row, call.turning, chunk);
                load::<F>(&mut right, joint, angles, &call, &keys_at, first, call.turning, chunk);
                sync_cube();
                add_scores(&mut scores, &left, &right);
                sync_cube();
            }
            to_weights(&mut scores, log_sum, &call, b, head, row, first);
            store_kept(&mut weights, &scores, noise, &call, b, head, row, first, dropout);
            #[unroll]
            for chunk in 0..chunks {
                load::<F>(&mut left, grad, angles, &call, &grad_at, row, 0usize, chunk);
                load::<F>(&mut right, joint, angles, &call, &values_at, first, 0usize, chunk);
                sync_cube();
                add_product(&mut dvalues, &weights, &left, chunk, true);
                add_scores(&mut dweights, &left, &right);
                sync_cube();
            }
            let dscores = to_dscores(&scores, &dweights, along, noise, &call, b, head, row, first, dropout);
            store(&mut weights, &dscores);
            #[unroll]
            for chunk in 0..chunks {
                load::<F>(&mut left, joint, angles, &call, &queries_at, row, call.turning, chunk);
                sync_cube();
                add_product(&mut dkeys, &weights, &left, chunk, true);
                sync_cube();
            }
        }
    }
    write::<F>(gradient, &dvalues, &call, &values_at, first, chunks);
    write::<F>(gradient, &dkeys, &call, &keys_at, first, chunks);
    turn_back::<F>(gradient, angles, &call, &keys_at, first);
}
