//! The affine map with its bias and activation in one op.
//!
//! burn makes a product, an addition and an activation of it, each with a result of its own; this writes the bias and
//! the activation while the product is in the cache, and its backward sums the bias's gradient in the same pass as the
//! activation's.

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
    gelu::Gelu,
    precision::{Products, products},
    profile::{Work, timed},
};

/// What is applied to the result.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Activation {
    /// Nothing.
    #[default]
    None,
    /// GELU in its tanh form, as [`gelu`](crate::gelu()).
    Gelu,
}

/// `activation(x weight + bias)`.
///
/// Shapes: `x` `[.., inputs]`, `weight` `[inputs, outputs]`, `bias` `[outputs]`, result `[.., outputs]`. All have one
/// dtype; the caller casts. On the host, products are computed in what [`with_products`](crate::with_products) says.
pub fn linear<const D: usize>(
    x: Tensor<D>,
    weight: Tensor<2>,
    bias: Option<Tensor<1>>,
    activation: Activation,
) -> Tensor<D> {
    let mut shape = x.shape();
    let [inputs, outputs] = weight.dims();
    let rows = shape.num_elements() / inputs.max(1);
    shape[D - 1] = outputs;
    let form = Form { biased: bias.is_some(), gelu: activation == Activation::Gelu, products: products() };
    let weight = weight.into_dispatch();
    let bias = bias.map_or_else(|| weight.clone(), Tensor::into_dispatch);
    let x = x.reshape([rows, inputs]).into_dispatch();
    let y = timed("linear.forward", work([rows, inputs, outputs], 1), || Dispatch::linear_op(x, weight, bias, form));
    Tensor::<2>::from_dispatch(y).reshape(shape)
}

/// Of `products` products of `rows` by `inputs` by `outputs`.
fn work(sizes: [usize; 3], products: usize) -> Work {
    let [rows, inputs, outputs] = sizes.map(|n| n as f64);
    let products = products as f64;
    Work {
        flops: products * 2.0 * rows * inputs * outputs,
        bytes: products * 4.0 * (rows * inputs + inputs * outputs + rows * outputs),
    }
}

/// What an op's operands are to become. An op takes no optional tensors: without a bias, the weight stands in for it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Form {
    biased: bool,
    gelu: bool,
    products: Products,
}

/// Output `[N, outputs]`, and where an activation follows what its backward wants: on the host its slope, composed what
/// it was applied to.
pub(crate) type Forward<B> = (FloatTensor<B>, Option<FloatTensor<B>>);
/// Gradients of x `[N, inputs]`, weight `[inputs, outputs]` and bias `[outputs]`, those that were asked for.
pub(crate) type Gradient<B> = (Option<FloatTensor<B>>, Option<FloatTensor<B>>, Option<FloatTensor<B>>);

#[backend_extension(
    Flex: cfg(feature = "flex"),
    NdArray: cfg(feature = "ndarray"),
    LibTorch: cfg(feature = "tch"),
    Cube: cfg(feature = "cube"),
    Autodiff,
    Fusion: cfg(feature = "cube")
)]
pub(crate) trait LinearOp: Backend + Gelu {
    #[fusion(default)]
    fn linear_op(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        form: Form,
    ) -> FloatTensor<Self> {
        Self::linear_forward(x, weight, bias, form).0
    }

    #[fusion(default)]
    fn linear_forward(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        form: Form,
    ) -> (FloatTensor<Self>, Option<FloatTensor<Self>>) {
        reference::forward::<Self>(x, weight, bias, form)
    }

    // The macro reads the signature, so that a name for the result does not serve.
    /// `kept` is what the forward kept of GELU, anything without GELU; `wanted` names the gradients of x, weight and bias.
    #[fusion(default)]
    #[allow(clippy::type_complexity)]
    fn linear_backward(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        kept: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        wanted: [bool; 3],
        form: Form,
    ) -> (Option<FloatTensor<Self>>, Option<FloatTensor<Self>>, Option<FloatTensor<Self>>) {
        reference::backward::<Self>(x, weight, kept, grad, wanted, form)
    }
}

#[cfg(feature = "ndarray")]
impl LinearOp for burn::backend::NdArray {}
#[cfg(feature = "cube")]
impl LinearOp for crate::CubeBackend {}

impl<B: LinearOp, C: CheckpointStrategy> LinearOp for Autodiff<B, C> {
    fn linear_op(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        form: Form,
    ) -> FloatTensor<Self> {
        let nodes = [x.node(), weight.node(), bias.node()];
        match Step.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(mut prep) => {
                let nodes = [prep.checkpoint(&x), prep.checkpoint(&weight)];
                let (x, weight, bias) = (x.into_primitive(), weight.into_primitive(), bias.into_primitive());
                let (y, kept) = B::linear_forward(x, weight, bias, form);
                prep.finish(Saved::<B> { nodes, kept, form }, y)
            }
            OpsKind::UnTracked(prep) => {
                let (x, weight, bias) = (x.into_primitive(), weight.into_primitive(), bias.into_primitive());
                prep.finish(B::linear_op(x, weight, bias, form))
            }
        }
    }
}

#[derive(Debug)]
struct Step;

#[derive(Debug, Clone)]
struct Saved<B: Backend> {
    nodes: [NodeId; 2],
    kept: Option<FloatTensor<B>>,
    form: Form,
}

impl<B: LinearOp> Backward<B, 3> for Step {
    type State = Saved<B>;

    fn backward(self, ops: Ops<Saved<B>, 3>, grads: &mut Gradients, checkpointer: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        let Saved { nodes: [x, weight], kept, form } = ops.state;
        let x: FloatTensor<B> = checkpointer.retrieve_node_output(x);
        let weight: FloatTensor<B> = checkpointer.retrieve_node_output(weight);
        let tracked = ops.parents.each_ref().map(Option::is_some);
        let wanted = [tracked[0], tracked[1], tracked[2] && form.biased];
        let kept = kept.unwrap_or_else(|| weight.clone());
        let sizes = [x.shape()[0], x.shape()[1], weight.shape()[1]];
        let work = work(sizes, usize::from(wanted[0]) + usize::from(wanted[1]));
        let (dx, dweight, dbias) =
            timed("linear.backward", work, || B::linear_backward(x, weight, kept, grad, wanted, form));
        for (node, gradient) in ops.parents.into_iter().zip([dx, dweight, dbias]) {
            if let (Some(node), Some(gradient)) = (node, gradient) {
                grads.register::<B>(node.id, gradient);
            }
        }
    }
}
