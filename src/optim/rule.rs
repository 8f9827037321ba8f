//! The update rules, on flat tensors outside any autodiff graph.
//!
//! `p` is the parameter, `g` its gradient; all are `[n]`. Tensors are consumed, so that a backend can reuse buffers.

use burn::tensor::Tensor;

/// AdamW's numbers for one step.
#[derive(Debug, Clone, Copy)]
pub(super) struct Adamw {
    /// Learning rate.
    pub(super) rate: f64,
    /// Weight decay; 0 where the parameter does not decay.
    pub(super) decay: f64,
    /// Decay rates of the moments.
    pub(super) betas: [f64; 2],
    /// Added to the root of the corrected second moment.
    pub(super) eps: f64,
    /// This update's number, from 1.
    pub(super) update: u64,
}

/// AdamW (Loshchilov and Hutter 2017, algorithm 2, eps outside the root as in PyTorch): `p` and the two moments after
/// one step.
///
/// The one place where a fused kernel can stand in for the composed expression.
pub(super) fn adamw(p: Tensor<1>, g: Tensor<1>, moments: [Tensor<1>; 2], step: Adamw) -> (Tensor<1>, [Tensor<1>; 2]) {
    let [m, v] = moments;
    let [b1, b2] = step.betas;
    let count = step.update as f64;
    let (correction1, correction2) = (1.0 - b1.powf(count), 1.0 - b2.powf(count));
    let m = m.mul_scalar(b1).add(g.clone().mul_scalar(1.0 - b1));
    let v = v.mul_scalar(b2).add(g.square().mul_scalar(1.0 - b2));
    // rate · m̂ / (√v̂ + eps) with both corrections taken out of the tensors, which saves passes over memory.
    let root = correction2.sqrt();
    let change = m.clone().div(v.clone().sqrt().add_scalar(step.eps * root)).mul_scalar(step.rate * root / correction1);
    (decayed(p, step.rate * step.decay).sub(change), [m, v])
}

/// The numbers of SGD and Muon for one step.
#[derive(Debug, Clone, Copy)]
pub(super) struct Momentum {
    /// Learning rate.
    pub(super) rate: f64,
    /// Weight decay; 0 where the parameter does not decay.
    pub(super) decay: f64,
    /// What is kept of the momentum from step to step.
    pub(super) momentum: f64,
    /// Nesterov's look-ahead.
    pub(super) nesterov: bool,
}

/// SGD as `torch.optim.SGD` writes it: L2 decay coupled to the gradient, `buffer = momentum·buffer + g`, and with
/// Nesterov's momentum the step `g + momentum·buffer`. Without a buffer there is no momentum.
pub(super) fn sgd(
    p: Tensor<1>,
    g: Tensor<1>,
    buffer: Option<Tensor<1>>,
    step: Momentum,
) -> (Tensor<1>, Option<Tensor<1>>) {
    let g = if step.decay == 0.0 { g } else { g.add(p.clone().mul_scalar(step.decay)) };
    let Some(buffer) = buffer else { return (p.sub(g.mul_scalar(step.rate)), None) };
    let buffer = buffer.mul_scalar(step.momentum).add(g.clone());
    let change = if step.nesterov { g.add(buffer.clone().mul_scalar(step.momentum)) } else { buffer.clone() };
    (p.sub(change.mul_scalar(step.rate)), Some(buffer))
}

/// Lion (Chen et al. 2023, algorithm 2).
pub(super) fn lion(
    p: Tensor<1>,
    g: Tensor<1>,
    m: Tensor<1>,
    rate: f64,
    decay: f64,
    betas: [f64; 2],
) -> (Tensor<1>, Tensor<1>) {
    let [b1, b2] = betas;
    let change = m.clone().mul_scalar(b1).add(g.clone().mul_scalar(1.0 - b1)).sign();
    let m = m.mul_scalar(b2).add(g.mul_scalar(1.0 - b2));
    (decayed(p, rate * decay).sub(change.mul_scalar(rate)), m)
}

/// Muon (Jordan et al. 2024): momentum as an average of gradients, orthogonalised, scaled by
/// `max(1, fan_out / fan_in)^0.5`.
///
/// `shape` is the parameter's: `[in, out]` for a matrix; filters `[out, in, ..]` become `[out, in·..]`.
pub(super) fn muon(
    p: Tensor<1>,
    g: Tensor<1>,
    m: Tensor<1>,
    shape: &[usize],
    step: Momentum,
) -> (Tensor<1>, Tensor<1>) {
    let kept = step.momentum;
    let m = m.mul_scalar(kept).add(g.clone().mul_scalar(1.0 - kept));
    let direction = if step.nesterov { g.mul_scalar(1.0 - kept).add(m.clone().mul_scalar(kept)) } else { m.clone() };
    let count: usize = shape.iter().product();
    let rows = shape.first().copied().unwrap_or(1).max(1);
    let columns = count / rows;
    let (fan_in, fan_out) = if shape.len() == 2 { (rows, columns) } else { (columns, rows) };
    let scale = (fan_out as f64 / fan_in as f64).max(1.0).sqrt();
    let change = orthogonalised(direction.reshape([rows, columns])).reshape([count]);
    (decayed(p, step.rate * step.decay).sub(change.mul_scalar(step.rate * scale)), m)
}

/// The nearest semi-orthogonal matrix to `x` (`[rows, columns]`), roughly: five quintic Newton-Schulz iterations with
/// Jordan's coefficients, which leave singular values between about 0.7 and 1.2.
fn orthogonalised(x: Tensor<2>) -> Tensor<2> {
    const COEFFICIENTS: [f64; 3] = [3.4445, -4.7750, 2.0315];
    let [rows, columns] = x.dims();
    let [a, b, c] = COEFFICIENTS;
    let x = if rows > columns { x.transpose() } else { x };
    // Rows first: flex promises no order of addition for a whole-tensor sum of a large matrix.
    let norm = x.clone().square().sum_dim(1).sum_dim(0).sqrt().add_scalar(1e-7);
    let mut x = x.div(norm);
    for _ in 0..5 {
        let gram = x.clone().matmul(x.clone().transpose());
        let mix = gram.clone().matmul(gram.clone()).mul_scalar(c).add(gram.mul_scalar(b));
        x = mix.matmul(x.clone()).add(x.mul_scalar(a));
    }
    if rows > columns { x.transpose() } else { x }
}

fn decayed(p: Tensor<1>, by: f64) -> Tensor<1> {
    if by == 0.0 { p } else { p.mul_scalar(1.0 - by) }
}
