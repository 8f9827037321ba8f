//! Tests over all architectures.
#![allow(clippy::unwrap_used, clippy::panic)]

mod counts;
mod fits;
mod kinds;

use burn::{
    module::{ModuleVisitor, Param},
    tensor::{Distribution, Int, Tolerance},
};

use super::*;

fn tokens(vocab: usize, context: usize) -> Signature {
    Signature { input: InputShape::Tokens { vocab, context }, outputs: vocab }
}

fn picture(channels: usize, side: usize, outputs: usize) -> Signature {
    Signature { input: InputShape::Image { channels, height: side, width: side }, outputs }
}

fn table(features: usize, outputs: usize) -> Signature {
    Signature { input: InputShape::Features(features), outputs }
}

fn choices(users: usize, items: usize) -> Signature {
    Signature { input: InputShape::Choices { users, items }, outputs: 1 }
}

fn window(length: usize, values: usize, outputs: usize) -> Signature {
    Signature { input: InputShape::Sequence { length, values }, outputs }
}

fn gpt2(layers: usize, heads: usize, width: usize) -> GptConfig {
    GptConfig { layers, heads, width, ..Default::default() }
}

fn llama(layers: usize, heads: usize, width: usize) -> GptConfig {
    GptConfig {
        layers,
        heads,
        width,
        kv_heads: heads / 2,
        norm: NormKind::Rms,
        position: PositionKind::Rope,
        feed_forward: FeedForwardKind::Swiglu,
        tied: false,
        bias: false,
        dropout: 0.0,
    }
}

fn resnet(depth: usize) -> ModelConfig {
    ModelConfig::Cnn(CnnConfig { variant: CnnVariant::Resnet, depth, width: 0, dropout: 0.0 })
}

fn vit() -> VitConfig {
    VitConfig { patch: 4, layers: 2, heads: 2, width: 16, dropout: 0.0 }
}

/// burn's generator is the process's: what depends on a seed holds this.
fn alone() -> std::sync::MutexGuard<'static, ()> {
    static GENERATOR: std::sync::Mutex<()> = std::sync::Mutex::new(());
    GENERATOR.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// One small model of every kind, with its signature.
