//! Attention composed from burn's own operations, for every backend without an override: it does hold `[b, h, t, t]`
//! while it computes, but keeps none of it.

use burn::backend::{Backend, TensorMetadata, get_or_init_device_settings, tensor::FloatTensor};
use burn::tensor::{DType, Distribution, Shape, Slice};

use super::{AttentionOptions, Sizes, pads, turns, wide};

/// `[b, h, t, t]`: 0 where a weight is dropped, `1 / (1 - dropout)` elsewhere.
pub(super) fn noise<B: Backend>(joint: FloatTensor<B>, options: AttentionOptions) -> FloatTensor<B> {
    let Sizes { b, t, heads, .. } = Sizes::of(&joint, options);
    let keep = 1.0 - options.dropout;
    let shape = Shape::new([b, heads, t, t]);
    let kept = B::float_random(shape, Distribution::Bernoulli(keep), &joint.device(), wide(joint.dtype()));
    B::float_mul_scalar(kept, (1.0 / keep).into())
}

/// Output `[b, t, h d]` and log-sum-exp `[b, h, t]`; shapes as in [`super::Attention`].
pub(super) fn forward<B: Backend>(
    joint: FloatTensor<B>,
    angles: FloatTensor<B>,
    lengths: FloatTensor<B>,
    noise: FloatTensor<B>,
    options: AttentionOptions,
) -> (FloatTensor<B>, FloatTensor<B>) {
    let sizes @ Sizes { b, t, heads, d, .. } = Sizes::of(&joint, options);
    let dtype = joint.dtype();
    let Parts { q, k, v } = Parts::<B>::of(joint, &angles, sizes);
    let padding = Padding::<B>::of(&lengths, sizes);
    let scores = scores::<B>(q, k, padding.as_ref(), sizes);
    let largest = B::float_max_dim(scores.clone(), 3); // [b, h, t, 1]
    let weights = B::float_exp(B::float_sub(scores, largest.clone()));
    let sum = B::float_sum_dim(weights.clone(), 3);
    let mut weights = B::float_div(weights, sum.clone()); // [b, h, t, t]
    if options.dropout > 0.0 {
        weights = B::float_mul(weights, noise);
    }
    let output = B::float_matmul(grouped::<B>(cast::<B>(weights, dtype), sizes), v); // [b, g, h / g t, d]
    let output = B::float_reshape(output, Shape::new([b, heads, t, d]));
    let log_sum = B::float_reshape(B::float_add(largest, B::float_log(sum)), Shape::new([b, heads, t]));
    let output = joined::<B>(output);
    let output = match padding {
        Some(padding) => padding.cleared(output),
        None => output,
    };
    (output, log_sum)
}

/// The gradient of `joint`; `saved` is the output `[b, t, h d]`, log-sum-exp `[b, h, t]` and the output's gradient.
pub(super) fn backward<B: Backend>(
    joint: FloatTensor<B>,
    [angles, lengths, noise]: [FloatTensor<B>; 3],
    (output, log_sum, grad): (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>),
    options: AttentionOptions,
) -> FloatTensor<B> {
    let sizes @ Sizes { b, t, heads, kv_heads, d, .. } = Sizes::of(&joint, options);
    let dtype = joint.dtype();
    let Parts { q, k, v } = Parts::<B>::of(joint, &angles, sizes);
    let log_sum = B::float_reshape(log_sum, Shape::new([b, heads, t, 1]));
    let padding = Padding::<B>::of(&lengths, sizes);
    let scores = scores::<B>(q.clone(), k.clone(), padding.as_ref(), sizes);
    let weights = B::float_exp(B::float_sub(scores, log_sum));
    let grad = match padding {
        Some(padding) => padding.cleared(grad),
        None => grad,
    };
    let heads_of = |x| B::float_swap_dims(B::float_reshape(x, Shape::new([b, t, heads, d])), 1, 2);
    let (output, grad) = (heads_of(output), heads_of(grad)); // [b, h, t, d]
    // Row by row the sum of weight times its gradient, which is that of output times its own.
    let product = B::float_mul(widened::<B>(output), widened::<B>(grad.clone()));
    let along = B::float_sum_dim(product, 3); // [b, h, t, 1]
    let grad = grouped::<B>(grad, sizes);
    let square = Shape::new([b, heads, t, t]);
    let dweights = B::float_matmul(grad.clone(), B::float_swap_dims(v, 2, 3));
    let mut dweights = B::float_reshape(widened::<B>(dweights), square);
    let mut dropped = weights.clone();
    if options.dropout > 0.0 {
        dropped = B::float_mul(dropped, noise.clone());
        dweights = B::float_mul(dweights, noise);
    }
    let dscores = grouped::<B>(cast::<B>(B::float_mul(weights, B::float_sub(dweights, along)), dtype), sizes);
    let dropped = grouped::<B>(cast::<B>(dropped, dtype), sizes);
    let scale = 1.0 / (d as f64).sqrt();
    let dq = B::float_mul_scalar(B::float_matmul(dscores.clone(), k), scale.into());
    let dk = B::float_matmul(B::float_swap_dims(dscores, 2, 3), grouped::<B>(q, sizes));
    let dv = B::float_matmul(B::float_swap_dims(dropped, 2, 3), grad);
    let dq = B::float_reshape(dq, Shape::new([b, heads, t, d]));
    let (dq, dk) = (turned::<B>(dq, &angles, true), turned::<B>(dk, &angles, true));
    debug_assert_eq!(dk.shape(), Shape::new([b, kv_heads, t, d]));
    B::float_cat(vec![joined::<B>(dq), joined::<B>(dk), joined::<B>(dv)], 2)
}

