//! The rules composed from burn's own operations, for every device without an override.

use burn::tensor::Tensor;

use super::{Adamw, Fold, Lion, Momentum, Rule, Update, Updated, muon::orthogonalised};

pub(super) fn update(update: Update, clip: f64, keep: f64) -> Updated {
    let Update { value: p, grad, rule, average } = update;
    let g = if clip == 1.0 { grad } else { grad.mul_scalar(clip) };
    let (value, slots) = match rule {
        Rule::Adamw(step, moments) => adamw(p, g, moments, step),
        Rule::Lion(step, m) => lion(p, g, m, step),
        Rule::Sgd(step, buffer) => sgd(p, g, buffer, step),
        Rule::Muon(step, fold, m) => muon(p, g, m, fold, step),
    };
    let average = average.map(|a| a.mul_scalar(keep).add(value.clone().mul_scalar(1.0 - keep)));
    Updated { value, slots, average }
}

type Moved = (Tensor<1>, Vec<Tensor<1>>);

fn adamw(p: Tensor<1>, g: Tensor<1>, [m, v]: [Tensor<1>; 2], step: Adamw) -> Moved {
    let [b1, b2] = step.betas;
    let m = m.mul_scalar(b1).add(g.clone().mul_scalar(1.0 - b1));
    let v = v.mul_scalar(b2).add(g.square().mul_scalar(1.0 - b2));
    let [size, eps] = step.corrected();
    let change = m.clone().div(v.clone().sqrt().add_scalar(eps)).mul_scalar(size);
    (decayed(p, step.rate * step.decay).sub(change), vec![m, v])
}

fn lion(p: Tensor<1>, g: Tensor<1>, m: Tensor<1>, step: Lion) -> Moved {
    let [b1, b2] = step.betas;
    let change = m.clone().mul_scalar(b1).add(g.clone().mul_scalar(1.0 - b1)).sign();
    let m = m.mul_scalar(b2).add(g.mul_scalar(1.0 - b2));
    (decayed(p, step.rate * step.decay).sub(change.mul_scalar(step.rate)), vec![m])
}

fn sgd(p: Tensor<1>, g: Tensor<1>, buffer: Option<Tensor<1>>, step: Momentum) -> Moved {
    let g = if step.decay == 0.0 { g } else { g.add(p.clone().mul_scalar(step.decay)) };
    let Some(buffer) = buffer else { return (p.sub(g.mul_scalar(step.rate)), vec![]) };
    let buffer = buffer.mul_scalar(step.momentum).add(g.clone());
    let change = if step.nesterov { g.add(buffer.clone().mul_scalar(step.momentum)) } else { buffer.clone() };
    (p.sub(change.mul_scalar(step.rate)), vec![buffer])
}

fn muon(p: Tensor<1>, g: Tensor<1>, m: Tensor<1>, fold: Fold, step: Momentum) -> Moved {
    let kept = step.momentum;
    let m = m.mul_scalar(kept).add(g.clone().mul_scalar(1.0 - kept));
    let direction = if step.nesterov { g.mul_scalar(1.0 - kept).add(m.clone().mul_scalar(kept)) } else { m.clone() };
    let change = orthogonalised(direction.reshape([fold.rows, fold.columns])).reshape([fold.rows * fold.columns]);
    (decayed(p, step.rate * step.decay).sub(change.mul_scalar(step.rate * fold.scale)), vec![m])
}

fn decayed(p: Tensor<1>, by: f64) -> Tensor<1> {
    if by == 0.0 { p } else { p.mul_scalar(1.0 - by) }
}
