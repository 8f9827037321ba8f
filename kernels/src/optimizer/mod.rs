//! The update rules, over all parameters of a model at once.
//!
//! On the CPU a step is one pass over memory in one parallel region: clip, rule, decay and average while a chunk is in
//! the cache, in place. Composed, AdamW alone makes some twenty passes, and each allocates its result.

#[cfg(feature = "flex")]
mod host;
mod muon;
#[cfg(feature = "flex")]
mod pass;
mod reference;

use burn::tensor::Tensor;

use crate::profile::{Work, timed};

/// A parameter that is about to move. All tensors are `[n]`, f32 and outside any graph.
#[derive(Debug)]
pub struct Update {
    /// The parameter.
    pub value: Tensor<1>,
    /// Its gradient.
    pub grad: Tensor<1>,
    /// How it moves.
    pub rule: Rule,
    /// Its moving average, where one is kept.
    pub average: Option<Tensor<1>>,
}

/// A parameter that has moved.
#[derive(Debug)]
pub struct Updated {
    /// The parameter.
    pub value: Tensor<1>,
    /// What its rule remembers, in the order of [`Rule`]'s fields.
    pub slots: Vec<Tensor<1>>,
    /// Its moving average.
    pub average: Option<Tensor<1>>,
}

/// An update rule, its numbers for one step, and what it remembers of the parameter (`[n]`, zeros at first).
#[derive(Debug)]
#[allow(clippy::large_enum_variant)] // one a parameter, for as long as a step takes
pub enum Rule {
    /// First and second moment.
    Adamw(Adamw, [Tensor<1>; 2]),
    /// The momentum.
    Lion(Lion, Tensor<1>),
    /// The momentum buffer; without one there is no momentum.
    Sgd(Momentum, Option<Tensor<1>>),
    /// The momentum.
    Muon(Momentum, Fold, Tensor<1>),
}

/// AdamW (Loshchilov and Hutter 2017, algorithm 2, eps outside the root as in PyTorch).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Adamw {
    /// Learning rate.
    pub rate: f64,
    /// Weight decay; 0 where the parameter does not decay.
    pub decay: f64,
    /// Decay rates of the moments.
    pub betas: [f64; 2],
    /// Added to the root of the corrected second moment.
    pub eps: f64,
    /// This update's number, from 1.
    pub update: u64,
}

impl Adamw {
    /// `rate · m̂ / (√v̂ + eps)` is `size · m / (√v + eps)` with these `[size, eps]`: both corrections are numbers.
    fn corrected(self) -> [f64; 2] {
        let count = self.update as f64;
        let [first, second] = self.betas.map(|beta| 1.0 - beta.powf(count));
        let root = second.sqrt();
        [self.rate * root / first, self.eps * root]
    }
}

/// Lion (Chen et al. 2023, algorithm 2).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Lion {
    /// Learning rate.
    pub rate: f64,
    /// Weight decay; 0 where the parameter does not decay.
    pub decay: f64,
    /// What is kept of the momentum in the step and in the slot.
    pub betas: [f64; 2],
}

/// SGD as `torch.optim.SGD` writes it, or Muon (Jordan et al. 2024).
///
/// SGD couples its decay as L2 to the gradient and sums `buffer = momentum · buffer + g`; Muon decays the parameter
/// itself and averages, `m = momentum · m + (1 - momentum) · g`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Momentum {
    /// Learning rate.
    pub rate: f64,
    /// Weight decay; 0 where the parameter does not decay.
    pub decay: f64,
    /// What is kept of the momentum from step to step.
    pub momentum: f64,
    /// Nesterov's look-ahead.
    pub nesterov: bool,
}

/// How Muon folds a parameter to a matrix, and what scales its step: `max(1, fan_out / fan_in)^0.5`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fold {
    rows: usize,
    columns: usize,
    scale: f64,
}

impl Fold {
    /// `shape` is the parameter's: `[in, out]` for a matrix; filters `[out, in, ..]` become `[out, in·..]`.
    pub fn new(shape: &[usize]) -> Self {
        let rows = shape.first().copied().unwrap_or(1).max(1);
        let columns = shape.iter().product::<usize>() / rows;
        let (fan_in, fan_out) = if shape.len() == 2 { (rows, columns) } else { (columns, rows) };
        Self { rows, columns, scale: (fan_out as f64 / fan_in as f64).max(1.0).sqrt() }
    }
}

/// Moves every parameter once, with `clip` times its gradient; an average becomes
/// `keep · average + (1 - keep) · parameter`.
///
/// Returns the parameters in the order given. On the CPU they are changed in place where nobody else holds them.
pub fn update(updates: Vec<Update>, clip: f64, keep: f64) -> Vec<Updated> {
    let work = updates.iter().map(Update::work).fold(Work::default(), |sum, work| sum + work);
    #[cfg(feature = "flex")]
    let updates = match host::held::<burn::backend::Flex>(updates) {
        Ok(held) => return timed("optimizer", work, || host::update(held, clip, keep)),
        Err(updates) => updates,
    };
    #[cfg(feature = "tch")]
    let updates = match host::held::<burn::backend::LibTorch>(updates) {
        Ok(held) => return timed("optimizer", work, || host::update(held, clip, keep)),
        Err(updates) => updates,
    };
    timed("optimizer", work, || updates.into_iter().map(|update| reference::update(update, clip, keep)).collect())
}

impl Update {
    /// The gradient is read, all else is read and written; Muon's direction goes by twice more.
    fn work(&self) -> Work {
        let n = self.grad.shape().num_elements();
        let average = f64::from(self.average.is_some());
        match &self.rule {
            Rule::Adamw(..) => Work::per_element(n, 15.0 + 3.0 * average, 7.0 + 2.0 * average),
            Rule::Lion(..) | Rule::Sgd(_, Some(_)) => Work::per_element(n, 9.0 + 3.0 * average, 5.0 + 2.0 * average),
            Rule::Sgd(_, None) => Work::per_element(n, 5.0 + 3.0 * average, 3.0 + 2.0 * average),
            Rule::Muon(_, fold, _) => {
                let passes = Work::per_element(n, 9.0 + 3.0 * average, 7.0 + 2.0 * average);
                Work { flops: passes.flops + muon::flops(fold.rows, fold.columns), ..passes }
            }
        }
    }
}
