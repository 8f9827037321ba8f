//! Layer normalisation in one pass a row, forward and backward.
//!
//! burn composes it from some ten operations, each of which keeps its input for the backward; this keeps the input,
//! and a mean and a reciprocal deviation a row.

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
use burn::tensor::Tensor;

use crate::profile::{Work, timed};

/// Normalises the last dimension to mean 0 and variance 1, then scales by `gamma` and adds `beta` (Ba et al. 2016).
///
/// Shapes: `x` `[.., width]`, `gamma` and `beta` `[width]`, result as `x`. `eps` is added to the (biased) variance.
/// All have one dtype; the caller casts.
pub fn layer_norm<const D: usize>(x: Tensor<D>, gamma: Tensor<1>, beta: Option<Tensor<1>>, eps: f64) -> Tensor<D> {
    let shape = x.shape();
    let width = gamma.dims()[0];
    if width == 0 {
        return x;
    }
    let rows = shape.num_elements() / width;
    let beta = beta.unwrap_or_else(|| gamma.clone().detach().zeros_like());
    let (x, gamma, beta) = (x.reshape([rows, width]).into_dispatch(), gamma.into_dispatch(), beta.into_dispatch());
    let work = Work::per_element(rows * width, 7.0, 2.0);
    let y = timed("layer_norm.forward", work, || Dispatch::layer_norm(x, gamma, beta, eps));
    Tensor::<2>::from_dispatch(y).reshape(shape)
}

/// Output `[N, width]`, mean `[N, 1]`, reciprocal deviation `[N, 1]`.
pub(crate) type Forward<B> = (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>);
/// Gradients of x `[N, width]`, gamma `[width]` and beta `[width]`.
pub(crate) type Gradient<B> = (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>);

#[backend_extension(
    Flex: cfg(feature = "flex"),
    NdArray: cfg(feature = "ndarray"),
    LibTorch: cfg(feature = "tch"),
    Cube: cfg(feature = "cube"),
    Autodiff,
    Fusion: cfg(feature = "cube")
)]
pub(crate) trait LayerNorm: Backend {
    #[fusion(default)]
    fn layer_norm(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        eps: f64,
    ) -> FloatTensor<Self> {
        Self::layer_norm_forward(x, gamma, beta, eps).0
    }

    #[fusion(default)]
    fn layer_norm_forward(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        eps: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        reference::forward::<Self>(x, gamma, beta, eps)
    }

    #[fusion(meta = cube::backward_spec)]
    fn layer_norm_backward(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        mean: FloatTensor<Self>,
        rstd: FloatTensor<Self>,
        grad: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        reference::backward::<Self>(x, gamma, (mean, rstd), grad)
    }
}

#[cfg(feature = "ndarray")]
impl LayerNorm for burn::backend::NdArray {}

impl<B: LayerNorm, C: CheckpointStrategy> LayerNorm for Autodiff<B, C> {
    fn layer_norm(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        eps: f64,
    ) -> FloatTensor<Self> {
        match Step.prepare::<C>([x.node(), gamma.node(), beta.node()]).compute_bound().stateful() {
            OpsKind::Tracked(mut prep) => {
                let nodes = [prep.checkpoint(&x), prep.checkpoint(&gamma)];
                let (x, gamma, beta) = (x.into_primitive(), gamma.into_primitive(), beta.into_primitive());
                let (y, mean, rstd) = B::layer_norm_forward(x, gamma, beta, eps);
                prep.finish(Saved::<B> { nodes, mean, rstd }, y)
            }
            OpsKind::UnTracked(prep) => {
                let (x, gamma, beta) = (x.into_primitive(), gamma.into_primitive(), beta.into_primitive());
                prep.finish(B::layer_norm_forward(x, gamma, beta, eps).0)
            }
        }
    }
}

#[derive(Debug)]
struct Step;

#[derive(Debug, Clone)]
struct Saved<B: Backend> {
    nodes: [NodeId; 2],
    mean: FloatTensor<B>,
    rstd: FloatTensor<B>,
}

impl<B: LayerNorm> Backward<B, 3> for Step {
    type State = Saved<B>;

    fn backward(self, ops: Ops<Saved<B>, 3>, grads: &mut Gradients, checkpointer: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        let Saved { nodes: [x, gamma], mean, rstd } = ops.state;
        let x: FloatTensor<B> = checkpointer.retrieve_node_output(x);
        let gamma: FloatTensor<B> = checkpointer.retrieve_node_output(gamma);
        let work = Work::per_element(grad.shape().num_elements(), 15.0, 3.0);
        let (dx, dgamma, dbeta) =
            timed("layer_norm.backward", work, || B::layer_norm_backward(x, gamma, mean, rstd, grad));
        for (node, gradient) in ops.parents.into_iter().zip([dx, dgamma, dbeta]) {
            if let Some(node) = node {
                grads.register::<B>(node.id, gradient);
            }
        }
    }
}
