//! Root-mean-square normalisation in one pass a row, forward and backward.
//!
//! burn composes it from some six operations, most of which keep a tensor of the input's size for the backward; this
//! keeps the input and a reciprocal root a row.

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

/// Divides the last dimension by the root of its mean square, then scales by `gamma` (Zhang and Sennrich 2019).
///
/// Shapes: `x` `[.., width]`, `gamma` `[width]`, result as `x`. `eps` is added to the mean square. Both have one dtype;
/// the caller casts.
pub fn rms_norm<const D: usize>(x: Tensor<D>, gamma: Tensor<1>, eps: f64) -> Tensor<D> {
    let shape = x.shape();
    let width = gamma.dims()[0];
    if width == 0 {
        return x;
    }
    let rows = shape.num_elements() / width;
    let (x, gamma) = (x.reshape([rows, width]).into_dispatch(), gamma.into_dispatch());
    let work = Work::per_element(rows * width, 4.0, 2.0);
    let y = timed("rms_norm.forward", work, || Dispatch::rms_norm(x, gamma, eps));
    Tensor::<2>::from_dispatch(y).reshape(shape)
}

/// Output `[N, width]` and reciprocal root `[N, 1]`; or gradients of x `[N, width]` and gamma `[width]`.
pub(crate) type Two<B> = (FloatTensor<B>, FloatTensor<B>);

#[backend_extension(
    Flex: cfg(feature = "flex"),
    NdArray: cfg(feature = "ndarray"),
    LibTorch: cfg(feature = "tch"),
    Cube: cfg(feature = "cube"),
    Autodiff,
    Fusion: cfg(feature = "cube")
)]
pub(crate) trait RmsNorm: Backend {
    #[fusion(default)]
    fn rms_norm(x: FloatTensor<Self>, gamma: FloatTensor<Self>, eps: f64) -> FloatTensor<Self> {
        Self::rms_norm_forward(x, gamma, eps).0
    }

    #[fusion(default)]
    fn rms_norm_forward(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        eps: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        reference::forward::<Self>(x, gamma, eps)
    }

    #[fusion(default)]
    fn rms_norm_backward(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        root: FloatTensor<Self>,
        grad: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        reference::backward::<Self>(x, gamma, root, grad)
    }
}

#[cfg(feature = "ndarray")]
impl RmsNorm for burn::backend::NdArray {}
#[cfg(feature = "cube")]
impl RmsNorm for crate::CubeBackend {}

impl<B: RmsNorm, C: CheckpointStrategy> RmsNorm for Autodiff<B, C> {
    fn rms_norm(x: FloatTensor<Self>, gamma: FloatTensor<Self>, eps: f64) -> FloatTensor<Self> {
        match Step.prepare::<C>([x.node(), gamma.node()]).compute_bound().stateful() {
            OpsKind::Tracked(mut prep) => {
                let nodes = [prep.checkpoint(&x), prep.checkpoint(&gamma)];
                let (y, root) = B::rms_norm_forward(x.into_primitive(), gamma.into_primitive(), eps);
                prep.finish(Saved::<B> { nodes, root }, y)
            }
            OpsKind::UnTracked(prep) => prep.finish(B::rms_norm(x.into_primitive(), gamma.into_primitive(), eps)),
        }
    }
}

#[derive(Debug)]
struct Step;

#[derive(Debug, Clone)]
struct Saved<B: Backend> {
    nodes: [NodeId; 2],
    root: FloatTensor<B>,
}

impl<B: RmsNorm> Backward<B, 2> for Step {
    type State = Saved<B>;

    fn backward(self, ops: Ops<Saved<B>, 2>, grads: &mut Gradients, checkpointer: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        let Saved { nodes: [x, gamma], root } = ops.state;
        let x: FloatTensor<B> = checkpointer.retrieve_node_output(x);
        let gamma: FloatTensor<B> = checkpointer.retrieve_node_output(gamma);
        let work = Work::per_element(grad.shape().num_elements(), 11.0, 3.0);
        let (dx, dgamma) = timed("rms_norm.backward", work, || B::rms_norm_backward(x, gamma, root, grad));
        for (node, gradient) in ops.parents.into_iter().zip([dx, dgamma]) {
            if let Some(node) = node {
                grads.register::<B>(node.id, gradient);
            }
        }
    }
}
