//! Softmax, negative log-likelihood and label smoothing in one op.
//!
//! burn's `log_softmax().gather()` keeps several `[N, V]` tensors for its backward; this keeps the logits and two
//! numbers a row, and the backward writes its result over the logits where nobody else holds them.

#[cfg(feature = "flex")]
pub(crate) mod host;
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
    tensor::{FloatTensor, IntTensor},
};
use burn::tensor::{DType, FloatDType, Int, Tensor};

use crate::profile::{Work, timed};

/// The sum over rows of the cross-entropy between softmax(`logits`) and the targets.
///
/// Shapes: `logits` `[N, V]`, `targets` `[N]`, result `[1]`. A negative target leaves its row out; the caller divides
/// by the number of rows that count. With `smoothing` ε a row's target distribution is `(1 - ε)` on the target plus
/// `ε / V` everywhere (Szegedy et al. 2015). Half-precision logits are widened to f32 first.
///
/// On the host a target of `V` or more panics; the other devices leave it undefined.
pub fn cross_entropy(logits: Tensor<2>, targets: Tensor<1, Int>, smoothing: f64) -> Tensor<1> {
    let logits = match logits.dtype() {
        DType::F32 | DType::F64 => logits,
        _ => logits.cast(FloatDType::F32),
    };
    let work = Work::per_element(logits.shape().num_elements(), 4.0, 1.0);
    let (logits, targets) = (logits.into_dispatch(), targets.into_dispatch());
    let loss = timed("cross_entropy.forward", work, || Dispatch::cross_entropy(logits, targets, smoothing));
    Tensor::from_dispatch(loss)
}

/// A forward's result: the loss `[1]`, and of every row `[N, 1]` the largest logit and `ln Σ exp(logit - largest)`.
///
/// The two stay apart because their sum would lose the digits of the logarithm under a large logit.
pub(crate) type Forward<B> = (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>);

#[backend_extension(
    Flex: cfg(feature = "flex"),
    NdArray: cfg(feature = "ndarray"),
    LibTorch: cfg(feature = "tch"),
    Cube: cfg(feature = "cube"),
    Autodiff,
    Fusion: cfg(feature = "cube")
)]
pub(crate) trait CrossEntropy: Backend {
    #[fusion(default)]
    fn cross_entropy(logits: FloatTensor<Self>, targets: IntTensor<Self>, smoothing: f64) -> FloatTensor<Self> {
        Self::cross_entropy_forward(logits, targets, smoothing).0
    }

    #[fusion(default)]
    fn cross_entropy_forward(
        logits: FloatTensor<Self>,
        targets: IntTensor<Self>,
        smoothing: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        reference::forward::<Self>(logits, targets, smoothing)
    }

    #[fusion(default)]
    fn cross_entropy_backward(
        logits: FloatTensor<Self>,
        targets: IntTensor<Self>,
        largest: FloatTensor<Self>,
        log_sum: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        smoothing: f64,
    ) -> FloatTensor<Self> {
        reference::backward::<Self>(logits, targets, (largest, log_sum), grad, smoothing)
    }
}

#[cfg(feature = "ndarray")]
impl CrossEntropy for burn::backend::NdArray {}
#[cfg(feature = "cube")]
impl CrossEntropy for crate::CubeBackend {}

impl<B: CrossEntropy, C: CheckpointStrategy> CrossEntropy for Autodiff<B, C> {
    fn cross_entropy(logits: FloatTensor<Self>, targets: IntTensor<Self>, smoothing: f64) -> FloatTensor<Self> {
        match Step.prepare::<C>([logits.node()]).compute_bound().stateful() {
            OpsKind::Tracked(mut prep) => {
                let node = prep.checkpoint(&logits);
                let (loss, largest, log_sum) =
                    B::cross_entropy_forward(logits.into_primitive(), targets.clone(), smoothing);
                prep.finish(Saved::<B> { logits: node, targets, largest, log_sum, smoothing }, loss)
            }
            OpsKind::UnTracked(prep) => {
                prep.finish(B::cross_entropy_forward(logits.into_primitive(), targets, smoothing).0)
            }
        }
    }
}

#[derive(Debug)]
struct Step;

#[derive(Debug, Clone)]
struct Saved<B: Backend> {
    logits: NodeId,
    targets: IntTensor<B>,
    largest: FloatTensor<B>,
    log_sum: FloatTensor<B>,
    smoothing: f64,
}

impl<B: CrossEntropy> Backward<B, 1> for Step {
    type State = Saved<B>;

    fn backward(self, ops: Ops<Saved<B>, 1>, grads: &mut Gradients, checkpointer: &mut Checkpointer) {
        let [logits] = ops.parents;
        let grad = grads.consume::<B>(&ops.node);
        let saved = ops.state;
        let values: FloatTensor<B> = checkpointer.retrieve_node_output(saved.logits);
        if let Some(node) = logits {
            let work = Work::per_element(values.shape().num_elements(), 5.0, 2.0);
            let dlogits = timed("cross_entropy.backward", work, || {
                B::cross_entropy_backward(values, saved.targets, saved.largest, saved.log_sum, grad, saved.smoothing)
            });
            grads.register::<B>(node.id, dlogits);
        }
    }
}
