//! The devices that the suites run on, and comparisons.

use burn::tensor::{Device, Tensor};

/// libtorch's tensors on the CPU, treated as those of its GPUs: no machine of ours has one.
#[allow(dead_code)]
pub const COMPOSED: &str = "tch composed";

/// Every compiled device that is present, one after the other; the others are named on stderr.
#[allow(dead_code)]
pub fn devices() -> impl Iterator<Item = (&'static str, Device)> {
    let compose = |(name, device)| {
        #[cfg(feature = "tch")]
        kiln_kernels::compose_torch(name == COMPOSED);
        (name, device)
    };
    present().into_iter().map(compose)
}

#[allow(dead_code, deprecated, clippy::vec_init_then_push)]
fn present() -> Vec<(&'static str, Device)> {
    let mut devices = Vec::new();
    #[cfg(feature = "flex")]
    devices.push(("flex", Device::flex()));
    #[cfg(feature = "ndarray")]
    devices.push(("ndarray", Device::ndarray()));
    #[cfg(feature = "tch")]
    devices.extend([("tch", Device::libtorch()), (COMPOSED, Device::libtorch())]);
    #[cfg(feature = "wgpu")]
    match Device::enumerate(burn::tensor::DeviceType::Wgpu).into_iter().next() {
        Some(device) => devices.push(("wgpu", device)),
        None => eprintln!("SKIPPED wgpu: no adapter; .ci/software-vulkan.sh installs a software driver"),
    }
    for (name, compiled) in
        [("ndarray", cfg!(feature = "ndarray")), ("tch", cfg!(feature = "tch")), ("wgpu", cfg!(feature = "wgpu"))]
    {
        if !compiled {
            eprintln!("SKIPPED {name}: not compiled in");
        }
    }
    devices
}

/// Numbers in [-1, 1) from a fixed generator.
pub fn noise(n: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    (0..n)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
        })
        .collect()
}

/// The elements as f32, in order.
#[allow(dead_code)]
pub fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().convert::<f32>().try_into_vec().unwrap()
}

#[allow(dead_code)]
/// Asserts that every element is within `absolute + relative * |right|`.
pub fn close(what: &str, got: &[f32], right: &[f64], absolute: f64, relative: f64) {
    assert_eq!(got.len(), right.len(), "{what}");
    for (i, (got, right)) in got.iter().zip(right).enumerate() {
        let off = (f64::from(*got) - right).abs();
        assert!(off <= absolute + relative * right.abs(), "{what}: element {i} is {got}, not {right}");
    }
}

/// As [`noise`], in f64 but holding f32 numbers, so that a device and a reference see the same.
#[allow(dead_code)]
pub fn wide_noise(n: usize, seed: u64, scale: f32) -> Vec<f64> {
    noise(n, seed).into_iter().map(|x| f64::from(x * scale)).collect()
}

/// The values on a device.
#[allow(dead_code)]
pub fn upload<const D: usize>(values: &[f64], shape: [usize; D], device: &Device) -> Tensor<D> {
    let values: Vec<f32> = values.iter().map(|x| *x as f32).collect();
    Tensor::from_data(burn::tensor::TensorData::new(values, shape), device)
}

/// The gradient of `f` at `x` by central differences: in f64 good to about 1e-9 of the size of `f`.
#[allow(dead_code)]
pub fn slopes(x: &[f64], f: impl Fn(&[f64]) -> f64) -> Vec<f64> {
    const STEP: f64 = 1e-5;
    let mut moved = x.to_vec();
    (0..x.len())
        .map(|i| {
            moved[i] = x[i] + STEP;
            let above = f(&moved);
            moved[i] = x[i] - STEP;
            let below = f(&moved);
            moved[i] = x[i];
            (above - below) / (2.0 * STEP)
        })
        .collect()
}
