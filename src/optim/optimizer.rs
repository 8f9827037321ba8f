//! One optimizer over a whole module: a pass that updates every parameter with a gradient, and state kept by path.

use std::collections::BTreeMap;

use burn::{
    module::{Module, ModuleMapper, Param},
    optim::GradientsParams,
    tensor::{Tensor, TensorData},
};

use super::{
    OptimConfig,
    flat::{self, Known, Leaf},
    group::{Group, Rule},
    rule,
};
use crate::{
    error::{Error, Result},
    nn::{ModulePath, Tensors, misfit, mismatch},
};

/// The name under which the number of updates is saved, as one `i64`.
const UPDATES: &str = "__updates";

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
    /// Moves every parameter of `model` that has a gradient once, at the rate `lr · scale` (Muon: `muon_lr · scale`).
    ///
    /// `scale` is the schedule's factor. Nothing waits for the device.
    pub fn step<M: Module>(&mut self, model: M, grads: GradientsParams, scale: f64) -> M {
        self.updates += 1;
        model.map(&mut Step { optimizer: self, path: ModulePath::default(), grads, scale })
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

struct Step<'a> {
    optimizer: &'a mut Optimizer,
    path: ModulePath,
    grads: GradientsParams,
    scale: f64,
}

impl ModuleMapper for Step<'_> {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _name: &str, container: &str) {
        self.path.exit(container);
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(grad) = self.grads.remove::<D>(param.id) else { return param };
        let (id, value, mapper) = param.consume();
        let leaf = Leaf::of(&value);
        let shape = value.shape();
        let grad = if grad.dtype() == value.dtype() { grad } else { grad.cast(value.dtype()) };
        let group = Group::of(self.optimizer.config.kind, &self.path, D);
        let path = self.path.dotted();
        let value = self.update(path, flat::flattened(value), flat::flattened(grad), &shape.to_vec(), group);
        Param::from_mapped_value(id, leaf.restore(value.reshape(shape)), mapper)
    }
}

impl Step<'_> {
    /// The parameter at `path` (`[n]`) after this step.
    fn update(&mut self, path: String, p: Tensor<1>, g: Tensor<1>, shape: &[usize], group: Group) -> Tensor<1> {
        let Optimizer { config, updates, states } = &mut *self.optimizer;
        let fresh = || State::fresh(&p, shape, group.rule, config.momentum);
        let state = states.remove(&path).unwrap_or_else(fresh);
        let (rate, decay) = (config.lr * self.scale, if group.decays { config.weight_decay } else { 0.0 });
        let momentum = rule::Momentum { rate, decay, momentum: config.momentum, nesterov: config.nesterov };
        let mut slots = state.slots.into_iter();
        let (p, slots) = match (group.rule, slots.next(), slots.next()) {
            (Rule::Adamw, Some(m), Some(v)) => {
                let step = rule::Adamw { rate, decay, betas: config.betas, eps: config.eps, update: *updates };
                let (p, moments) = rule::adamw(p, g, [m, v], step);
                (p, Vec::from(moments))
            }
            (Rule::Lion, Some(m), _) => {
                let (p, m) = rule::lion(p, g, m, rate, decay, config.betas);
                (p, vec![m])
            }
            (Rule::Muon, Some(m), _) => {
                let step = rule::Momentum { rate: config.muon_lr * self.scale, ..momentum };
                let (p, m) = rule::muon(p, g, m, shape, step);
                (p, vec![m])
            }
            (_, buffer, _) => {
                let (p, buffer) = rule::sgd(p, g, buffer, momentum);
                (p, buffer.into_iter().collect())
            }
        };
        states.insert(path, State { shape: state.shape, rule: group.rule, slots });
        p
    }
}

impl State {
    /// Zeros beside the flat parameter `p`.
    fn fresh(p: &Tensor<1>, shape: &[usize], rule: Rule, momentum: f64) -> Self {
        let slots = rule.slots(momentum).iter().map(|_| p.zeros_like()).collect();
        Self { shape: shape.to_vec(), rule, slots }
    }
}
