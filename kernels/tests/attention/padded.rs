//! Sequences that end before the others: each is as it would be alone.

use burn::tensor::Tensor;
use kiln_kernels::padded_attention;
use proptest::prelude::*;

use crate::{
    angles, case,
    host::Case,
    input, output_gradient,
    support::{close, devices, values},
    upload,
};

/// The output, and the gradient of the input, of every sequence alone; zeros at padding.
fn alone(case: Case, lengths: &[usize]) -> [Vec<f64>; 2] {
    let (x, dy) = (input(case), output_gradient(case));
    let columns = case.heads * case.d;
    let mut all = [vec![], vec![]];
    for (i, &t) in lengths.iter().enumerate() {
        let one = Case { b: 1, t, ..case };
        let x = &x[i * case.t * case.width()..][..t * case.width()];
        let dy = &dy[i * case.t * columns..][..t * columns];
        all[0].extend(one.forward(x, None));
        all[0].resize((i + 1) * case.t * columns, 0.0);
        all[1].extend(one.backward(x, dy, None));
        all[1].resize((i + 1) * case.t * case.width(), 0.0);
    }
    all
}

fn check(what: &str, case: Case, lengths: &[usize], device: &burn::tensor::Device) {
    let joint = upload(&input(case), [case.b, case.t, case.width()], device).require_grad();
    let dy = upload(&output_gradient(case), [case.b, case.t, case.heads * case.d], device);
    let counts: Vec<f64> = lengths.iter().map(|n| *n as f64).collect();
    let counts: Tensor<1> = upload(&counts, [case.b], device);
    let y = padded_attention(joint.clone(), angles(case, device), counts, case.options(0.0));
    let gradients = (y.clone() * dy).sum().backward();
    let [right, dx] = alone(case, lengths);
    close(&format!("{what} y"), &values(y), &right, 1e-5, 1e-5);
    close(&format!("{what} dx"), &values(joint.grad(&gradients).unwrap()), &dx, 5e-5, 5e-5);
}

#[test]
fn every_sequence_is_as_it_would_be_alone() {
    for (name, device) in devices() {
        let device = device.autodiff();
        for (causal, rotary) in [(false, false), (true, false), (false, true)] {
            for (lengths, t, heads, kv_heads, d) in
                [([3, 1, 0], 3, 2, 2, 8), ([17, 9, 16], 17, 4, 2, 20), ([130, 64, 65], 130, 2, 1, 8)]
            {
                let case = Case { causal, rotary, ..case(3, t, heads, kv_heads, d) };
                check(&format!("{name} {case:?} {lengths:?}"), case, &lengths, &device);
            }
        }
    }
}

#[test]
fn dropout_reaches_no_padding() {
    for (name, device) in devices() {
        let device = device.autodiff();
        let case = Case { causal: false, ..case(2, 5, 2, 2, 8) };
        let joint = upload(&input(case), [2, 5, case.width()], &device).require_grad();
        let lengths = upload(&[5.0, 2.0], [2], &device);
        let y = padded_attention(joint.clone(), None, lengths, case.options(0.3));
        let gradients = y.clone().sum().backward();
        let (y, dx) = (values(y), values(joint.grad(&gradients).unwrap()));
        assert!(y[7 * 16..].iter().all(|y| *y == 0.0), "{name}");
        assert!(dx[7 * case.width()..].iter().all(|dx| *dx == 0.0), "{name}");
        assert!(dx[5 * case.width()..7 * case.width()].iter().any(|dx| *dx != 0.0), "{name}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    #[cfg(feature = "flex")]
    fn any_lengths_match_the_reference(
        t in 1usize..150, first in 0usize..150, second in 0usize..150, half in 1usize..40, causal: bool, rotary: bool,
    ) {
        let case = Case { causal, rotary, ..case(3, t, 2, 1, 2 * half) };
        let lengths = [t, first.min(t), second.min(t)];
        check(&format!("{case:?} {lengths:?}"), case, &lengths, &burn::tensor::Device::flex().autodiff());
    }
}
