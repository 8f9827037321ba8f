//! A cube has one tile of queries and walks along the keys: the softmax is rescaled whenever a larger score turns up
//! (Milakov and Gimelshein 2018), so that no score outlives its tile.

use cubecl::prelude::*;

use super::tile::{
    Call, HIDDEN, LANES, PART, PITCH, TILE, add_product, add_scores, joint_head, keep, load, output_head, row_key, sees,
};
use crate::cube::zeros;

/// Shapes as in [`super::super::Attention::attention_forward`]; cubes `[tiles of queries, h, b]`, a head in `chunks`
/// times 32 columns.
#[cube(launch_unchecked)]
pub(super) fn forward<F: Float>(
    joint: &Tensor<F>,
    angles: &Tensor<f32>,
    noise: &Tensor<f32>,
    output: &mut Tensor<F>,
    log_sum: &mut Tensor<f32>,
    call: Call,
    #[comptime] chunks: usize,
    #[comptime] dropout: bool,
    #[define(F)] _elements: ElemType,
) {
    let x = UNIT_POS_X as usize;
    let rows = UNIT_POS_Y as usize * PART;
    let (b, head) = (CUBE_POS_Z as usize, CUBE_POS_Y as usize);
    // The tiles that see the most come first, so that none of them is left for the end.
    let row = (call.t.div_ceil(TILE) - 1 - CUBE_POS_X as usize) * TILE;
    let group = call.heads / call.kv_heads;
    let queries_at = joint_head(&call, b, head);
    let keys_at = joint_head(&call, b, call.heads + head / group);
    let values_at = joint_head(&call, b, call.heads + call.kv_heads + head / group);

    let mut queries = Shared::<[f32]>::new_slice(TILE * PITCH);
    let mut keys = Shared::<[f32]>::new_slice(TILE * PITCH); // and values
    let mut weights = Shared::<[f32]>::new_slice(TILE * PITCH);
    let mut partial = Shared::<[f32]>::new_slice(TILE * LANES);

    let mut result = zeros(comptime!(PART * PART * chunks));
    let mut sums = zeros(PART);
    let mut largest = Array::<f32>::new(PART);
    #[unroll]
    for i in 0..PART {
        largest[i] = f32::new(HIDDEN);
    }

    let end = select(call.causal == 1, min(row + TILE, call.t), call.t);
    for tile in 0..end.div_ceil(TILE) {
        let first = tile * TILE;
        let mut scores = zeros(comptime!(PART * PART));
        #[unroll]
        for chunk in 0..chunks {
            load::<F>(&mut queries, joint, angles, &call, &queries_at, row, call.turning, chunk);
            load::<F>(&mut keys, joint, angles, &call, &keys_at, first, call.turning, chunk);
            sync_cube();
            add_scores(&mut scores, &queries, &keys);
            sync_cube();
        }

        #[unroll]
        for i in 0..PART {
            let mut most = f32::new(HIDDEN);
            #[unroll]
            for j in 0..PART {
                let seen = sees(&call, row + rows + i, first + x + j * LANES);
                scores[i * PART + j] = select(seen, scores[i * PART + j] * call.scale, f32::new(HIDDEN));
                most = max(most, scores[i * PART + j]);
            }
            partial[(rows + i) * LANES + x] = most;
        }
        sync_cube();
        #[unroll]
        for i in 0..PART {
            let mut most = largest[i];
            for lane in 0..LANES {
                most = max(most, partial[(rows + i) * LANES + lane]);
            }
            let shrink = (largest[i] - most).exp();
            largest[i] = most;
            sums[i] *= shrink;
            #[unroll]
            for c in 0..comptime!(PART * chunks) {
                result[c * PART + i] *= shrink;
            }
            let key = row_key(noise, (b * call.heads + head) * call.t + row + rows + i, dropout);
            #[unroll]
            for j in 0..PART {
                let column = first + x + j * LANES;
                let mut weight = (scores[i * PART + j] - most).exp();
                sums[i] += weight;
                if comptime!(dropout) {
                    weight *= keep(&call, key, column);
                }
                weights[(rows + i) * PITCH + x + j * LANES] = weight;
            }
        }
        #[unroll]
        for chunk in 0..chunks {
            load::<F>(&mut keys, joint, angles, &call, &values_at, first, 0usize, chunk);
            sync_cube();
            add_product(&mut result, &weights, &keys, chunk, false);
            sync_cube();
        }
    }

    #[unroll]
    for i in 0..PART {
        partial[(rows + i) * LANES + x] = sums[i];
    }
    sync_cube();
    let output_at = output_head(&call, b, head);
    #[unroll]
    for i in 0..PART {
        let mut sum = f32::new(0.0);
        for lane in 0..LANES {
            sum += partial[(rows + i) * LANES + lane];
        }
        let position = row + rows + i;
        if position < call.t {
            #[unroll]
            for c in 0..comptime!(PART * chunks) {
                let column = x + c * LANES;
                if column < call.d {
                    output[output_at.first + position * output_at.pitch + column] =
                        F::cast_from(result[c * PART + i] / sum);
                }
            }
            if x == 0 {
                log_sum[(b * call.heads + head) * call.t + position] = largest[i] + sum.ln();
            }
        }
    }
}
