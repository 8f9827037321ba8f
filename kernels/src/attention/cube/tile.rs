//! The pieces of the three kernels: 8 x 8 units share tiles of 32 positions, each has 4 x 4 of a tile of scores.
//!
//! Three tiles of 33 x 32 floats are 12.4 KiB, within the 16 KiB that every WebGPU device has.

use cubecl::prelude::*;

/// Positions of a tile, and columns of a head that are in shared memory at a time.
pub(super) const TILE: usize = 32;
/// Units along either side of a cube.
pub(super) const LANES: usize = 8;
/// Of a tile's rows, or its columns, those that are one unit's.
pub(super) const PART: usize = TILE / LANES;
/// A column more, so that a column's elements lie in different banks.
pub(super) const PITCH: usize = TILE + 1;
/// A score that no key can have; WGSL promises nothing about infinities.
pub(super) const HIDDEN: f32 = -1e30;

/// The sizes of a call, and what else its kernels need to know.
#[derive(CubeLaunch, CubeType, Clone, Copy)]
pub(super) struct Call {
    pub(super) t: usize,
    pub(super) heads: usize,
    pub(super) kv_heads: usize,
    pub(super) d: usize,
    /// Pairs of columns that turn; 0 where nothing does.
    pub(super) turning: usize,
    /// 1 where a position sees only itself and those before it.
    pub(super) causal: u32,
    /// What scores are multiplied by.
    pub(super) scale: f32,
    /// A weight is dropped where its 32 bits are below.
    pub(super) threshold: u32,
    /// What the other weights are multiplied by.
    pub(super) kept: f32,
}

/// Where a head's element `[position, column]` is: `first + position * pitch + column`.
#[derive(CubeType, Clone, Copy)]
pub(super) struct Head {
    pub(super) first: usize,
    pub(super) pitch: usize,
}

/// Head `head` of sequence `b` in the joint projection, counted over queries, keys and values.
#[cube]
pub(super) fn joint_head(call: &Call, b: usize, head: usize) -> Head {
    let pitch = (call.heads + 2 * call.kv_heads) * call.d;
    Head { first: b * call.t * pitch + head * call.d, pitch }
}

/// Head `head` of sequence `b` in the output.
#[cube]
pub(super) fn output_head(call: &Call, b: usize, head: usize) -> Head {
    let pitch = call.heads * call.d;
    Head { first: b * call.t * pitch + head * call.d, pitch }
}

/// Columns of chunk `chunk` of [`TILE`] positions from `row`, turned by their angles where `turning` is not 0; zeros
/// beyond the last position and the last column. All units take part.
#[cube]
pub(super) fn load<F: Float>(
    into: &mut Shared<[f32]>,
    from: &Tensor<F>,
    angles: &Tensor<f32>,
    call: &Call,
    head: &Head,
    row: usize,
    turning: usize,
    #[comptime] chunk: usize,
) {
    for step in 0..TILE * TILE / (LANES * LANES) {
        let at = step * (LANES * LANES) + UNIT_POS as usize;
        let r = at / TILE;
        let c = at % TILE;
        let position = row + r;
        let column = chunk * TILE + c;
        let mut value = f32::new(0.0);
        if position < call.t && column < call.d {
            let start = head.first + position * head.pitch;
            value = f32::cast_from(from[start + column]);
            if turning > 0 {
                let second = column >= turning;
                let pair = select(second, column - turning, column);
                let other = f32::cast_from(from[start + select(second, pair, column + turning)]);
                let cos = angles[position * turning + pair];
                let sin = angles[(call.t + position) * turning + pair];
                value = value * cos + select(second, other, -other) * sin;
            }
        }
        into[r * PITCH + c] = value;
    }
}

/// Adds `left rightᵀ` over the columns of a chunk to this unit's scores: rows `4 y + i`, columns `x + 8 j`.
#[cube]
pub(super) fn add_scores(scores: &mut Array<f32>, left: &Shared<[f32]>, right: &Shared<[f32]>) {
    let rows = UNIT_POS_Y as usize * PART;
    let x = UNIT_POS_X as usize;
    for k in 0..TILE {
        let mut a = Array::<f32>::new(PART);
        #[unroll]
        for i in 0..PART {
            a[i] = left[(rows + i) * PITCH + k];
        }
        #[unroll]
        for j in 0..PART {
            let b = right[(x + j * LANES) * PITCH + k];
            #[unroll]
            for i in 0..PART {
                scores[i * PART + j] += a[i] * b;
            }
        }
    }
}

/// Adds `weights values`, or `weightsᵀ values`, to this unit's part of a result: rows `4 y + i`, and of the chunk's
/// columns `x + 8 j`.
#[cube]
pub(super) fn add_product(
    result: &mut Array<f32>,
    weights: &Shared<[f32]>,
    values: &Shared<[f32]>,
    #[comptime] chunk: usize,
    #[comptime] transposed: bool,
) {
    let rows = UNIT_POS_Y as usize * PART;
    let x = UNIT_POS_X as usize;
    for k in 0..TILE {
        let mut a = Array::<f32>::new(PART);
        #[unroll]
        for i in 0..PART {
            if comptime!(transposed) {
                a[i] = weights[k * PITCH + rows + i];
            } else {
                a[i] = weights[(rows + i) * PITCH + k];
            }
        }
        #[unroll]
        for j in 0..PART {
            let b = values[k * PITCH + x + j * LANES];
            #[unroll]
            for i in 0..PART {
                result[(chunk * PART + j) * PART + i] += a[i] * b;
            }
        }
    }
}

/// Whether a position sees a key.
#[cube]
pub(super) fn sees(call: &Call, position: usize, key: usize) -> bool {
    key < call.t && (call.causal == 0 || key <= position)
}

/// The two halves of a row's key: the row is counted over all heads and sequences. Without dropout nothing is read.
#[cube]
pub(super) fn row_key(noise: &Tensor<f32>, row: usize, #[comptime] dropout: bool) -> (u32, u32) {
    let mut low = 0u32;
    let mut high = 0u32;
    if comptime!(dropout) {
        low = mixed(row as u32 + mixed(u32::cast_from(noise[0])));
        high = mixed(low ^ mixed(u32::cast_from(noise[1])));
    }
    (low, high)
}

/// What the weight of a column is multiplied by: 0 where it is dropped.
///
/// The second half of the key comes in between the mixer's rounds, else two rows whose counters overlap would be copies
/// of each other, shifted.
#[cube]
pub(super) fn keep(call: &Call, key: (u32, u32), column: usize) -> f32 {
    let (low, high) = key;
    let x = low + column as u32;
    let x = (x ^ (x >> 16)) * 0x7feb_352d;
    let x = x ^ high;
    let x = (x ^ (x >> 15)) * 0x846c_a68b;
    let x = x ^ (x >> 16);
    select(x >= call.threshold, call.kept, f32::new(0.0))
}

/// Wellons' 32-bit mixer (low bias 32).
#[cube]
fn mixed(x: u32) -> u32 {
    let x = (x ^ (x >> 16)) * 0x7feb_352d;
    let x = (x ^ (x >> 15)) * 0x846c_a68b;
    x ^ (x >> 16)
}
