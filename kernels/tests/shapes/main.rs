//! Every op on any shape, layout, dtype and size of numbers on flex, against its composed reference in f64, which
//! `slopes` checks by finite differences.
//!
//! Tolerances count roundings of the dtype, relative to the largest number of a result: an element is off by one for
//! each operation behind it, and a sum by the root of its length where errors are independent.
#![cfg(feature = "flex")]
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

#[path = "../support/mod.rs"]
mod support;

mod slopes;
mod twin;

use std::sync::{Mutex, PoisonError};

use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use kiln_kernels::{
    Activation, AttentionOptions, Cell, Conv2dOptions, Products, RecurrentOptions, accumulate, attention, conv2d,
    cross_entropy, dropout, embedding, gelu, gelu_erf, layer_norm, linear, linear_cross_entropy, norm, recurrent,
    rms_norm, swiglu, with_products,
};
use proptest::prelude::*;
use twin::{How, Twin, how, near, same, wide};

/// Bounds what a normalisation magnifies to 10 times.
const EPS: f64 = 1e-2;

/// One in so many rows is left out, the others name a class.
fn targets(rows: usize, classes: usize) -> Tensor<1, Int> {
    let targets = (0..rows).map(|i| if i % 5 == 3 { -1 } else { (i * 7 % classes) as i64 }).collect::<Vec<_>>();
    Tensor::from_data(TensorData::new(targets, [rows]), &Device::flex().autodiff())
}

/// Rows and columns: none, one, odd, and more than one task.
fn sizes() -> impl Strategy<Value = [usize; 2]> {
    prop_oneof![8 => [1usize..40, 1usize..70], 1 => [1usize..2, 1usize..2000], 1 => [300usize..700, 60usize..70]]
}

fn products(narrow: bool) -> Products {
    if narrow { Products::Bf16 } else { Products::F32 }
}

