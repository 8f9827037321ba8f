//! Chunks of a fixed size over threads, each with a key of its own; in place where nobody else holds the tensor.

use burn::backend::{TensorMetadata, tensor::FloatTensor};
use rayon::prelude::*;

use super::{Dropout, reference};
use crate::{
    host::{HostBackend, HostTensor, Kernel, packed, rows_per_task, seed, seed_of, vectorised, writable},
    profile::{Work, timed},
};

impl<B: HostBackend> Dropout for B {
    fn dropout_noise(x: FloatTensor<Self>, probability: f64) -> FloatTensor<Self> {
        if B::here(&[&x]) { seed::<Self>(&x.device()) } else { reference::noise::<Self>(x, probability) }
    }

    fn dropout_apply(x: FloatTensor<Self>, noise: FloatTensor<Self>, probability: f64) -> FloatTensor<Self> {
        if !B::here(&[&x]) {
            return reference::apply::<Self>(x, noise, probability);
        }
        let (mut x, noise) = (packed(x), packed(noise));
        let n = x.shape().num_elements() as f64;
        timed("dropout", Work { flops: n, bytes: 8.0 * n }, || {
            apply(writable(&mut x), seed_of(noise.values()), probability);
            x
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
