//! A classifier's last layer and its loss in one op, a chunk of rows at a time.
//!
//! The logits of a language model are its largest tensor: `[N, V]` floats, several times in burn's composition. Here
//! they exist for one chunk of rows only; the forward turns a chunk into its gradient at once and takes it through the
//! layer, so that what is kept for the backward has the sizes of `x` and of the weight (Hsu et al. 2024, section 3.2).

#[cfg(feature = "cube")]
mod cube;
#[cfg(feature = "flex")]
mod host;
mod reference;

use burn::backend::{
    Backend, Dispatch,
    autodiff::{
        Autodiff,
        checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
        grads::Gradients,
        ops::{Backward, Ops, OpsKind},
    },
    backend_extension,
    tensor::{FloatTensor, IntTensor},
};
use burn::tensor::{Int, Tensor};

use crate::{
    cross_entropy::CrossEntropy,
    precision::{Products, products},
    profile::{Work, timed},
};

/// `scale` times the sum over rows of the cross-entropy between softmax(`x tableᵀ`) and the targets.
///
/// Shapes: `x` `[N, width]`, `table` `[V, width]` (an output layer, a class a row, or a tied embedding), `targets`
/// `[N]`, result `[1]`. Targets and `smoothing` are as in [`cross_entropy`](crate::cross_entropy()). Both tensors have
/// one dtype. With `scale` 1 / (rows that count) the result is the mean, and its backward multiplies by nothing.
pub fn linear_cross_entropy(
    x: Tensor<2>,
    table: Tensor<2>,
    targets: Tensor<1, Int>,
    smoothing: f64,
    scale: f64,
) -> Tensor<1> {
    let form = Form { smoothing, scale, products: products() };
    let ([rows, width], [classes, _]) = (x.dims(), table.dims());
    // An autodiff forward computes the gradients as well.
    let work = work([rows, width, classes], if x.is_autodiff() { 3 } else { 1 });
    let (x, table, targets) = (x.into_dispatch(), table.into_dispatch(), targets.into_dispatch());
    let loss = timed("linear_cross_entropy", work, || Dispatch::linear_cross_entropy(x, table, targets, form));
    Tensor::from_dispatch(loss)
}

/// Of `products` products of these sizes; the logits count as written and read once each.
fn work(sizes: [usize; 3], products: usize) -> Work {
    let [rows, width, classes] = sizes.map(|n| n as f64);
    let products = products as f64;
    Work {
        flops: products * 2.0 * rows * width * classes + 2.0 * rows * classes,
        bytes: products * 4.0 * (rows * width + width * classes + rows * classes),
    }
}

/// What is computed of the operands.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Form {
    smoothing: f64,
    scale: f64,
    #[cfg_attr(not(feature = "flex"), allow(dead_code))]
    products: Products,
}

/// The loss `[1]` and its gradients by x `[N, width]` and by the table `[V, width]`.
pub(crate) type Trained<B> = (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>);

#[backend_extension(
    Flex: cfg(feature = "flex"),
    NdArray: cfg(feature = "ndarray"),
    LibTorch: cfg(feature = "tch"),
    Cube: cfg(feature = "cube"),
    Autodiff,
    Fusion: cfg(feature = "cube")
)]
pub(crate) trait LinearCrossEntropy: Backend + CrossEntropy {
    #[fusion(meta = cube::loss_spec)]
    fn linear_cross_entropy(
        x: FloatTensor<Self>,
        table: FloatTensor<Self>,
        targets: IntTensor<Self>,
        form: Form,
    ) -> FloatTensor<Self> {
        reference::loss::<Self>(x, table, targets, form)
    }

    #[fusion(meta = cube::trained_spec)]
    fn linear_cross_entropy_trained(
        x: FloatTensor<Self>,
        table: FloatTensor<Self>,
        targets: IntTensor<Self>,
        form: Form,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        reference::trained::<Self>(x, table, targets, form)
    }

    /// `gradient` times `by` (`[1]`).
    #[fusion(default)]
    fn scaled_gradient(gradient: FloatTensor<Self>, by: FloatTensor<Self>) -> FloatTensor<Self> {
        reference::scaled::<Self>(gradient, by)
    }
}

#[cfg(feature = "ndarray")]
impl LinearCrossEntropy for burn::backend::NdArray {}

impl<B: LinearCrossEntropy, C: CheckpointStrategy> LinearCrossEntropy for Autodiff<B, C> {
    fn linear_cross_entropy(
        x: FloatTensor<Self>,
        table: FloatTensor<Self>,
        targets: IntTensor<Self>,
        form: Form,
    ) -> FloatTensor<Self> {
        match Step.prepare::<C>([x.node(), table.node()]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let (loss, dx, dtable) =
                    B::linear_cross_entropy_trained(x.into_primitive(), table.into_primitive(), targets, form);
                prep.finish(Saved::<B> { dx, dtable }, loss)
            }
            OpsKind::UnTracked(prep) => {
                prep.finish(B::linear_cross_entropy(x.into_primitive(), table.into_primitive(), targets, form))
            }
        }
    }
}

#[derive(Debug)]
struct Step;

#[derive(Debug, Clone)]
struct Saved<B: Backend> {
    dx: FloatTensor<B>,
    dtable: FloatTensor<B>,
}

impl<B: LinearCrossEntropy> Backward<B, 2> for Step {
    type State = Saved<B>;

    fn backward(self, ops: Ops<Saved<B>, 2>, grads: &mut Gradients, _checkpointer: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        let Saved { dx, dtable } = ops.state;
        for (node, gradient) in ops.parents.into_iter().zip([dx, dtable]) {
            if let Some(node) = node {
                grads.register::<B>(node.id, B::scaled_gradient(gradient, grad.clone()));
            }
        }
    }
}
