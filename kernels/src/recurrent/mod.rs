//! All steps of an LSTM or a GRU in one op.
//!
//! burn composes a step from some twenty operations, each a node of the graph, and the backward of every slice of a step
//! fills a tensor of all steps; this keeps the gates and one state a step, and goes back through time by hand.
//! Shapes: b sequences, t steps, h width of the state, g gates.

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

use crate::{
    precision::{Products, products},
    profile::{Work, timed},
};

/// What happens at a step, in PyTorch's form and order of gates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cell {
    /// Four gates: input, forget, cell, output (Hochreiter and Schmidhuber 1997; Gers et al. 2000).
    Lstm,
    /// Three gates: reset, update, new; the reset gate is applied after the product (Cho et al. 2014, version 3).
    Gru,
}

impl Cell {
    /// Gates, each of the state's width.
    pub fn gates(self) -> usize {
        match self {
            Self::Lstm => 4,
            Self::Gru => 3,
        }
    }
}

/// How [`recurrent`] goes through the steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecurrentOptions {
    /// What a step does.
    pub cell: Cell,
    /// From the last step to the first.
    pub reverse: bool,
}

/// The state after every step, from zeros before the first.
///
/// Shapes: `gates` `[b, t, g h]`, the inputs' share of every gate with its bias; `weight` `[h, g h]` and `bias` `[g h]`,
/// the state's share; `valid` `[b, t]`, 0 where a step is to be passed over, the state staying as it is, and 1 elsewhere;
/// result `[b, t, h]`. All have one dtype; `valid` gets no gradient. On the host, products are computed in what
/// [`with_products`](crate::with_products) says.
///
/// # Panics
/// If the shapes do not fit each other.
pub fn recurrent(
    gates: Tensor<3>,
    weight: Tensor<2>,
    bias: Tensor<1>,
    valid: Option<Tensor<2>>,
    options: RecurrentOptions,
) -> Tensor<3> {
    let ([b, t, width], [h, columns]) = (gates.dims(), weight.dims());
    let fits = width == columns && bias.dims() == [width] && width == options.cell.gates() * h;
    assert!(fits, "recurrent: {width} columns and a weight of {h} x {columns} for {options:?}");
    let masks = valid.as_ref().is_none_or(|valid| valid.dims() == [b, t]);
    assert!(masks, "recurrent: `valid` is not of {b} x {t}");
    if b * t * h == 0 {
        return gates.narrow(2, 0, h);
    }
    let form = Form { options, masked: valid.is_some(), products: products() };
    let (weight, bias) = (weight.into_dispatch(), bias.into_dispatch());
    let valid = valid.map_or_else(|| bias.clone(), |valid| valid.detach().into_dispatch());
    let gates = gates.into_dispatch();
    let work = work([b, t, h], form, 1);
    Tensor::from_dispatch(timed("recurrent.forward", work, || Dispatch::recurrent_op(gates, weight, bias, valid, form)))
}

/// Of `products` products a step, and about 10 operations a gate.
fn work([b, t, h]: [usize; 3], form: Form, products: usize) -> Work {
    let (steps, h, g) = ((b * t) as f64, h as f64, form.options.cell.gates() as f64);
    Work {
        flops: steps * g * h * (2.0 * h * products as f64 + 10.0),
        bytes: 4.0 * (steps * h * (2.0 * g + 3.0) + h * g * h),
    }
}

/// What an op's operands are to become. An op takes no optional tensors: without `valid`, the bias stands in for it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Form {
    options: RecurrentOptions,
    masked: bool,
    products: Products,
}

impl Form {
    /// The steps, in the order in which they are taken.
    fn steps(self, t: usize) -> impl DoubleEndedIterator<Item = usize> {
        (0..t).map(move |i| if self.options.reverse { t - 1 - i } else { i })
    }

    /// The step before.
    fn before(self, step: usize, t: usize) -> Option<usize> {
        if self.options.reverse { Some(step + 1).filter(|&step| step < t) } else { step.checked_sub(1) }
    }
}

