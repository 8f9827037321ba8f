//! Against PyTorch: from the same weights, kiln computes what `tests/fixtures/torch_models.py` and `torch_recurrent.py`
//! recorded.
//!
//! Both compute in f32 and differ in the order of sums only, so a tolerance is a few hundred roundings (6e-8 each) of
//! the largest value of a tensor: a gradient that cancels to zero is all rounding.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::{fs, path::Path};

use burn::{
    module::{Module, ModuleVisitor, Param},
    optim::GradientsParams,
    tensor::{Device, FloatDType, Tensor, TensorData},
};
use kiln::{
    data::{InputSchema, Schema, TargetSchema, TaskKind},
    device::DeviceSpec,
    model::{CnnConfig, GptConfig, Input, Model, ModelConfig, Outputs},
    nn::{Cell, ModulePath, RecurrentConfig, Tensors, load_tensors},
    optim::{OptimConfig, Scale, ScheduleConfig, ScheduleKind},
    task::{Targets, Task},
};
use safetensors::{Dtype, SafeTensors};

/// Of the largest logit or gradient of a tensor: sums of up to 100 products, a few layers deep. Seen: 7.4e-7.
const NEAR: f64 = 5e-6;
/// Of the loss, a mean of at most 36 terms. Seen: 7.4e-8.
const LOSS: f64 = 1e-6;
/// Of a loss after some updates. AdamW divides a gradient by its own size, so that where it is nearly zero the rounding
/// decides in which direction a weight moves by the whole rate. Seen: 1.2e-6.
const TRAINED: f64 = 1e-5;

/// What PyTorch computed.
struct Recorded(Tensors);

impl Recorded {
    fn open(name: &str) -> Self {
        let bytes = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)).unwrap();
        let tensors = SafeTensors::deserialize(&bytes).unwrap();
        let read = |(name, view): (String, safetensors::tensor::TensorView)| {
            let words = view.data().as_chunks::<4>().0.iter();
            let data = match view.dtype() {
                Dtype::F32 => TensorData::new(words.map(|w| f32::from_le_bytes(*w)).collect(), view.shape()),
                Dtype::I32 => TensorData::new(words.map(|w| i32::from_le_bytes(*w)).collect(), view.shape()),
                other => panic!("{name} is {other:?}"),
            };
            (name, data)
        };
        Self(tensors.tensors().into_iter().map(read).collect())
    }

    fn get(&self, name: &str) -> TensorData {
        self.0.get(name).unwrap_or_else(|| panic!("the fixture lacks `{name}`")).clone()
    }

    fn floats(&self, name: &str) -> Vec<f32> {
        self.get(name).try_to_vec().unwrap()
    }

    /// The tensors below `prefix`, by what follows it.
    fn below(&self, prefix: &str) -> Tensors {
        let inside =
            |(name, data): (&String, &TensorData)| Some((name.strip_prefix(prefix)?.to_string(), data.clone()));
        self.0.iter().filter_map(inside).collect()
    }
}

/// A model with its task and the recorded batch.
struct Case {
    task: Task,
    model: Model,
    input: Input,
    targets: TensorData,
    recorded: Recorded,
    device: Device,
}

impl Case {
    fn gpt(device: Device) -> Self {
        let config = GptConfig { layers: 2, heads: 3, width: 24, ..GptConfig::default() };
        let input = InputSchema::Tokens { vocab: 19, context: 12 };
        let recorded = Recorded::open("torch_gpt.safetensors");
        let ids = Input::Tokens(Tensor::from_data(recorded.get("inputs"), &device));
        let task = task(TaskKind::LanguageModel, input, TargetSchema::NextToken);
        Self::new(ModelConfig::Gpt(config), task, ids, recorded, device)
    }

