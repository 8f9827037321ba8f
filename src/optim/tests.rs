//! The optimizers against PyTorch and the papers (`tests/fixtures/optimizers.py`), and their state.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use burn::{
    module::{Module, ModuleVisitor, Param},
    nn,
    optim::GradientsParams,
    tensor::{DType, Device, Tensor, TensorData},
};
use safetensors::SafeTensors;

use super::*;
use crate::nn::{ModulePath, Tensors, hash_of, load_tensors, tensors_of};

/// The fixture's parameters: `hidden`, `wide` and `filters` follow Muon.
#[derive(Module, Debug)]
struct Net {
    tokens: Table,
    hidden: Dense,
    wide: Dense,
    filters: Filters,
    norm: Norm,
    head: Dense,
}

#[derive(Module, Debug)]
struct Table {
    weight: Param<Tensor<2>>,
}

#[derive(Module, Debug)]
struct Dense {
    weight: Param<Tensor<2>>,
    bias: Option<Param<Tensor<1>>>,
}

#[derive(Module, Debug)]
struct Filters {
    weight: Param<Tensor<4>>,
}

#[derive(Module, Debug)]
struct Norm {
    gamma: Param<Tensor<1>>,
}

fn weight<const D: usize>(shape: [usize; D], device: &Device) -> Param<Tensor<D>> {
    Param::from_tensor(Tensor::zeros(shape, device))
}

fn net(device: &Device) -> Net {
    let dense = |shape, bias: Option<usize>| Dense {
        weight: weight(shape, device),
        bias: bias.map(|width| weight([width], device)),
    };
    Net {
        tokens: Table { weight: weight([5, 6], device) },
        hidden: dense([6, 10], Some(10)),
        wide: dense([10, 4], None),
        filters: Filters { weight: weight([12, 1, 3, 3], device) },
        norm: Norm { gamma: weight([4], device) },
        head: dense([4, 3], None),
    }
}

fn fixture() -> Vec<u8> {
    std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/optimizers.safetensors")).unwrap()
}

/// The fixture's tensors below `prefix/`.
fn below(file: &SafeTensors<'_>, prefix: &str) -> Tensors {
    let tensor = |name: &str| {
        let view = file.tensor(name).unwrap();
        TensorData::from_bytes_vec(view.data().to_vec(), view.shape().to_vec(), DType::F32)
    };
    let names = file.names().into_iter().filter_map(|name| Some((name, name.strip_prefix(prefix)?.strip_prefix('/')?)));
    names.map(|(name, rest)| (rest.to_string(), tensor(name))).collect()
}

/// Gradients by path as burn's.
struct Feed<'a> {
    path: ModulePath,
    from: &'a Tensors,
    grads: GradientsParams,
}

impl ModuleVisitor for Feed<'_> {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _name: &str, container: &str) {
        self.path.exit(container);
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(data) = self.from.get(&self.path.dotted()) {
            self.grads.register(param.id, Tensor::<D>::from_data(data.clone(), &Device::flex()));
        }
    }
}

fn gradients(model: &Net, from: &Tensors) -> GradientsParams {
    let mut feed = Feed { path: ModulePath::default(), from, grads: GradientsParams::new() };
    model.visit(&mut feed);
    feed.grads
}

/// A run of the fixture and the config that it corresponds to.
fn runs() -> Vec<(&'static str, OptimConfig)> {
    let base = OptimConfig { weight_decay: 0.1, betas: [0.9, 0.95], eps: 1e-8, lr: 1e-2, ..OptimConfig::default() };
    let sgd = |momentum, nesterov| OptimConfig { kind: OptimKind::Sgd, lr: 5e-2, momentum, nesterov, ..base.clone() };
    let muon =
        |nesterov| OptimConfig { kind: OptimKind::Muon, muon_lr: 2e-2, momentum: 0.95, nesterov, ..base.clone() };
    vec![
        ("adamw", base.clone()),
        ("sgd", sgd(0.9, true)),
        ("sgd_heavy", sgd(0.9, false)),
        ("sgd_plain", sgd(0.0, false)),
        ("lion", OptimConfig { kind: OptimKind::Lion, lr: 1e-3, betas: [0.9, 0.99], ..base.clone() }),
        ("muon", muon(true)),
        ("muon_heavy", muon(false)),
    ]
}

fn at(rate: f64) -> Scale {
    Scale { rate, grads: 1.0 }
}

const FACTORS: [f64; 5] = [0.25, 0.75, 1.0, 0.7, 0.1];

