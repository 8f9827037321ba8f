//! The convolution composed from burn's own operations, for every backend without an override.

use burn::backend::{Backend, TensorMetadata, tensor::FloatTensor};
use burn::tensor::{Shape, ops::ConvOptions};

use super::Conv2dOptions;

/// Shapes: `x` `[b, inputs, h, w]`, `weight` `[outputs, inputs, kh, kw]`, `bias` `[outputs]`.
pub(super) fn forward<B: Backend>(
    x: FloatTensor<B>,
    weight: FloatTensor<B>,
    bias: FloatTensor<B>,
    options: Conv2dOptions,
) -> FloatTensor<B> {
    let y = B::conv2d(x, weight, Some(bias), burns(options));
    let y = if options.relu { B::relu(y) } else { y };
    if options.pool { B::max_pool2d(y, [2, 2], [2, 2], [0, 0], [1, 1], false) } else { y }
}

/// The gradient of the sum before ReLU: `grad` where the output is not cut.
fn before_relu<B: Backend>(y: FloatTensor<B>, grad: FloatTensor<B>, options: Conv2dOptions) -> FloatTensor<B> {
    if options.relu { B::relu_backward(y, grad) } else { grad }
}

/// Gradient of `x`; `y` and `grad` are `[b, outputs, h', w']`.
pub(super) fn backward_x<B: Backend>(
    x: FloatTensor<B>,
    weight: FloatTensor<B>,
    (y, grad): (FloatTensor<B>, FloatTensor<B>),
    options: Conv2dOptions,
) -> FloatTensor<B> {
    B::conv2d_x_backward(x, weight, before_relu::<B>(y, grad, options), burns(options))
}

/// Gradients of `weight` and of the bias.
pub(super) fn backward_weights<B: Backend>(
    x: FloatTensor<B>,
    weight: FloatTensor<B>,
    (y, grad): (FloatTensor<B>, FloatTensor<B>),
    options: Conv2dOptions,
) -> (FloatTensor<B>, FloatTensor<B>) {
    let grad = before_relu::<B>(y, grad, options);
    let outputs = weight.shape()[0];
    let sums = (2..4).rev().fold(B::float_sum_dim(grad.clone(), 0), |sum, dimension| B::float_sum_dim(sum, dimension));
    let dbias = B::float_reshape(sums, Shape::new([outputs]));
    (B::conv2d_weight_backward(x, weight, grad, burns(options)), dbias)
}

fn burns(options: Conv2dOptions) -> ConvOptions<2> {
    ConvOptions::new(options.stride, options.padding, [1, 1], 1)
}