    fn cnn(device: Device) -> Self {
        let config = CnnConfig { width: 4, ..CnnConfig::default() };
        let input = InputSchema::Image { channels: 1, height: 12, width: 12 };
        let classes = TargetSchema::Classes { names: (0..5).map(|i| i.to_string()).collect() };
        let recorded = Recorded::open("torch_cnn.safetensors");
        let pixels = Input::Image(Tensor::from_data(recorded.get("inputs"), &device));
        Self::new(ModelConfig::Cnn(config), task(TaskKind::Classification, input, classes), pixels, recorded, device)
    }

    fn new(config: ModelConfig, task: Task, input: Input, recorded: Recorded, device: Device) -> Self {
        device.seed(1);
        let model = config.init(&task.signature(), &device).unwrap();
        let model = load_tensors(model, &recorded.below("weights/")).unwrap();
        Self { task, model, input, targets: recorded.get("targets"), recorded, device }
    }

    /// Logits, and the mean loss through the task.
    fn forward(&self) -> (Tensor<2>, Tensor<1>) {
        let logits = self.model.forward(self.input.clone(), FloatDType::F32);
        let targets = Targets::Classes(Tensor::from_data(self.targets.clone(), &self.device));
        let count = self.targets.shape()[0] as f64;
        (logits.clone(), self.task.loss(Outputs::Logits(logits), targets, 1.0 / count))
    }

    fn agrees(mut self) {
        let (logits, loss) = self.forward();
        near("logits", &values(logits), &self.recorded.floats("logits"), NEAR);
        near("loss", &values(loss.clone()), &self.recorded.floats("loss"), LOSS);
        self.gradients_agree(&GradientsParams::from_grads(loss.backward(), &self.model));
        let losses = self.train();
        let expected = self.recorded.floats("losses");
        assert_eq!(expected.len(), 10);
        for (step, (found, expected)) in losses.iter().zip(&expected).enumerate() {
            near(&format!("loss {step}"), &[*found], &[*expected], TRAINED);
        }
        assert!(losses[9] < 0.5 * losses[0], "it learns: {losses:?}");
    }

    fn gradients_agree(&self, grads: &GradientsParams) {
        let mut found = Gradients { path: ModulePath::default(), grads, found: Tensors::new() };
        self.model.visit(&mut found);
        let expected = self.recorded.below("gradients/");
        assert!(found.found.keys().eq(expected.keys()), "{:?}", found.found.keys());
        for (name, gradient) in found.found {
            assert_eq!(gradient.shape(), expected[&name].shape(), "{name}");
            near(&name, &gradient.try_to_vec().unwrap(), &expected[&name].try_to_vec().unwrap(), NEAR);
        }
    }

    /// Ten updates of AdamW on the batch; the loss before each.
    fn train(&mut self) -> Vec<f32> {
        let schedule = ScheduleConfig { kind: ScheduleKind::Constant, ..ScheduleConfig::default() };
        let config = OptimConfig {
            lr: 1e-2,
            weight_decay: 0.1,
            betas: [0.9, 0.95],
            clip: 0.0,
            schedule,
            ..OptimConfig::default()
        };
        let mut optimizer = config.init();
        let step = |step| {
            let loss = self.forward().1;
            let grads = GradientsParams::from_grads(loss.clone().backward(), &self.model);
            let scale = Scale { rate: config.schedule.factor(config.lr, step, 10), grads: 1.0 };
            self.model = optimizer.step(self.model.clone(), grads, scale, None);
            values(loss)[0]
        };
        (0..10).map(step).collect()
    }
}

