//! The optimizers against PyTorch and the papers (`tests/fixtures/optimizers.py`), and their state.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod average;
mod passes;

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