fn zoo() -> Vec<(ModelConfig, Signature)> {
    vec![
        (ModelConfig::Linear(LinearModelConfig {}), table(5, 3)),
        (ModelConfig::Mlp(MlpConfig { hidden: vec![7, 4], ..Default::default() }), picture(1, 4, 3)),
        (ModelConfig::Mlp(MlpConfig { hidden: vec![], ..Default::default() }), table(5, 1)),
        (ModelConfig::Cnn(CnnConfig { width: 2, ..Default::default() }), picture(1, 9, 3)),
        (resnet(20), picture(3, 8, 10)),
        (
            ModelConfig::Cnn(CnnConfig { variant: CnnVariant::Resnet, depth: 50, width: 2, dropout: 0.0 }),
            picture(3, 64, 3),
        ),
        (ModelConfig::Gpt(gpt2(2, 2, 16)), tokens(11, 6)),
        (ModelConfig::Gpt(llama(2, 4, 16)), tokens(11, 6)),
        (ModelConfig::Vit(vit()), picture(3, 8, 3)),
        (ModelConfig::Mlp(MlpConfig { hidden: vec![7], ..Default::default() }), mixed(3)),
        (ModelConfig::FtTransformer(ft()), mixed(3)),
        (ModelConfig::FtTransformer(ft()), table(5, 1)),
        (ModelConfig::WideAndDeep(WideAndDeepConfig { hidden: vec![6], ..Default::default() }), mixed(3)),
        (ModelConfig::WideAndDeep(WideAndDeepConfig { hidden: vec![6], ..Default::default() }), table(5, 1)),
        (ModelConfig::Linear(LinearModelConfig {}), text(3)),
        (ModelConfig::EmbeddingBag(EmbeddingBagConfig { width: 6, hidden: vec![5], dropout: 0.0 }), text(3)),
        (ModelConfig::Lstm(recurrent(Summary::Last, false)), text(3)),
        (ModelConfig::Gru(recurrent(Summary::Mean, true)), text(1)),
        (ModelConfig::Encoder(encoder(NormPlacement::Pre, Pooling::Cls)), text(3)),
        (ModelConfig::Encoder(encoder(NormPlacement::Post, Pooling::Mean)), text(3)),
        (ModelConfig::Mlp(MlpConfig { hidden: vec![4], ..Default::default() }), window(5, 3, 2)),
        (ModelConfig::Conv1d(Conv1dModelConfig { layers: 2, width: 6, ..Default::default() }), window(7, 3, 2)),
        (ModelConfig::Conv1d(Conv1dModelConfig { layers: 2, width: 6, ..Default::default() }), text(2)),
        (ModelConfig::Gru(RecurrentModelConfig { layers: 2, width: 6, ..Default::default() }), window(5, 3, 2)),
        (ModelConfig::Lstm(recurrent(Summary::Mean, true)), window(5, 3, 2)),
        (
            ModelConfig::SeriesTransformer(SeriesTransformerConfig { layers: 2, heads: 2, width: 8, dropout: 0.0 }),
            window(5, 3, 2),
        ),
        (ModelConfig::Autoencoder(AutoencoderConfig { hidden: vec![6], code: 2, ..Default::default() }), table(5, 5)),
        (ModelConfig::Vae(VaeConfig { hidden: vec![6, 4], code: 2, ..Default::default() }), table(5, 5)),
        (ModelConfig::MatrixFactorization(FactorsConfig { width: 8 }), choices(5, 7)),
        (ModelConfig::Neumf(NeumfConfig { width: 8, hidden: vec![6, 4], dropout: 0.0 }), choices(5, 7)),
        (ModelConfig::TwoTower(TwoTowerConfig { width: 8, hidden: vec![6, 4], ..Default::default() }), choices(5, 7)),
    ]
}

/// Six features, two of which are codes.
fn mixed(outputs: usize) -> Signature {
    let codes = vec![Categories { feature: 1, codes: 4 }, Categories { feature: 4, codes: 3 }];
    Signature { input: InputShape::Mixed { features: 6, codes }, outputs }
}

fn text(outputs: usize) -> Signature {
    Signature { outputs, ..tokens(11, 6) }
}

fn ft() -> FtTransformerConfig {
    FtTransformerConfig { layers: 2, heads: 2, width: 12, ..Default::default() }
}

fn recurrent(summary: Summary, bidirectional: bool) -> RecurrentModelConfig {
    let (bidirectional, summary) = (Some(bidirectional), Some(summary));
    RecurrentModelConfig { embedding: 6, width: 5, layers: 2, bidirectional, summary, dropout: 0.0 }
}

fn encoder(norm: NormPlacement, pooling: Pooling) -> EncoderConfig {
    EncoderConfig { layers: 2, heads: 2, width: 16, norm, pooling, dropout: 0.0, ..Default::default() }
}

fn is_language(sig: &Signature) -> bool {
    matches!(sig.input, InputShape::Tokens { vocab, .. } if vocab == sig.outputs)
}

fn batch(sig: &Signature, device: &Device) -> Input {
    match sig.input {
        InputShape::Tokens { vocab, context } => {
            let ids = Tensor::<2>::random([2, context], Distribution::Uniform(0.0, vocab as f64 - 0.01), device).int();
            let padding = Tensor::<2, Int>::from_data([[0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 99, 99]], device);
            // The second text is shorter; a language model has no padding.
            Input::Tokens(if is_language(sig) { ids } else { ids - padding })
        }
        InputShape::Mixed { features, .. } => {
            let numbers = Tensor::<2>::random([2, features], Distribution::Default, device);
            let codes =
                Tensor::<2>::from_data([[0.0, 3.0, 0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 0.0, 2.0, 0.0]], device);
            let is_number = Tensor::<2>::from_data([[1.0, 0.0, 1.0, 1.0, 0.0, 1.0]], device);
            Input::Features(numbers * is_number + codes)
        }
        InputShape::Features(f) => Input::Features(Tensor::random([2, f], Distribution::Default, device)),
        InputShape::Image { channels, height, width } => {
            Input::Image(Tensor::random([2, channels, height, width], Distribution::Default, device))
        }
        InputShape::Sequence { length, values } => {
            Input::Sequence(Tensor::random([2, length, values], Distribution::Default, device))
        }
        InputShape::Choices { .. } => Input::Choices(Choices {
            users: Tensor::<1, Int>::from_data([1, 4], device),
            items: Tensor::<2, Int>::from_data([[6], [2]], device),
        }),
    }
}