/// Stacked LSTMs and GRUs over a padded batch: outputs and all gradients.
fn recurrent_layers_agree(device: &Device) {
    for (cell, name) in [(Cell::Lstm, "lstm"), (Cell::Gru, "gru")] {
        for bidirectional in [false, true] {
            let prefix = format!("{name}-{}/", if bidirectional { 2 } else { 1 });
            let recorded = Recorded(Recorded::open("torch_recurrent.safetensors").below(&prefix));
            let config = RecurrentConfig { cell, inputs: 3, width: 5, layers: 2, bidirectional, dropout: 0.0 };
            let layer = load_tensors(config.init(device), &recorded.below("weights/")).unwrap();
            let tensor = |name: &str| Tensor::<3>::from_data(recorded.get(name), device);
            let flat = |name: &str| Tensor::<2>::from_data(recorded.get(name), device);
            let x = tensor("x").require_grad();
            let found = layer.forward(x.clone(), Some(&flat("valid")));
            let check = |what: &str, values: Vec<f32>| {
                near(&format!("{prefix}{what}"), &values, &recorded.floats(what), NEAR);
            };
            check("steps", values(found.steps.clone()));
            check("last", values(found.last.clone()));
            let loss = (found.steps * tensor("dsteps")).sum() + (found.last * flat("dlast")).sum();
            let grads = loss.backward();
            check("dx", values(x.grad(&grads).unwrap()));
            let grads = GradientsParams::from_grads(grads, &layer);
            let mut found = Gradients { path: ModulePath::default(), grads: &grads, found: Tensors::new() };
            layer.visit(&mut found);
            assert_eq!(found.found.len(), recorded.below("gradients/").len());
            for (name, gradient) in found.found {
                check(&format!("gradients/{name}"), gradient.try_to_vec().unwrap());
            }
        }
    }
}

fn task(kind: TaskKind, input: InputSchema, target: TargetSchema) -> Task {
    Task::new(kind, &Schema { input, target, table: None, scale: None, bytes_per_token: None }, 0.0).unwrap()
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_to_vec().unwrap()
}

/// Every value within `tolerance` of the largest expected one.
fn near(what: &str, found: &[f32], expected: &[f32], tolerance: f64) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let largest = expected.iter().fold(0.0f32, |most, v| most.max(v.abs()));
    let worst = found.iter().zip(expected).fold(0.0f32, |most, (a, b)| most.max((a - b).abs()));
    let relative = f64::from(worst) / f64::from(largest);
    println!("{what}: off by {relative:.1e} of {largest:.3e}");
    assert!(relative <= tolerance, "{what}: off by {worst} where the largest value is {largest}");
}

/// Every parameter's gradient by its path.
struct Gradients<'a> {
    path: ModulePath,
    grads: &'a GradientsParams,
    found: Tensors,
}

impl ModuleVisitor for Gradients<'_> {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _name: &str, container: &str) {
        self.path.exit(container);
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let name = self.path.dotted();
        let gradient = self.grads.get::<D>(param.id).unwrap_or_else(|| panic!("`{name}` has no gradient"));
        self.found.insert(name, gradient.into_data());
    }
}

fn autodiff(spec: &str) -> Device {
    DeviceSpec::parse(spec).unwrap().open().unwrap().device.autodiff()
}

#[test]
#[cfg(feature = "flex")]
fn a_gpt_agrees_with_pytorch_on_flex() {
    Case::gpt(autodiff("flex")).agrees();
}

#[test]
#[cfg(feature = "flex")]
fn a_cnn_agrees_with_pytorch_on_flex() {
    Case::cnn(autodiff("flex")).agrees();
}

#[test]
#[cfg(feature = "flex")]
fn recurrent_layers_agree_with_pytorch_on_flex() {
    recurrent_layers_agree(&autodiff("flex"));
}

#[test]
#[cfg(feature = "ndarray")]
fn recurrent_layers_agree_with_pytorch_on_ndarray() {
    recurrent_layers_agree(&autodiff("ndarray"));
}

#[test]
#[cfg(feature = "ndarray")]
fn a_gpt_agrees_with_pytorch_on_ndarray() {
    Case::gpt(autodiff("ndarray")).agrees();
}

#[test]
#[cfg(feature = "ndarray")]
fn a_cnn_agrees_with_pytorch_on_ndarray() {
    Case::cnn(autodiff("ndarray")).agrees();
}

#[test]
#[cfg(feature = "tch")]
fn both_agree_with_pytorch_on_its_own_library() {
    Case::gpt(autodiff("tch")).agrees();
    Case::cnn(autodiff("tch")).agrees();
    recurrent_layers_agree(&autodiff("tch"));
}
