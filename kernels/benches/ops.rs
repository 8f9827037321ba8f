//! Each op, forward and backward on flex, against burn's own composition: `cargo bench -p kiln-kernels`.
#![allow(missing_docs)]

use std::time::Instant;

use burn::nn::{LayerNormConfig, RmsNormConfig};
use burn::tensor::{
    Device, Distribution, Int, Tensor,
    activation::{gelu_approximate, log_softmax, silu},
    module::attention_fallback,
    ops::AttentionModuleOptions,
};
use kiln_kernels::{
    AttentionOptions, Products, accumulate, attention, cross_entropy, gelu, layer_norm, norm,
    optimizer::{Adamw, Fold, Momentum, Rule, Update, update},
    rms_norm, swiglu, with_products,
};

fn main() {
    kiln_kernels::keep_freed_pages();
    optimizer();
    muon();
    self_attention();
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
        let norm = RmsNormConfig::new(width).init(&device);
        report(&format!("rms_norm {rows} x {width}"), bytes * 5, || {
            rms_norm(x.clone().require_grad(), norm.gamma.val(), 1e-5).sum().backward();
        });
        report(&format!("  burn's RmsNorm {rows} x {width}"), bytes * 5, || {
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
        report(&format!("swiglu {rows} x {width}"), bytes * 8, || {
            swiglu(x.clone().require_grad(), x.clone().require_grad()).sum().backward();
        });
        report(&format!("  burn's silu and product {rows} x {width}"), bytes * 8, || {
            (silu(x.clone().require_grad()) * x.clone().require_grad()).sum().backward();
        });
    }
}

/// Causal, from the joint projection to the input of the output projection.
fn self_attention() {
    let device = Device::flex().autodiff();
    for [b, heads, t, d] in [[12, 4, 64, 32], [4, 12, 64, 64], [4, 12, 256, 64], [1, 12, 1024, 64]] {
        let joint = Tensor::<3>::random([b, t, 3 * heads * d], Distribution::Normal(0.0, 1.0), &device).detach();
        let bytes = 48 * b * t * heads * d;
        let options = AttentionOptions { heads, kv_heads: heads, causal: true, dropout: 0.0 };
        report(&format!("attention {b} x {heads} x {t} x {d}"), bytes, || {
            attention(joint.clone().require_grad(), None, options).sum().backward();
        });
        report(&format!("  burn's attention {b} x {heads} x {t} x {d}"), bytes, || {
            let joint = joint.clone().require_grad();
            let part = |i: usize| {
                let columns = joint.clone().narrow(2, i * heads * d, heads * d);
                columns.reshape([b, t, heads, d]).swap_dims(1, 2)
            };
            let options = AttentionModuleOptions { is_causal: true, ..Default::default() };
            let y = attention_fallback(part(0), part(1), part(2), None, None, options);
            y.swap_dims(1, 2).reshape([b, t, heads * d]).sum().backward();
        });
    }
}

/// The parameters of a GPT: its embedding, and what each of its blocks has.
fn gpt(layers: usize, width: usize, vocabulary: usize) -> Vec<usize> {
    let matrices = [3, 1, 4, 4].map(|times| times * width * width);
    let block = [matrices.as_slice(), &[width, 3 * width, width, width, width, 4 * width, width, width]].concat();
    [vec![vocabulary * width], block.repeat(layers), vec![width, width]].concat()
}

/// What follows the backward, over all parameters of a model.
fn optimizer() {
    for (name, sizes) in [("0.8M", gpt(4, 128, 65)), ("124M", gpt(12, 768, 50_257))] {
        let elements: usize = sizes.iter().sum();
        let fill = |value: f64| -> Vec<Tensor<1>> {
            let device = Device::flex();
            sizes.iter().map(|n| Tensor::zeros([*n], &device).add_scalar(value)).collect()
        };
        let (grads, mut state) = (fill(0.1), [fill(0.5), fill(0.0), fill(0.0)]);
        let step = Adamw { rate: 1e-3, decay: 0.1, betas: [0.9, 0.95], eps: 1e-8, update: 1 };
        report(&format!("adamw, {name} in {} tensors", sizes.len()), 28 * elements, || {
            let [values, first, second] = std::mem::take(&mut state);
            let moments = first.into_iter().zip(second).map(|(m, v)| Rule::Adamw(step, [m, v]));
            let updates = values.into_iter().zip(&grads).zip(moments);
            let updates =
                updates.map(|((value, grad), rule)| Update { value, grad: grad.clone(), rule, average: None });
            for mut after in update(updates.collect(), 0.5, 0.0) {
                state[2].extend(after.slots.pop());
                state[1].extend(after.slots.pop());
                state[0].push(after.value);
            }
        });
        report(&format!("  composed, {name}"), 28 * elements, || {
            for (i, g) in grads.iter().enumerate() {
                let g = g.clone().mul_scalar(0.5);
                let [p, m, v] = state.each_ref().map(|all| all[i].clone());
                let m = m.mul_scalar(0.9).add(g.clone().mul_scalar(0.1));
                let v = v.mul_scalar(0.95).add(g.square().mul_scalar(0.05));
                let change = m.clone().div(v.clone().sqrt().add_scalar(1e-8)).mul_scalar(1e-3);
                let p = p.mul_scalar(0.9999).sub(change);
                for (old, new) in state.iter_mut().zip([p, m, v]) {
                    old[i] = new;
                }
            }
        });
        let rows: Vec<Tensor<2>> = grads.iter().map(|grad| grad.clone().unsqueeze()).collect();
        report(&format!("norm, {name}"), 4 * elements, || drop(norm(rows.clone())));
        report(&format!("  composed, {name}"), 4 * elements, || {
            let squares = rows.iter().map(|grad| grad.clone().square().sum_dim(1).sum());
            let _ = squares.reduce(Tensor::add).map(Tensor::sqrt);
        });
        let mut sums = fill(0.0);
        report(&format!("accumulate, {name}"), 12 * elements, || {
            sums = accumulate(std::mem::take(&mut sums), grads.clone());
        });
        report(&format!("  composed, {name}"), 12 * elements, || {
            let pairs = std::mem::take(&mut sums).into_iter().zip(&grads);
            sums = pairs.map(|(sum, grad)| sum.add(grad.clone())).collect();
        });
    }
}

/// One hidden matrix of a GPT-2.
fn muon() {
    let device = Device::flex();
    for [rows, columns] in [[768, 768], [768, 3072], [3072, 768]] {
        let [value, grad, m] =
            [1.0, 2.0, 3.0].map(|std| Tensor::<1>::random([rows * columns], Distribution::Normal(0.0, std), &device));
        let step = Momentum { rate: 1e-2, decay: 0.1, momentum: 0.95, nesterov: true };
        let bytes = 20 * rows * columns;
        for products in [Products::F32, Products::Bf16] {
            report(&format!("muon {rows} x {columns}, {products:?}"), bytes, || {
                let rule = Rule::Muon(step, Fold::new(&[rows, columns]), m.clone());
                let updates = vec![Update { value: value.clone(), grad: grad.clone(), rule, average: None }];
                with_products(products, || drop(update(updates, 1.0, 0.0)));
            });
        }
        report(&format!("  composed {rows} x {columns}"), bytes, || {
            let m = m.clone().mul_scalar(0.95).add(grad.clone().mul_scalar(0.05));
            let x = grad.clone().mul_scalar(0.05).add(m.mul_scalar(0.95)).reshape([rows, columns]);
            let x = if rows > columns { x.transpose() } else { x };
            let mut x = x.clone().div(x.square().sum_dim(1).sum_dim(0).sqrt());
            for _ in 0..5 {
                let gram = x.clone().matmul(x.clone().transpose());
                let mix = gram.clone().matmul(gram.clone()).mul_scalar(2.0315).sub(gram.mul_scalar(4.775));
                x = mix.matmul(x.clone()).add(x.mul_scalar(3.4445));
            }
            let x = if rows > columns { x.transpose() } else { x };
            let _ = value.clone().mul_scalar(0.999).sub(x.reshape([rows * columns]).mul_scalar(0.01));
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
