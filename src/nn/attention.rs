//! Grouped-query self-attention and its cache.

use burn::{
    module::Module,
    tensor::{Bool, Device, Tensor, activation},
};
use kiln_kernels::{AttentionOptions, attention, padded_attention};

use super::{Dropout, DropoutConfig, Linear, LinearConfig, Rotary, cast_like, to_f32};

/// What the positions of a forward pass may look at, made once and shared by all blocks.
#[derive(Debug, Clone, Default)]
pub struct Sight {
    /// Each position sees itself and all before it, the first of them `past` earlier ones.
    causal: Option<usize>,
    rotary: Option<Rotary>,
    /// Positions of each sequence that count, `[b]` in f32; what comes after them is padding.
    lengths: Option<Tensor<1>>,
}

impl Sight {
    /// Every position sees every position.
    pub fn full() -> Self {
        Self::default()
    }

    /// Positions after `past` earlier ones; each sees itself and all before it.
    pub fn causal(past: usize) -> Self {
        Self { causal: Some(past), ..Self::default() }
    }

    /// Turns queries and keys by these angles.
    pub fn rotary(self, rotary: Option<Rotary>) -> Self {
        Self { rotary, ..self }
    }

    /// Nobody sees the padding after the first `lengths` `[b]` positions, in f32, of each sequence.
    pub fn within(lengths: Tensor<1>) -> Self {
        Self { lengths: Some(lengths), ..Self::default() }
    }

    /// What is added to the scores of `t` positions, `[1, 1, t, past + t]`; nothing where they see everything.
    fn mask(&self, t: usize, device: &Device) -> Option<Tensor<4>> {
        // One position sees everything that is there.
        let past = self.causal.filter(|_| t > 1)?;
        let hidden = Tensor::<2, Bool>::tril_mask([t, past + t], past as i64, device);
        // A finite number, as WGSL promises nothing about infinities.
        Some(hidden.float().mul_scalar(-1e30).unsqueeze::<4>())
    }
}

/// Keys and values of the positions so far, in buffers that are allocated once.
#[derive(Debug, Clone)]
pub struct KvCache {
    keys: Tensor<4>,   // [b, kv_heads, context, d]
    values: Tensor<4>, // [b, kv_heads, context, d]
    len: usize,
}

impl KvCache {
    /// Room for `context` positions.
    pub fn new(batch: usize, kv_heads: usize, context: usize, head: usize, device: &Device) -> Self {
        let buffer = || Tensor::zeros([batch, kv_heads, context, head], device);
        Self { keys: buffer(), values: buffer(), len: 0 }
    }

    /// Adds `[b, kv_heads, t, d]` each and returns all so far, `[b, kv_heads, len, d]`.
    ///
    /// # Panics
    /// If the positions don't fit; the owner of the cache checks first.
    fn append(&mut self, keys: Tensor<4>, values: Tensor<4>) -> (Tensor<4>, Tensor<4>) {
        let [b, heads, t, head] = keys.dims();
        let place = [0..b, 0..heads, self.len..self.len + t, 0..head];
        // No other handle to the buffers is alive here, so this writes in place.
        self.keys.inplace(|buffer| buffer.slice_assign(place.clone(), keys));
        self.values.inplace(|buffer| buffer.slice_assign(place, values));
        self.len += t;
        let len = self.len;
        (self.keys.clone().narrow(2, 0, len), self.values.clone().narrow(2, 0, len))
    }
}

/// Builds an [`Attention`].
#[derive(Debug, Clone)]
pub struct AttentionConfig {
    /// Width of the residual stream.
    pub width: usize,
    /// Query heads; divides `width`.
    pub heads: usize,
    /// Key-value heads; divides `heads`.
    pub kv_heads: usize,
    /// Whether the projections have biases.
    pub bias: bool,
    /// Standard deviation of the query, key and value weights.
    pub std: f64,
    /// Standard deviation of the output weights.
    pub output_std: f64,
    /// Probability of zeroing an attention weight, and an output, while training.
    pub dropout: f64,
}

impl AttentionConfig {
    /// With keys and values for every head, biases, and all weights drawn alike.
    pub fn full(width: usize, heads: usize, std: f64, dropout: f64) -> Self {
        Self { width, heads, kv_heads: heads, bias: true, std, output_std: std, dropout }
    }

    /// Draws the parameters on `device`.
    pub fn init(&self, device: &Device) -> Attention {
        self.with_output_dropout(self.dropout, device)
    }

