//! One pass over the memory of many tensors at once: small ones cost no waking of threads each.

use rayon::prelude::*;

use super::{HostTensor, copied, packed};
use crate::profile::{Work, timed};

/// Elements of a tensor that one task takes: what a rule touches of them stays in a core's own cache.
///
/// It depends on nothing, so that sums over chunks have the same bits everywhere.
pub(crate) const PASS: usize = 16 * 1024;

/// `op` of every task, in order, in one parallel region if the `elements` of all tasks are worth it.
pub(crate) fn region<T: Send, R: Send>(tasks: Vec<T>, elements: usize, op: impl Fn(T) -> R + Send + Sync) -> Vec<R> {
    if elements <= PASS { tasks.into_iter().map(op).collect() } else { tasks.into_par_iter().map(op).collect() }
}

/// The tensor in order in a buffer that nobody else holds, so that it can be written: itself, or a copy.
pub(crate) fn owned<T: HostTensor>(shared: T) -> T {
    let shared = packed(shared);
    if shared.can_mut() {
        return shared;
    }
    let work = Work::per_element(shared.shape().num_elements(), 0.0, 2.0);
    timed("copy", work, || copied(&shared))
}
