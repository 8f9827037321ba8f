//! One optimizer over a whole module: a pass that updates every parameter with a gradient, and state kept by path.

use std::collections::BTreeMap;

use burn::{
    module::Module,
    optim::GradientsParams,
    tensor::{Tensor, TensorData},
};
use kiln_kernels::optimizer as kernel;

use super::{
    Ema, OptimConfig, OptimKind,
    flat::{self, Known},
    group::{Group, Rule},
    taken::{PutBack, Take, Taken},
};
use crate::{
    error::{Error, Result},
    nn::{Tensors, misfit, mismatch},
};

/// The name under which the number of updates is saved, as one `i64`.
const UPDATES: &str = "__updates";

/// What a step multiplies by.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scale {
    /// The learning rates, `lr` and `muon_lr`: the schedule's factor.
    pub rate: f64,
    /// The gradients: the clip's factor.
    pub grads: f64,
}

/// An update rule's numbers and what it remembers of every parameter.
///
/// Parameters without a gradient (frozen ones, running buffers) are left as they are and have no state. The number of
/// updates, which AdamW's bias correction needs, is the optimizer's, not a parameter's.
#[derive(Debug)]
pub struct Optimizer {
    config: OptimConfig,
    updates: u64,
    states: BTreeMap<String, State>,
}

/// What is remembered of one parameter: the rule's slots, flat, in the rule's order.
#[derive(Debug)]
struct State {
    shape: Vec<usize>,
    rule: Rule,
    slots: Vec<Tensor<1>>,
}

impl OptimConfig {
    /// The optimizer, before its first update.
    pub fn init(&self) -> Optimizer {
        Optimizer { config: self.clone(), updates: 0, states: BTreeMap::new() }
    }
}

impl Optimizer {
    /// Moves every parameter of `model` that has a gradient once, then takes the model into `ema`.
    ///
    /// Nothing waits for the device. On the CPU this is one pass over memory, in place; a second handle on a parameter
    /// or its gradient, such as a clone of the model, costs a copy.
    pub fn step<M: Module>(&mut self, model: M, grads: GradientsParams, scale: Scale, mut ema: Option<&mut Ema>) -> M {
        self.updates += 1;
        let keep = ema.as_ref().map_or(0.0, |ema| ema.decay());
        let (model, taken, updates) = Take::all(model, grads, self, ema.as_deref_mut(), scale.rate);
        let mut moved = BTreeMap::new();
        for (taken, updated) in taken.into_iter().zip(kernel::update(updates, scale.grads, keep)) {
            let Taken { path, shape, rule, leaf } = taken;
            if let Some(ema) = &mut ema {
                let average = updated.average.unwrap_or_else(|| updated.value.clone());
                ema.put(path.clone(), shape.clone(), average);
            }
            self.states.insert(path.clone(), State { shape: shape.clone(), rule, slots: updated.slots });
            moved.insert(path, (leaf, shape, updated.value));
        }
        PutBack::all(model, moved)
    }

    /// The kind of update rule.
    pub(super) fn kind(&self) -> OptimKind {
        self.config.kind
    }

    /// How the flat parameter `p` at `path` moves at `scale` times its rate, with what was remembered of it.
    pub(super) fn rule(
        &mut self,
        path: &str,
        p: &Tensor<1>,
        shape: &[usize],
        group: Group,
        scale: f64,
    ) -> kernel::Rule {
        let Self { config, updates, states } = self;
        let (rate, decay) = (config.lr * scale, if group.decays { config.weight_decay } else { 0.0 });
        let momentum = kernel::Momentum { rate, decay, momentum: config.momentum, nesterov: config.nesterov };
        let mut slots = states.remove(path).map(|state| state.slots).unwrap_or_default().into_iter();
        let mut slot = || slots.next().unwrap_or_else(|| p.zeros_like());
        match group.rule {
            Rule::Adamw => {
                let step = kernel::Adamw { rate, decay, betas: config.betas, eps: config.eps, update: *updates };
                kernel::Rule::Adamw(step, [slot(), slot()])
            }
            Rule::Lion => kernel::Rule::Lion(kernel::Lion { rate, decay, betas: config.betas }, slot()),
            Rule::Muon => {
                let step = kernel::Momentum { rate: config.muon_lr * scale, ..momentum };
                kernel::Rule::Muon(step, kernel::Fold::new(shape), slot())
            }
            Rule::Sgd if config.momentum == 0.0 => kernel::Rule::Sgd(momentum, None),
            Rule::Sgd => kernel::Rule::Sgd(momentum, Some(slot())),
        }
    }

