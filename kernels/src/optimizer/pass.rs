//! What is done to one chunk while it is in the cache. Multiplications and additions stay apart, as composed: a fused
//! one would make the result depend on the processor.

use super::Rule;
use crate::host::Kernel;

/// A stretch of one parameter; what the rule does without is empty.
pub(super) struct Chunk<'a> {
    pub(super) p: &'a mut [f32],
    pub(super) g: &'a [f32],
    pub(super) slots: [&'a mut [f32]; 2],
    pub(super) average: &'a mut [f32],
    pub(super) pass: Pass,
}

/// A rule's numbers as the loop needs them; `kept` is what decay leaves of a parameter.
#[derive(Debug, Clone, Copy)]
pub(super) enum Pass {
    Adamw {
        betas: [f32; 2],
        rest: [f32; 2],
        size: f32,
        eps: f32,
        kept: f32,
    },
    Lion {
        betas: [f32; 2],
        rest: [f32; 2],
        rate: f32,
        kept: f32,
    },
    Sgd {
        rate: f32,
        decay: f32,
        momentum: f32,
        nesterov: bool,
    },
    /// A direction that is ready: Muon's.
    Descend {
        rate: f32,
        kept: f32,
    },
}

impl Pass {
    pub(super) fn of(rule: &Rule) -> Self {
        let kept = |rate: f64, decay: f64| (1.0 - rate * decay) as f32;
        let (low, rest) = (|beta: f64| beta as f32, |beta: f64| (1.0 - beta) as f32);
        match rule {
            Rule::Adamw(step, _) => {
                let [size, eps] = step.corrected().map(|x| x as f32);
                let (betas, rest) = (step.betas.map(low), step.betas.map(rest));
                Self::Adamw { betas, rest, size, eps, kept: kept(step.rate, step.decay) }
            }
            Rule::Lion(step, _) => {
                let (betas, rest) = (step.betas.map(low), step.betas.map(rest));
                Self::Lion { betas, rest, rate: step.rate as f32, kept: kept(step.rate, step.decay) }
            }
            Rule::Sgd(step, _) => {
                let [rate, decay, momentum] = [step.rate, step.decay, step.momentum].map(low);
                Self::Sgd { rate, decay, momentum, nesterov: step.nesterov }
            }
            Rule::Muon(step, fold, _) => {
                Self::Descend { rate: (step.rate * fold.scale) as f32, kept: kept(step.rate, step.decay) }
            }
        }
    }
}

/// Clip, rule and average over one chunk.
pub(super) struct Step<'a> {
    pub(super) chunk: Chunk<'a>,
    /// What the gradient is multiplied by.
    pub(super) clip: f32,
    /// What the average keeps of itself, and what it takes of the parameter.
    pub(super) keep: [f32; 2],
}

impl Kernel for Step<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Chunk { p, g, slots: [first, second], average, pass } = self.chunk;
        let clip = self.clip;
        match pass {
            Pass::Adamw { betas: [b1, b2], rest: [r1, r2], size, eps, kept } => {
                for ((p, g), (m, v)) in p.iter_mut().zip(g).zip(first.iter_mut().zip(second.iter_mut())) {
                    let g = g * clip;
                    *m = *m * b1 + g * r1;
                    *v = *v * b2 + g * g * r2;
                    *p = *p * kept - *m / (v.sqrt() + eps) * size;
                }
            }
            Pass::Lion { betas: [b1, b2], rest: [r1, r2], rate, kept } => {
                for ((p, g), m) in p.iter_mut().zip(g).zip(first.iter_mut()) {
                    let g = g * clip;
                    *p = *p * kept - sign(*m * b1 + g * r1) * rate;
                    *m = *m * b2 + g * r2;
                }
            }
            Pass::Sgd { rate, decay, .. } if first.is_empty() => {
                for (p, g) in p.iter_mut().zip(g) {
                    *p -= (g * clip + *p * decay) * rate;
                }
            }
            Pass::Sgd { rate, decay, momentum, nesterov } => {
                for ((p, g), buffer) in p.iter_mut().zip(g).zip(first.iter_mut()) {
                    let g = g * clip + *p * decay;
                    *buffer = *buffer * momentum + g;
                    let change = if nesterov { g + *buffer * momentum } else { *buffer };
                    *p -= change * rate;
                }
            }
            Pass::Descend { rate, kept } => {
                for (p, change) in p.iter_mut().zip(g) {
                    *p = *p * kept - change * rate;
                }
            }
        }
        let [keep, take] = self.keep;
        for (average, p) in average.iter_mut().zip(p.iter()) {
            *average = *average * keep + p * take;
        }
    }
}

/// Muon's momentum over one chunk; its direction takes the gradient's place.
pub(super) struct Turn<'a> {
    pub(super) g: &'a mut [f32],
    pub(super) m: &'a mut [f32],
    pub(super) clip: f32,
    /// What the momentum keeps of itself, and what it takes of the gradient.
    pub(super) keep: [f32; 2],
    pub(super) nesterov: bool,
}

impl Kernel for Turn<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let ([keep, take], clip, nesterov) = (self.keep, self.clip, self.nesterov);
        for (g, m) in self.g.iter_mut().zip(self.m.iter_mut()) {
            let new = *g * clip * take;
            *m = *m * keep + new;
            *g = if nesterov { new + *m * keep } else { *m };
        }
    }
}

/// 0 for 0; NaN for NaN, so that it shows.
#[inline(always)]
fn sign(x: f32) -> f32 {
    if x > 0.0 {
        1.0
    } else if x < 0.0 {
        -1.0
    } else {
        x
    }
}