/// `model` after the fixture's steps `range` of `run`.
fn stepped(
    file: &SafeTensors<'_>,
    run: &str,
    mut model: Net,
    optimizer: &mut Optimizer,
    range: std::ops::Range<usize>,
) -> Net {
    for step in range {
        let grads = gradients(&model, &below(file, &format!("{run}/grad/{step}")));
        model = optimizer.step(model, grads, at(FACTORS[step]), None);
    }
    model
}

#[test]
fn every_rule_matches_its_reference() {
    let bytes = fixture();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    for (run, config) in runs() {
        config.check().unwrap();
        let model = load_tensors(net(&Device::flex().autodiff()), &below(&file, "start")).unwrap();
        let model = stepped(&file, run, model, &mut config.init(), 0..FACTORS.len());
        let expected = below(&file, &format!("{run}/after"));
        let found = tensors_of(&model).unwrap();
        assert_eq!(found.len(), expected.len());
        for (name, data) in &found {
            let pairs = data.as_slice::<f32>().unwrap().iter().zip(expected[name].as_slice::<f32>().unwrap());
            let worst = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(worst <= 1e-6, "{run}: `{name}` is off by {worst:e}");
        }
        assert!(model.hidden.weight.is_require_grad(), "{run}");
    }
}

#[test]
fn a_restored_state_continues_bit_for_bit() {
    let bytes = fixture();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let device = Device::flex().autodiff();
    for (run, config) in runs() {
        let model = || load_tensors(net(&device), &below(&file, "start")).unwrap();
        let mut straight = config.init();
        let end = stepped(&file, run, model(), &mut straight, 0..5);

        let mut first = config.init();
        let half = stepped(&file, run, model(), &mut first, 0..2);
        let (weights, state) = (tensors_of(&half).unwrap(), first.tensors().unwrap());
        let fresh = load_tensors(net(&device), &weights).unwrap();
        let mut second = config.init();
        second.restore(state, &fresh).unwrap();
        assert_eq!(second.updates(), 2);
        let resumed = stepped(&file, run, fresh, &mut second, 2..5);

        assert_eq!(hash_of(&tensors_of(&resumed).unwrap()), hash_of(&tensors_of(&end).unwrap()), "{run}");
        assert_eq!(hash_of(&second.tensors().unwrap()), hash_of(&straight.tensors().unwrap()), "{run}");
    }
}

#[test]
fn a_state_that_does_not_fit_is_refused_whole() {
    let bytes = fixture();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let device = Device::flex().autodiff();
    let runs = runs();
    let (_, adamw) = &runs[0];
    let mut optimizer = adamw.init();
    let model = stepped(&file, "adamw", net(&device), &mut optimizer, 0..1);
    let good = optimizer.tensors().unwrap();
    let text = |state: Tensors, config: &OptimConfig| {
        let mut optimizer = config.init();
        let error = optimizer.restore(state, &model).unwrap_err();
        assert_eq!((error.kind(), optimizer.updates()), (crate::error::Kind::Input, 0));
        error.to_string()
    };
    let without = |name: &str| good.clone().into_iter().filter(|(n, _)| n != name).collect::<Tensors>();
    let with = |name: &str, shape: [usize; 2]| {
        let data = TensorData::new(vec![0f32; shape[0] * shape[1]], shape);
        good.clone().into_iter().chain([(name.to_string(), data)]).collect::<Tensors>()
    };
    assert!(text(without("__updates"), adamw).contains("`__updates`, one count, is missing"));
    assert!(text(without("head.weight/exp_avg_sq"), adamw).contains("`head.weight/exp_avg_sq` is missing"));
    assert!(text(with("tail.weight/exp_avg", [1, 1]), adamw).contains("`tail.weight` is not in the model"));
    assert!(text(with("head.weight/exp_avg", [3, 4]), adamw).contains("has shape [3, 4] where [4, 3] is needed"));
    assert!(text(with("head.weight", [4, 3]), adamw).contains("`head.weight` is no slot"));
    assert!(text(good.clone(), &runs[4].1).contains("of another update rule than Lion"));
    assert!(text(good.clone(), &runs[1].1).contains("of another update rule than Sgd"));
}

