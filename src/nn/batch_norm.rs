//! Batch normalisation.

use std::sync::{Mutex, PoisonError};

use burn::{
    module::{
        Content, Devices, Initializer, Module, ModuleDisplay, ModuleDisplayDefault, ModuleMapper, ModuleVisitor, Param,
        ParamId,
    },
    tensor::{
        Device, Tensor,
        module::{batch_norm, batch_norm_train},
    },
};

use super::{cast_like, to_f32};

const EPSILON: f64 = 1e-5;
const MOMENTUM: f64 = 0.1;

/// Batch normalisation over pictures (Ioffe and Szegedy 2015), epsilon 1e-5, momentum 0.1, as PyTorch's.
///
/// While training it normalises by the batch and moves its running statistics; a model that went through
/// [`Module::valid`] normalises by the running statistics. Statistics are f32 whatever the input.
#[derive(Module, Debug)]
pub struct BatchNorm {
    /// `[channels]`, starts at 1.
    pub weight: Param<Tensor<1>>,
    /// `[channels]`, starts at 0.
    pub bias: Param<Tensor<1>>,
    running_mean: Running,
    running_var: Running,
}

impl BatchNorm {
    /// A layer for `channels` channels.
    pub fn new(channels: usize, device: &Device) -> Self {
        Self {
            weight: Initializer::Ones.init([channels], device),
            bias: Initializer::Zeros.init([channels], device),
            running_mean: Running::new(Tensor::zeros([channels], device)),
            running_var: Running::new(Tensor::ones([channels], device)),
        }
    }

    /// `[b, channels, height, width]` to the same shape and dtype.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let (weight, bias, wide) = (self.weight.val(), self.bias.val(), to_f32(x.clone()));
        // The weights decide, not the input: a validation model may be fed from the training device.
        if !weight.is_autodiff() {
            let y = batch_norm(wide, weight, bias, self.running_mean.get(), self.running_var.get(), EPSILON);
            return cast_like(y, &x);
        }
        let [b, _, height, width] = x.dims();
        let samples = (b * height * width) as f64;
        let batch = batch_norm_train(wide, weight, bias, EPSILON);
        self.running_mean.move_towards(batch.mean);
        // The running variance is the unbiased one, as in the paper's algorithm 2.
        self.running_var.move_towards(batch.variance.mul_scalar(samples / (samples - 1.0).max(1.0)));
        cast_like(batch.output, &x)
    }
}

/// A buffer that the forward pass moves: saved with the parameters, never given a gradient.
///
/// Unlike burn's `RunningState` a clone has a value of its own (swapping averaged weights into a copy must not
/// touch the model that is being trained), and the value is never one update behind when it is saved.
#[derive(Debug)]
struct Running {
    id: ParamId,
    value: Mutex<Tensor<1>>,
}

impl Running {
    fn new(value: Tensor<1>) -> Self {
        Self { id: ParamId::new(), value: Mutex::new(value) }
    }

    fn get(&self) -> Tensor<1> {
        self.value.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn move_towards(&self, batch: Tensor<1>) {
        let mut value = self.value.lock().unwrap_or_else(PoisonError::into_inner);
        value.inplace(|old| old.mul_scalar(1.0 - MOMENTUM).add(batch.detach().mul_scalar(MOMENTUM)).detach());
    }

    fn with(self, change: impl FnOnce(Tensor<1>) -> Tensor<1>) -> Self {
        let value = self.value.into_inner().unwrap_or_else(PoisonError::into_inner);
        Self { id: self.id, value: Mutex::new(change(value)) }
    }
}

impl Clone for Running {
    fn clone(&self) -> Self {
        Self { id: self.id, value: Mutex::new(self.get()) }
    }
}

impl Module for Running {
    fn visit<V: ModuleVisitor>(&self, visitor: &mut V) {
        visitor.visit_float(&Param::initialized(self.id, self.get()));
    }

    fn map<M: ModuleMapper>(self, mapper: &mut M) -> Self {
        let id = self.id;
        self.with(|value| {
            let (_, value, _) = mapper.map_float(Param::initialized(id, value)).consume();
            value.set_require_grad(false)
        })
    }

    fn collect_devices(&self, mut devices: Devices) -> Devices {
        let device = self.get().device();
        if !devices.contains(&device) {
            devices.push(device);
        }
        devices
    }

    fn to_device(self, device: &Device) -> Self {
        self.with(|value| value.to_device(device))
    }

    fn fork(self, device: &Device) -> Self {
        self.to_device(device)
    }

    fn valid(&self) -> Self {
        self.clone().with(Tensor::inner)
    }

    fn train(self) -> Self {
        self.with(Tensor::from_inner)
    }

    fn materialize(self) -> Self {
        self
    }
}

impl ModuleDisplayDefault for Running {
    fn content(&self, content: Content) -> Option<Content> {
        content.add_formatted(&"running".to_string()).optional()
    }
}

impl ModuleDisplay for Running {}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn batch(device: &Device) -> Tensor<4> {
        Tensor::<1>::from_data([1.0f32, 3.0, 5.0, 7.0], device).reshape([2, 1, 1, 2])
    }

    fn values<const D: usize>(x: Tensor<D>) -> Vec<f32> {
        x.into_data().try_to_vec::<f32>().unwrap()
    }

    #[derive(Default)]
    struct Paths(Vec<String>, Vec<String>);

    impl ModuleVisitor for Paths {
        fn enter_module(&mut self, name: &str, _container_type: &str) {
            self.0.push(name.to_string());
        }
        fn exit_module(&mut self, _name: &str, _container_type: &str) {
            self.0.pop();
        }
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.1.push(format!("{} {}", self.0.join("."), param.val().is_require_grad()));
        }
    }

    #[test]
    fn training_moves_the_statistics_and_validation_uses_them() {
        let device = Device::flex().autodiff();
        let norm = BatchNorm::new(1, &device);
        let y = values(norm.forward(batch(&device)));
        let expected = [-3.0f32, -1.0, 1.0, 3.0].map(|v| v / 5f32.sqrt()); // mean 4, biased variance 5
        assert!(y.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-5), "{y:?}");

        let valid = norm.valid();
        let (mean, var) = (0.4f32, 0.9f32 + 0.1 * 20.0 / 3.0); // unbiased variance 20/3
        let y = values(valid.forward(batch(&Device::flex())));
        assert!((y[0] - (1.0 - mean) / var.sqrt()).abs() < 1e-4, "{y:?}");
        assert_eq!(values(valid.running_mean.get()), values(norm.running_mean.get()));
        assert_eq!(values(valid.forward(batch(&device))), y, "validation does not move them");
        assert_eq!(values(valid.running_mean.get()), [mean]);
    }

    #[test]
    fn statistics_are_visited_without_gradients() {
        let norm = BatchNorm::new(3, &Device::flex().autodiff());
        let mut paths = Paths::default();
        norm.visit(&mut paths);
        assert_eq!(paths.1, ["weight true", "bias true", "running_mean false", "running_var false"]);
    }

    #[test]
    fn a_clone_has_statistics_of_its_own() {
        let device = Device::flex().autodiff();
        let norm = BatchNorm::new(1, &device);
        let copy = norm.clone();
        copy.forward(batch(&device));
        assert_eq!(values(norm.running_mean.get()), [0.0]);
        assert_eq!(values(copy.train().running_mean.get()), [0.4]);
    }
}
