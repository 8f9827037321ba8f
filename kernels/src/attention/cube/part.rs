//! What a unit does with its part of a tile: weights out of scores, their gradients, and what is written of a result.

use cubecl::prelude::*;

use super::tile::{Call, Head, LANES, PART, PITCH, TILE, keep, row_key, sees};

/// Products of queries and keys become weights; 0 where a key is not seen.
#[cube]
pub(super) fn to_weights(
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
pub(super) fn to_dscores(
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
pub(super) fn store(tile: &mut Shared<[f32]>, values: &Array<f32>) {
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
pub(super) fn store_kept(
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
pub(super) fn write<F: Float>(
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
pub(super) fn turn_back<F: Float>(
    gradient: &mut Tensor<F>,
    angles: &Tensor<f32>,
    call: &Call,
    head: &Head,
    row: usize,
) {
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
