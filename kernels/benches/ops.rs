//! Each op, forward and backward on flex, against burn's own composition: `cargo bench -p kiln-kernels`.
#![allow(missing_docs)]

use std::time::Instant;

use burn::nn::LayerNormConfig;
use burn::tensor::{
    Device, Distribution, Int, Tensor,
    activation::{gelu_approximate, log_softmax},
};
use kiln_kernels::{cross_entropy, gelu, layer_norm};

fn main() {
    let device = Device::flex().autodiff();
    for (rows, classes) in [(768, 65), (256, 50_257)] {
        let logits = Tensor::<2>::random([rows, classes], Distribution::Normal(0.0, 1.0), &device).detach();
        let targets = Tensor::<1, Int>::arange(0..rows as i64, &device).remainder_scalar(classes as i64);
        let bytes = 4 * rows * classes;
        report(&format!("cross_entropy {rows} x {classes}"), bytes * 3, || {
            let logits = (logits.clone() * 1.0).require_grad();
            cross_entropy(logits, targets.clone(), 0.0).backward();
        });
        report(&format!("  log_softmax, gather {rows} x {classes}"), bytes * 3, || {
            let logits = (logits.clone() * 1.0).require_grad();
            let picked = log_softmax(logits, 1).gather(1, targets.clone().unsqueeze_dim(1));
            picked.sum().neg().backward();
        });
    }
    for (rows, width) in [(768, 128), (1024, 768)] {
        let x = Tensor::<2>::random([rows, width], Distribution::Normal(0.0, 1.0), &device);
        let norm = LayerNormConfig::new(width).init(&device);
        let (gamma, beta) = (norm.gamma.val(), norm.beta.as_ref().map(|beta| beta.val()));
        let bytes = 4 * rows * width;
        report(&format!("layer_norm {rows} x {width}"), bytes * 5, || {
            let x = x.clone().require_grad();
            layer_norm(x, gamma.clone(), beta.clone(), 1e-5).sum().backward();
        });
        report(&format!("  burn's LayerNorm {rows} x {width}"), bytes * 5, || {
            norm.forward(x.clone().require_grad()).sum().backward();
        });
    }
    for (rows, width) in [(768, 512), (1024, 3072)] {
        let x = Tensor::<2>::random([rows, width], Distribution::Normal(0.0, 1.0), &device);
        let bytes = 4 * rows * width;
        report(&format!("gelu {rows} x {width}"), bytes * 5, || {
            gelu(x.clone().require_grad()).sum().backward();
        });
        report(&format!("  burn's gelu_approximate {rows} x {width}"), bytes * 5, || {
            gelu_approximate(x.clone().require_grad()).sum().backward();
        });
    }
}

/// Prints the median of 15 runs after 3 to warm up, and the rate at which the op's own bytes went by.
fn report(name: &str, bytes: usize, mut step: impl FnMut()) {
    (0..3).for_each(|_| step());
    let mut times: Vec<f64> = (0..15)
        .map(|_| {
            let start = Instant::now();
            step();
            start.elapsed().as_secs_f64()
        })
        .collect();
    times.sort_by(f64::total_cmp);
    let median = times[times.len() / 2];
    println!("{name:<42} {:>9.3} ms {:>7.1} GB/s", median * 1e3, bytes as f64 / median / 1e9);
}
