//! Norm and sum of all gradients of a model, each one pass over memory in one parallel region on the CPU.

#[cfg(feature = "cube")]
mod cube;
#[cfg(feature = "flex")]
mod host;
mod reference;

use burn::tensor::Tensor;

use crate::profile::{Work, timed};
#[cfg(feature = "flex")]
pub(crate) use host::length;

/// The Euclidean norm of all elements together, `[1]`, outside any graph; none for no tensors.
///
/// `grads` are f32, of one device. Nothing waits for the device. On the CPU squares are summed in f64, in chunks of a
/// fixed size that are added in order: the same gradients give the same bits on any number of threads.
pub fn norm(grads: Vec<Tensor<2>>) -> Option<Tensor<1>> {
    let elements = grads.iter().map(|grad| grad.shape().num_elements()).sum();
    timed("gradient norm", Work::per_element(elements, 2.0, 1.0), || {
        #[cfg(feature = "flex")]
        if let Some(norm) = host::norm::<burn::backend::Flex>(&grads) {
            return Some(norm);
        }
        #[cfg(feature = "tch")]
        if let Some(norm) = host::norm::<burn::backend::LibTorch>(&grads) {
            return Some(norm);
        }
        #[cfg(feature = "cube")]
        if let Some(norm) = cube::norm(&grads) {
            return Some(norm);
        }
        reference::norm(grads)
    })
}

/// `sums + grads`, tensor by tensor (both `[n]`, f32), in place on the CPU where nobody else holds a sum.
pub fn accumulate(sums: Vec<Tensor<1>>, grads: Vec<Tensor<1>>) -> Vec<Tensor<1>> {
    assert_eq!(sums.len(), grads.len(), "{} sums for {} gradients", sums.len(), grads.len());
    let elements = sums.iter().map(|sum| sum.shape().num_elements()).sum();
    let work = Work::per_element(elements, 1.0, 3.0);
    #[cfg(feature = "flex")]
    let (sums, grads) = match host::pairs::<burn::backend::Flex>((sums, grads)) {
        Ok(pairs) => return timed("accumulate", work, || host::accumulate::<burn::backend::Flex>(pairs)),
        Err(elsewhere) => elsewhere,
    };
    #[cfg(feature = "tch")]
    let (sums, grads) = match host::pairs::<burn::backend::LibTorch>((sums, grads)) {
        Ok(pairs) => return timed("accumulate", work, || host::accumulate::<burn::backend::LibTorch>(pairs)),
        Err(elsewhere) => elsewhere,
    };
    // An addition of nothing takes what a GPU fuses with it along.
    let add = |(sum, grad): (Tensor<1>, Tensor<1>)| if sum.shape().num_elements() == 0 { sum } else { sum.add(grad) };
    timed("accumulate", work, || sums.into_iter().zip(grads).map(add).collect())
}
