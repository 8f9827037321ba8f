//! Dropout of weights: which ones are dropped is read off a call whose result spells them out.

use std::sync::Mutex;

use burn::tensor::{Device, Tensor};
use kiln_kernels::attention;

use crate::{
    case,
    host::Case,
    input, run_masked,
    support::{devices, values},
    upload,
};

/// The generator is the process's: tests that seed it take turns.
pub static GENERATOR: Mutex<()> = Mutex::new(());

/// What weights are multiplied by, `[b, h, t, t]`: with queries and keys of 0 all weights are `1 / t`, and the values
/// are the rows of the unit matrix.
fn mask(case: Case, dropout: f64, seed: u64, device: &Device) -> Vec<f64> {
    let unit = Case { d: case.t, kv_heads: 1, causal: false, rotary: false, ..case };
    let mut joint = vec![0.0; case.b * case.t * unit.width()];
    for (i, row) in joint.chunks_mut(unit.width()).enumerate() {
        row[(case.heads + 1) * unit.d + i % case.t] = 1.0;
    }
    let joint = upload(&joint, [case.b, case.t, unit.width()], device);
    device.seed(seed);
    let y = attention(joint, None, unit.options(dropout)).reshape([case.b, case.t, case.heads, case.t]);
    values(y.swap_dims(1, 2)).iter().map(|y| f64::from(*y) * case.t as f64).collect()
}

#[test]
fn every_device_matches_the_reference_with_the_same_weights_dropped() {
    let _alone = GENERATOR.lock();
    for (name, device) in devices() {
        let device = device.autodiff();
        for (dropout, sizes) in
            [(0.1, case(2, 17, 4, 2, 20)), (0.5, case(1, 130, 2, 2, 64)), (0.9, case(1, 65, 4, 1, 8))]
        {
            for causal in [true, false] {
                let case = Case { causal, rotary: causal, ..sizes };
                let mask = mask(case, dropout, 7, &device);
                let joint = upload(&input(case), [case.b, case.t, case.width()], &device);
                device.seed(7);
                run_masked(&format!("{name} {case:?}"), case, joint, &device, (dropout, Some(&mask)));
            }
        }
    }
}

/// A share of n draws has a deviation of sqrt(p (1 - p) / n); five of them leave one in two million runs.
#[test]
fn weights_are_dropped_independently_and_as_often_as_asked() {
    let _alone = GENERATOR.lock();
    let sizes = case(2, 64, 4, 4, 8);
    for (name, device) in devices() {
        for dropout in [0.1, 0.5] {
            let mask = mask(sizes, dropout, 3, &device);
            let kept = 1.0 / (1.0 - dropout);
            assert!(mask.iter().all(|m| m.abs() < 1e-6 || (m - kept).abs() < 1e-5), "{name}");
            let dropped: Vec<bool> = mask.iter().map(|m| *m < 0.5).collect();
            let share = |drops: &[bool]| drops.iter().filter(|dropped| **dropped).count() as f64 / drops.len() as f64;
            let near = |found: f64, p: f64, n: usize| (found - p).abs() < 5.0 * (p * (1.0 - p) / n as f64).sqrt();
            assert!(near(share(&dropped), dropout, dropped.len()), "{name}: {} of {dropout}", share(&dropped));
            // Both of two neighbours in a row, in a column, in two heads and in two sequences.
            for apart in [1, 64, 64 * 64, 4 * 64 * 64] {
                let both: Vec<bool> = dropped.iter().zip(&dropped[apart..]).map(|(a, b)| *a && *b).collect();
                // Neighbouring pairs share a draw, which at most doubles the variance.
                assert!(
                    near(share(&both), dropout * dropout, both.len() / 2),
                    "{name}: {apart} apart, {}",
                    share(&both)
                );
            }
        }
    }
}

#[test]
fn the_seed_decides_what_is_dropped() {
    let _alone = GENERATOR.lock();
    let case = case(1, 17, 2, 1, 8);
    for (name, device) in devices() {
        let joint = upload(&input(case), [1, 17, case.width()], &device);
        let run = |joint: &Tensor<3>| values(attention(joint.clone(), None, case.options(0.5)));
        let seeded = |seed| {
            device.seed(seed);
            run(&joint)
        };
        let (first, again, other) = (seeded(1), seeded(1), seeded(2));
        assert!(first == again && first != other, "{name}");
        assert!(run(&joint) != run(&joint), "{name}: two calls drop the same weights");
    }
}

/// The average of 400 calls: a weight's factor has a variance of p / (1 - p), so that an average of values below 2 is
/// off by less than 2 sqrt(1/3 / 400) = 0.06, and five of that.
#[test]
fn on_average_nothing_is_lost() {
    let _alone = GENERATOR.lock();
    let case = case(1, 9, 2, 1, 8);
    for (name, device) in devices() {
        let joint = upload(&input(case), [1, 9, case.width()], &device);
        let whole = values(attention(joint.clone(), None, case.options(0.0)));
        let mut mean = vec![0.0; whole.len()];
        for seed in 0..400 {
            device.seed(seed);
            let y = values(attention(joint.clone(), None, case.options(0.25)));
            mean.iter_mut().zip(y).for_each(|(mean, y)| *mean += y / 400.0);
        }
        assert!(mean.iter().zip(whole).all(|(mean, whole)| (mean - whole).abs() < 0.3), "{name}");
    }
}