/// Which tokens are padding, `[b, t]`: 1 where they are, 0 elsewhere; at least f32.
struct Padding<B: Backend>(FloatTensor<B>);

impl<B: Backend> Padding<B> {
    /// None where all tokens count.
    fn of(lengths: &FloatTensor<B>, Sizes { b, t, .. }: Sizes) -> Option<Self> {
        if !pads(&lengths.shape()) {
            return None;
        }
        let device = lengths.device();
        let settings = get_or_init_device_settings::<B>(&device);
        let lengths = widened::<B>(lengths.clone());
        let dtype = lengths.dtype();
        let positions = B::int_into_float(B::int_arange(0..t as i64, &device, settings.int_dtype), dtype.into());
        let table = |x, shape| B::float_expand(B::float_reshape(x, Shape::new(shape)), Shape::new([b, t]));
        let after = B::float_greater_equal(table(positions, [1, t]), table(lengths, [b, 1]), settings.bool_dtype);
        Some(Self(B::bool_into_float(after, dtype.into())))
    }

    /// What is added to scores, `[b, 1, 1, t]`.
    fn hidden(&self, Sizes { b, t, .. }: Sizes) -> FloatTensor<B> {
        // A finite number, as WGSL promises nothing about infinities.
        B::float_mul_scalar(B::float_reshape(self.0.clone(), Shape::new([b, 1, 1, t])), (-1e30).into())
    }

    /// `[b, t, n]` with zeros at padding.
    fn cleared(self, x: FloatTensor<B>) -> FloatTensor<B> {
        let [b, t] = self.0.shape().dims();
        let kept = B::float_add_scalar(B::float_neg(self.0), 1.0.into());
        let kept = cast::<B>(B::float_reshape(kept, Shape::new([b, t, 1])), x.dtype());
        B::float_mul(x, kept)
    }
}

/// Queries `[b, h, t, d]`, turned and scaled, keys `[b, g, t, d]`, turned, and values `[b, g, t, d]`.
struct Parts<B: Backend> {
    q: FloatTensor<B>,
    k: FloatTensor<B>,
    v: FloatTensor<B>,
}

impl<B: Backend> Parts<B> {
    fn of(joint: FloatTensor<B>, angles: &FloatTensor<B>, sizes: Sizes) -> Self {
        let Sizes { b, t, heads, kv_heads, d, .. } = sizes;
        let part = |first: usize, heads: usize| {
            let columns = along::<B>(joint.clone(), 2, first * d, heads * d);
            B::float_swap_dims(B::float_reshape(columns, Shape::new([b, t, heads, d])), 1, 2)
        };
        let q = turned::<B>(part(0, heads), angles, false);
        Self {
            q: B::float_mul_scalar(q, (1.0 / (d as f64).sqrt()).into()),
            k: turned::<B>(part(heads, kv_heads), angles, false),
            v: part(heads + kv_heads, kv_heads),
        }
    }
}

