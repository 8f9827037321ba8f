//! GELU in its tanh form, one pass forward and one backward.
//!
//! burn composes it from some ten element-wise operations, most of which keep an input for the backward; this keeps
//! its input only, and under gradient checkpointing not even its output.

#[cfg(feature = "flex")]
pub(crate) mod host;
#[cfg(feature = "flex")]
mod reference;

use std::marker::PhantomData;

use burn::backend::{
    Backend, Dispatch, TensorMetadata,
    autodiff::{
        Autodiff, NodeId,
        checkpoint::{
            base::Checkpointer, retro_forward::RetroForward, state::BackwardStates, strategy::CheckpointStrategy,
        },
        grads::Gradients,
        ops::{Backward, Ops, OpsKind},
    },
    backend_extension,
    tensor::FloatTensor,
};
use burn::tensor::Tensor;

use crate::profile::{Work, timed};

/// `0.5 x (1 + tanh(√(2/π) (x + 0.044715 x³)))` (Hendrycks and Gimpel 2016), as in GPT-2. Any shape.
pub fn gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    let work = Work::per_element(x.shape().num_elements(), 9.0, 2.0);
    Tensor::from_dispatch(timed("gelu.forward", work, || Dispatch::gelu_tanh(x.into_dispatch())))
}

#[backend_extension(
    Flex: cfg(feature = "flex"),
    NdArray: cfg(feature = "ndarray"),
    LibTorch: cfg(feature = "tch"),
    Cube: cfg(feature = "cube"),
    Autodiff,
    Fusion: cfg(feature = "cube")
)]
pub(crate) trait Gelu: Backend {
    #[fusion(default)]
    fn gelu_tanh(x: FloatTensor<Self>) -> FloatTensor<Self> {
        reference::forward::<Self>(x)
    }

    #[fusion(default)]
    fn gelu_tanh_backward(x: FloatTensor<Self>, grad: FloatTensor<Self>) -> FloatTensor<Self> {
        reference::backward::<Self>(x, grad)
    }
}

#[cfg(feature = "ndarray")]
impl Gelu for burn::backend::NdArray {}
#[cfg(feature = "cube")]
impl Gelu for crate::CubeBackend {}

impl<B: Gelu, C: CheckpointStrategy> Gelu for Autodiff<B, C> {
    fn gelu_tanh(x: FloatTensor<Self>) -> FloatTensor<Self> {
        let node = x.node();
        let again = Again::<B> { x: node.id(), backend: PhantomData };
        match Step.prepare::<C>([node]).memory_bound().retro_forward(again).parents([&x]).stateful() {
            OpsKind::Tracked(mut prep) => {
                let node = prep.checkpoint(&x);
                prep.finish(node, B::gelu_tanh(x.into_primitive()))
            }
            OpsKind::UnTracked(prep) => prep.finish(B::gelu_tanh(x.into_primitive())),
        }
    }
}

/// Computes the output anew for a backward that did not keep it.
#[derive(Debug)]
struct Again<B: Backend> {
    x: NodeId,
    backend: PhantomData<B>,
}

impl<B: Gelu> RetroForward for Again<B> {
    fn forward(&self, states: &mut BackwardStates, out_node: NodeId) {
        let x = states.get_state::<FloatTensor<B>>(&self.x);
        states.save(out_node, B::gelu_tanh(x));
    }
}

#[derive(Debug)]
struct Step;

impl<B: Gelu> Backward<B, 1> for Step {
    type State = NodeId;

    fn backward(self, ops: Ops<NodeId, 1>, grads: &mut Gradients, checkpointer: &mut Checkpointer) {
        let [parent] = ops.parents;
        let grad = grads.consume::<B>(&ops.node);
        let x: FloatTensor<B> = checkpointer.retrieve_node_output(ops.state);
        if let Some(node) = parent {
            let work = Work::per_element(grad.shape().num_elements(), 13.0, 3.0);
            grads.register::<B>(node.id, timed("gelu.backward", work, || B::gelu_tanh_backward(x, grad)));
        }
    }
}
