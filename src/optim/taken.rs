//! Parameters out of their model for as long as they are updated.
//!
//! Only a tensor that the model does not hold as well can change in place, and only all of them together are one pass.

use std::collections::BTreeMap;

use burn::{
    module::{Module, ModuleMapper, Param},
    optim::GradientsParams,
    tensor::{Shape, Tensor},
};
use kiln_kernels::optimizer::Update;

use super::{
    Ema, Optimizer,
    flat::{self, Leaf},
    group::{Group, Rule},
};
use crate::nn::ModulePath;

/// What is known of a parameter beside its [`Update`].
pub(super) struct Taken {
    pub(super) path: String,
    pub(super) shape: Vec<usize>,
    pub(super) rule: Rule,
    pub(super) leaf: Leaf,
}

/// Takes out every parameter with a gradient; where it was, the model has a tensor of one element meanwhile.
pub(super) struct Take<'a> {
    path: ModulePath,
    grads: GradientsParams,
    optimizer: &'a mut Optimizer,
    ema: Option<&'a mut Ema>,
    rate: f64,
    taken: Vec<Taken>,
    updates: Vec<Update>,
}

impl<'a> Take<'a> {
    /// The model without its parameters, and these in the same order twice.
    pub(super) fn all<M: Module>(
        model: M,
        grads: GradientsParams,
        optimizer: &'a mut Optimizer,
        ema: Option<&'a mut Ema>,
        rate: f64,
    ) -> (M, Vec<Taken>, Vec<Update>) {
        let path = ModulePath::default();
        let mut take = Self { path, grads, optimizer, ema, rate, taken: vec![], updates: vec![] };
        (model.map(&mut take), take.taken, take.updates)
    }
}

impl ModuleMapper for Take<'_> {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _name: &str, container: &str) {
        self.path.exit(container);
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let path = self.path.dotted();
        let Some(grad) = self.grads.remove::<D>(param.id) else {
            if let Some(ema) = &mut self.ema {
                ema.follow(path, &param);
            }
            return param;
        };
        let (id, value, mapper) = param.consume();
        let grad = if grad.dtype() == value.dtype() { grad } else { grad.cast(value.dtype()) };
        let placeholder = Tensor::empty([1; D], (&value.device(), value.dtype()));
        let (leaf, shape, value) = (Leaf::of(&value), value.shape().to_vec(), flat::flattened(value));
        let group = Group::of(self.optimizer.kind(), &self.path, D);
        let rule = self.optimizer.rule(&path, &value, &shape, group, self.rate);
        let average = self.ema.as_mut().and_then(|ema| ema.take(&path));
        self.updates.push(Update { value, grad: flat::flattened(grad), rule, average });
        self.taken.push(Taken { path, shape, rule: group.rule, leaf });
        Param::from_mapped_value(id, placeholder, mapper)
    }
}

/// Puts parameters back where [`Take`] found them.
pub(super) struct PutBack {
    path: ModulePath,
    moved: Moved,
}

/// Flat parameters by path, with the shape and the side of autodiff that they had.
type Moved = BTreeMap<String, (Leaf, Vec<usize>, Tensor<1>)>;

impl PutBack {
    pub(super) fn all<M: Module>(model: M, moved: Moved) -> M {
        model.map(&mut Self { path: ModulePath::default(), moved })
    }
}

impl ModuleMapper for PutBack {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _name: &str, container: &str) {
        self.path.exit(container);
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some((leaf, shape, value)) = self.moved.remove(&self.path.dotted()) else { return param };
        let (id, _, mapper) = param.consume();
        Param::from_mapped_value(id, leaf.restore(value.reshape(Shape::from(shape))), mapper)
    }
}
