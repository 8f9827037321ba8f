//! The composed references, which f64 takes on flex: each gradient is the slope of its forward.

use burn::tensor::{DType, Int, Tensor, TensorData};
use kiln_kernels::{
    Activation, AttentionOptions, Cell, Conv2dOptions, RecurrentOptions, attention, conv2d, cross_entropy, embedding,
    gelu, gelu_erf, layer_norm, linear, linear_cross_entropy, recurrent, rms_norm, swiglu,
};

use crate::{
    support::slopes,
    twin::{How, Layout, Twin, near, wide},
};

const WIDE: How = How { layout: Layout::Packed, dtype: DType::F64, scale: 1.0 };

fn some<const D: usize>(shape: [usize; D], seed: u64) -> Tensor<D> {
    Twin::new(shape, seed, WIDE).right.detach()
}

/// Central differences of a function of size 10 in f64 are good to some 1e-9.
fn check<const D: usize, const E: usize>(what: &str, shape: [usize; D], f: impl Fn(Tensor<D>) -> Tensor<E>) {
    let x = some(shape, 1).require_grad();
    let weighted = |x: Tensor<D>| {
        let y = f(x);
        let weights = some(y.dims(), 2);
        (y * weights).sum()
    };
    let gradient = wide(x.grad(&weighted(x.clone()).backward()).unwrap());
    let device = x.device();
    let right = slopes(&wide(x), |moved| {
        let moved = Tensor::from_data(TensorData::new(moved.to_vec(), shape), (&device, DType::F64));
        wide(weighted(moved))[0]
    });
    near(what, gradient, right, 1e-7);
}

#[test]
fn of_activations_and_norms() {
    check("gelu", [3, 4], gelu);
    check("gelu_erf", [3, 4], gelu_erf);
    check("swiglu by its gate", [3, 4], |x| swiglu(x, some([3, 4], 3)));
    check("swiglu by what it gates", [3, 4], |x| swiglu(some([3, 4], 3), x));
    let (gamma, beta) = (some([5], 4), some([5], 5));
    check("layer_norm by x", [3, 5], |x| layer_norm(x, gamma.clone(), Some(beta.clone()), 1e-2));
    check("layer_norm by gamma", [5], |gamma| layer_norm(some([3, 5], 3), gamma, Some(beta.clone()), 1e-2));
    check("layer_norm by beta", [5], |beta| layer_norm(some([3, 5], 3), gamma.clone(), Some(beta), 1e-2));
    check("rms_norm by x", [3, 5], |x| rms_norm(x, gamma.clone(), 1e-2));
    check("rms_norm by gamma", [5], |gamma| rms_norm(some([3, 5], 3), gamma, 1e-2));
}

#[test]
fn of_products_and_losses() {
    let (x, weight, bias) = (some([3, 4], 3), some([4, 2], 4), some([2], 5));
    for form in [Activation::None, Activation::Gelu] {
        check("linear by x", [3, 4], |x| linear(x, weight.clone(), Some(bias.clone()), form));
        check("linear by its weight", [4, 2], |weight| linear(x.clone(), weight, Some(bias.clone()), form));
        check("linear by its bias", [2], |bias| linear(x.clone(), weight.clone(), Some(bias), form));
    }
    let targets = Tensor::<1, Int>::from_ints([2, -1, 0], &x.device());
    for smoothing in [0.0, 0.3] {
        check("cross_entropy", [3, 4], |x| cross_entropy(x, targets.clone(), smoothing));
        let table = some([5, 4], 6);
        let loss = |x, table| linear_cross_entropy(x, table, targets.clone(), smoothing, 0.5);
        check("linear_cross_entropy by x", [3, 4], |x| loss(x, table.clone()));
        check("linear_cross_entropy by its table", [5, 4], |table| loss(x.clone(), table));
    }
    let ids = Tensor::<2, Int>::from_ints([[1, 1, 0], [4, 1, 2]], &x.device());
    check("embedding", [5, 3], |table| embedding(table, ids.clone()));
}

#[test]
fn of_attention_and_convolution() {
    for causal in [true, false] {
        let options = AttentionOptions { heads: 2, kv_heads: 1, causal, dropout: 0.0 };
        let angles = || (some([3, 1], 7).cos(), some([3, 1], 7).sin());
        check("attention", [2, 3, 8], |joint| attention(joint, None, options));
        check("attention with angles", [2, 3, 8], |joint| attention(joint, Some(angles()), options));
    }
    let (weight, bias) = (some([3, 2, 3, 2], 3), some([3], 4));
    let options = Conv2dOptions { stride: [2, 1], padding: [1, 0], relu: true, pool: false };
    check("conv2d by x", [2, 2, 5, 4], |x| conv2d(x, weight.clone(), Some(bias.clone()), options));
    let x = some([2, 2, 5, 4], 5);
    check("conv2d by its weight", [3, 2, 3, 2], |weight| conv2d(x.clone(), weight, Some(bias.clone()), options));
    check("conv2d by its bias", [3], |bias| conv2d(x.clone(), weight.clone(), Some(bias), options));
}

#[test]
fn of_recurrences() {
    for (cell, reverse) in [(Cell::Lstm, false), (Cell::Lstm, true), (Cell::Gru, false), (Cell::Gru, true)] {
        let (options, columns) = (RecurrentOptions { cell, reverse }, cell.gates() * 2);
        let (gates, weight, bias) = (some([2, 4, columns], 3), some([2, columns], 4), some([columns], 5));
        let valid = Tensor::<2>::from_data([[1.0, 1.0, 0.0, 1.0], [0.0, 1.0, 1.0, 0.0]], &gates.device());
        for valid in [None, Some(valid.cast(burn::tensor::FloatDType::F64))] {
            let op = |gates, weight, bias| recurrent(gates, weight, bias, valid.clone(), options);
            check("recurrent by its gates", [2, 4, columns], |gates| op(gates, weight.clone(), bias.clone()));
            check("recurrent by its weight", [2, columns], |weight| op(gates.clone(), weight, bias.clone()));
            check("recurrent by its bias", [columns], |bias| op(gates.clone(), weight.clone(), bias));
        }
    }
}