#[test]
fn only_parameters_with_gradients_move() {
    #[derive(Module, Debug)]
    struct Mixed {
        dense: nn::Linear,
        frozen: nn::Linear,
        norm: nn::BatchNorm,
    }
    let device = Device::flex().autodiff().gradient_checkpointing();
    let model = Mixed {
        dense: nn::LinearConfig::new(3, 4).init(&device),
        frozen: nn::LinearConfig::new(4, 4).init(&device).no_grad(),
        norm: nn::BatchNormConfig::new(4).init(&device),
    };
    let x = Tensor::<2>::from_data([[0.1, 0.7, -0.3], [1.0, -2.0, 0.5], [0.2, 0.2, 0.9]], &device);
    let forward = |m: &Mixed| m.norm.forward(m.frozen.forward(m.dense.forward(x.clone()))).square().sum();
    let grads = |m: &Mixed| GradientsParams::from_grads((forward(m) * 3.0).backward(), m);
    let before = tensors_of(&model).unwrap();
    let mut optimizer = OptimConfig::default().init();
    let found = grads(&model);
    let statistics = tensors_of(&model).unwrap();
    let model = optimizer.step(model, found, at(1.0), None);
    let after = tensors_of(&model).unwrap();
    for name in ["frozen.weight", "frozen.bias"] {
        assert_eq!(before[name], after[name], "{name}");
    }
    for name in ["norm.running_mean", "norm.running_var"] {
        assert_eq!(statistics[name], after[name], "{name}");
    }
    for name in ["dense.weight", "norm.gamma"] {
        assert_ne!(before[name], after[name], "{name}");
    }
    let names: Vec<_> = optimizer.tensors().unwrap().into_keys().collect();
    assert!(names.iter().all(|n| !n.starts_with("frozen") && !n.contains("running")), "{names:?}");
    assert!(!model.frozen.weight.is_require_grad() && model.dense.weight.is_require_grad());
    // The checkpointing strategy is still the inputs', or this would panic.
    let _ = optimizer.step(model.clone(), grads(&model), at(1.0), None);
}

#[test]
fn schedules_match_pytorch() {
    let bytes = fixture();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    for (name, kind, warmup) in [
        ("cosine", ScheduleKind::Cosine, 0),
        ("linear", ScheduleKind::Linear, 0),
        ("warm_cosine", ScheduleKind::Cosine, 5),
    ] {
        let schedule = ScheduleConfig { kind, warmup, floor: 1e-4, decay: 0 };
        let view = file.tensor(&format!("schedule/{name}")).unwrap();
        let rates = view.data().chunks_exact(8).map(|b| f64::from_le_bytes(b.try_into().unwrap()));
        for (step, rate) in rates.enumerate() {
            let found = 1e-3 * schedule.factor(1e-3, step as u64, 20);
            assert!((found - rate).abs() < 1e-12, "{name}, step {step}: {found} where PyTorch has {rate}");
        }
    }
}

#[test]
fn norm_clip_and_accumulation() {
    let bytes = fixture();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let model = net(&Device::flex().autodiff());
    let (a, b) = (below(&file, "sgd/grad/0"), below(&file, "sgd/grad/1"));
    let squares = |t: &Tensors| {
        let values = t.values().flat_map(|d| d.as_slice::<f32>().unwrap().iter().map(|v| f64::from(*v).powi(2)));
        values.sum::<f64>().sqrt()
    };
    let norm = |grads: &GradientsParams| global_norm(&model, grads).into_scalar::<f32>();
    let found = norm(&gradients(&model, &a));
    assert!((f64::from(found) / squares(&a) - 1.0).abs() < 1e-6);
    assert!(!global_norm(&model, &gradients(&model, &a)).is_autodiff());
    assert_eq!(norm(&GradientsParams::new()), 0.0);

    let factor = clip_factor(f64::from(found), 0.25);
    // From zero at rate 1, plain descent takes the parameters to minus the clipped gradients.
    let plain =
        OptimConfig { kind: OptimKind::Sgd, lr: 1.0, weight_decay: 0.0, momentum: 0.0, ..OptimConfig::default() };
    let scale = Scale { rate: 1.0, grads: factor };
    let moved = plain.init().step(model.clone(), gradients(&model, &a), scale, None);
    let clipped = squares(&tensors_of(&moved).unwrap());
    assert!((clipped - 0.25).abs() < 1e-5, "{clipped}");
    assert_eq!(clip_factor(0.5, 1.0), 1.0);
    assert_eq!(clip_factor(7.0, 0.0), 1.0);
    assert_eq!(clip_factor(2.0, 1.0), 1.0 / (2.0 + 1e-6));

    let mut accumulator = Accumulator::new();
    accumulator.add(&model, gradients(&model, &a));
    // The second micro-batch lacks one gradient and the sum keeps the first's.
    let partial = b.iter().filter(|(n, _)| *n != "hidden.bias").map(|(n, d)| (n.clone(), d.clone())).collect();
    accumulator.add(&model, gradients(&model, &partial));
    let sum = accumulator.take();
    assert_eq!(sum.len(), a.len());
    let gamma = sum.get::<1>(model.norm.gamma.id).unwrap().into_data();
    let parts = [&a, &b].map(|t| t["norm.gamma"].as_slice::<f32>().unwrap().to_vec());
    let expected: Vec<f32> = parts[0].iter().zip(&parts[1]).map(|(x, y)| x + y).collect();
    assert_eq!(gamma.as_slice::<f32>().unwrap(), expected);
    let bias = sum.get::<1>(model.hidden.bias.as_ref().unwrap().id).unwrap().into_data();
    assert_eq!(bias, a["hidden.bias"]);
    assert!(accumulator.take().is_empty());
}