    /// Updates made so far.
    pub fn updates(&self) -> u64 {
        self.updates
    }

    /// The state on the host: `path/slot` in the parameter's shape as f32, and `__updates` (`[1]`, i64).
    ///
    /// # Errors
    /// A device that fails to answer.
    pub fn tensors(&self) -> Result<Tensors> {
        let updates = i64::try_from(self.updates).map_err(|e| Error::failed(format!("too many updates: {e}")))?;
        let mut tensors = Tensors::from([(UPDATES.to_string(), TensorData::new(vec![updates], [1]))]);
        for (path, state) in &self.states {
            for (slot, flat) in state.rule.slots(self.config.momentum).iter().zip(&state.slots) {
                let name = format!("{path}/{slot}");
                let data = flat::to_data(&name, flat, &state.shape)?;
                tensors.insert(name, data);
            }
        }
        Ok(tensors)
    }

    /// Takes up what [`Optimizer::tensors`] gave, bit for bit, beside the parameters of `model`.
    ///
    /// # Errors
    /// A count of updates that is missing or negative; state of a parameter that `model` lacks, of another shape, of
    /// another update rule, or incomplete; all in one error. Nothing is taken up then.
    pub fn restore<M: Module>(&mut self, mut tensors: Tensors, model: &M) -> Result<()> {
        let next = "resume with the config that the run was started with";
        let mut problems = vec![];
        let updates = tensors.remove(UPDATES).and_then(|data| count_of(&data));
        if updates.is_none() {
            problems.push(format!("`{UPDATES}`, one count, is missing"));
        }
        let known = flat::inventory(model, self.config.kind);
        let mut found: BTreeMap<String, BTreeMap<String, TensorData>> = BTreeMap::new();
        for (name, data) in tensors {
            match self.refused(&name, &data, &known) {
                Some(problem) => problems.push(problem),
                None => {
                    let (path, slot) = name.rsplit_once('/').unwrap_or((&name, ""));
                    found.entry(path.to_string()).or_default().insert(slot.to_string(), data);
                }
            }
        }
        let mut states = BTreeMap::new();
        for (path, slots) in found {
            let Some(parameter) = known.get(&path) else { continue };
            match self.state_of(&path, slots, parameter)? {
                Ok(state) => drop(states.insert(path, state)),
                Err(problem) => problems.push(problem),
            }
        }
        match updates {
            Some(updates) if problems.is_empty() => {
                (self.updates, self.states) = (updates, states);
                Ok(())
            }
            _ => Err(mismatch("the saved optimizer state does not fit", &problems, next)),
        }
    }

    /// Why a saved tensor has no place here, if it hasn't.
    fn refused(&self, name: &str, data: &TensorData, known: &BTreeMap<String, Known>) -> Option<String> {
        let Some((path, slot)) = name.rsplit_once('/') else {
            return Some(format!("`{name}` is no slot of a parameter"));
        };
        let Some(parameter) = known.get(path) else { return Some(format!("`{path}` is not in the model")) };
        let rule = parameter.group.rule;
        if !rule.slots(self.config.momentum).contains(&slot) {
            return Some(format!("`{name}` is of another update rule than {rule:?}"));
        }
        misfit(name, data, &parameter.shape)
    }

    /// The state of one parameter, or the slot that is missing.
    fn state_of(
        &self,
        path: &str,
        mut saved: BTreeMap<String, TensorData>,
        parameter: &Known,
    ) -> Result<Result<State, String>> {
        let rule = parameter.group.rule;
        let mut slots = vec![];
        for slot in rule.slots(self.config.momentum) {
            let name = format!("{path}/{slot}");
            let Some(data) = saved.remove(*slot) else { return Ok(Err(format!("`{name}` is missing"))) };
            slots.push(flat::from_data(&name, data, &parameter.device)?);
        }
        Ok(Ok(State { shape: parameter.shape.clone(), rule, slots }))
    }
}

fn count_of(data: &TensorData) -> Option<u64> {
    let values = data.as_slice::<i64>().ok()?;
    <[i64; 1]>::try_from(values).ok().and_then(|[count]| u64::try_from(count).ok())
}
