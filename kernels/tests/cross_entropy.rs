//! Cross-entropy against an f64 reference and finite differences, on every compiled device.
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use burn::tensor::{Device, FloatDType, Int, Tensor, TensorData};
use kiln_kernels::cross_entropy;
use support::{close, devices, noise, values};

struct Case {
    name: &'static str,
    rows: usize,
    classes: usize,
    scale: f32,
    smoothing: f64,
    ignored: fn(usize) -> bool,
}

const CASES: [Case; 8] = [
    Case { name: "one class", rows: 1, classes: 1, scale: 1.0, smoothing: 0.0, ignored: |_| false },
    Case { name: "two classes", rows: 3, classes: 2, scale: 1.0, smoothing: 0.1, ignored: |_| false },
    Case { name: "odd", rows: 7, classes: 17, scale: 3.0, smoothing: 0.0, ignored: |_| false },
    Case { name: "characters", rows: 33, classes: 65, scale: 5.0, smoothing: 0.1, ignored: |i| i % 3 == 0 },
    Case { name: "wide", rows: 5, classes: 1031, scale: 2.0, smoothing: 0.05, ignored: |i| i == 4 },
    Case { name: "large logits", rows: 6, classes: 31, scale: 1e4, smoothing: 0.0, ignored: |i| i == 0 },
    Case { name: "large and smooth", rows: 6, classes: 31, scale: 1e4, smoothing: 0.2, ignored: |_| false },
    Case { name: "all ignored", rows: 4, classes: 9, scale: 1.0, smoothing: 0.1, ignored: |_| true },
];

impl Case {
    fn logits(&self) -> Vec<f32> {
        noise(self.rows * self.classes, self.classes as u64).iter().map(|x| x * self.scale).collect()
    }

    fn targets(&self) -> Vec<i64> {
        let target = |i: usize| if (self.ignored)(i) { -1 } else { ((i * 7 + 3) % self.classes) as i64 };
        (0..self.rows).map(target).collect()
    }

    /// The loss in f64, straight from its definition.
    fn loss(&self, logits: &[f64]) -> f64 {
        let rows = logits.chunks(self.classes).zip(self.targets());
        rows.filter(|(_, target)| *target >= 0)
            .map(|(row, target)| {
                let total = log_sum_exp(row);
                let log_softmax = |j: usize| row[j] - total;
                let everywhere: f64 = (0..self.classes).map(log_softmax).sum();
                -(1.0 - self.smoothing) * log_softmax(target as usize)
                    - self.smoothing / self.classes as f64 * everywhere
            })
            .sum()
    }

    /// The gradient of [`Case::loss`] in f64.
    fn gradient(&self, logits: &[f64]) -> Vec<f64> {
        let mut gradient = Vec::new();
        for (row, target) in logits.chunks(self.classes).zip(self.targets()) {
            let total = log_sum_exp(row);
            gradient.extend(row.iter().enumerate().map(|(j, x)| {
                let certain = if j as i64 == target { 1.0 - self.smoothing } else { 0.0 };
                let wanted = certain + self.smoothing / self.classes as f64;
                if target < 0 { 0.0 } else { (x - total).exp() - wanted }
            }));
        }
        gradient
    }
}

fn log_sum_exp(row: &[f64]) -> f64 {
    let largest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    largest + row.iter().map(|x| (x - largest).exp()).sum::<f64>().ln()
}

fn ints(values: Vec<i64>, device: &Device) -> Tensor<1, Int> {
    let n = values.len();
    Tensor::from_data(TensorData::new(values, [n]), device)
}

/// Loss and gradient on `device`; `grad` multiplies the loss before its backward.
fn run(case: &Case, logits: Tensor<2>, device: &Device, grad: f32) -> (Vec<f32>, Vec<f32>) {
    let logits = logits.require_grad();
    let loss = cross_entropy(logits.clone(), ints(case.targets(), device), case.smoothing);
    let gradients = (loss.clone() * grad).backward();
    (values(loss), values(logits.grad(&gradients).unwrap()))
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|x| f64::from(*x)).collect()
}

/// f32's rounding: a loss adds up `classes` exponentials (1e-5 relative), a probability is one exponential away from
/// a logit (4e-6 absolute covers the GPU's coarser `exp`); a large logit carries its own rounding of 1e4 * 2^-24.
fn check(case: &Case, device: &str, (loss, gradient): (Vec<f32>, Vec<f32>), grad: f64) {
    let logits = wide(&case.logits());
    let what = format!("{device}, {}", case.name);
    close(&format!("{what}, loss"), &loss, &[case.loss(&logits)], 1e-5, 1e-5);
    let right: Vec<f64> = case.gradient(&logits).iter().map(|x| x * grad).collect();
    close(&format!("{what}, gradient"), &gradient, &right, 4e-6 * grad.abs(), 1e-4);
}

