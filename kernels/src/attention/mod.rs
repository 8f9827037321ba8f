//! Self-attention in one op, its memory linear in the number of tokens.
//!
//! burn composes attention from slices, transpositions, two products and a softmax, and keeps several `[b, h, t, t]`
//! tensors for its backward; this keeps its input, its output and a number a row (Dao 2023, FlashAttention-2).
//! Shapes: b batch, t tokens, h query heads, g key-value heads, d width of a head.

#![allow(clippy::too_many_arguments)] // an op takes its tensors one by one

#[cfg(feature = "cube")]
mod cube;
#[cfg(feature = "flex")]
mod host;
mod reference;

use burn::backend::{
    Backend, Dispatch, TensorMetadata,
    autodiff::{
        Autodiff, NodeId,
        checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
        grads::Gradients,
        ops::{Backward, Ops, OpsKind},
    },
    backend_extension,
    tensor::FloatTensor,
};
use burn::tensor::{DType, FloatDType, Shape, Tensor};

/// How [`attention`] reads its input and what a position may look at.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AttentionOptions {
    /// Query heads.
    pub heads: usize,
    /// Key-value heads, a divisor of `heads`: query head `i` uses head `i / (heads / kv_heads)` (Ainslie et al. 2023).
    pub kv_heads: usize,
    /// Whether a position sees only itself and those before it.
    pub causal: bool,
    /// Probability of zeroing an attention weight; the others are scaled by `1 / (1 - dropout)`. The caller passes 0
    /// outside of training, which costs nothing.
    pub dropout: f64,
}

/// `softmax(q kᵀ / sqrt(d)) v` of every head (Vaswani et al. 2017), from and to the layout of the projections around it.
///
/// Shapes: `joint` `[b, t, (h + 2 g) d]`, all query heads' columns, then the keys', then the values'; result
/// `[b, t, h d]` in the dtype of `joint`. `rotary` is the cosines and sines of the positions' angles, `[t, d / 2]` each
/// in f32: queries and keys are turned by them first, pairing element `i` with `i + d / 2` (Su et al. 2021). The
/// angles get no gradient. The softmax is taken in f32 at least.
///
/// # Panics
/// If the width of `joint` is not that of so many heads, or the angles have another shape.
pub fn attention(joint: Tensor<3>, rotary: Option<(Tensor<2>, Tensor<2>)>, options: AttentionOptions) -> Tensor<3> {
    attend(joint, rotary, None, options)
}

/// As [`attention`], of sequences that end before `t`: `lengths` `[b]` are the numbers of tokens at their beginnings that
/// count, in f32. What comes after them is seen by nobody, its results are zeros, and it costs nothing on the host.
///
/// # Panics
/// As [`attention`], or if there are not as many lengths as sequences.
pub fn padded_attention(
    joint: Tensor<3>,
    rotary: Option<(Tensor<2>, Tensor<2>)>,
    lengths: Tensor<1>,
    options: AttentionOptions,
) -> Tensor<3> {
    assert!(lengths.dims()[0] == joint.dims()[0], "attention: {:?} lengths", lengths.dims());
    attend(joint, rotary, Some(lengths), options)
}

fn attend(
    joint: Tensor<3>,
    rotary: Option<(Tensor<2>, Tensor<2>)>,
    lengths: Option<Tensor<1>>,
    options: AttentionOptions,
) -> Tensor<3> {
    let ([b, t, width], AttentionOptions { heads, kv_heads, .. }) = (joint.dims(), options);
    let parts = heads + 2 * kv_heads;
    let fits = heads * kv_heads > 0 && heads % kv_heads == 0 && width % parts == 0;
    assert!(fits, "attention: {width} columns for {heads} query heads and {kv_heads} key-value heads");
    let d = width / parts;
    if b * t * d == 0 {
        return joint.narrow(2, 0, heads * d);
    }
    let angles = match rotary {
        Some((cos, sin)) => {
            let right = cos.dims() == [t, d / 2] && sin.dims() == [t, d / 2] && d % 2 == 0;
            assert!(right, "attention: angles {:?} and {:?} for t {t}, d {d}", cos.dims(), sin.dims());
            Tensor::stack::<3>(vec![cos.detach(), sin.detach()], 0)
        }
        None => Tensor::empty([1, 1, 1], &joint.device()),
    };
    let angles = angles.into_dispatch();
    let lengths =
        lengths.map_or_else(|| angles.clone(), |lengths| lengths.detach().cast(FloatDType::F32).into_dispatch());
    Tensor::from_dispatch(Dispatch::fused_attention(joint.into_dispatch(), angles, lengths, options))
}

/// `angles` is `[2, t, d / 2]`, cosines before sines, or `[1, 1, 1]` of anything where nothing is to be turned; `lengths`
/// is `[b]`, or of another rank where all tokens count.
#[backend_extension(
    Flex: cfg(feature = "flex"),
    NdArray: cfg(feature = "ndarray"),
    LibTorch: cfg(feature = "tch"),
    Cube: cfg(feature = "cube"),
    Autodiff,
    Fusion: cfg(feature = "cube")
)]
pub(crate) trait Attention: Backend {
    #[fusion(default)]
    fn fused_attention(
        joint: FloatTensor<Self>,
        angles: FloatTensor<Self>,
        lengths: FloatTensor<Self>,
        options: AttentionOptions,
    ) -> FloatTensor<Self> {
        let noise = noise::<Self>(&joint, &angles, &lengths, options);
        Self::attention_forward(joint, angles, lengths, noise, options).0
    }

