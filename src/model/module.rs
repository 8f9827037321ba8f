//! [`Module`] for [`Model`], so that optimizers, checkpoints and averages see one module whatever the kind.

use burn::{
    module::{Devices, Module, ModuleMapper, ModuleVisitor, Param},
    tensor::{Device, Tensor},
};

use super::Model;

/// Draws every parameter that isn't drawn yet.
pub(super) struct Draw;

impl ModuleVisitor for Draw {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let _ = param.val();
    }
}

/// Counts what can be learned: burn's own count takes running statistics for parameters.
#[derive(Default)]
struct Count {
    params: usize,
    inside_running: bool,
}

impl ModuleVisitor for Count {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.inside_running = name.starts_with("running_");
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.params += if self.inside_running { 0 } else { param.lazy_shape().num_elements() };
    }
}

/// `match` over the variants, the same for all.
macro_rules! each {
    ($model:expr, $inner:ident => $body:expr) => {
        match $model {
            Model::Linear($inner) => $body,
            Model::Mlp($inner) => $body,
            Model::Cnn($inner) => $body,
            Model::Resnet($inner) => $body,
            Model::Gpt($inner) => $body,
            Model::Vit($inner) => $body,
            Model::FtTransformer($inner) => $body,
            Model::WideAndDeep($inner) => $body,
            Model::EmbeddingBag($inner) => $body,
            Model::Recurrent($inner) => $body,
            Model::Encoder($inner) => $body,
            Model::Conv($inner) => $body,
            Model::SeriesTransformer($inner) => $body,
            Model::Autoencoder($inner) => $body,
            Model::Factors($inner) => $body,
            Model::Neumf($inner) => $body,
            Model::TwoTower($inner) => $body,
        }
    };
}

/// The same, wrapped into its variant again.
macro_rules! rewrap {
    ($model:expr, $inner:ident => $body:expr) => {
        match $model {
            Model::Linear($inner) => Model::Linear($body),
            Model::Mlp($inner) => Model::Mlp($body),
            Model::Cnn($inner) => Model::Cnn($body),
            Model::Resnet($inner) => Model::Resnet($body),
            Model::Gpt($inner) => Model::Gpt($body),
            Model::Vit($inner) => Model::Vit($body),
            Model::FtTransformer($inner) => Model::FtTransformer($body),
            Model::WideAndDeep($inner) => Model::WideAndDeep($body),
            Model::EmbeddingBag($inner) => Model::EmbeddingBag($body),
            Model::Recurrent($inner) => Model::Recurrent($body),
            Model::Encoder($inner) => Model::Encoder($body),
            Model::Conv($inner) => Model::Conv($body),
            Model::SeriesTransformer($inner) => Model::SeriesTransformer($body),
            Model::Autoencoder($inner) => Model::Autoencoder($body),
            Model::Factors($inner) => Model::Factors($body),
            Model::Neumf($inner) => Model::Neumf($body),
            Model::TwoTower($inner) => Model::TwoTower($body),
        }
    };
}

// By hand, since the derive puts the variant's name into every parameter's path.
impl Module for Model {
    fn visit<V: ModuleVisitor>(&self, visitor: &mut V) {
        each!(self, model => model.visit(visitor));
    }

    fn map<M: ModuleMapper>(self, mapper: &mut M) -> Self {
        rewrap!(self, model => model.map(mapper))
    }

    fn collect_devices(&self, devices: Devices) -> Devices {
        each!(self, model => model.collect_devices(devices))
    }

    fn to_device(self, device: &Device) -> Self {
        rewrap!(self, model => model.to_device(device))
    }

    fn fork(self, device: &Device) -> Self {
        rewrap!(self, model => model.fork(device))
    }

    fn valid(&self) -> Self {
        rewrap!(self, model => model.valid())
    }

    fn train(self) -> Self {
        rewrap!(self, model => model.train())
    }

    fn materialize(self) -> Self {
        rewrap!(self, model => model.materialize())
    }

    /// Learnable parameters; running statistics are not.
    fn num_params(&self) -> usize {
        let mut count = Count::default();
        self.visit(&mut count);
        count.params
    }
}