#[test]
fn the_reference_gradient_is_the_slope_of_the_reference_loss() {
    for case in CASES.iter().filter(|case| case.scale < 100.0) {
        let logits = wide(&case.logits());
        for (j, slope) in case.gradient(&logits).into_iter().enumerate().step_by(7) {
            let moved = |by: f64| {
                case.loss(&logits.iter().enumerate().map(|(i, x)| if i == j { x + by } else { *x }).collect::<Vec<_>>())
            };
            let difference = (moved(1e-5) - moved(-1e-5)) / 2e-5;
            assert!((difference - slope).abs() < 1e-7, "{}: {difference} and {slope}", case.name);
        }
    }
}

#[test]
fn every_device_matches_the_reference() {
    for (name, device) in devices() {
        let device = device.autodiff();
        for case in &CASES {
            let logits = Tensor::from_data(TensorData::new(case.logits(), [case.rows, case.classes]), &device);
            check(case, name, run(case, logits, &device, 0.5), 0.5);
        }
    }
}

#[test]
fn strided_logits_give_the_same_result() {
    let case = &CASES[3];
    for (name, device) in devices() {
        let device = device.autodiff();
        let whole: Tensor<2> = Tensor::from_data(TensorData::new(case.logits(), [case.rows, case.classes]), &device);
        let transposed = whole.clone().transpose().detach() * 1.0;
        check(case, name, run(case, transposed.transpose(), &device, 1.0), 1.0);
        let padded = Tensor::cat(vec![whole.clone() * 2.0, whole.clone(), whole * 3.0], 0);
        let sliced = padded.slice([case.rows..2 * case.rows, 0..case.classes]).detach();
        check(case, name, run(case, sliced, &device, 1.0), 1.0);
    }
}

#[test]
fn logits_that_someone_else_holds_are_left_alone() {
    for (name, device) in devices() {
        let case = &CASES[2];
        let plain: Tensor<2> = Tensor::from_data(TensorData::new(case.logits(), [case.rows, case.classes]), &device);
        let held = plain.clone();
        let logits = plain.autodiff().require_grad();
        let _ = cross_entropy(logits, ints(case.targets(), &device.clone().autodiff()), 0.0).backward();
        assert_eq!(values(held), case.logits(), "{name}");
    }
}

#[test]
fn half_precision_logits_are_widened() {
    for (name, device) in devices() {
        if !device.supports_dtype(FloatDType::BF16) {
            eprintln!("SKIPPED {name}: no bf16");
            continue;
        }
        let case = &CASES[2];
        let logits: Tensor<2> = Tensor::from_data(TensorData::new(case.logits(), [case.rows, case.classes]), &device);
        let loss = cross_entropy(logits.cast(FloatDType::BF16), ints(case.targets(), &device), 0.0);
        assert_eq!(loss.dtype(), burn::tensor::DType::F32, "{name}");
        // bf16 keeps 8 bits of every logit, so of a loss of some 20 it keeps 0.1.
        close(name, &values(loss), &[case.loss(&wide(&case.logits()))], 0.1, 0.0);
    }
}

#[test]
#[cfg(feature = "flex")]
fn flex_gives_the_same_bits_on_any_number_of_threads() {
    let case = Case { name: "threads", rows: 301, classes: 257, scale: 4.0, smoothing: 0.1, ignored: |i| i % 5 == 0 };
    let bits = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let device = Device::flex().autodiff();
            let logits = Tensor::from_data(TensorData::new(case.logits(), [case.rows, case.classes]), &device);
            let (loss, gradient) = run(&case, logits, &device, 1.0);
            loss.iter().chain(&gradient).map(|x| x.to_bits()).collect::<Vec<_>>()
        })
    };
    let one = bits(1);
    assert!(one == bits(2) && one == bits(7));
}

#[test]
fn a_nan_logit_makes_the_loss_nan() {
    for (name, device) in devices() {
        let mut logits = CASES[2].logits();
        logits[20] = f32::NAN;
        let logits: Tensor<2> = Tensor::from_data(TensorData::new(logits, [7, 17]), &device);
        let loss = cross_entropy(logits, ints(CASES[2].targets(), &device), 0.0);
        assert!(values(loss)[0].is_nan(), "{name}");
    }
}
