//! What a GPU's queue is given: kernels, and the bytes that go by. Both are the same on a software driver and on a GPU.

#[cfg(feature = "cube")]
mod cube;

use std::collections::BTreeMap;

#[cfg(feature = "cube")]
pub(crate) use cube::inside;

/// What one kind of work gave to the queue.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Launches {
    /// Kernels.
    pub kernels: u64,
    /// Bytes of the operands that were read and the results that were written, each once a block of fused operations.
    pub bytes: u64,
}

/// Counts everything that is launched until it is asked for.
#[derive(Debug)]
pub struct Watch {
    #[cfg(feature = "cube")]
    here: cube::Watch,
}

impl Watch {
    /// Begins to count. The caller waits for its device before, and again before [`Watch::finish`].
    ///
    /// None in a build without a device that has a queue of kernels.
    pub fn start() -> Option<Self> {
        #[cfg(feature = "cube")]
        return Some(Self { here: cube::Watch::start() });
        #[cfg(not(feature = "cube"))]
        None
    }

    /// What was launched, by kind of work: an op of this crate by its name, `matmul`, `reduction`, `element-wise`.
    pub fn finish(self) -> BTreeMap<String, Launches> {
        #[cfg(feature = "cube")]
        return self.here.finish();
        #[cfg(not(feature = "cube"))]
        BTreeMap::new()
    }
}
