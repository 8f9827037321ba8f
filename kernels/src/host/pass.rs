//! One pass over the memory of many tensors at once: small ones cost no waking of threads each.

use burn::backend::{Flex, flex::FlexTensor};
use burn::tensor::{DType, Tensor};
use rayon::prelude::*;

use super::{packed, tensor};
use crate::profile::{Work, timed};

/// Elements of a tensor that one task takes: what a rule touches of them stays in a core's own cache.
///
/// It depends on nothing, so that sums over chunks have the same bits everywhere.
pub(crate) const PASS: usize = 16 * 1024;

/// `op` of every task, in order, in one parallel region if the `elements` of all tasks are worth it.
pub(crate) fn region<T: Send, R: Send>(tasks: Vec<T>, elements: usize, op: impl Fn(T) -> R + Send + Sync) -> Vec<R> {
    if elements <= PASS { tasks.into_iter().map(op).collect() } else { tasks.into_par_iter().map(op).collect() }
}

/// A second handle on a plain f32 tensor of this device, none on any other.
pub(crate) fn flex<const D: usize>(tensor: &Tensor<D>) -> Option<FlexTensor> {
    let tensor = (tensor.dtype() == DType::F32).then(|| tensor.clone())?;
    tensor.try_into_primitive::<Flex>().ok()
}

/// A tensor of this device as burn's.
pub(crate) fn plain<const D: usize>(tensor: FlexTensor) -> Tensor<D> {
    Tensor::from_primitive::<Flex>(tensor)
}

/// The tensor in order in a buffer that nobody else holds, so that it can be written: itself, or a copy.
pub(crate) fn owned(shared: FlexTensor) -> FlexTensor {
    let shared = packed(shared);
    if shared.is_unique() {
        return shared;
    }
    let work = Work::per_element(shared.layout().num_elements(), 0.0, 2.0);
    timed("copy", work, || tensor(shared.storage::<f32>().to_vec(), shared.layout().shape().clone()))
}
