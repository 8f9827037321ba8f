//! Dropout's rate, scale, mask and gradient, on every compiled device.
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use std::sync::{Mutex, MutexGuard, PoisonError};

use burn::tensor::{Device, Tensor};
use kiln_kernels::dropout;
use support::{devices, values};

/// More than a chunk, and no multiple of one.
const ELEMENTS: usize = 100_003;

/// The generator behind a device's seed is the process's: one test at a time.
fn alone() -> MutexGuard<'static, ()> {
    static GENERATOR: Mutex<()> = Mutex::new(());
    GENERATOR.lock().unwrap_or_else(PoisonError::into_inner)
}

fn dropped(device: &Device, seed: u64, probability: f64) -> Vec<f32> {
    device.seed(seed);
    values(dropout(Tensor::<1>::ones([ELEMENTS], device), probability))
}

#[test]
fn the_rate_and_the_scale_are_right() {
    let _alone = alone();
    for (name, device) in devices() {
        for probability in [0.1, 0.5, 0.9] {
            let y = dropped(&device, 7, probability);
            let kept = y.iter().filter(|y| **y != 0.0).count() as f64 / ELEMENTS as f64;
            // Five standard deviations of a proportion.
            let off = 5.0 * (probability * (1.0 - probability) / ELEMENTS as f64).sqrt();
            assert!((kept - (1.0 - probability)).abs() < off, "{name}: {kept} kept at {probability}");
            let scale = (1.0 / (1.0 - probability)) as f32;
            assert!(y.iter().all(|y| *y == 0.0 || (y - scale).abs() < 1e-6 * scale), "{name}");
        }
    }
}

/// Over pairs at any distance both are kept as often as if drawn apart, within five standard deviations.
#[test]
fn neighbours_are_independent() {
    let _alone = alone();
    for (name, device) in devices() {
        let y = dropped(&device, 11, 0.5);
        for distance in [1, 2, 3, 16, 64, 16 * 1024] {
            let pairs = ELEMENTS - distance;
            let both = (0..pairs).filter(|i| y[*i] != 0.0 && y[i + distance] != 0.0).count() as f64 / pairs as f64;
            assert!((both - 0.25).abs() < 5.0 * (0.1875 / pairs as f64).sqrt(), "{name}: {both} at {distance}");
        }
    }
}

#[test]
fn a_seed_draws_the_same_and_the_next_call_another() {
    let _alone = alone();
    for (name, device) in devices() {
        let first = dropped(&device, 3, 0.5);
        let second = values(dropout(Tensor::<1>::ones([ELEMENTS], &device), 0.5));
        assert!(first != second, "{name}: a second call repeats the first");
        if !["tch", "wgpu"].contains(&name) {
            assert!(first == dropped(&device, 3, 0.5), "{name}: a seed does not draw the same");
        }
    }
}

#[test]
fn the_gradient_has_the_mask_of_the_output() {
    let _alone = alone();
    for (name, device) in devices() {
        let device = device.autodiff();
        let x = Tensor::<2>::ones([3, 101], &device).require_grad();
        let y = dropout(x.clone(), 0.3);
        let gradients = (y.clone() * 2.0).sum().backward();
        let doubled: Vec<f32> = values(y).iter().map(|y| 2.0 * y).collect();
        assert_eq!(values(x.grad(&gradients).unwrap()), doubled, "{name}");
    }
}

#[test]
fn an_input_that_is_held_stays_as_it_was() {
    let _alone = alone();
    for (name, device) in devices() {
        let x = Tensor::<2>::ones([4, 6], &device);
        let turned = x.clone().transpose();
        assert_eq!(dropout(turned.clone(), 0.5).dims(), [6, 4], "{name}");
        assert!(values(turned).iter().chain(&values(x)).all(|x| *x == 1.0), "{name}");
        assert_eq!(dropout(Tensor::<1>::zeros([0], &device), 0.5).dims(), [0], "{name}");
    }
}

#[test]
#[cfg(feature = "flex")]
fn flex_drops_the_same_on_any_number_of_threads_and_passes_nan_on() {
    let _alone = alone();
    let device = Device::flex();
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| dropped(&device, 5, 0.4))
    };
    let one = run(1);
    assert!(one == run(2) && one == run(3));
    let y = values(dropout(Tensor::<1>::full([1000], f32::NAN, &device), 0.5));
    assert!(y.iter().any(|y| y.is_nan()) && y.iter().all(|y| y.is_nan() || *y == 0.0));
}
