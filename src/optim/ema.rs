//! An exponential moving average of the weights, for evaluation (Polyak and Juditsky 1992).

use std::collections::BTreeMap;

use burn::{
    module::{Module, ModuleMapper, Param},
    tensor::Tensor,
};

use super::{
    OptimKind,
    flat::{self, Leaf},
};
use crate::{
    error::Result,
    nn::{ModulePath, Tensors, misfit, mismatch},
};

/// `average = decay · average + (1 - decay) · weight` for every trainable parameter at every step of the optimizer;
/// the first one copies.
///
/// Frozen parameters and running buffers are not averaged: [`Ema::swapped`] leaves the model's own.
#[derive(Debug)]
pub struct Ema {
    decay: f64,
    averages: BTreeMap<String, Average>,
}

#[derive(Debug)]
struct Average {
    shape: Vec<usize>,
    value: Tensor<1>,
}

impl Ema {
    /// An average that has seen nothing yet; `decay` lies in `[0, 1)`.
    pub fn new(decay: f64) -> Self {
        Self { decay, averages: BTreeMap::new() }
    }

    pub(super) fn decay(&self) -> f64 {
        self.decay
    }

    /// The flat average of the parameter at `path`, which the step takes out, moves and [puts back](Ema::put).
    pub(super) fn take(&mut self, path: &str) -> Option<Tensor<1>> {
        self.averages.remove(path).map(|average| average.value)
    }

    pub(super) fn put(&mut self, path: String, shape: Vec<usize>, value: Tensor<1>) {
        self.averages.insert(path, Average { shape, value });
    }

    /// Takes in a parameter that had no gradient and did not move.
    pub(super) fn follow<const D: usize>(&mut self, path: String, param: &Param<Tensor<D>>) {
        if !param.is_require_grad() {
            return;
        }
        let value = param.val();
        let shape = value.shape().to_vec();
        let value = flat::flattened(value);
        let value = match self.take(&path) {
            Some(average) => average.mul_scalar(self.decay).add(value.mul_scalar(1.0 - self.decay)),
            None => value,
        };
        self.put(path, shape, value);
    }

    /// `model` with the averages as its weights, still on its device and side of autodiff.
    pub fn swapped<M: Module>(&self, model: M) -> M {
        model.map(&mut Swap { ema: self, path: ModulePath::default() })
    }

    /// The averages on the host by parameter path, f32; empty before the first update.
    ///
    /// # Errors
    /// A device that fails to answer.
    pub fn tensors(&self) -> Result<Tensors> {
        let read = |(path, a): (&String, &Average)| Ok((path.clone(), flat::to_data(path, &a.value, &a.shape)?));
        self.averages.iter().map(read).collect()
    }

    /// Takes up what [`Ema::tensors`] gave, bit for bit, beside the parameters of `model`.
    ///
    /// # Errors
    /// Averages that `model` lacks or of another shape, and trainable parameters without one (unless there are none at
    /// all: the average then starts anew); all in one error. Nothing is taken up then.
    pub fn restore<M: Module>(&mut self, tensors: Tensors, model: &M) -> Result<()> {
        let known = flat::inventory(model, OptimKind::Adamw);
        let mut problems = vec![];
        if !tensors.is_empty() {
            let lost = known.iter().filter(|(path, p)| p.trains && !tensors.contains_key(*path));
            problems.extend(lost.map(|(path, _)| format!("`{path}` is missing")));
        }
        let mut averages = BTreeMap::new();
        for (path, data) in tensors {
            let Some(parameter) = known.get(&path) else {
                problems.push(format!("`{path}` is not in the model"));
                continue;
            };
            if let Some(problem) = misfit(&path, &data, &parameter.shape) {
                problems.push(problem);
                continue;
            }
            let value = flat::from_data(&path, data, &parameter.device)?;
            averages.insert(path, Average { shape: parameter.shape.clone(), value });
        }
        if !problems.is_empty() {
            let next = "resume with the config that the run was started with";
            return Err(mismatch("the saved average of the weights does not fit", &problems, next));
        }
        self.averages = averages;
        Ok(())
    }
}

struct Swap<'a> {
    ema: &'a Ema,
    path: ModulePath,
}

impl ModuleMapper for Swap<'_> {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _name: &str, container: &str) {
        self.path.exit(container);
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(average) = self.ema.averages.get(&self.path.dotted()) else { return param };
        let (id, value, mapper) = param.consume();
        let leaf = Leaf::of(&value);
        let average = average.value.clone().reshape(value.shape());
        Param::from_mapped_value(id, leaf.restore(average), mapper)
    }
}
