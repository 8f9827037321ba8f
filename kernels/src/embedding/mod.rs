//! Rows of a table by index, and a backward that adds to the table's gradient where it already is.
//!
//! A language model's table is its largest parameter. burn makes a table of zeros for the few rows that a batch looked
//! up and then adds it to the gradient that a tied output layer left: three passes over all of it.

#[cfg(feature = "cube")]
mod cube;
#[cfg(feature = "flex")]
mod host;
mod reference;

use burn::backend::{
    Backend, Dispatch, TensorMetadata,
    autodiff::{
        Autodiff,
        checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
        grads::Gradients,
        ops::{Backward, Ops, OpsKind},
    },
    backend_extension,
    tensor::{FloatTensor, IntTensor},
};
use burn::tensor::{FloatDType, Int, Shape, Tensor};

use crate::profile::{Work, timed};

/// Rows `ids` of `table`: `[V, width]` and `[b, t]` to `[b, t, width]`.
///
/// Ids below 0 or from `V` on panic on the host; the other devices leave them undefined.
pub fn embedding(table: Tensor<2>, ids: Tensor<2, Int>) -> Tensor<3> {
    look_up(table, ids, false)
}

/// As [`embedding`], of a table made by [`tied`] that an output layer uses as well.
///
/// # Panics
/// In a backward from a loss that does not depend on the output layer.
pub fn tied_embedding(table: Tensor<2>, ids: Tensor<2, Int>) -> Tensor<3> {
    look_up(table, ids, true)
}

fn look_up(table: Tensor<2>, ids: Tensor<2, Int>, tied: bool) -> Tensor<3> {
    let ([b, t], [_, width]) = (ids.dims(), table.dims());
    let ids = ids.reshape([b * t]).into_dispatch();
    let table = table.into_dispatch();
    let y = timed("embedding.forward", work(b * t * width, 2), || Dispatch::embedding_op(table, ids, tied));
    Tensor::<2>::from_dispatch(y).reshape([b, t, width])
}

/// Of `passes` over `elements`.
fn work(elements: usize, passes: usize) -> Work {
    Work { flops: 0.0, bytes: (4 * passes * elements) as f64 }
}

/// The table itself, as a node where the gradients of its uses meet before they reach the parameter.
pub fn tied(table: Tensor<2>) -> Tensor<2> {
    Tensor::from_dispatch(Dispatch::tie(table.into_dispatch()))
}

#[backend_extension(
    Flex: cfg(feature = "flex"),
    NdArray: cfg(feature = "ndarray"),
    LibTorch: cfg(feature = "tch"),
    Cube: cfg(feature = "cube"),
    Autodiff,
    Fusion: cfg(feature = "cube")
)]
pub(crate) trait EmbeddingOp: Backend {
    #[fusion(default)]
    fn embedding_op(table: FloatTensor<Self>, ids: IntTensor<Self>, _tied: bool) -> FloatTensor<Self> {
        reference::forward::<Self>(table, ids)
    }

    /// Adds the rows of `grad` (`[N, width]`) to the rows `ids` of `table`.
    #[fusion(dtype = table, shape = table)]
    fn add_rows(table: FloatTensor<Self>, ids: IntTensor<Self>, grad: FloatTensor<Self>) -> FloatTensor<Self> {
        reference::add_rows::<Self>(table, ids, grad)
    }

    #[fusion(default)]
    fn tie(table: FloatTensor<Self>) -> FloatTensor<Self> {
        table
    }
}

#[cfg(feature = "ndarray")]
impl EmbeddingOp for burn::backend::NdArray {}

impl<B: EmbeddingOp, C: CheckpointStrategy> EmbeddingOp for Autodiff<B, C> {
    fn embedding_op(table: FloatTensor<Self>, ids: IntTensor<Self>, tied: bool) -> FloatTensor<Self> {
        match LookUp.prepare::<C>([table.node()]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let table = table.into_primitive();
                let saved = Saved::<B> {
                    ids: ids.clone(),
                    shape: table.shape(),
                    device: table.device(),
                    dtype: table.dtype().into(),
                    tied,
                };
                prep.finish(saved, B::embedding_op(table, ids, tied))
            }
            OpsKind::UnTracked(prep) => prep.finish(B::embedding_op(table.into_primitive(), ids, tied)),
        }
    }

    fn tie(table: FloatTensor<Self>) -> FloatTensor<Self> {
        match Tie.prepare::<C>([table.node()]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish((), table.into_primitive()),
            OpsKind::UnTracked(prep) => prep.finish(table.into_primitive()),
        }
    }
}

#[derive(Debug)]
struct LookUp;

#[derive(Debug, Clone)]
struct Saved<B: Backend> {
    ids: IntTensor<B>,
    shape: Shape,
    device: B::Device,
    dtype: FloatDType,
    tied: bool,
}

impl<B: EmbeddingOp> Backward<B, 1> for LookUp {
    type State = Saved<B>;

    fn backward(self, ops: Ops<Saved<B>, 1>, grads: &mut Gradients, _checkpointer: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        let [Some(table)] = ops.parents else { return };
        let Saved { ids, shape, device, dtype, tied } = ops.state;
        let work = work(grad.shape().num_elements(), 3);
        // The output layer comes later in the forward, so its part is already there; taking it out leaves no second
        // handle, and the rows are added in place.
        let sum = if tied { grads.consume::<B>(&table) } else { B::float_zeros(shape, &device, dtype) };
        grads.register::<B>(table.id, timed("embedding.backward", work, || B::add_rows(sum, ids, grad)));
    }
}

#[derive(Debug)]
struct Tie;

impl<B: EmbeddingOp> Backward<B, 1> for Tie {
    type State = ();

    fn backward(self, ops: Ops<(), 1>, grads: &mut Gradients, _checkpointer: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        if let [Some(table)] = ops.parents {
            grads.register::<B>(table.id, grad);
        }
    }
}
