//! Composed from burn's own operations, for every device without an override.

use burn::tensor::Tensor;

/// Rows are summed before their sums: a whole-tensor sum may have no order of addition, and loses more digits.
pub(super) fn norm(grads: Vec<Tensor<2>>) -> Option<Tensor<1>> {
    let squares = grads.into_iter().map(|grad| grad.square().sum_dim(1).sum());
    squares.reduce(Tensor::add).map(Tensor::sqrt)
}