/// Half of proptest's 256, or of `PROPTEST_CASES`.
fn cases() -> ProptestConfig {
    let all = ProptestConfig::default();
    ProptestConfig { cases: all.cases.div_ceil(2), failure_persistence: None, ..all }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn activations(shape in sizes(), how in how(30.0)) {
        let what = |op: &str| format!("{op} {shape:?} {how:?}");
        let (x, up) = (Twin::new(shape, 1, how), Twin::new(shape, 2, how));
        same(&what("gelu"), x.both(gelu), &[("x", &x)], how, 30.0);
        same(&what("gelu_erf"), x.both(gelu_erf), &[("x", &x)], how, 30.0);
        let y = Twin { here: swiglu(x.here.clone(), up.here.clone()), right: swiglu(x.right.clone(), up.right.clone()) };
        same(&what("swiglu"), y, &[("gate", &x), ("up", &up)], how, 30.0);
    }

    #[test]
    fn norms(shape in sizes(), how in how(1e4)) {
        let what = |op: &str| format!("{op} {shape:?} {how:?}");
        let (x, gamma, beta) =
            (Twin::new(shape, 1, how), Twin::new([shape[1]], 2, how.small()), Twin::new([shape[1]], 3, how.small()));
        let op = |x, gamma, beta| layer_norm(x, gamma, Some(beta), EPS);
        let y = Twin {
            here: op(x.here.clone(), gamma.here.clone(), beta.here.clone()),
            right: op(x.right.clone(), gamma.right.clone(), beta.right.clone()),
        };
        // Rows of nearly equal numbers lose digits to the mean, and EPS bounds how many are missed where they are small.
        let lost = if how.scale > 1.0 && shape[1] < 8 { 1e4 } else { 10.0 };
        same(&what("layer_norm"), y, &[("x", &x), ("gamma", &gamma), ("beta", &beta)], how, 4.0 * lost);
        let op = |x, gamma| rms_norm(x, gamma, EPS);
        let y = Twin { here: op(x.here.clone(), gamma.here.clone()), right: op(x.right.clone(), gamma.right.clone()) };
        same(&what("rms_norm"), y, &[("x", &x), ("gamma", &gamma)], how, 30.0);
    }

    #[test]
    fn linear_layers([rows, inputs] in sizes(), outputs in 1usize..40, how in how(30.0), (gelu, narrow) in any::<(bool, bool)>()) {
        let what = format!("linear {rows} {inputs} {outputs} {gelu} {narrow} {how:?}");
        let form = if gelu { Activation::Gelu } else { Activation::None };
        let (x, weight, bias) = (
            Twin::new([rows, inputs], 1, how),
            Twin::new([inputs, outputs], 2, how.small()),
            Twin::new([outputs], 3, how.small()),
        );
        let y = Twin {
            here: with_products(products(narrow), || {
                linear(x.here.clone(), weight.here.clone(), Some(bias.here.clone()), form)
            }),
            right: linear(x.right.clone(), weight.right.clone(), Some(bias.right.clone()), form),
        };
        // GELU's slope is off by as much as the sum that it is taken at, however near that is to 0.
        let sums = if gelu { f64::from(how.scale) } else { 1.0 };
        same(&what, y, &[("x", &x), ("weight", &weight), ("bias", &bias)], how.products(narrow), 200.0 * sums);
    }

    #[test]
    fn losses(
        [rows, width] in sizes(), classes in 1usize..300, how in how(1e4),
        smoothing in prop::sample::select(vec![0.0, 0.2]), narrow: bool,
    ) {
        let what = |op: &str| format!("{op} {rows} {width} {classes} {smoothing} {how:?}");
        let logits = Twin::new([rows, classes], 1, how);
        let y = logits.both(|x| cross_entropy(x, targets(rows, classes), smoothing));
        same(&what("cross_entropy"), y, &[("logits", &logits)], how, 5.0);
        // Logits of some units, as a model's: a gradient's relative error is its logit's error.
        let (how, scale) = (how.small(), 4.0 / (width as f32).sqrt());
        let (x, table) = (Twin::new([rows, width], 1, How { scale, ..how }), Twin::new([classes, width], 2, how));
        let op = |x, table| linear_cross_entropy(x, table, targets(rows, classes), smoothing, 1.0 / rows as f64);
        let y = Twin {
            here: with_products(products(narrow), || op(x.here.clone(), table.here.clone())),
            right: op(x.right.clone(), table.right.clone()),
        };
        same(&what("linear_cross_entropy"), y, &[("x", &x), ("table", &table)], how.products(narrow), 100.0);
    }

    #[test]
    fn embeddings([classes, width] in sizes(), b in 1usize..4, t in 1usize..9, how in how(1e4)) {
        let what = format!("embedding {classes} {width} {b} {t} {how:?}");
        let ids = targets(b * t, classes).clamp_min(0).reshape([b, t]);
        let table = Twin::new([classes, width], 1, how);
        // A row that comes n times is a sum of n.
        same(&what, table.both(|table| embedding(table, ids.clone())), &[("table", &table)], how, 12.0);
    }

    #[test]
    fn attentions(
        (b, t) in (1usize..4, prop_oneof![1usize..5, 5usize..90]), (group, kv_heads, half) in (1usize..4, 1usize..3, 1usize..20),
        how in how(8.0), (causal, turned) in any::<(bool, bool)>(),
    ) {
        let options = AttentionOptions { heads: group * kv_heads, kv_heads, causal, dropout: 0.0 };
        let what = format!("attention {b} {t} {half} {turned} {options:?} {how:?}");
        let joint = Twin::new([b, t, (options.heads + 2 * kv_heads) * 2 * half], 1, how);
        let angles = Twin::<2>::new([t, half], 2, How { dtype: DType::F32, ..how.small() });
        let op = |joint, angles: &Tensor<2>| {
            let angles = turned.then(|| (angles.clone().cos().detach(), angles.clone().sin().detach()));
            attention(joint, angles, options)
        };
        // The angles are f32 whatever the rest is.
        let right = if how.dtype == DType::F64 { &angles.right } else { &angles.here };
        let right = Tensor::from_data(right.clone().into_data().convert::<f64>(), (&joint.right.device(), DType::F64));
        let narrow = if how.dtype == DType::F64 { &right } else { &angles.here };
        let narrow = if how.dtype == DType::F32 { narrow.clone() } else { narrow.clone().cast(how.dtype) };
        let y = Twin { here: op(joint.here.clone(), &narrow), right: op(joint.right.clone(), &right) };
        // Scores sum products of numbers of this size, and a weight's relative error is its score's error.
        let scores = f64::from(how.scale * how.scale) * (2.0 * half as f64).sqrt();
        same(&what, y, &[("joint", &joint)], how, 10.0 + 4.0 * scores);
    }

    #[test]
    fn convolutions(
        (b, inputs, outputs) in (1usize..4, 1usize..5, 1usize..9), (picture, kernel) in ([1usize..11, 1usize..11], [1usize..4, 1usize..4]),
        (stride, padding) in ([1usize..3, 1usize..3], [0usize..2, 0usize..2]), how in how(30.0), relu: bool,
    ) {
        prop_assume!((0..2).all(|i| kernel[i] <= picture[i] + 2 * padding[i]));
        // Half precision rounds sums near 0 to either side of ReLU's edge.
        let relu = relu && how.rounding() < 1e-6;
        let options = Conv2dOptions { stride, padding, relu, pool: false };
        let what = format!("conv2d {b} {inputs} {outputs} {picture:?} {kernel:?} {options:?} {how:?}");
        let (x, weight, bias) = (
            Twin::new([b, inputs, picture[0], picture[1]], 1, how),
            Twin::new([outputs, inputs, kernel[0], kernel[1]], 2, how.small()),
            Twin::new([outputs], 3, how.small()),
        );
        let y = Twin {
            here: conv2d(x.here.clone(), weight.here.clone(), Some(bias.here.clone()), options),
            right: conv2d(x.right.clone(), weight.right.clone(), Some(bias.right.clone()), options),
        };
        same(&what, y, &[("x", &x), ("weight", &weight), ("bias", &bias)], how, 15.0);
    }

    #[test]
    fn recurrences(
        (b, t, h) in (prop_oneof![1usize..5, 14usize..40], 1usize..9, prop_oneof![1usize..20, 60usize..70]),
        how in how(4.0), (gru, reverse, masked, narrow) in any::<(bool, bool, bool, bool)>(),
    ) {
        let options = RecurrentOptions { cell: if gru { Cell::Gru } else { Cell::Lstm }, reverse };
        let what = format!("recurrent {b} {t} {h} {masked} {narrow} {options:?} {how:?}");
        let columns = options.cell.gates() * h;
        // A state's share of the gates stays near 1, as after an initialisation.
        let share = How { scale: 1.0 / (h as f32).sqrt(), ..how };
        let (gates, weight, bias) = (
            Twin::new([b, t, columns], 1, how),
            Twin::new([h, columns], 2, share),
            Twin::new([columns], 3, how.small()),
        );
        let valid = Twin::<2>::new([b, t], 4, how.small()).both(|x| x.detach().greater_elem(-0.5).float());
        let op = |gates: &Tensor<3>, weight: &Tensor<2>, bias: &Tensor<1>, valid: &Tensor<2>| {
            let valid = masked.then(|| valid.clone().cast(gates.dtype()));
            recurrent(gates.clone(), weight.clone(), bias.clone(), valid, options)
        };
        let y = Twin {
            here: with_products(products(narrow), || op(&gates.here, &weight.here, &bias.here, &valid.here)),
            right: op(&gates.right, &weight.right, &bias.right, &valid.right),
        };
        same(&what, y, &[("gates", &gates), ("weight", &weight), ("bias", &bias)], how.products(narrow), 60.0);
    }

    #[test]
    fn sums_of_gradients(shape in sizes(), how in how(1e4)) {
        let how = How { dtype: DType::F32, ..how };
        let (a, b) = (Twin::new(shape, 1, how), Twin::new([shape[1]], 2, how));
        let inner = |x: &Tensor<2>| x.clone().inner();
        let length = wide(norm(vec![inner(&a.here), b.here.clone().inner().unsqueeze()]).unwrap())[0];
        let right = wide(a.right.clone()).iter().chain(&wide(b.right.clone())).map(|x| x * x).sum::<f64>().sqrt();
        prop_assert!((length - right).abs() <= 1e-6 * right, "norm {:?} {:?}: {} not {}", shape, how, length, right);
        let other = Twin::<1>::new([shape[1]], 3, how);
        let sum = accumulate(vec![b.here.clone().inner()], vec![other.here.clone().inner()]).remove(0);
        near("accumulate", wide(sum), wide(b.right + other.right), 1e-7);
    }

    #[test]
    fn dropouts(shape in sizes(), how in how(1e4)) {
        static GENERATOR: Mutex<()> = Mutex::new(());
        let _alone = GENERATOR.lock().unwrap_or_else(PoisonError::into_inner);
        let x = Twin::<2>::new(shape, 1, how);
        let drop = |x: Tensor<2>| {
            x.device().seed(7);
            dropout(x, 0.4)
        };
        // The mask is a function of the seed and of an element's place, not of where it lies.
        let mask = drop(x.here.ones_like().detach());
        let y = Twin { here: drop(x.here.clone()), right: x.right.clone() * Tensor::from_inner(mask.inner().cast(DType::F64)) };
        same(&format!("dropout {shape:?} {how:?}"), y, &[("x", &x)], how, 4.0);
    }
}