/// `q kᵀ`, widened, what may not be seen far below everything else: `[b, h, t, t]`.
fn scores<B: Backend>(
    q: FloatTensor<B>,
    k: FloatTensor<B>,
    padding: Option<&Padding<B>>,
    sizes: Sizes,
) -> FloatTensor<B> {
    let Sizes { b, t, heads, .. } = sizes;
    let device = q.device();
    // A group's queries become rows of one product with its key head, so that keys need no copies.
    let scores = widened::<B>(B::float_matmul(grouped::<B>(q, sizes), B::float_swap_dims(k, 2, 3)));
    let mut scores = B::float_reshape(scores, Shape::new([b, heads, t, t]));
    if let Some(padding) = padding {
        scores = B::float_add(scores, padding.hidden(sizes));
    }
    if !sizes.causal || t == 1 {
        return scores;
    }
    let settings = get_or_init_device_settings::<B>(&device);
    let positions = B::int_arange(0..t as i64, &device, settings.int_dtype);
    let square = |shape| B::int_expand(B::int_reshape(positions.clone(), Shape::new(shape)), Shape::new([t, t]));
    let hidden = B::int_greater(square([1, t]), square([t, 1]), settings.bool_dtype); // key after query
    let hidden = B::bool_into_float(hidden, scores.dtype().into());
    // A finite number, as WGSL promises nothing about infinities.
    let mask = B::float_mul_scalar(B::float_reshape(hidden, Shape::new([1, 1, t, t])), (-1e30).into());
    B::float_add(scores, mask)
}

/// `[b, h, t, n]` to `[b, g, h / g t, n]`.
fn grouped<B: Backend>(x: FloatTensor<B>, Sizes { b, t, heads, kv_heads, .. }: Sizes) -> FloatTensor<B> {
    let n = x.shape()[3];
    B::float_reshape(x, Shape::new([b, kv_heads, heads / kv_heads * t, n]))
}

/// `[b, n, t, d]` to `[b, t, n d]`.
fn joined<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    let shape = x.shape();
    B::float_reshape(B::float_swap_dims(x, 1, 2), Shape::new([shape[0], shape[2], shape[1] * shape[3]]))
}

/// `[b, n, t, d]` turned by its positions' angles, or turned back; computed in f32.
fn turned<B: Backend>(x: FloatTensor<B>, angles: &FloatTensor<B>, back: bool) -> FloatTensor<B> {
    if !turns(angles) {
        return x;
    }
    let (dtype, t, half) = (x.dtype(), x.shape()[2], x.shape()[3] / 2);
    let x = widened::<B>(x);
    let angles = cast::<B>(angles.clone(), x.dtype());
    let part = |i| B::float_reshape(along::<B>(angles.clone(), 0, i, 1), Shape::new([1, 1, t, half]));
    let (cos, sin) = (part(0), part(1));
    let sin = if back { B::float_neg(sin) } else { sin };
    let (first, second) = (along::<B>(x.clone(), 3, 0, half), along::<B>(x, 3, half, half));
    let turned = vec![
        B::float_sub(B::float_mul(first.clone(), cos.clone()), B::float_mul(second.clone(), sin.clone())),
        B::float_add(B::float_mul(second, cos), B::float_mul(first, sin)),
    ];
    cast::<B>(B::float_cat(turned, 3), dtype)
}

/// `len` indices of a dimension from `start`.
fn along<B: Backend>(x: FloatTensor<B>, dim: usize, start: usize, len: usize) -> FloatTensor<B> {
    let mut slices = vec![Slice::full(); x.rank()];
    slices[dim] = Slice::from(start..start + len);
    B::float_slice(x, &slices)
}

/// At least f32.
fn widened<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    let dtype = wide(x.dtype());
    cast::<B>(x, dtype.into())
}

fn cast<B: Backend>(x: FloatTensor<B>, dtype: DType) -> FloatTensor<B> {
    if x.dtype() == dtype { x } else { B::float_cast(x, dtype.into()) }
}
