//! Blocks of scores that stay in the caches, one task a key-value head, whatever the number of threads.

#![allow(unsafe_code)] // a register-blocked product and columns written by several threads: see LOG.md for both

mod backward;
mod bands;
mod dropout;
mod forward;
mod pack;
mod scratch;
mod tile;

use std::mem::MaybeUninit;

use burn::backend::{TensorMetadata, tensor::FloatTensor};
use pulp::Arch;
use rayon::prelude::*;

use super::{Attention, AttentionOptions, Sizes, pads, reference, turns};
use crate::{
    host::{HostBackend, HostTensor, packed, seed, tensor, written},
    profile::{Work, timed},
};
use backward::Backward;
use bands::Shared;
use dropout::Dropout;
use forward::Forward;
use pack::{Angles, Head};
use scratch::with_scratch;

impl<B: HostBackend> Attention for B {
    fn attention_noise(
        joint: FloatTensor<Self>,
        _lengths: FloatTensor<Self>,
        options: AttentionOptions,
    ) -> FloatTensor<Self> {
        if B::here(&[&joint]) { seed::<Self>(&joint.device()) } else { reference::noise::<Self>(joint, options) }
    }

    fn attention_forward(
        joint: FloatTensor<Self>,
        angles: FloatTensor<Self>,
        lengths: FloatTensor<Self>,
        noise: FloatTensor<Self>,
        options: AttentionOptions,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        if !B::here(&[&joint]) {
            return reference::forward::<Self>(joint, angles, lengths, noise, options);
        }
        let sizes @ Sizes { b, t, heads, d, .. } = Sizes::of(&joint, options);
        let lengths = packed(lengths);
        let work = work(sizes, counts(&lengths), 2.0, 4 * b * t * (sizes.width() + heads * d));
        timed("attention.forward", work, || {
            let [joint, angles, noise] = [joint, angles, noise].map(packed);
            let call = Call::new([&joint, &angles, &lengths, &noise], options);
            let mut log_sum = vec![0f32; b * heads * t];
            let output = written([b, t, heads * d], |output| call.forward(output, &mut log_sum));
            (output, tensor(log_sum, [b, heads, t]))
        })
    }

    fn attention_backward(
        joint: FloatTensor<Self>,
        angles: FloatTensor<Self>,
        lengths: FloatTensor<Self>,
        noise: FloatTensor<Self>,
        output: FloatTensor<Self>,
        log_sum: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        options: AttentionOptions,
    ) -> FloatTensor<Self> {
        if !B::here(&[&joint]) {
            return reference::backward::<Self>(joint, [angles, lengths, noise], (output, log_sum, grad), options);
        }
        let sizes @ Sizes { b, t, heads, d, .. } = Sizes::of(&joint, options);
        let lengths = packed(lengths);
        let work = work(sizes, counts(&lengths), 5.0, 4 * b * t * 2 * (sizes.width() + heads * d));
        timed("attention.backward", work, || {
            let [joint, angles, noise] = [joint, angles, noise].map(packed);
            let (output, log_sum, grad) = (packed(output), packed(log_sum), packed(grad));
            let call = Call::new([&joint, &angles, &lengths, &noise], options);
            written([b, t, sizes.width()], |gradient| {
                call.backward(output.values(), log_sum.values(), grad.values(), gradient);
            })
        })
    }
}

/// The tokens that count, of every sequence; none where all do.
fn counts<T: HostTensor>(lengths: &T) -> Option<&[f32]> {
    pads(&lengths.shape()).then(|| lengths.values())
}

/// `products` products of all weights with a head's width, and an exponential a weight.
fn work(Sizes { b, t, heads, d, causal, .. }: Sizes, lengths: Option<&[f32]>, products: f64, bytes: usize) -> Work {
    let seen = |t: f64| if causal { t * (t + 1.0) / 2.0 } else { t * t };
    let pairs: f64 = match lengths {
        Some(lengths) => lengths.iter().map(|t| seen(f64::from(*t))).sum(),
        None => b as f64 * seen(t as f64),
    };
    Work { flops: heads as f64 * pairs * (products * 2.0 * d as f64 + 1.0), bytes: bytes as f64 }
}

/// The operands of a call.
#[derive(Clone, Copy)]
struct Call<'a> {
    joint: &'a [f32],
    angles: Angles<'a>,
    /// Tokens that count, of every sequence; none where all do.
    lengths: Option<&'a [f32]>,
    dropout: Option<Dropout>,
    sizes: Sizes,
}