/// No rows, or no columns: shapes go through, and the gradients of what has a size are zeros.
#[test]
fn nothing_at_all() {
    let device = Device::flex().autodiff();
    let none = || Tensor::<2>::zeros([0, 3], &device);
    let ones = |n: usize| Tensor::<1>::ones([n], &device).require_grad();
    assert_eq!(
        (gelu(none()).dims(), swiglu(none(), none()).dims(), dropout(none(), 0.5).dims()),
        ([0, 3], [0, 3], [0, 3])
    );
    let (gamma, weight) = (ones(3), Tensor::<2>::ones([3, 2], &device).require_grad());
    let bias = ones(2);
    let y = layer_norm(none(), gamma.clone(), None, EPS) + rms_norm(none(), gamma.clone(), EPS);
    let y = linear(y, weight.clone(), Some(bias.clone()), Activation::Gelu);
    assert_eq!(y.dims(), [0, 2]);
    let gradients = y.sum().backward();
    assert_eq!(wide(gamma.grad(&gradients).unwrap()), [0.0; 3]);
    assert_eq!(wide(weight.grad(&gradients).unwrap()), [0.0; 6]);
    assert_eq!(wide(bias.grad(&gradients).unwrap()), [0.0; 2]);
    let ids = Tensor::<1, Int>::zeros([0], &device);
    assert_eq!(wide(cross_entropy(none(), ids.clone(), 0.1)), [0.0]);
    assert_eq!(wide(linear_cross_entropy(none(), Tensor::ones([5, 3], &device), ids.clone(), 0.0, 1.0)), [0.0]);
    assert_eq!(embedding(Tensor::ones([5, 3], &device), ids.reshape([0, 4])).dims(), [0, 4, 3]);
    let options = AttentionOptions { heads: 1, kv_heads: 1, causal: true, dropout: 0.0 };
    assert_eq!(attention(Tensor::zeros([2, 0, 6], &device), None, options).dims(), [2, 0, 2]);
    let picture = Tensor::zeros([0, 1, 4, 4], &device);
    assert_eq!(
        conv2d(picture, Tensor::ones([2, 1, 3, 3], &device), None, Conv2dOptions::default()).dims(),
        [0, 2, 2, 2]
    );
    assert!(norm(vec![]).is_none());
    let flat = || Tensor::<2>::zeros([3, 0], &device);
    assert_eq!(
        (layer_norm(flat(), ones(0), None, EPS).dims(), rms_norm(flat(), ones(0), EPS).dims()),
        ([3, 0], [3, 0])
    );
    assert_eq!(wide(linear(flat(), Tensor::zeros([0, 2], &device), Some(bias), Activation::None)), [1.0; 6]);
}
