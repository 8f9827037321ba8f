//! burn's fusion says which operations a block has, CubeCL that a kernel is launched, both on the thread that runs blocks.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use burn::backend::{
    fusion::observer::{BlockOperations, FusionObservation, FusionObserver},
    ir::{BaseOperationIr, FloatOperationIr, NumericOperationIr, OperationIr, TensorIr, TensorStatus},
};
use cubecl::logging::{LaunchObservation, LaunchObserver};

use super::Launches;

#[derive(Debug)]
pub(super) struct Watch {
    counts: Arc<Counts>,
    _launches: LaunchObservation,
    _blocks: FusionObservation,
}

impl Watch {
    pub(super) fn start() -> Self {
        let counts = Arc::new(Counts::default());
        *OPEN.lock().unwrap_or_else(PoisonError::into_inner) = Some(counts.clone());
        Self {
            _launches: LaunchObservation::new(counts.clone()),
            _blocks: FusionObservation::new(counts.clone()),
            counts,
        }
    }

    pub(super) fn finish(self) -> BTreeMap<String, Launches> {
        *OPEN.lock().unwrap_or_else(PoisonError::into_inner) = None;
        std::mem::take(&mut self.counts.state().kinds)
    }
}

static OPEN: Mutex<Option<Arc<Counts>>> = Mutex::new(None);

/// Adds bytes that go by within an op, where no observer sees them.
pub(crate) fn inside(bytes: usize) {
    let open = OPEN.lock().unwrap_or_else(PoisonError::into_inner).clone();
    if let Some(counts) = open {
        counts.state().pending += bytes as u64;
    }
}

#[derive(Debug, Default)]
struct Counts(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// What the block that runs now is; empty between blocks.
    kind: String,
    /// Bytes that nothing was launched for yet. A block that launches nothing only changes views.
    pending: u64,
    launched: bool,
    kinds: BTreeMap<String, Launches>,
}

impl Counts {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LaunchObserver for Counts {
    fn launched(&self, _kernel: &'static str) {
        let mut state = self.state();
        let kind = if state.kind.is_empty() { "outside of blocks".into() } else { state.kind.clone() };
        let bytes = std::mem::take(&mut state.pending);
        state.launched = true;
        let entry = state.kinds.entry(kind).or_default();
        entry.kernels += 1;
        entry.bytes += bytes;
    }
}

impl FusionObserver for Counts {
    fn registered(&self, _operation: &OperationIr) {}

    fn block_starts(&self, block: BlockOperations<'_>) {
        let mut state = self.state();
        state.kind = kind(block);
        state.pending = bytes(block);
        state.launched = false;
    }

    fn block_ran(&self) {
        let mut state = self.state();
        let (kind, inside) = (std::mem::take(&mut state.kind), std::mem::take(&mut state.pending));
        if let (true, Some(launches)) = (state.launched, state.kinds.get_mut(&kind)) {
            launches.bytes += inside;
        }
    }
}

/// The heaviest of a block's operations.
fn kind(block: BlockOperations<'_>) -> String {
    use {BaseOperationIr as Base, FloatOperationIr as Float, NumericOperationIr as Numeric};
    let of = |operation: &OperationIr| match operation {
        OperationIr::Custom(custom) => (5, custom.id.clone()),
        OperationIr::Float(_, Float::Matmul(_)) => (4, "matmul".into()),
        OperationIr::Float(_, Float::Random(_)) => (3, "random".into()),
        OperationIr::BaseFloat(
            Base::Select(_)
            | Base::SelectAssign(_)
            | Base::Gather(_)
            | Base::Scatter(_)
            | Base::SliceAssign(_)
            | Base::Cat(_),
        ) => (3, "gather, scatter, join".into()),
        OperationIr::NumericFloat(
            _,
            Numeric::Sum(_)
            | Numeric::SumDim(_)
            | Numeric::Mean(_)
            | Numeric::MeanDim(_)
            | Numeric::Max(_)
            | Numeric::MaxDim(_),
        ) => (2, "reduction".into()),
        OperationIr::Module(_) => (1, "convolution, pooling".into()),
        _ => (0, "element-wise".into()),
    };
    block.iter().map(of).max_by_key(|(rank, _)| *rank).map_or("element-wise".into(), |(_, kind)| kind)
}

/// What a block reads from without, and what outlives it.
fn bytes(block: BlockOperations<'_>) -> u64 {
    let mut made = HashMap::new();
    let mut read = HashMap::new();
    for operation in block.iter() {
        if matches!(operation, OperationIr::Drop(_)) {
            for tensor in operation.inputs() {
                made.remove(&tensor.id);
            }
            continue;
        }
        for tensor in operation.inputs() {
            if made.contains_key(&tensor.id) {
                if tensor.status == TensorStatus::ReadWrite {
                    made.remove(&tensor.id);
                }
            } else {
                read.insert(tensor.id, size(tensor));
            }
        }
        made.extend(operation.outputs().map(|tensor| (tensor.id, size(tensor))));
    }
    made.values().chain(read.values()).sum()
}

fn size(tensor: &TensorIr) -> u64 {
    (tensor.shape.num_elements() * tensor.dtype.size()) as u64
}