/// States `[b, t, h]`; what the gates came to, `[b, t, g h]`; and `[b, t, h]`: an LSTM's cells, or what a GRU's reset gate
/// was applied to.
pub(crate) type Forward<B> = (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>);
/// Gradients of gates `[b, t, g h]`, weight `[h, g h]` and bias `[g h]`.
pub(crate) type Gradient<B> = (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>);

#[backend_extension(
    Flex: cfg(feature = "flex"),
    NdArray: cfg(feature = "ndarray"),
    LibTorch: cfg(feature = "tch"),
    Cube: cfg(feature = "cube"),
    Autodiff,
    Fusion: cfg(feature = "cube")
)]
pub(crate) trait Recurrent: Backend {
    #[fusion(default)]
    fn recurrent_op(
        gates: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        valid: FloatTensor<Self>,
        form: Form,
    ) -> FloatTensor<Self> {
        Self::recurrent_forward(gates, weight, bias, valid, form).0
    }

    /// [`Forward`].
    #[fusion(default)]
    fn recurrent_forward(
        gates: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        valid: FloatTensor<Self>,
        form: Form,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        reference::forward::<Self>(gates, weight, bias, valid, form)
    }

    /// [`Gradient`]; `gates` and `extra` as the forward left them.
    #[fusion(default)]
    #[allow(clippy::too_many_arguments)]
    fn recurrent_backward(
        states: FloatTensor<Self>,
        gates: FloatTensor<Self>,
        extra: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        valid: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        form: Form,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        reference::backward::<Self>((states, gates, extra), weight, valid, grad, form)
    }
}

#[cfg(feature = "ndarray")]
impl Recurrent for burn::backend::NdArray {}
#[cfg(feature = "cube")]
impl Recurrent for crate::CubeBackend {}

impl<B: Recurrent, C: CheckpointStrategy> Recurrent for Autodiff<B, C> {
    fn recurrent_op(
        gates: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        valid: FloatTensor<Self>,
        form: Form,
    ) -> FloatTensor<Self> {
        let valid = valid.into_primitive();
        match Step.prepare::<C>([gates.node(), weight.node(), bias.node()]).compute_bound().stateful() {
            OpsKind::Tracked(mut prep) => {
                let node = prep.checkpoint(&weight);
                let (gates, weight, bias) = (gates.into_primitive(), weight.into_primitive(), bias.into_primitive());
                let (states, gates, extra) = B::recurrent_forward(gates, weight, bias, valid.clone(), form);
                let saved = Saved::<B> { weight: node, states: states.clone(), gates, extra, valid, form };
                prep.finish(saved, states)
            }
            OpsKind::UnTracked(prep) => {
                let (gates, weight, bias) = (gates.into_primitive(), weight.into_primitive(), bias.into_primitive());
                prep.finish(B::recurrent_op(gates, weight, bias, valid, form))
            }
        }
    }
}

#[derive(Debug)]
struct Step;

#[derive(Debug, Clone)]
struct Saved<B: Backend> {
    weight: NodeId,
    states: FloatTensor<B>,
    gates: FloatTensor<B>,
    extra: FloatTensor<B>,
    valid: FloatTensor<B>,
    form: Form,
}

impl<B: Recurrent> Backward<B, 3> for Step {
    type State = Saved<B>;

    fn backward(self, ops: Ops<Saved<B>, 3>, grads: &mut Gradients, checkpointer: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        let Saved { weight, states, gates, extra, valid, form } = ops.state;
        let weight: FloatTensor<B> = checkpointer.retrieve_node_output(weight);
        let work = work(states.shape().dims(), form, 2);
        let (dgates, dweight, dbias) = timed("recurrent.backward", work, || {
            B::recurrent_backward(states, gates, extra, weight, valid, grad, form)
        });
        for (node, gradient) in ops.parents.into_iter().zip([dgates, dweight, dbias]) {
            if let Some(node) = node {
                grads.register::<B>(node.id, gradient);
            }
        }
    }
}
