//! Weights are computed again from the scores' logarithmic sums; no atomic additions, so that sums have one order.

use cubecl::prelude::*;

use super::tile::{
    Call, Head, LANES, PART, PITCH, TILE, add_product, add_scores, joint_head, keep, load, output_head, row_key, sees,
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

/// Products of queries and keys become weights; 0 where a key is not seen.
#[cube]
fn to_weights(
    scores: &mut Array<f32>,
    log_sum: &Tensor<f32>,
    call: &Call,
    b: usize,
    head: usize,
    row: usize,
    first: usize,
) {
    #[unroll]
    for i in 0..PART {
        let position = row + UNIT_POS_Y as usize * PART + i;
        let inside = position < call.t;
        let total = log_sum[(b * call.heads + head) * call.t + select(inside, position, 0usize)];
        #[unroll]
        for j in 0..PART {
            let seen = inside && sees(call, position, first + UNIT_POS_X as usize + j * LANES);
            let weight = (scores[i * PART + j] * call.scale - total).exp();
            scores[i * PART + j] = select(seen, weight, f32::new(0.0));
        }
    }
}

/// The gradients of products of queries and keys.
#[cube]
fn to_dscores(
    weights: &Array<f32>,
    dweights: &Array<f32>,
    along: &Tensor<f32>,
    noise: &Tensor<f32>,
    call: &Call,
    b: usize,
    head: usize,
    row: usize,
    first: usize,
    #[comptime] dropout: bool,
) -> Array<f32> {
    let mut dscores = Array::<f32>::new(comptime!(PART * PART));
    #[unroll]
    for i in 0..PART {
        let position = row + UNIT_POS_Y as usize * PART + i;
        let at = (b * call.heads + head) * call.t + position;
        let along = along[select(position < call.t, at, 0usize)];
        let key = row_key(noise, at, dropout);
        #[unroll]
        for j in 0..PART {
            let mut dweight = dweights[i * PART + j];
            if comptime!(dropout) {
                dweight *= keep(call, key, first + UNIT_POS_X as usize + j * LANES);
            }
            dscores[i * PART + j] = weights[i * PART + j] * (dweight - along) * call.scale;
        }
    }
    dscores
}

/// This unit's part of a tile to shared memory.
#[cube]
fn store(tile: &mut Shared<[f32]>, values: &Array<f32>) {
    #[unroll]
    for i in 0..PART {
        #[unroll]
        for j in 0..PART {
            let at = (UNIT_POS_Y as usize * PART + i) * PITCH + UNIT_POS_X as usize + j * LANES;
            tile[at] = values[i * PART + j];
        }
    }
}

/// As [`store`], of weights, those that are dropped as 0.
#[cube]
fn store_kept(
    tile: &mut Shared<[f32]>,
    weights: &Array<f32>,
    noise: &Tensor<f32>,
    call: &Call,
    b: usize,
    head: usize,
    row: usize,
    first: usize,
    #[comptime] dropout: bool,
) {
    let x = UNIT_POS_X as usize;
    #[unroll]
    for i in 0..PART {
        let r = UNIT_POS_Y as usize * PART + i;
        let key = row_key(noise, (b * call.heads + head) * call.t + row + r, dropout);
        #[unroll]
        for j in 0..PART {
            let mut weight = weights[i * PART + j];
            if comptime!(dropout) {
                weight *= keep(call, key, first + x + j * LANES);
            }
            tile[r * PITCH + x + j * LANES] = weight;
        }
    }
}

/// This unit's part of a tile's gradient, rows from `row`.
#[cube]
fn write<F: Float>(
    gradient: &mut Tensor<F>,
    values: &Array<f32>,
    call: &Call,
    head: &Head,
    row: usize,
    #[comptime] chunks: usize,
) {
    #[unroll]
    for i in 0..PART {
        let position = row + UNIT_POS_Y as usize * PART + i;
        #[unroll]
        for c in 0..comptime!(PART * chunks) {
            let column = UNIT_POS_X as usize + c * LANES;
            if position < call.t && column < call.d {
                gradient[head.first + position * head.pitch + column] = F::cast_from(values[c * PART + i]);
            }
        }
    }
}

/// What is written of a tile, turned back by its positions' angles: the two of a pair are different units'.
#[cube]
fn turn_back<F: Float>(gradient: &mut Tensor<F>, angles: &Tensor<f32>, call: &Call, head: &Head, row: usize) {
    sync_storage();
    let turning = call.turning;
    let pairs = TILE * turning;
    let mut at = UNIT_POS as usize;
    while at < pairs {
        let position = row + at / turning;
        let pair = at % turning;
        if position < call.t {
            let first = head.first + position * head.pitch + pair;
            let a = f32::cast_from(gradient[first]);
            let b = f32::cast_from(gradient[first + turning]);
            let cos = angles[position * turning + pair];
            let sin = angles[(call.t + position) * turning + pair];
            gradient[first] = F::cast_from(a * cos + b * sin);
            gradient[first + turning] = F::cast_from(b * cos - a * sin);
        }
        at += LANES * LANES;
    }
}
