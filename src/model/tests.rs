//! Tests over all architectures.
#![allow(clippy::unwrap_used, clippy::panic)]

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

#[test]
fn counts_are_the_published_ones() {
    let gpt = |layers, heads, width| ModelConfig::Gpt(gpt2(layers, heads, width)).count(&tokens(50_257, 1024));
    assert_eq!(gpt(12, 12, 768), 124_439_808);
    assert_eq!(gpt(24, 16, 1024), 354_823_168);
    assert_eq!(gpt(36, 20, 1280), 774_030_080);
    assert_eq!(gpt(48, 25, 1600), 1_557_611_200);
    assert_eq!(resnet(18).count(&picture(3, 224, 1000)), 11_689_512);
    assert_eq!(resnet(34).count(&picture(3, 224, 1000)), 21_797_672);
    assert_eq!(resnet(50).count(&picture(3, 224, 1000)), 25_557_032);
    assert_eq!(resnet(101).count(&picture(3, 224, 1000)), 44_549_160);
    assert_eq!(resnet(152).count(&picture(3, 224, 1000)), 60_192_808);
    // 0.27 M and 1.7 M in table 6; the projections add a hundredth.
    assert_eq!(resnet(20).count(&picture(3, 32, 10)), 272_474);
    assert_eq!(resnet(110).count(&picture(3, 32, 10)), 1_730_714);
    let base = VitConfig { patch: 16, layers: 12, heads: 12, width: 768, dropout: 0.0 };
    assert_eq!(ModelConfig::Vit(base).count(&picture(3, 224, 1000)), 86_567_656);
}

#[test]
fn counts_are_those_of_the_built_models() {
    // Parameters are drawn at their first use, so that even large models cost nothing here.
    let large = [
        (ModelConfig::Gpt(gpt2(12, 12, 768)), tokens(50_257, 1024)),
        (resnet(18), picture(3, 224, 1000)),
        (resnet(50), picture(3, 224, 1000)),
    ];
    for (config, sig) in zoo().into_iter().chain(large) {
        let model = config.build(&sig, &Device::flex()).unwrap();
        assert_eq!(model.num_params() as u64, config.count(&sig), "{config:?}");
    }
}

