//! Cross-entropy composed from burn's own operations, for every backend without an override.

use burn::backend::{
    Backend, TensorMetadata, get_or_init_device_settings,
    tensor::{BoolTensor, FloatTensor, IntTensor},
};
use burn::tensor::{IndexingUpdateOp, Shape};

use super::Forward;

/// Shapes: `logits` `[N, V]`, `targets` `[N]`.
pub(super) fn forward<B: Backend>(logits: FloatTensor<B>, targets: IntTensor<B>, smoothing: f64) -> Forward<B> {
    let classes = logits.shape()[1] as f64;
    let largest = B::float_max_dim(logits.clone(), 1);
    let shifted = B::float_sub(logits, largest.clone()); // [N, V]
    let log_sum = B::float_log(B::float_sum_dim(B::float_exp(shifted.clone()), 1)); // [N, 1]
    let (index, ignored) = index_and_ignored::<B>(targets);
    let picked = B::float_mul_scalar(B::float_gather(1, shifted.clone(), index), (1.0 - smoothing).into());
    let mut expected = picked;
    if smoothing > 0.0 {
        let spread = B::float_mul_scalar(B::float_sum_dim(shifted, 1), (smoothing / classes).into());
        expected = B::float_add(expected, spread);
    }
    let rows = B::float_mask_fill(B::float_sub(log_sum.clone(), expected), ignored, 0f32.into());
    (B::float_sum(rows), largest, log_sum)
}

/// `(softmax - target distribution) * grad`, zero in ignored rows; shapes as in [`forward`], `grad` `[1]`.
pub(super) fn backward<B: Backend>(
    logits: FloatTensor<B>,
    targets: IntTensor<B>,
    (largest, log_sum): (FloatTensor<B>, FloatTensor<B>),
    grad: FloatTensor<B>,
    smoothing: f64,
) -> FloatTensor<B> {
    let [rows, classes] = [logits.shape()[0], logits.shape()[1]];
    let (dtype, device) = (logits.dtype().into(), logits.device());
    let log_softmax = B::float_sub(B::float_sub(logits, largest), log_sum);
    let spread = B::float_sub_scalar(B::float_exp(log_softmax), (smoothing / classes as f64).into());
    let (index, ignored) = index_and_ignored::<B>(targets);
    let certain = B::float_full(Shape::new([rows, 1]), (smoothing - 1.0).into(), &device, dtype);
    let difference = B::float_scatter(1, spread, index, certain, IndexingUpdateOp::Add);
    let ignored = B::bool_expand(ignored, Shape::new([rows, classes]));
    let difference = B::float_mask_fill(difference, ignored, 0f32.into());
    B::float_mul(difference, B::float_reshape(grad, Shape::new([1, 1])))
}

/// The targets as a column of valid indices, and which rows are to be left out; both `[N, 1]`.
fn index_and_ignored<B: Backend>(targets: IntTensor<B>) -> (IntTensor<B>, BoolTensor<B>) {
    let rows = targets.shape()[0];
    let dtype = get_or_init_device_settings::<B>(&targets.device()).bool_dtype;
    let targets = B::int_reshape(targets, Shape::new([rows, 1]));
    let ignored = B::int_lower_elem(targets.clone(), 0i64.into(), dtype);
    (B::int_mask_fill(targets, ignored.clone(), 0i64.into()), ignored)
}