    /// What decides which weights are dropped, in the backend's own form: drawn from the device's generator, then read
    /// by the forward and the backward. Where `options.dropout` is 0 it is not drawn, and `noise` is any tensor.
    #[fusion(meta = cube::noise_spec)]
    fn attention_noise(
        joint: FloatTensor<Self>,
        _lengths: FloatTensor<Self>,
        options: AttentionOptions,
    ) -> FloatTensor<Self> {
        reference::noise::<Self>(joint, options)
    }

    /// The output `[b, t, h d]`, and of every row `[b, h, t]` the logarithm of the sum of its scores' exponentials.
    ///
    /// The logarithm is one f32, not the largest score beside the logarithm of the rest: what rounding takes from it
    /// under a large score is a factor common to the row, as small as the error of that score itself.
    #[fusion(meta = cube::forward_spec)]
    fn attention_forward(
        joint: FloatTensor<Self>,
        angles: FloatTensor<Self>,
        lengths: FloatTensor<Self>,
        noise: FloatTensor<Self>,
        options: AttentionOptions,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        reference::forward::<Self>(joint, angles, lengths, noise, options)
    }

    /// The gradient of `joint` from that of the output, `grad` `[b, t, h d]`.
    #[fusion(dtype = joint, shape = joint)]
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
        reference::backward::<Self>(joint, [angles, lengths, noise], (output, log_sum, grad), options)
    }
}

#[cfg(feature = "ndarray")]
impl Attention for burn::backend::NdArray {}

impl<B: Attention, C: CheckpointStrategy> Attention for Autodiff<B, C> {
    fn fused_attention(
        joint: FloatTensor<Self>,
        angles: FloatTensor<Self>,
        lengths: FloatTensor<Self>,
        options: AttentionOptions,
    ) -> FloatTensor<Self> {
        let (angles, lengths) = (angles.into_primitive(), lengths.into_primitive());
        match Step.prepare::<C>([joint.node()]).compute_bound().stateful() {
            OpsKind::Tracked(mut prep) => {
                let node = prep.checkpoint(&joint);
                let joint = joint.into_primitive();
                let noise = noise::<B>(&joint, &angles, &lengths, options);
                let (output, log_sum) =
                    B::attention_forward(joint, angles.clone(), lengths.clone(), noise.clone(), options);
                let read = [angles, lengths, noise];
                let saved = Saved::<B> { joint: node, read, output: output.clone(), log_sum, options };
                prep.finish(saved, output)
            }
            OpsKind::UnTracked(prep) => {
                prep.finish(B::fused_attention(joint.into_primitive(), angles, lengths, options))
            }
        }
    }
}

#[derive(Debug)]
struct Step;

#[derive(Debug, Clone)]
struct Saved<B: Backend> {
    joint: NodeId,
    /// Angles, lengths and noise.
    read: [FloatTensor<B>; 3],
    output: FloatTensor<B>,
    log_sum: FloatTensor<B>,
    options: AttentionOptions,
}

impl<B: Attention> Backward<B, 1> for Step {
    type State = Saved<B>;

    fn backward(self, ops: Ops<Saved<B>, 1>, grads: &mut Gradients, checkpointer: &mut Checkpointer) {
        let [parent] = ops.parents;
        let grad = grads.consume::<B>(&ops.node);
        let Saved { joint, read: [angles, lengths, noise], output, log_sum, options } = ops.state;
        let joint: FloatTensor<B> = checkpointer.retrieve_node_output(joint);
        if let Some(node) = parent {
            let gradient = B::attention_backward(joint, angles, lengths, noise, output, log_sum, grad, options);
            grads.register::<B>(node.id, gradient);
        }
    }
}

/// The sizes of one call.
#[derive(Debug, Clone, Copy)]
struct Sizes {
    b: usize,
    t: usize,
    heads: usize,
    kv_heads: usize,
    d: usize,
    causal: bool,
}

impl Sizes {
    fn of(joint: &impl TensorMetadata, options: AttentionOptions) -> Self {
        let AttentionOptions { heads, kv_heads, causal, .. } = options;
        let shape = joint.shape();
        Self { b: shape[0], t: shape[1], heads, kv_heads, d: shape[2] / (heads + 2 * kv_heads), causal }
    }

    /// The columns of `joint`.
    fn width(self) -> usize {
        (self.heads + 2 * self.kv_heads) * self.d
    }
}

fn noise<B: Attention>(
    joint: &FloatTensor<B>,
    angles: &FloatTensor<B>,
    lengths: &FloatTensor<B>,
    options: AttentionOptions,
) -> FloatTensor<B> {
    match options.dropout > 0.0 {
        true => B::attention_noise(joint.clone(), lengths.clone(), options),
        false => angles.clone(),
    }
}

/// Whether there are angles, as against the placeholder for none.
fn turns(angles: &impl TensorMetadata) -> bool {
    angles.shape()[0] == 2
}

/// Whether there are lengths, as against what stands in for none.
fn pads(lengths: &Shape) -> bool {
    lengths.num_dims() == 1
}

/// The dtype that the softmax is taken in.
fn wide(dtype: DType) -> FloatDType {
    if dtype == DType::F64 { FloatDType::F64 } else { FloatDType::F32 }
}