#[test]
fn flops_by_hand() {
    let mlp = ModelConfig::Mlp(MlpConfig { hidden: vec![7], ..Default::default() });
    assert_eq!(mlp.flops(&table(5, 3)), 2.0 * (5.0 * 7.0 + 7.0 * 3.0));
    // 1.8 G multiply-adds for ResNet-18 (He et al. 2015, table 1), 17.6 G for ViT-B/16.
    let giga = |config: &ModelConfig| config.flops(&picture(3, 224, 1000)) / 2e9;
    assert!((giga(&resnet(18)) - 1.81).abs() < 0.01, "{}", giga(&resnet(18)));
    let base = ModelConfig::Vit(VitConfig { patch: 16, layers: 12, heads: 12, width: 768, dropout: 0.0 });
    assert!((giga(&base) - 17.56).abs() < 0.1, "{}", giga(&base));
    // 6 parameters-and-attention rule (Kaplan et al. 2020): 2 flops a parameter and token, embeddings once.
    let gpt = ModelConfig::Gpt(gpt2(12, 12, 768)).flops(&tokens(50_257, 1024)) / 1024.0;
    let matrices = 12.0 * 12.0 * 768.0 * 768.0 + 50_257.0 * 768.0;
    assert_eq!(gpt, 2.0 * matrices + 12.0 * 4.0 * 1024.0 * 768.0);
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
fn a_recommender_scores_a_shared_list_as_it_does_each_users_own() {
    let _alone = alone();
    let device = Device::flex();
    for (config, sig) in zoo() {
        if !matches!(sig.input, InputShape::Choices { .. }) {
            continue;
        }
        device.seed(3);
        let model = config.init(&sig, &device).unwrap();
        let users = Tensor::<1, Int>::from_data([0, 3, 4], &device);
        let list = Tensor::<2, Int>::from_data([[2, 6, 0, 5]], &device);
        let score = |items| model.forward(Input::Choices(Choices { users: users.clone(), items }), FloatDType::F32);
        let shared = score(list.clone());
        assert_eq!(shared.dims(), [3, 4], "{}", config.name());
        let own = score(list.expand([3, 4]));
        shared.into_data().assert_approx_eq::<f32>(&own.into_data(), Tolerance::absolute(1e-5));
    }
}

#[test]
fn padding_and_its_length_change_nothing() {
    let _alone = alone();
    let device = Device::flex();
    for (config, sig) in zoo().into_iter().filter(|(_, sig)| matches!(sig.input, InputShape::Tokens { .. })) {
        if is_language(&sig) {
            continue;
        }
        device.seed(5);
        let model = config.init(&sig, &device).unwrap();
        let run = |ids: Tensor<2, Int>| model.forward(Input::Tokens(ids), FloatDType::F32).into_data();
        let alone = run(Tensor::from_data([[4, 1, 7]], &device));
        let padded = run(Tensor::from_data([[4, 1, 7, -1, -1, -1]], &device));
        padded.assert_approx_eq::<f32>(&alone, Tolerance::absolute(1e-5));
        let other = run(Tensor::from_data([[4, 1, 8, -1, -1, -1]], &device));
        assert_ne!(other, padded, "{}", config.name());
        let none = run(Tensor::from_data([[-1, -1]], &device)).try_into_vec::<f32>().unwrap();
        assert!(none.iter().all(|y| y.is_finite()), "an empty text: {}", config.name());
    }
}

#[test]
fn a_variational_code_is_drawn_while_training_alone_and_its_divergence_is_the_closed_form() {
    let _alone = alone();
    let device = Device::flex().autodiff();
    device.seed(5);
    let config = VaeConfig { hidden: vec![], code: 2, beta: 0.5, ..Default::default() };
    let model = ModelConfig::Vae(config).init(&table(3, 3), &device).unwrap();
    let x = Tensor::<2>::from_data([[0.5, -1.0, 2.0]], &device);
    let run = |model: &Model| {
        model.forward(Input::Features(x.clone()), FloatDType::F32).inner().into_data().try_to_vec::<f32>().unwrap()
    };
    assert_ne!(run(&model)[..3], run(&model)[..3], "the code is drawn anew");
    let valid = model.valid();
    assert_eq!(run(&valid), run(&valid));
    let Model::Autoencoder(_) = &model else { panic!() };
    let tensors = crate::nn::tensors_of(&model).unwrap();
    let read = |name: &str| tensors[name].clone().try_to_vec::<f32>().unwrap();
    let code = |name: &str, at: usize| -> f64 {
        let (weight, bias) = (read(&format!("{name}.weight")), read(&format!("{name}.bias")));
        [0.5, -1.0, 2.0].iter().enumerate().map(|(i, v)| v * f64::from(weight[i * 2 + at])).sum::<f64>()
            + f64::from(bias[at])
    };
    let divergence: f64 = (0..2)
        .map(|at| {
            let (mean, log) = (code("code", at), code("log_variance", at));
            0.5 * (mean * mean + log.exp() - log - 1.0)
        })
        .sum();
    assert!((f64::from(run(&valid)[3]) - 2.0 * 0.5 / 3.0 * divergence).abs() < 1e-5);
}

#[test]
fn unseen_categories_have_a_row_of_their_own() {
    let _alone = alone();
    let device = Device::flex();
    let sig = mixed(3);
    for (config, _) in zoo().into_iter().filter(|(_, other)| *other == sig) {
        device.seed(6);
        let model = config.init(&sig, &device).unwrap();
        let run = |code: f32| {
            let x = Tensor::from_data([[0.1, code, 0.2, 0.3, 0.0, 0.4]], &device);
            model.forward(Input::Features(x), FloatDType::F32).into_data()
        };
        assert_ne!(run(3.0), run(2.0), "{}", config.name());
        assert_eq!(run(3.0), run(1e6), "a code too high is the last: {}", config.name());
    }
}

#[test]
fn frozen_blocks_get_no_gradient() {
    let _alone = alone();
    let device = Device::flex().autodiff();
    let (sig, config) = (text(3), EncoderConfig { freeze: 1, ..encoder(NormPlacement::Post, Pooling::Mean) });
    let model = ModelConfig::Encoder(config.clone()).init(&sig, &device).unwrap();
    let loss = model.forward(batch(&sig, &device), FloatDType::F32).square().sum();
    let grads = burn::optim::GradientsParams::from_grads(loss.backward(), &model);
    // The second block's 12 tensors of 16 (4 norms, 4 linear layers with biases) and the head's two.
    assert_eq!(grads.len(), 4 + 8 + 2);
    let all = ModelConfig::Encoder(EncoderConfig { freeze: 2, ..config.clone() });
    assert!(all.check(&sig).is_ok());
    let error = ModelConfig::Encoder(EncoderConfig { freeze: 3, ..config }).check(&sig).unwrap_err();
    assert!(error.message().contains("`model.freeze` = 3 of 2 layers"));
}

#[test]
fn published_encoders_have_their_sizes() {
    // BERT-base without its pooler and token types (Devlin et al. 2018 count 110 M with them), and MiniLM-L6.
    let bert = |layers, heads, width| {
        let config = EncoderConfig { layers, heads, width, norm: NormPlacement::Post, ..Default::default() };
        ModelConfig::Encoder(config).count(&Signature { outputs: 2, ..tokens(30_522, 512) })
    };
    assert_eq!(bert(12, 12, 768), 109_482_240 - 590_592 - 2 * 768 + 2 * 768 + 2);
    assert_eq!(bert(6, 12, 384), 22_713_216 - 147_840 - 2 * 384 + 2 * 384 + 2);
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

#[test]
fn residual_projections_start_smaller() {
    let _alone = alone();
    let device = Device::flex();
    device.seed(1);
    let model = ModelConfig::Gpt(gpt2(8, 2, 64)).init(&tokens(50, 6), &device).unwrap();
    struct Stds(Paths, Vec<(String, f32)>);
    impl ModuleVisitor for Stds {
        fn enter_module(&mut self, name: &str, container: &str) {
            self.0.enter_module(name, container);
        }
        fn exit_module(&mut self, name: &str, container: &str) {
            self.0.exit_module(name, container);
        }
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let square = (param.val() * param.val()).mean().into_scalar::<f32>();
            self.1.push((self.0.path.join("."), square.sqrt()));
        }
    }
    let mut stds = Stds(Paths::default(), vec![]);
    model.visit(&mut stds);
    for (name, std) in stds.1 {
        let expected = match name.as_str() {
            n if n.contains("norm") && n.ends_with("weight") => 1.0,
            n if n.ends_with("bias") => 0.0,
            n if n.ends_with("output.weight") || n.ends_with("down.weight") => 0.005, // 0.02 / sqrt(16)
            _ => 0.02,
        };
        assert!((std - expected).abs() <= 0.1 * expected, "{name}: {std}, not {expected}");
    }
}

#[test]
fn decoding_token_by_token_equals_one_pass() {
    let _alone = alone();
    for config in [gpt2(2, 2, 16), llama(2, 4, 16)] {
        let (device, sig) = (Device::flex(), tokens(11, 6));
        device.seed(3);
        let model = ModelConfig::Gpt(config).init(&sig, &device).unwrap();
        let ids = Tensor::<2, Int>::from_data([[1, 5, 2, 9, 10, 0], [3, 3, 7, 1, 0, 4]], &device);
        let whole = model.forward(Input::Tokens(ids.clone()), FloatDType::F32).reshape([2, 6, 11]);
        let mut decoder = model.decoder(2, 6).unwrap();
        let mut first = 0;
        for t in [2, 1, 1, 2] {
            let found = decoder.forward(&model, ids.clone().narrow(1, first, t)).unwrap(); // [2, 11]
            first += t;
            assert_eq!(decoder.len(), first);
            let expected = whole.clone().narrow(1, first - 1, 1).squeeze_dim::<2>(1);
            found.into_data().assert_approx_eq::<f32>(&expected.into_data(), Tolerance::absolute(1e-4));
        }
        let error = decoder.forward(&model, ids.narrow(1, 0, 1)).unwrap_err();
        assert_eq!(error.message(), "7 tokens are more than the context of 6");
    }
}

#[test]
fn decoders_are_for_language_models_within_their_positions() {
    let _alone = alone();
    let device = Device::flex();
    let mlp = ModelConfig::Mlp(MlpConfig::default()).init(&table(3, 2), &device).unwrap();
    assert!(mlp.decoder(1, 4).unwrap_err().message().contains("\"mlp\" does not generate"));
    let learned = ModelConfig::Gpt(gpt2(1, 2, 8)).init(&tokens(5, 6), &device).unwrap();
    assert!(learned.decoder(1, 7).unwrap_err().message().contains("the model's context of 6"));
    let rope = ModelConfig::Gpt(llama(1, 2, 8)).init(&tokens(5, 6), &device).unwrap();
    assert!(rope.decoder(1, 7).is_ok());
}

#[test]
fn what_does_not_fit_is_refused_by_its_keys() {
    let gpt = |change: fn(&mut GptConfig)| {
        let mut config = gpt2(2, 4, 128);
        change(&mut config);
        ModelConfig::Gpt(config)
    };
    let vit_patch = ModelConfig::Vit(VitConfig { patch: 5, ..vit() });
    let deep = ModelConfig::Cnn(CnnConfig { depth: 4, ..Default::default() });
    let cases = [
        (gpt(|c| c.heads = 5), tokens(9, 8), "`model.heads` = 5 does not divide `model.width` = 128"),
        (gpt(|c| c.kv_heads = 3), tokens(9, 8), "`model.kv_heads` = 3 does not divide `model.heads` = 4"),
        (gpt(|c| c.layers = 0), tokens(9, 8), "`model.layers` = 0 must be at least 1"),
        (gpt(|c| c.width = usize::MAX), tokens(9, 8), "must be at most 131072"),
        (gpt(|c| c.dropout = 1.0), tokens(9, 8), "`model.dropout` = 1 is not a probability below 1"),
        (gpt(|c| c.dropout = f64::NAN), tokens(9, 8), "`model.dropout` = NaN"),
        (gpt(|_| ()), picture(1, 28, 10), "`model.kind` = \"gpt\" reads text without end, but `data` gives pictures"),
        (gpt(|_| ()), Signature { outputs: 3, ..tokens(9, 8) }, "the next of 9 tokens, but the task wants 3 outputs"),
        (
            ModelConfig::Cnn(CnnConfig::default()),
            table(4, 2),
            "`model.kind` = \"cnn\" reads pictures, but `data` gives tables",
        ),
        (
            ModelConfig::Mlp(MlpConfig::default()),
            tokens(9, 8),
            "reads tables, pictures or windows, but `data` gives text without end",
        ),
        (
            ModelConfig::Mlp(MlpConfig { hidden: vec![8, 0], ..Default::default() }),
            table(4, 2),
            "`model.hidden[1]` = 0",
        ),
        (vit_patch, picture(3, 32, 10), "`model.patch` = 5 does not divide the pictures' height = 32"),
        (deep, picture(1, 8, 10), "`model.depth` = 4 halves a 8x8 picture away"),
        (resnet(19), picture(3, 32, 10), "`model.depth` = 19 is no published depth"),
        (resnet(18), picture(3, 4, 10), "`model.depth` = 18 needs pictures of at least 8x8, not 4x4"),
        (ModelConfig::Linear(LinearModelConfig {}), table(4, 0), "nothing to predict"),
        (ModelConfig::Linear(LinearModelConfig {}), mixed(2), "takes numbers, but a column's `encode` = \"embedding\""),
        (ModelConfig::FtTransformer(ft()), picture(1, 8, 2), "reads tables, but `data` gives pictures"),
        (
            ModelConfig::Gru(recurrent(Summary::Last, true)),
            table(4, 2),
            "reads texts or windows, but `data` gives tables",
        ),
        (
            ModelConfig::Encoder(EncoderConfig { positions: 4, ..encoder(NormPlacement::Post, Pooling::Mean) }),
            text(2),
            "the model has 4 positions, but `data.context` = 6 needs 6",
        ),
    ];
    for (config, sig, expected) in cases {
        let error = config.check(&sig).unwrap_err();
        assert!(error.message().contains(expected), "{error}");
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("; "), "a next action: {error}");
        assert_eq!(config.count(&sig), 0);
    }
    let odd = ModelConfig::Gpt(GptConfig { position: PositionKind::Rope, ..gpt2(1, 4, 12) });
    assert!(odd.check(&tokens(9, 8)).unwrap_err().message().contains("`model.width` / `model.heads` = 3"));
}

