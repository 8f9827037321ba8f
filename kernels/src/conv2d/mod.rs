//! Convolution of pictures with its bias and a ReLU, forward and backward.
//!
//! burn's CPU backend copies every patch out (im2col), and its backward is made of convolutions over transposed copies.
//! This reads padded pictures where they lie, and keeps the input and the output alone.

#[cfg(feature = "flex")]
mod geometry;
#[cfg(feature = "flex")]
mod host;
#[cfg(feature = "flex")]
mod product;
mod reference;
#[cfg(feature = "flex")]
mod stage;

use burn::backend::{
    Backend, Dispatch,
    autodiff::{
        Autodiff, NodeId,
        checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
        grads::Gradients,
        ops::{Backward, Ops, OpsKind},
    },
    backend_extension,
    ops::ModuleOps,
    tensor::FloatTensor,
};
use burn::tensor::Tensor;

use crate::Overridden;

/// How a convolution steps over a picture, and what follows it; `[rows, columns]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conv2dOptions {
    /// Pixels between two positions, at least 1.
    pub stride: [usize; 2],
    /// Rows of zeros above and below, columns left and right.
    pub padding: [usize; 2],
    /// Whether negative results become 0.
    pub relu: bool,
    /// Whether the largest of every 2 x 2 results is kept alone; a last row or column without a partner is dropped.
    pub pool: bool,
}

impl Default for Conv2dOptions {
    fn default() -> Self {
        Self { stride: [1; 2], padding: [0; 2], relu: false, pool: false }
    }
}

impl Conv2dOptions {
    /// The size of the output for a picture's and a kernel's, before pooling.
    ///
    /// # Panics
    /// If the kernel is empty or larger than the padded picture, or a stride is 0.
    fn map(&self, picture: [usize; 2], kernel: [usize; 2]) -> [usize; 2] {
        std::array::from_fn(|i| {
            let padded = picture[i] + 2 * self.padding[i];
            assert!(
                (1..=padded).contains(&kernel[i]) && self.stride[i] > 0,
                "a kernel of {kernel:?} does not step by {:?} over {picture:?} padded by {:?}",
                self.stride,
                self.padding
            );
            (padded - kernel[i]) / self.stride[i] + 1
        })
    }

    /// The size of the output where the map's is `map`.
    ///
    /// # Panics
    /// If nothing would be left.
    fn pooled(&self, map: [usize; 2]) -> [usize; 2] {
        assert!(!self.pool || map.iter().all(|side| *side > 1), "a map of {map:?} has no 2 x 2 to pool");
        if self.pool { map.map(|side| side / 2) } else { map }
    }
}

/// Cross-correlates `x` with `weight`, adds `bias`, and cuts at 0 and pools if asked to.
///
/// Shapes: `x` `[b, inputs, h, w]`, `weight` `[outputs, inputs, kh, kw]`, `bias` `[outputs]`, result
/// `[b, outputs, (h + 2 padding - kh) / stride + 1, ..]`, half of that (rounded down) if pooled. All have one dtype; the
/// caller casts. After ReLU an output of exactly 0 passes no gradient back; among equals the first of a window, row by
/// row, takes it all; NaN is the largest.
///
/// # Panics
/// If the shapes do not fit.
pub fn conv2d(x: Tensor<4>, weight: Tensor<4>, bias: Option<Tensor<1>>, options: Conv2dOptions) -> Tensor<4> {
    let ([b, inputs, h, w], [outputs, expected, kh, kw]) = (x.dims(), weight.dims());
    assert_eq!(inputs, expected, "a convolution of {inputs} channels with weights for {expected}");
    let [height, width] = options.pooled(options.map([h, w], [kh, kw]));
    if b == 0 {
        return Tensor::zeros([b, outputs, height, width], (&x.device(), x.dtype()));
    }
    let bias = bias.unwrap_or_else(|| Tensor::zeros([outputs], (&weight.device(), weight.dtype())));
    let (x, weight, bias) = (x.into_dispatch(), weight.into_dispatch(), bias.into_dispatch());
    Tensor::from_dispatch(Dispatch::conv2d_relu(x, weight, bias, options))
}