/// One key-value head and the query heads that share it, of one sequence.
#[derive(Clone, Copy)]
struct Task<'a> {
    first: Head<'a>, // the first query head
    keys: Head<'a>,
    values: Head<'a>,
    angles: Angles<'a>,
    dropout: Option<Dropout>,
    /// The first query head, counted over all sequences.
    head: usize,
    /// Rows of the operands, and those at their beginning that count.
    t: usize,
    len: usize,
    d: usize,
    causal: bool,
}

impl<'a> Task<'a> {
    /// Query head `i` of the group.
    fn queries(&self, i: usize) -> Head<'a> {
        self.first.after(i * self.d)
    }

    /// What scores are scaled by: `1 / (sqrt(d) ln 2)`.
    fn scale(&self) -> f32 {
        (std::f64::consts::LOG2_E / (self.d as f64).sqrt()) as f32
    }
}

impl<'a> Call<'a> {
    fn new<T: HostTensor>([joint, angles, lengths, noise]: [&'a T; 4], options: AttentionOptions) -> Self {
        let sizes = Sizes::of(joint, options);
        Self {
            joint: joint.values(),
            angles: turns(angles).then(|| angles.values().split_at(sizes.t * (sizes.d / 2))),
            lengths: counts(lengths),
            dropout: (options.dropout > 0.0).then(|| Dropout::new(noise.values(), options.dropout)),
            sizes,
        }
    }

    /// Writes all of the output, and of every row's logarithm.
    fn forward(self, output: &mut [MaybeUninit<f32>], log_sum: &mut [f32]) {
        let Sizes { t, heads, kv_heads, d, .. } = self.sizes;
        let group = heads / kv_heads;
        // SAFETY: only written, and every element is: the bands below cover it.
        let output = unsafe { std::slice::from_raw_parts_mut(output.as_mut_ptr().cast::<f32>(), output.len()) };
        let output = Shared::new(output, heads * d);
        log_sum.par_chunks_mut(group * t).enumerate().for_each(|(i, log_sum)| {
            let (b, g) = (i / kv_heads, i % kv_heads);
            // SAFETY: each task has rows or columns of its own.
            let output = unsafe { output.band([b * t, g * group * d], [t, group * d]) };
            with_scratch(Forward::scratch(t, d), |scratch| {
                Arch::new().dispatch(Forward { task: self.task(b, g), output, log_sum, scratch });
            });
        });
    }

    /// Writes all of the gradient.
    fn backward(self, output: &[f32], log_sum: &[f32], grad: &[f32], gradient: &mut [MaybeUninit<f32>]) {
        let Sizes { t, heads, kv_heads, d, .. } = self.sizes;
        let (group, width) = (heads / kv_heads, self.sizes.width());
        // SAFETY: only written, and every element is: the bands below cover it.
        let gradient = unsafe { std::slice::from_raw_parts_mut(gradient.as_mut_ptr().cast::<f32>(), gradient.len()) };
        let gradient = Shared::new(gradient, width);
        log_sum.par_chunks(group * t).enumerate().for_each(|(i, log_sum)| {
            let (b, g) = (i / kv_heads, i % kv_heads);
            let part = |head: usize, count: usize| {
                // SAFETY: each task has rows or columns of its own, and so have queries, keys and values.
                unsafe { gradient.band([b * t, head * d], [t, count * d]) }
            };
            let head = |values| Head { values, row: heads * d, d }.after(b * t * heads * d + g * group * d);
            with_scratch(Backward::scratch(t, d), |scratch| {
                Arch::new().dispatch(Backward {
                    task: self.task(b, g),
                    output: head(output),
                    grad: head(grad),
                    log_sum,
                    gradients: [part(g * group, group), part(heads + g, 1), part(heads + kv_heads + g, 1)],
                    scratch,
                });
            });
        });
    }

    fn task(self, b: usize, g: usize) -> Task<'a> {
        let Sizes { t, heads, kv_heads, d, causal, .. } = self.sizes;
        let row = self.sizes.width();
        let head = |i: usize| Head { values: &self.joint[b * t * row + i * d..], row, d };
        let group = heads / kv_heads;
        Task {
            first: head(g * group),
            keys: head(heads + g),
            values: head(heads + kv_heads + g),
            angles: self.angles,
            dropout: self.dropout,
            head: b * heads + g * group,
            t,
            // The cast goes no lower than 0.
            len: self.lengths.map_or(t, |lengths| t.min(lengths[b] as usize)),
            d,
            causal,
        }
    }
}
