//! Chunks of a fixed size over threads, each with a key of its own; in place where nobody else holds the tensor.

use burn::backend::{Flex, TensorMetadata, ops::FloatTensorOps, tensor::FloatTensor};
use burn::tensor::{DType, Distribution, FloatDType, Shape};
use rayon::prelude::*;

use super::{Dropout, reference};
use crate::{
    host::{Kernel, packed, rows_per_task, tensor, vectorised},
    profile::{Work, timed},
};

impl Dropout for Flex {
    /// Two whole numbers below 2^24, which f32 holds: a seed.
    fn dropout_noise(x: FloatTensor<Self>, probability: f64) -> FloatTensor<Self> {
        if x.dtype() != DType::F32 {
            return reference::noise::<Self>(x, probability);
        }
        let whole = Distribution::Uniform(0.0, f64::from(1 << 24));
        Self::float_floor(Self::float_random(Shape::new([2]), whole, &x.device(), FloatDType::F32))
    }

    fn dropout_apply(x: FloatTensor<Self>, noise: FloatTensor<Self>, probability: f64) -> FloatTensor<Self> {
        if x.dtype() != DType::F32 {
            return reference::apply::<Self>(x, noise, probability);
        }
        let (mut x, noise) = (packed(x), packed(noise));
        let seed = noise.storage::<f32>().iter().fold(0, |seed, half| seed << 24 | *half as u64);
        let n = x.shape().num_elements() as f64;
        timed("dropout", Work { flops: n, bytes: 8.0 * n }, || {
            if let Some(values) = x.try_storage_mut::<f32>() {
                apply(values, seed, probability);
                return x;
            }
            let mut values = x.storage::<f32>().to_vec();
            apply(&mut values, seed, probability);
            tensor(values, x.shape())
        })
    }
}

fn apply(values: &mut [f32], seed: u64, probability: f64) {
    // A probability below 1 gives a number below 2^32.
    let threshold = (probability * (1u64 << 32) as f64) as u32;
    let scale = (1.0 / (1.0 - probability)) as f32;
    values.par_chunks_mut(rows_per_task(1)).enumerate().for_each(|(chunk, values)| {
        let key = mix(mix(seed) ^ chunk as u64);
        vectorised(Apply { values, keys: [key as u32, (key >> 32) as u32], threshold, scale });
    });
}

struct Apply<'a> {
    values: &'a mut [f32],
    keys: [u32; 2],
    /// An element is dropped where its 32 bits are below.
    threshold: u32,
    scale: f32,
}

impl Kernel for Apply<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for (i, value) in self.values.iter_mut().enumerate() {
            let kept = u32::from(hash(i as u32, self.keys) >= self.threshold);
            // By bits, so that a dropped NaN is 0 and nothing branches.
            *value = f32::from_bits((*value * self.scale).to_bits() & kept.wrapping_neg());
        }
    }
}

/// Wellons' 32-bit mixer (low bias 32) of a counter that starts at one half of the key; the other half comes in between
/// its rounds, else two chunks whose counters overlap would be copies of each other, shifted.
#[inline(always)]
fn hash(counter: u32, [low, high]: [u32; 2]) -> u32 {
    let x = counter.wrapping_add(low);
    let x = (x ^ (x >> 16)).wrapping_mul(0x7feb_352d) ^ high;
    let x = (x ^ (x >> 15)).wrapping_mul(0x846c_a68b);
    x ^ (x >> 16)
}

/// Steele, Lea and Flood 2014 (SplitMix): every bit of the result depends on every bit.
fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}