#[test]
fn every_kind_runs_forward_and_gives_every_parameter_a_gradient() {
    let _alone = alone();
    struct Grads<'a>(&'a burn::tensor::Gradients, Paths);
    impl ModuleVisitor for Grads<'_> {
        fn enter_module(&mut self, name: &str, container: &str) {
            self.1.enter_module(name, container);
        }
        fn exit_module(&mut self, name: &str, container: &str) {
            self.1.exit_module(name, container);
        }
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let name = self.1.path.join(".");
            let grad = param.val().grad(self.0);
            assert_eq!(grad.is_some(), !name.contains("running"), "{name}");
            assert!(grad.is_none_or(|grad| grad.dtype() == burn::tensor::DType::F32), "{name}");
        }
    }
    let device = Device::flex().autodiff();
    for (config, sig) in zoo() {
        for compute in [FloatDType::F32, FloatDType::BF16] {
            device.seed(1);
            let model = config.init(&sig, &device).unwrap();
            let y = model.forward(batch(&sig, &device), compute);
            let rows = match sig.input {
                InputShape::Tokens { context, .. } if is_language(&sig) => 2 * context,
                _ => 2,
            };
            // A variational autoencoder says how far its code is from a normal one as well.
            let outputs = sig.outputs + usize::from(matches!(config, ModelConfig::Vae(_)));
            assert_eq!((y.dims(), y.dtype()), ([rows, outputs], burn::tensor::DType::F32));
            let grads = y.powi_scalar(2).mean().backward();
            model.visit(&mut Grads(&grads, Paths::default()));
        }
    }
}

#[test]
fn bf16_is_close_to_f32() {
    let _alone = alone();
    let device = Device::flex();
    for (config, sig) in zoo() {
        device.seed(2);
        let (model, x) = (config.init(&sig, &device).unwrap(), batch(&sig, &device));
        let (exact, half) = (model.forward(x.clone(), FloatDType::F32), model.forward(x, FloatDType::BF16));
        let scale = exact.clone().abs().max().into_scalar::<f32>().max(1.0);
        let off = (exact - half).abs().max().into_scalar::<f32>();
        assert!(off < 3e-2 * scale, "{}: {off} of {scale}", config.name());
    }
}

#[test]
fn the_seed_decides_the_parameters() {
    let _alone = alone();
    let device = Device::flex();
    let (config, sig) = (ModelConfig::Gpt(gpt2(1, 2, 8)), tokens(11, 6));
    let ids = Tensor::<2, Int>::from_data([[1, 2, 3]], &device);
    let run = |seed| {
        device.seed(seed);
        let model = config.init(&sig, &device).unwrap();
        device.seed(99); // nothing may be drawn after init
        model.forward(Input::Tokens(ids.clone()), FloatDType::F32).into_data()
    };
    // Tests of other modules draw from the same generator meanwhile.
    assert!((0..20).any(|_| run(1) == run(1)));
    assert_ne!(run(1), run(2));
}

#[derive(Default)]
struct Paths {
    path: Vec<String>,
    names: Vec<String>,
}

impl ModuleVisitor for Paths {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.names.push(format!("{} {:?}", self.path.join("."), param.lazy_shape().as_slice()));
    }
}

fn paths(config: &ModelConfig, sig: &Signature) -> Vec<String> {
    let mut paths = Paths::default();
    config.build(sig, &Device::flex()).unwrap().visit(&mut paths);
    paths.names
}