#[test]
fn the_average_follows_swaps_and_is_restored() {
    #[derive(Module, Debug)]
    struct One {
        weight: Param<Tensor<1>>,
        norm: nn::BatchNorm,
    }
    let device = Device::flex().autodiff();
    let one = |w: f32| One {
        weight: Param::from_tensor(Tensor::from_data([w], &device)),
        norm: nn::BatchNormConfig::new(2).init(&device),
    };
    let mut ema = Ema::new(0.75);
    assert!(ema.tensors().unwrap().is_empty());
    let follow = |ema: &mut Ema, model: One| {
        OptimConfig::default().init().step(model, GradientsParams::new(), at(1.0), Some(ema));
    };
    for w in [4.0, 8.0, 0.0] {
        follow(&mut ema, one(w));
    }
    // 4; 0.75·4 + 0.25·8 = 5; 0.75·5 = 3.75.
    let model = one(1.0);
    let id = model.weight.id;
    let swapped = ema.swapped(model);
    assert_eq!(swapped.weight.val().into_scalar::<f32>(), 3.75);
    assert_eq!(swapped.weight.id, id);
    assert!(swapped.weight.is_require_grad());
    assert_eq!(ema.swapped(one(1.0).valid()).weight.val().into_scalar::<f32>(), 3.75);
    let tensors = ema.tensors().unwrap();
    assert_eq!(tensors.keys().collect::<Vec<_>>(), ["norm.beta", "norm.gamma", "weight"]);

    let mut other = Ema::new(0.75);
    other.restore(tensors.clone(), &one(0.0)).unwrap();
    follow(&mut other, one(0.3));
    follow(&mut ema, one(0.3));
    assert_eq!(hash_of(&other.tensors().unwrap()), hash_of(&ema.tensors().unwrap()));

    let mut wrong = tensors;
    wrong.remove("weight");
    wrong.insert("bias".into(), TensorData::new(vec![0f32], [1]));
    wrong.insert("norm.beta".into(), TensorData::new(vec![0f32; 3], [3]));
    let error = other.restore(wrong, &one(0.0)).unwrap_err().to_string();
    for part in ["(3 mismatches)", "`weight` is missing", "`bias` is not in the model", "`norm.beta` has shape [3]"] {
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn the_average_follows_what_moves() {
    let bytes = fixture();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    for (run, config) in runs() {
        let mut model = load_tensors(net(&Device::flex().autodiff()), &below(&file, "start")).unwrap();
        let (mut optimizer, mut ema) = (config.init(), Ema::new(0.75));
        let mut right: Option<Tensors> = None;
        for (step, factor) in FACTORS.into_iter().enumerate() {
            let grads = gradients(&model, &below(&file, &format!("{run}/grad/{step}")));
            model = optimizer.step(model, grads, at(factor), Some(&mut ema));
            let now = tensors_of(&model).unwrap();
            let blend = |(name, old): (String, TensorData)| {
                let pairs = old.as_slice::<f32>().unwrap().iter().zip(now[&name].as_slice::<f32>().unwrap());
                let values: Vec<f32> = pairs.map(|(old, new)| old * 0.75 + new * 0.25).collect();
                let shape = old.shape().to_vec();
                (name, TensorData::new(values, shape))
            };
            right = Some(match right {
                Some(right) => right.into_iter().map(blend).collect(),
                None => now,
            });
        }
        assert_eq!(hash_of(&ema.tensors().unwrap()), hash_of(&right.unwrap()), "{run}");
    }
}

/// A matrix above flex's threshold for a parallel sum.
#[test]
fn the_norm_of_a_large_matrix_is_reproducible() {
    #[derive(Module, Debug)]
    struct Large {
        weight: Param<Tensor<2>>,
    }
    let device = Device::flex().autodiff();
    let shape = [2100, 2048];
    let large = Large { weight: weight(shape, &device) };
    let values: Vec<f32> = (0..shape[0] * shape[1]).map(|i| (i as f32 * 0.618).fract() - 0.4).collect();
    let exact = values.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
    let mut grads = GradientsParams::new();
    grads.register(large.weight.id, Tensor::<2>::from_data(TensorData::new(values, shape), &Device::flex()));
    let norm = || global_norm(&large, &grads).into_scalar::<f32>();
    let first = norm();
    assert!((f64::from(first) / exact - 1.0).abs() < 1e-6, "{first} where {exact} is due");
    assert!((0..10).all(|_| norm().to_bits() == first.to_bits()));
}
