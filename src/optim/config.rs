//! The `[optim]` section.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An update rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OptimKind {
    /// Adam with decoupled weight decay (Loshchilov and Hutter 2017).
    Adamw,
    /// Stochastic gradient descent with momentum, as PyTorch writes it.
    Sgd,
    /// Lion (Chen et al. 2023).
    Lion,
    /// Muon (Jordan et al. 2024) on hidden matrices, AdamW on everything else.
    Muon,
}

/// A learning-rate schedule's shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ScheduleKind {
    /// The rate stays.
    Constant,
    /// Falls in a straight line, reaching `floor` as the run ends.
    Linear,
    /// Falls along half a cosine, reaching `floor` as the run ends (Loshchilov and Hutter 2016, without restarts).
    Cosine,
    /// Warm-up, stable, decay: stays, then falls in a straight line to `floor` over the last `decay` steps.
    Wsd,
}

/// `optim.schedule`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ScheduleConfig {
    /// The shape after the warm-up.
    pub kind: ScheduleKind,
    /// Steps over which the rate climbs in a straight line from 0 to `lr`.
    pub warmup: u64,
    /// The lowest rate after the warm-up, as a rate (not a fraction of `lr`); at most `lr`.
    pub floor: f64,
    /// `wsd`: steps of the final decay; 0 means a fifth of all steps.
    pub decay: u64,
}

impl Default for ScheduleConfig {
    fn default() -> Self {
        Self { kind: ScheduleKind::Cosine, warmup: 0, floor: 0.0, decay: 0 }
    }
}

/// The `[optim]` section of a config.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OptimConfig {
    /// The update rule.
    pub kind: OptimKind,
    /// The peak learning rate.
    pub lr: f64,
    /// Weight decay, on matrices only: never on norms, biases or embeddings. Decoupled (`lr · weight_decay · p`), but
    /// for SGD coupled as L2 in the gradient, as PyTorch does.
    pub weight_decay: f64,
    /// AdamW's and Lion's decay rates of the moments; Muon's AdamW part uses them too.
    pub betas: [f64; 2],
    /// AdamW's epsilon.
    pub eps: f64,
    /// SGD's and Muon's momentum.
    pub momentum: f64,
    /// SGD and Muon: Nesterov's momentum.
    pub nesterov: bool,
    /// Muon: the peak rate of the hidden matrices; the rest uses `lr`. The schedule scales both alike.
    pub muon_lr: f64,
    /// Largest global gradient norm; 0 turns clipping off.
    pub clip: f64,
    /// The learning-rate schedule.
    pub schedule: ScheduleConfig,
    /// Decay of the exponential moving average of the weights, which evaluation then uses; 0 turns it off.
    pub ema: f64,
}

impl Default for OptimConfig {
    fn default() -> Self {
        Self {
            kind: OptimKind::Adamw,
            lr: 1e-3,
            weight_decay: 0.1,
            betas: [0.9, 0.95],
            eps: 1e-8,
            momentum: 0.9,
            nesterov: true,
            muon_lr: 0.02,
            clip: 1.0,
            schedule: ScheduleConfig::default(),
            ema: 0.0,
        }
    }
}