#[test]
fn every_kind_reads_what_its_table_says() {
    for (config, sig) in zoo() {
        let (reads, given) = (Reads::of(config.name()), Reads::given(&sig));
        // Rows to rebuild are those of a table.
        let fits = reads.contains(&given) || reads == [Reads::Anomalies] && given == Reads::Tables;
        assert!(fits, "{} reads {reads:?}, not {given:?}", config.name());
    }
}

#[test]
fn parameter_paths_are_the_documented_ones() {
    let gpt = paths(&ModelConfig::Gpt(gpt2(1, 2, 8)), &tokens(11, 6));
    let expected = [
        "token_embedding.weight [11, 8]",
        "position_embedding.weight [6, 8]",
        "blocks.0.attention_norm.weight [8]",
        "blocks.0.attention_norm.bias [8]",
        "blocks.0.attention.qkv.weight [8, 24]",
        "blocks.0.attention.qkv.bias [24]",
        "blocks.0.attention.output.weight [8, 8]",
        "blocks.0.attention.output.bias [8]",
        "blocks.0.feed_forward_norm.weight [8]",
        "blocks.0.feed_forward_norm.bias [8]",
        "blocks.0.feed_forward.up.weight [8, 32]",
        "blocks.0.feed_forward.up.bias [32]",
        "blocks.0.feed_forward.down.weight [32, 8]",
        "blocks.0.feed_forward.down.bias [8]",
        "norm.weight [8]",
        "norm.bias [8]",
    ];
    assert_eq!(gpt, expected);

    let small = paths(&ModelConfig::Cnn(CnnConfig { depth: 1, width: 2, ..Default::default() }), &picture(1, 4, 3));
    let expected = [
        "convs.0.weight [2, 1, 3, 3]",
        "convs.0.bias [2]",
        "hidden.weight [8, 128]",
        "hidden.bias [128]",
        "head.weight [128, 3]",
        "head.bias [3]",
    ];
    assert_eq!(small, expected);

    let residual = paths(&resnet(20), &picture(3, 8, 10));
    for name in [
        "stem.conv.weight [16, 3, 3, 3]",
        "stem.norm.running_var [16]",
        "blocks.0.layers.1.norm.weight [16]",
        "blocks.3.shortcut.conv.weight [32, 16, 1, 1]",
        "blocks.3.layers.0.norm.running_mean [32]",
        "head.weight [64, 10]",
    ] {
        assert!(residual.iter().any(|found| found == name), "{name} in {residual:?}");
    }
}
