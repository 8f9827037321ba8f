//! Self-attention against an f64 reference and finite differences, on every compiled device.
#![allow(missing_docs, clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

mod dropout;
mod host;
mod padded;

use burn::tensor::{Device, FloatDType, Tensor, TensorData};
use host::{Case, Mask};
use kiln_kernels::attention;
use proptest::prelude::*;
use support::{close, devices, noise, values};

const fn case(b: usize, t: usize, heads: usize, kv_heads: usize, d: usize) -> Case {
    Case { b, t, heads, kv_heads, d, causal: true, rotary: false }
}

/// One position, odd and even lengths around a block's edge, heads narrower and wider than a register, shared keys.
const CASES: [Case; 9] = [
    case(1, 1, 1, 1, 8),
    case(2, 3, 2, 2, 8),
    case(2, 17, 4, 2, 20),
    case(1, 65, 4, 1, 64),
    case(1, 130, 2, 1, 8),
    case(3, 64, 2, 2, 32),
    case(1, 70, 1, 1, 128),
    case(1, 66, 3, 1, 50),
    case(1, 129, 2, 2, 64),
];

/// Each case causal and full, with and without angles.
fn cases() -> impl Iterator<Item = Case> {
    let both = [(true, false), (false, false), (true, true), (false, true)];
    CASES.into_iter().flat_map(move |case| both.map(|(causal, rotary)| Case { causal, rotary, ..case }))
}

fn upload<const D: usize>(values: &[f64], shape: [usize; D], device: &Device) -> Tensor<D> {
    let values: Vec<f32> = values.iter().map(|x| *x as f32).collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}

fn some(n: usize, seed: u64, scale: f32) -> Vec<f64> {
    noise(n, seed).iter().map(|x| f64::from(x * scale)).collect()
}

/// Numbers in [-2, 2): scores then have a deviation above 1, so that weights differ.
fn input(case: Case) -> Vec<f64> {
    some(case.b * case.t * case.width(), 1, 2.0)
}

fn output_gradient(case: Case) -> Vec<f64> {
    some(case.b * case.t * case.heads * case.d, 2, 1.0)
}

fn angles(case: Case, device: &Device) -> Option<(Tensor<2>, Tensor<2>)> {
    let half = case.d / 2;
    let of = |f: fn(f64) -> f64| -> Vec<f64> {
        (0..case.t).flat_map(|t| (0..half).map(move |i| f(case.angle(t, i)))).collect()
    };
    let upload = |values: Vec<f64>| upload(&values, [case.t, half], device);
    case.rotary.then(|| (upload(of(f64::cos)), upload(of(f64::sin))))
}

/// f32's rounding: a score sums up to 128 products below 4, so it and hence a weight's relative error are off by some
/// 1e-6; an output averages values below 2. A gradient sums up to 130 rows of such terms.
fn run(what: &str, case: Case, joint: Tensor<3>, device: &Device) {
    run_masked(what, case, joint, device, (0.0, None));
}

