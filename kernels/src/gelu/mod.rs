//! GELU in both its forms, one pass forward and one backward.
//!
//! burn composes each from some ten element-wise operations, most of which keep an input for the backward; this keeps
//! its input only, and under gradient checkpointing not even its output.

mod erf;
#[cfg(feature = "flex")]
pub(crate) mod host;
mod tanh;

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
    of(Form::Tanh, x)
}

/// `x Φ(x)` with the normal distribution's Φ (Hendrycks and Gimpel 2016), as in BERT. Any shape.
pub fn gelu_erf<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    of(Form::Erf, x)
}

fn of<const D: usize>(form: Form, x: Tensor<D>) -> Tensor<D> {
    let ([name, _], [each, _]) = (form.names(), form.operations());
    let work = Work::per_element(x.shape().num_elements(), each, 2.0);
    Tensor::from_dispatch(timed(name, work, || Dispatch::gelu_op(x.into_dispatch(), form)))
}

/// How the normal distribution's share below x is computed.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Form {
    /// By a hyperbolic tangent, near enough.
    Tanh,
    /// By the error function.
    Erf,
}

impl Form {
    /// In a profile, forward and backward.
    fn names(self) -> [&'static str; 2] {
        match self {
            Self::Tanh => ["gelu.forward", "gelu.backward"],
            Self::Erf => ["gelu_erf.forward", "gelu_erf.backward"],
        }
    }

    /// Floating-point operations of an element, forward and backward, an exponential as one.
    fn operations(self) -> [f64; 2] {
        match self {
            Self::Tanh => [9.0, 13.0],
            Self::Erf => [16.0, 20.0],
        }
    }

    fn forward<B: Backend>(self, x: FloatTensor<B>) -> FloatTensor<B> {
        match self {
            Self::Tanh => tanh::forward::<B>(x),
            Self::Erf => erf::forward::<B>(x),
        }
    }

    fn backward<B: Backend>(self, x: FloatTensor<B>, grad: FloatTensor<B>) -> FloatTensor<B> {
        match self {
            Self::Tanh => tanh::backward::<B>(x, grad),
            Self::Erf => erf::backward::<B>(x, grad),
        }
    }
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
    fn gelu_op(x: FloatTensor<Self>, form: Form) -> FloatTensor<Self> {
        form.forward::<Self>(x)
    }

    #[fusion(default)]
    fn gelu_op_backward(x: FloatTensor<Self>, grad: FloatTensor<Self>, form: Form) -> FloatTensor<Self> {
        form.backward::<Self>(x, grad)
    }
}

#[cfg(feature = "ndarray")]
impl Gelu for burn::backend::NdArray {}
#[cfg(feature = "cube")]
impl Gelu for crate::CubeBackend {}

impl<B: Gelu, C: CheckpointStrategy> Gelu for Autodiff<B, C> {
    fn gelu_op(x: FloatTensor<Self>, form: Form) -> FloatTensor<Self> {
        let node = x.node();
        let again = Again::<B> { x: node.id(), form, backend: PhantomData };
        match Step.prepare::<C>([node]).memory_bound().retro_forward(again).parents([&x]).stateful() {
            OpsKind::Tracked(mut prep) => {
                let node = prep.checkpoint(&x);
                prep.finish((node, form), B::gelu_op(x.into_primitive(), form))
            }
            OpsKind::UnTracked(prep) => prep.finish(B::gelu_op(x.into_primitive(), form)),
        }
    }
}

/// Computes the output anew for a backward that did not keep it.
#[derive(Debug)]
struct Again<B: Backend> {
    x: NodeId,
    form: Form,
    backend: PhantomData<B>,
}

impl<B: Gelu> RetroForward for Again<B> {
    fn forward(&self, states: &mut BackwardStates, out_node: NodeId) {
        let x = states.get_state::<FloatTensor<B>>(&self.x);
        states.save(out_node, B::gelu_op(x, self.form));
    }
}

#[derive(Debug)]
struct Step;

impl<B: Gelu> Backward<B, 1> for Step {
    type State = (NodeId, Form);

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, checkpointer: &mut Checkpointer) {
        let [parent] = ops.parents;
        let grad = grads.consume::<B>(&ops.node);
        let (x, form) = ops.state;
        let x: FloatTensor<B> = checkpointer.retrieve_node_output(x);
        if let Some(node) = parent {
            let ([_, name], [_, each]) = (form.names(), form.operations());
            let work = Work::per_element(grad.shape().num_elements(), each, 3.0);
            grads.register::<B>(node.id, timed(name, work, || B::gelu_op_backward(x, grad, form)));
        }
    }
}