    /// The same with another probability of zeroing an output.
    pub fn with_output_dropout(&self, output_dropout: f64, device: &Device) -> Attention {
        let head = self.width / self.heads;
        let joint = self.width + 2 * self.kv_heads * head;
        let qkv = LinearConfig::new(self.width, joint).bias(self.bias).normal(self.std);
        let output = LinearConfig::new(self.width, self.width).bias(self.bias).normal(self.output_std);
        Attention {
            qkv: qkv.init(device),
            output: output.init(device),
            dropout: DropoutConfig::new(self.dropout).init(),
            output_dropout: DropoutConfig::new(output_dropout).init(),
            heads: self.heads,
            kv_heads: self.kv_heads,
        }
    }
}

/// Multi-head self-attention (Vaswani et al. 2017) with shared key-value heads (Ainslie et al. 2023).
///
/// `qkv` holds the queries' columns, then the keys', then the values', as GPT-2's `c_attn` does.
#[derive(Module, Debug)]
pub struct Attention {
    qkv: Linear,
    output: Linear,
    dropout: Dropout,
    output_dropout: Dropout,
    heads: usize,
    kv_heads: usize,
}

impl Attention {
    /// `[b, t, c]` to the same shape and dtype; with a cache, also sees the positions in it and joins them.
    pub fn forward(&self, x: Tensor<3>, sight: &Sight, cache: Option<&mut KvCache>) -> Tensor<3> {
        let joint = self.qkv.forward(x); // [b, t, (heads + 2 kv_heads) d]
        let y = match cache {
            Some(cache) => self.continued(joint, sight, cache),
            None => {
                let (options, angles) = (self.options(&joint, sight), sight.rotary.as_ref().map(Rotary::angles));
                match &sight.lengths {
                    Some(lengths) => padded_attention(joint, angles, lengths.clone(), options),
                    None => attention(joint, angles, options),
                }
            }
        };
        self.output_dropout.forward(self.output.forward(y))
    }

    fn options(&self, joint: &Tensor<3>, sight: &Sight) -> AttentionOptions {
        AttentionOptions {
            heads: self.heads,
            kv_heads: self.kv_heads,
            causal: sight.causal.is_some(),
            dropout: self.dropout.rate(joint),
        }
    }

    /// `[b, t, (heads + 2 kv_heads) d]` to `[b, t, heads d]`, seeing the cache's positions and joining them.
    fn continued(&self, joint: Tensor<3>, sight: &Sight, cache: &mut KvCache) -> Tensor<3> {
        let [_, t, _] = joint.dims();
        let device = joint.device();
        let [q, k, v] = self.parts(joint, sight);
        let (k, v) = cache.append(k, v);
        joined(self.attend(q, k, v, sight.mask(t, &device)))
    }

    /// `[b, t, (heads + 2 kv_heads) d]` to queries, keys and values, `[b, heads, t, d]` each.
    fn parts(&self, joint: Tensor<3>, sight: &Sight) -> [Tensor<4>; 3] {
        let [b, t, width] = joint.dims();
        let head = width / (self.heads + 2 * self.kv_heads);
        let part = |first: usize, heads: usize| {
            let columns = joint.clone().narrow(2, first * head, heads * head);
            columns.reshape([b, t, heads, head]).swap_dims(1, 2)
        };
        let (mut q, mut k) = (part(0, self.heads), part(self.heads, self.kv_heads));
        if let Some(rotary) = &sight.rotary {
            (q, k) = (rotary.rotate(q), rotary.rotate(k));
        }
        [q, k, part(self.heads + self.kv_heads, self.kv_heads)]
    }

    /// `softmax(q kᵀ / sqrt(d) + mask) v`: q `[b, h, t, d]`, k and v `[b, kv_heads, s, d]`; softmax in f32.
    fn attend(&self, q: Tensor<4>, k: Tensor<4>, v: Tensor<4>, mask: Option<Tensor<4>>) -> Tensor<4> {
        let ([b, h, t, d], [_, kv, s, _]) = (q.dims(), k.dims());
        // A group's queries become rows of one product with its key head, so that keys need no copies.
        let group = [b, kv, h / kv * t, d];
        let q = q.mul_scalar(1.0 / (d as f64).sqrt()).reshape(group);
        let mut scores = to_f32(q.matmul(k.swap_dims(2, 3))).reshape([b, h, t, s]);
        if let Some(mask) = mask {
            scores = scores + mask;
        }
        let weights = self.dropout.forward(activation::softmax(scores, 3)); // [b, h, t, s]
        let weights = cast_like(weights, &v).reshape([b, kv, h / kv * t, s]);
        weights.matmul(v).reshape([b, h, t, d])
    }
}

/// `[b, h, t, d]` to `[b, t, h d]`.
fn joined(heads: Tensor<4>) -> Tensor<3> {
    let [b, h, t, d] = heads.dims();
    heads.swap_dims(1, 2).reshape([b, t, h * d])
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