fn run_masked(what: &str, case: Case, joint: Tensor<3>, device: &Device, (dropout, mask): (f64, Mask<'_>)) {
    let joint = joint.require_grad();
    let dy = output_gradient(case);
    let y = attention(joint.clone(), angles(case, device), case.options(dropout));
    let weighted = y.clone() * upload(&dy, [case.b, case.t, case.heads * case.d], device);
    let gradients = weighted.sum().backward();
    let right = input(case);
    close(&format!("{what} y"), &values(y), &case.forward(&right, mask), 1e-5, 1e-5);
    let dx = values(joint.grad(&gradients).unwrap());
    close(&format!("{what} dx"), &dx, &case.backward(&right, &dy, mask), 5e-5, 5e-5);
}

#[test]
fn the_reference_gradient_is_the_slope_of_the_reference() {
    for (causal, rotary) in [(true, true), (false, false)] {
        let case = Case { causal, rotary, ..case(2, 5, 4, 2, 6) };
        let (x, dy) = (input(case), output_gradient(case));
        let mask = some(case.b * case.heads * case.t * case.t, 3, 1.0);
        let loss = |x: &[f64]| -> f64 { case.forward(x, Some(&mask)).iter().zip(&dy).map(|(y, dy)| y * dy).sum() };
        for (j, slope) in case.backward(&x, &dy, Some(&mask)).iter().enumerate().step_by(3) {
            let moved = |by: f64| {
                loss(&x.iter().enumerate().map(|(i, x)| if i == j { x + by } else { *x }).collect::<Vec<_>>())
            };
            let difference = (moved(1e-5) - moved(-1e-5)) / 2e-5;
            assert!((difference - slope).abs() < 1e-7, "{case:?} {j}: {difference} and {slope}");
        }
    }
}

#[test]
fn every_device_matches_the_reference() {
    for (name, device) in devices() {
        let device = device.autodiff();
        for case in cases() {
            let joint = upload(&input(case), [case.b, case.t, case.width()], &device);
            run(&format!("{name} {case:?}"), case, joint, &device);
        }
    }
}

#[test]
fn strided_input_gives_the_same_result() {
    for (name, device) in devices() {
        let device = device.autodiff();
        let case = Case { rotary: true, ..CASES[2] };
        let joint = upload(&input(case), [case.b, case.t, case.width()], &device);
        let turned = (joint.clone().swap_dims(0, 1) * 1.0).swap_dims(0, 1).detach();
        run(&format!("{name} transposed"), case, turned, &device);
        let padded = Tensor::cat(vec![joint.clone() * 2.0, joint.clone(), joint * 3.0], 2);
        run(&format!("{name} narrowed"), case, padded.narrow(2, case.width(), case.width()).detach(), &device);
    }
}

#[test]
fn nothing_in_gives_nothing_out() {
    for (name, device) in devices() {
        for (b, t) in [(0, 3), (2, 0)] {
            let case = case(b, t, 4, 2, 8);
            let joint = Tensor::<3>::zeros([b, t, case.width()], &device);
            assert_eq!(attention(joint, angles(case, &device), case.options(0.0)).dims(), [b, t, 32], "{name}");
        }
    }
}

/// Scores of 1e4 and more: their exponentials overflow unless the largest is taken off first, and a weight is 0 or 1.
#[test]
fn large_scores_stay_finite() {
    for (name, device) in devices() {
        let device = device.autodiff();
        for causal in [true, false] {
            let case = Case { causal, ..CASES[5] };
            let joint = upload(&input(case), [case.b, case.t, case.width()], &device) * 100.0;
            let joint = joint.detach().require_grad();
            let y = attention(joint.clone(), None, case.options(0.0));
            let gradients = y.clone().sum().backward();
            let (y, dx) = (values(y), values(joint.grad(&gradients).unwrap()));
            assert!(y.iter().all(|y| y.abs() <= 200.001), "{name}: an average leaves the range of its values");
            assert!(dx.iter().all(|dx| dx.is_finite()), "{name}");
            if causal {
                let of = |values: Vec<f64>| -> Vec<f64> { values.iter().map(|x| x * 100.0).collect() };
                let first = case.heads * case.d;
                // The first position sees itself alone, whatever its score.
                close(name, &y[..first], &of(input(case))[2 * first..3 * first], 0.0, 1e-6);
            }
        }
    }
}

/// bf16 has 8 bits: the inputs are the rounded ones, a score's error is 2^-8 of it, and so is the weight's.
#[test]
fn half_precision_gives_what_the_rounded_inputs_do() {
    for (name, device) in devices() {
        if !device.supports_dtype(FloatDType::BF16) {
            eprintln!("SKIPPED {name}: no bf16");
            continue;
        }
        let case = CASES[2];
        let joint = upload(&input(case), [case.b, case.t, case.width()], &device).cast(FloatDType::BF16);
        let y = attention(joint.clone(), None, case.options(0.0));
        assert_eq!(y.dtype(), joint.dtype(), "{name}");
        let rounded: Vec<f64> = values(joint).iter().map(|x| f64::from(*x)).collect();
        close(name, &values(y), &case.forward(&rounded, None), 0.05, 0.02);
    }
}

/// Block by block and head by head in one order, whoever computes them; 150 rows are three blocks.
#[test]
#[cfg(feature = "flex")]
fn flex_gives_the_same_bits_on_any_number_of_threads() {
    let case = Case { rotary: true, ..case(2, 150, 4, 2, 20) };
    let _alone = dropout::GENERATOR.lock();
    let bits = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let device = Device::flex().autodiff();
            device.seed(1);
            let joint = upload(&input(case), [case.b, case.t, case.width()], &device).require_grad();
            let y = attention(joint.clone(), angles(case, &device), case.options(0.1));
            let dy = upload(&output_gradient(case), [case.b, case.t, case.heads * case.d], &device);
            let gradients = (y.clone() * dy).sum().backward();
            let all = [values(y), values(joint.grad(&gradients).unwrap())];
            all.concat().iter().map(|x| x.to_bits()).collect::<Vec<_>>()
        })
    };
    let one = bits(1);
    assert!(one == bits(2) && one == bits(3));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Any sizes up to two blocks and a half, on flex: the other devices compose the same operations whatever they are.
    #[test]
    #[cfg(feature = "flex")]
    fn any_sizes_match_the_reference(
        b in 1usize..3, t in 1usize..160, group in 1usize..4, kv_heads in 1usize..3, half in 1usize..40,
        causal: bool, rotary: bool,
    ) {
        let case = Case { b, t, heads: group * kv_heads, kv_heads, d: 2 * half, causal, rotary };
        let device = Device::flex().autodiff();
        let joint = upload(&input(case), [b, t, case.width()], &device);
        run(&format!("{case:?}"), case, joint, &device);
    }
}
