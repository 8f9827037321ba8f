//! Dropout whose mask is a function of a seed.
//!
//! burn draws a tensor of random numbers, one thread and one number at a time, and keeps it for the backward. On the host
//! this draws a seed alone: the mask is hashed out of it, and once more in the backward.

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
    tensor::FloatTensor,
};
use burn::tensor::Tensor;

/// Zeroes each element with this probability and divides the others by what is left of 1, so that the mean stays
/// (Srivastava et al. 2014).
///
/// Shapes: any, result as `x`. What is dropped follows from the device's seed. The caller passes on what is not to be
/// trained.
///
/// # Panics
/// Unless the probability is at least 0 and below 1.
pub fn dropout<const D: usize>(x: Tensor<D>, probability: f64) -> Tensor<D> {
    assert!((0.0..1.0).contains(&probability), "a dropout of {probability} is not at least 0 and below 1");
    if probability == 0.0 || x.shape().num_elements() == 0 {
        return x;
    }
    Tensor::from_dispatch(Dispatch::dropout_op(x.into_dispatch(), probability))
}

#[backend_extension(
    Flex: cfg(feature = "flex"),
    NdArray: cfg(feature = "ndarray"),
    LibTorch: cfg(feature = "tch"),
    Cube: cfg(feature = "cube"),
    Autodiff,
    Fusion: cfg(feature = "cube")
)]
pub(crate) trait Dropout: Backend {
    #[fusion(default)]
    fn dropout_op(x: FloatTensor<Self>, probability: f64) -> FloatTensor<Self> {
        let noise = Self::dropout_noise(x.clone(), probability);
        Self::dropout_apply(x, noise, probability)
    }

    /// What decides, drawn anew: by default what each element of `x` is multiplied by.
    #[fusion(default)]
    fn dropout_noise(x: FloatTensor<Self>, probability: f64) -> FloatTensor<Self> {
        reference::noise::<Self>(x, probability)
    }

    /// The output for `x`, and the gradient of `x` for that of the output.
    #[fusion(default)]
    fn dropout_apply(x: FloatTensor<Self>, noise: FloatTensor<Self>, probability: f64) -> FloatTensor<Self> {
        reference::apply::<Self>(x, noise, probability)
    }
}

#[cfg(feature = "ndarray")]
impl Dropout for burn::backend::NdArray {}
#[cfg(feature = "cube")]
impl Dropout for crate::CubeBackend {}

impl<B: Dropout, C: CheckpointStrategy> Dropout for Autodiff<B, C> {
    fn dropout_op(x: FloatTensor<Self>, probability: f64) -> FloatTensor<Self> {
        let prepared = Step.prepare::<C>([x.node()]).compute_bound().stateful();
        let x = x.into_primitive();
        let noise = B::dropout_noise(x.clone(), probability);
        match prepared {
            OpsKind::Tracked(prep) => {
                let y = B::dropout_apply(x, noise.clone(), probability);
                prep.finish(Saved::<B> { noise, probability }, y)
            }
            OpsKind::UnTracked(prep) => prep.finish(B::dropout_apply(x, noise, probability)),
        }
    }
}

#[derive(Debug)]
struct Step;

#[derive(Debug, Clone)]
struct Saved<B: Backend> {
    noise: FloatTensor<B>,
    probability: f64,
}

impl<B: Dropout> Backward<B, 1> for Step {
    type State = Saved<B>;

    fn backward(self, ops: Ops<Saved<B>, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let [parent] = ops.parents;
        let grad = grads.consume::<B>(&ops.node);
        if let Some(node) = parent {
            let Saved { noise, probability } = ops.state;
            grads.register::<B>(node.id, B::dropout_apply(grad, noise, probability));
        }
    }
}
