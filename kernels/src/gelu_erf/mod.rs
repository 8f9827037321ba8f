//! GELU by the error function, one pass forward and one backward.
//!
//! burn's own computes an error function element by element, and its backward is composed of some ten operations; this
//! keeps its input only.

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

/// `x Φ(x)` with the normal distribution's Φ (Hendrycks and Gimpel 2016), as in BERT. Any shape.
pub fn gelu_erf<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    let work = Work::per_element(x.shape().num_elements(), 16.0, 2.0);
    Tensor::from_dispatch(timed("gelu_erf.forward", work, || Dispatch::gelu_erf_op(x.into_dispatch())))
}

#[backend_extension(
    Flex: cfg(feature = "flex"),
    NdArray: cfg(feature = "ndarray"),
    LibTorch: cfg(feature = "tch"),
    Cube: cfg(feature = "cube"),
    Autodiff,
    Fusion: cfg(feature = "cube")
)]
pub(crate) trait GeluErf: Backend {
    #[fusion(default)]
    fn gelu_erf_op(x: FloatTensor<Self>) -> FloatTensor<Self> {
        reference::forward::<Self>(x)
    }

    #[fusion(default)]
    fn gelu_erf_backward(x: FloatTensor<Self>, grad: FloatTensor<Self>) -> FloatTensor<Self> {
        reference::backward::<Self>(x, grad)
    }
}

#[cfg(feature = "ndarray")]
impl GeluErf for burn::backend::NdArray {}
#[cfg(feature = "cube")]
impl GeluErf for crate::CubeBackend {}

impl<B: GeluErf, C: CheckpointStrategy> GeluErf for Autodiff<B, C> {
    fn gelu_erf_op(x: FloatTensor<Self>) -> FloatTensor<Self> {
        match Step.prepare::<C>([x.node()]).compute_bound().stateful() {
            OpsKind::Tracked(mut prep) => {
                let node = prep.checkpoint(&x);
                prep.finish(node, B::gelu_erf_op(x.into_primitive()))
            }
            OpsKind::UnTracked(prep) => prep.finish(B::gelu_erf_op(x.into_primitive())),
        }
    }
}

#[derive(Debug)]
struct Step;

impl<B: GeluErf> Backward<B, 1> for Step {
    type State = NodeId;

    fn backward(self, ops: Ops<NodeId, 1>, grads: &mut Gradients, checkpointer: &mut Checkpointer) {
        let [parent] = ops.parents;
        let grad = grads.consume::<B>(&ops.node);
        let x: FloatTensor<B> = checkpointer.retrieve_node_output(ops.state);
        if let Some(node) = parent {
            let work = Work::per_element(grad.shape().num_elements(), 20.0, 3.0);
            grads.register::<B>(node.id, timed("gelu_erf.backward", work, || B::gelu_erf_backward(x, grad)));
        }
    }
}
