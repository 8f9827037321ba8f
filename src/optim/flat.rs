//! Parameter-sized tensors of any rank, kept flat, and the parameters that they belong to.

use std::collections::BTreeMap;

use burn::{
    module::{Module, ModuleVisitor, Param},
    tensor::{DType, Device, GradientCheckpointingStrategy, Tensor, TensorData},
};

use super::{OptimKind, group::Group};
use crate::{
    error::{Error, Result},
    nn::ModulePath,
};

/// What a parameter's tensor is to autodiff, to be put back after an update outside the graph.
pub(super) struct Leaf {
    autodiff: bool,
    require_grad: bool,
    checkpointing: Option<GradientCheckpointingStrategy>,
}

impl Leaf {
    pub(super) fn of<const D: usize>(tensor: &Tensor<D>) -> Self {
        Self {
            autodiff: tensor.is_autodiff(),
            require_grad: tensor.is_require_grad(),
            checkpointing: tensor.gradient_checkpointing_strategy(),
        }
    }

    pub(super) fn restore<const D: usize>(self, plain: Tensor<D>) -> Tensor<D> {
        if !self.autodiff {
            return plain;
        }
        // `autodiff` alone means the default checkpointing strategy, which may not be mixed with another.
        let tensor = match self.checkpointing {
            Some(strategy) => plain.autodiff().with_gradient_checkpointing_strategy(strategy),
            None => plain.autodiff(),
        };
        tensor.set_require_grad(self.require_grad)
    }
}

/// `tensor` outside any graph as `[n]`.
pub(super) fn flattened<const D: usize>(tensor: Tensor<D>) -> Tensor<1> {
    let count = tensor.shape().num_elements();
    tensor.without_autodiff().reshape([count])
}

/// Reads a flat tensor to the host as f32, in the parameter's shape.
pub(super) fn to_data(name: &str, flat: &Tensor<1>, shape: &[usize]) -> Result<TensorData> {
    let failed = |e: &dyn std::fmt::Display| Error::failed(format!("cannot read `{name}` from the device: {e}"));
    let data = flat.clone().try_into_data_dtype(DType::F32).map_err(|e| failed(&e))?;
    TensorData::try_from_bytes(data.into_bytes(), shape.to_vec(), DType::F32).map_err(|e| failed(&e))
}

/// Puts `data` of any shape on the plain side of `device`, flat.
pub(super) fn from_data(name: &str, data: TensorData, device: &Device) -> Result<Tensor<1>> {
    let failed = |e: &dyn std::fmt::Display| Error::failed(format!("cannot convert `{name}` to f32: {e}"));
    let data = data.try_cast(DType::F32).map_err(|e| failed(&e))?;
    let count = data.num_elements();
    let data = TensorData::try_from_bytes(data.into_bytes(), [count], DType::F32).map_err(|e| failed(&e))?;
    Ok(Tensor::from_data(data, (device, DType::F32)).without_autodiff())
}

/// A float parameter of a module.
pub(super) struct Known {
    pub(super) shape: Vec<usize>,
    pub(super) device: Device,
    pub(super) group: Group,
    pub(super) trains: bool,
}

/// The float parameters (and running buffers) of `model` by path.
pub(super) fn inventory<M: Module>(model: &M, kind: OptimKind) -> BTreeMap<String, Known> {
    let mut inventory = Inventory { kind, path: ModulePath::default(), known: BTreeMap::new() };
    model.visit(&mut inventory);
    inventory.known
}

struct Inventory {
    kind: OptimKind,
    path: ModulePath,
    known: BTreeMap<String, Known>,
}

impl ModuleVisitor for Inventory {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _name: &str, container: &str) {
        self.path.exit(container);
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let known = Known {
            shape: param.lazy_shape().to_vec(),
            device: param.lazy_device(),
            group: Group::of(self.kind, &self.path, D),
            trains: param.is_require_grad(),
        };
        self.known.insert(self.path.dotted(), known);
    }
}