#[backend_extension(
    Flex: cfg(feature = "flex"),
    NdArray: cfg(feature = "ndarray"),
    LibTorch: cfg(feature = "tch"),
    Cube: cfg(feature = "cube"),
    Autodiff,
    Fusion: cfg(feature = "cube")
)]
pub(crate) trait Conv2d: Backend {
    #[fusion(default)]
    fn conv2d_relu(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        options: Conv2dOptions,
    ) -> FloatTensor<Self> {
        reference::forward::<Self>(x, weight, bias, options)
    }

    /// The pooled output, and which of its window each element is (0 to 3, row by row; 4 where ReLU has cut it): only
    /// where [`Overridden`].
    #[fusion(default)]
    fn conv2d_pooled(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        options: Conv2dOptions,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let y = reference::forward::<Self>(x, weight, bias, options);
        (y.clone(), y)
    }

    /// Gradients of x, weight and bias; `y` is the output, or what [`Self::conv2d_pooled`] has chosen.
    #[fusion(default)]
    fn conv2d_relu_backward(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        y: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        options: Conv2dOptions,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let dx = reference::backward_x::<Self>(x.clone(), weight.clone(), (y.clone(), grad.clone()), options);
        let (dweight, dbias) = reference::backward_weights::<Self>(x, weight, (y, grad), options);
        (dx, dweight, dbias)
    }

    /// Gradients of weight and bias, where nobody asks for that of x: pictures have none.
    #[fusion(default)]
    fn conv2d_relu_backward_weights(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        y: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        options: Conv2dOptions,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        reference::backward_weights::<Self>(x, weight, (y, grad), options)
    }
}

#[cfg(feature = "ndarray")]
impl Conv2d for burn::backend::NdArray {}
#[cfg(feature = "cube")]
impl Conv2d for crate::CubeBackend {}

impl<B: Conv2d + Overridden, C: CheckpointStrategy> Conv2d for Autodiff<B, C> {
    fn conv2d_relu(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        options: Conv2dOptions,
    ) -> FloatTensor<Self> {
        if options.pool && !B::overrides(&x.clone().into_primitive()) {
            let y = Self::conv2d_relu(x, weight, bias, Conv2dOptions { pool: false, ..options });
            return Self::max_pool2d(y, [2, 2], [2, 2], [0, 0], [1, 1], false);
        }
        match Step.prepare::<C>([x.node(), weight.node(), bias.node()]).compute_bound().stateful() {
            OpsKind::Tracked(mut prep) => {
                let nodes = [prep.checkpoint(&x), prep.checkpoint(&weight)];
                let (x, weight, bias) = (x.into_primitive(), weight.into_primitive(), bias.into_primitive());
                let (y, kept) = if options.pool {
                    B::conv2d_pooled(x, weight, bias, options)
                } else {
                    let y = B::conv2d_relu(x, weight, bias, options);
                    (y.clone(), y)
                };
                prep.finish(Saved::<B> { nodes, y: kept, options }, y)
            }
            OpsKind::UnTracked(prep) => {
                let (x, weight, bias) = (x.into_primitive(), weight.into_primitive(), bias.into_primitive());
                prep.finish(B::conv2d_relu(x, weight, bias, options))
            }
        }
    }
}

#[derive(Debug)]
struct Step;

#[derive(Debug, Clone)]
struct Saved<B: Backend> {
    nodes: [NodeId; 2],
    y: FloatTensor<B>,
    options: Conv2dOptions,
}

impl<B: Conv2d> Backward<B, 3> for Step {
    type State = Saved<B>;

    fn backward(self, ops: Ops<Saved<B>, 3>, grads: &mut Gradients, checkpointer: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        let Saved { nodes: [x, weight], y, options } = ops.state;
        let x: FloatTensor<B> = checkpointer.retrieve_node_output(x);
        let weight: FloatTensor<B> = checkpointer.retrieve_node_output(weight);
        let [of_x, of_weight, of_bias] = ops.parents;
        let (dweight, dbias) = if let Some(node) = of_x {
            let (dx, dweight, dbias) = B::conv2d_relu_backward(x, weight, y, grad, options);
            grads.register::<B>(node.id, dx);
            (dweight, dbias)
        } else {
            B::conv2d_relu_backward_weights(x, weight, y, grad, options)
        };
        for (node, gradient) in [(of_weight, dweight), (of_bias, dbias)] {
            if let Some(node) = node {
                grads.register::<B>(node.id, gradient);
            }
        }
    }
}
