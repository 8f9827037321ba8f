//! The gate of a SwiGLU layer, one pass forward and one backward.
//!
//! burn composes it from a logistic function and two products, which keep their inputs for the backward; this keeps
//! the two halves alone, and under gradient checkpointing not even its output.

#[cfg(feature = "flex")]
mod host;
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

/// `gate σ(gate) up`, σ being the logistic function (Shazeer 2020). Any shape, the same of both; one dtype.
///
/// # Panics
/// If the shapes differ.
pub fn swiglu<const D: usize>(gate: Tensor<D>, up: Tensor<D>) -> Tensor<D> {
    assert_eq!(gate.dims(), up.dims(), "swiglu: a gate and what it gates have one shape");
    let work = Work::per_element(gate.shape().num_elements(), 6.0, 3.0);
    let (gate, up) = (gate.into_dispatch(), up.into_dispatch());
    Tensor::from_dispatch(timed("swiglu.forward", work, || Dispatch::swiglu_op(gate, up)))
}

#[backend_extension(
    Flex: cfg(feature = "flex"),
    NdArray: cfg(feature = "ndarray"),
    LibTorch: cfg(feature = "tch"),
    Cube: cfg(feature = "cube"),
    Autodiff,
    Fusion: cfg(feature = "cube")
)]
pub(crate) trait Swiglu: Backend {
    #[fusion(default)]
    fn swiglu_op(gate: FloatTensor<Self>, up: FloatTensor<Self>) -> FloatTensor<Self> {
        reference::forward::<Self>(gate, up)
    }

    /// Gradients of gate and up.
    #[fusion(default)]
    fn swiglu_backward(
        gate: FloatTensor<Self>,
        up: FloatTensor<Self>,
        grad: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        reference::backward::<Self>(gate, up, grad)
    }
}

#[cfg(feature = "ndarray")]
impl Swiglu for burn::backend::NdArray {}
#[cfg(feature = "cube")]
impl Swiglu for crate::CubeBackend {}

impl<B: Swiglu, C: CheckpointStrategy> Swiglu for Autodiff<B, C> {
    fn swiglu_op(gate: FloatTensor<Self>, up: FloatTensor<Self>) -> FloatTensor<Self> {
        let nodes = [gate.node(), up.node()];
        let again = Again::<B> { gate: nodes[0].id(), up: nodes[1].id(), backend: PhantomData };
        match Step.prepare::<C>(nodes).memory_bound().retro_forward(again).parents([&gate, &up]).stateful() {
            OpsKind::Tracked(mut prep) => {
                let nodes = [prep.checkpoint(&gate), prep.checkpoint(&up)];
                prep.finish(nodes, B::swiglu_op(gate.into_primitive(), up.into_primitive()))
            }
            OpsKind::UnTracked(prep) => prep.finish(B::swiglu_op(gate.into_primitive(), up.into_primitive())),
        }
    }
}

/// Computes the output anew for a backward that did not keep it.
#[derive(Debug)]
struct Again<B: Backend> {
    gate: NodeId,
    up: NodeId,
    backend: PhantomData<B>,
}

impl<B: Swiglu> RetroForward for Again<B> {
    fn forward(&self, states: &mut BackwardStates, out_node: NodeId) {
        let gate = states.get_state::<FloatTensor<B>>(&self.gate);
        let up = states.get_state::<FloatTensor<B>>(&self.up);
        states.save(out_node, B::swiglu_op(gate, up));
    }
}

#[derive(Debug)]
struct Step;

impl<B: Swiglu> Backward<B, 2> for Step {
    type State = [NodeId; 2];

    fn backward(self, ops: Ops<[NodeId; 2], 2>, grads: &mut Gradients, checkpointer: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        let [gate, up] = ops.state;
        let gate: FloatTensor<B> = checkpointer.retrieve_node_output(gate);
        let up: FloatTensor<B> = checkpointer.retrieve_node_output(up);
        let work = Work::per_element(grad.shape().num_elements(), 12.0, 5.0);
        let (dgate, dup) = timed("swiglu.backward", work, || B::swiglu_backward(gate, up, grad));
        for (node, gradient) in ops.parents.into_iter().zip([dgate, dup]) {
            if let Some(node) = node {
                grads.register::<B>(node.id, gradient);
            }
        }
    }
}
