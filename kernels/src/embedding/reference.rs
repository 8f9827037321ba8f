//! Look-up composed from burn's own operations, for every backend without an override.

use burn::backend::{
    Backend,
    tensor::{FloatTensor, IntTensor},
};
use burn::tensor::IndexingUpdateOp;

/// Shapes: `table` `[V, width]`, `ids` `[N]`; result `[N, width]`.
pub(super) fn forward<B: Backend>(table: FloatTensor<B>, ids: IntTensor<B>) -> FloatTensor<B> {
    B::float_select(table, 0, ids)
}

/// Shapes as in [`forward`]; `grad` `[N, width]`.
pub(super) fn add_rows<B: Backend>(table: FloatTensor<B>, ids: IntTensor<B>, grad: FloatTensor<B>) -> FloatTensor<B> {
    B::float_select_assign(table, 0, ids, grad, IndexingUpdateOp::Add)
}
