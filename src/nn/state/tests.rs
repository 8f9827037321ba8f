//! Records of modules, read back and misread.

use burn::{nn, tensor::Device};

use super::*;
use crate::error::Kind;

#[derive(Module, Debug)]
struct Block {
    project: nn::Linear,
    norm: nn::BatchNorm,
}

#[derive(Module, Debug)]
struct Net {
    blocks: Vec<Block>,
    head: Option<Head>,
}

#[derive(Module, Debug)]
enum Head {
    Dense(nn::Linear),
}

fn net(width: usize, device: &Device) -> Net {
    let block = || Block {
        project: nn::LinearConfig::new(3, width).init(device),
        norm: nn::BatchNormConfig::new(width).init(device),
    };
    Net {
        blocks: vec![block(), block()],
        head: Some(Head::Dense(nn::LinearConfig::new(width, 2).with_bias(false).init(device))),
    }
}

fn forward(net: &Net, x: Tensor<2>) -> Tensor<2> {
    let y = net.blocks.iter().fold(None, |sum: Option<Tensor<2>>, b| {
        let y = b.norm.forward(b.project.forward(x.clone()));
        Some(sum.map_or(y.clone(), |s| s + y))
    });
    match &net.head {
        Some(Head::Dense(dense)) => dense.forward(y.unwrap()),
        None => y.unwrap(),
    }
}

fn input(device: &Device) -> Tensor<2> {
    Tensor::from_data([[0.1, 0.7, -0.3], [1.0, -2.0, 0.5], [0.2, 0.2, 0.9]], device)
}

#[test]
fn names_are_paths_without_enum_variants() {
    let names: Vec<_> = tensors_of(&net(4, &Device::flex())).unwrap().into_keys().collect();
    let block = |i: usize| {
        ["norm.beta", "norm.gamma", "norm.running_mean", "norm.running_var", "project.bias", "project.weight"]
            .map(|n| format!("blocks.{i}.{n}"))
    };
    let mut expected: Vec<_> = block(0).into_iter().chain(block(1)).collect();
    expected.push("head.weight".into());
    assert_eq!(names, expected);
}

#[test]
fn a_round_trip_keeps_every_bit_and_the_graph() {
    let device = Device::flex().autodiff();
    let mut tensors = tensors_of(&net(4, &device)).unwrap();
    let odd = [f32::from_bits(0x7fc0_1234), f32::NEG_INFINITY, -0.0, f32::from_bits(1)];
    tensors.insert("blocks.1.project.bias".into(), TensorData::new(odd.to_vec(), [4]));
    let model = net(4, &device);
    let id = model.blocks[1].project.weight.id;
    let loaded = load_tensors(model, &tensors).unwrap();
    assert_eq!(hash_of(&tensors_of(&loaded).unwrap()), hash_of(&tensors));
    assert_eq!(num_bytes(&tensors), 4 * (2 * (3 * 4 + 5 * 4) + 4 * 2));
    assert_eq!(loaded.blocks[1].project.weight.id, id);
    assert!(loaded.blocks[1].project.weight.is_require_grad());
    assert!(!loaded.blocks[0].norm.running_mean.value().is_require_grad());
    let frozen = load_tensors(loaded.no_grad(), &tensors).unwrap();
    assert!(!frozen.blocks[1].project.weight.is_require_grad());
}

#[test]
fn running_statistics_are_current_and_a_load_replaces_pending_ones() {
    let device = Device::flex().autodiff();
    let model = net(4, &device);
    let before = tensors_of(&model).unwrap();
    let _ = forward(&model, input(&device));
    let after = tensors_of(&model).unwrap();
    assert_ne!(before["blocks.0.norm.running_mean"], after["blocks.0.norm.running_mean"]);
    let _ = forward(&model, input(&device));
    let model = load_tensors(model, &after).unwrap();
    let _ = model.valid();
    assert_eq!(tensors_of(&model).unwrap(), after);
}

#[test]
fn the_checkpointing_strategy_survives() {
    let device = Device::flex().autodiff().gradient_checkpointing();
    let model = net(4, &device);
    let strategy = model.blocks[0].project.weight.val().gradient_checkpointing_strategy();
    let tensors = tensors_of(&model).unwrap();
    let model = load_tensors(model, &tensors).unwrap();
    assert_eq!(model.blocks[0].project.weight.val().gradient_checkpointing_strategy(), strategy);
    let _ = forward(&model, input(&device)).sum().backward();
}

#[test]
fn every_mismatch_is_in_one_error() {
    let device = Device::flex();
    let mut tensors = tensors_of(&net(4, &device)).unwrap();
    tensors.remove("head.weight");
    tensors.insert("blocks.2.project.weight".into(), TensorData::new(vec![0f32], [1]));
    tensors.insert("blocks.0.project.bias".into(), TensorData::new(vec![0f32; 3], [3]));
    let error = load_tensors(net(4, &device), &tensors).unwrap_err();
    assert_eq!(error.kind(), Kind::Input);
    let text = error.to_string();
    assert!(text.contains("(3 mismatches)"), "{text}");
    assert!(text.contains("`head.weight` is missing"), "{text}");
    assert!(text.contains("`blocks.2.project.weight` is not in the model"), "{text}");
    assert!(text.contains("`blocks.0.project.bias` has shape [3] where [4] is needed"), "{text}");
    let many = load_tensors(net(5, &device), &tensors_of(&net(4, &device)).unwrap()).unwrap_err().to_string();
    assert!(many.contains("(13 mismatches)") && many.contains("and 10 more"), "{many}");
}

#[derive(Module, Debug)]
struct Counter {
    steps: Param<Tensor<1, Int>>,
}

#[test]
fn an_integer_parameter_is_refused_not_lost() {
    let steps = Tensor::from_data([1, 2], &Device::flex());
    let counter = Counter { steps: Param::initialized(burn::module::ParamId::new(), steps) };
    assert!(tensors_of(&counter).unwrap_err().to_string().contains("`steps` is an integer parameter"));
    assert!(load_tensors(counter, &Tensors::new()).is_err());
}

#[test]
fn the_hash_covers_names_shapes_and_values() {
    let one = |name: &str, shape: [usize; 2], v: f32| {
        hash_of(&Tensors::from([(name.to_string(), TensorData::new(vec![v; 4], shape))]))
    };
    let base = one("a", [1, 4], 1.0);
    assert_eq!(base, one("a", [1, 4], 1.0));
    for other in [one("b", [1, 4], 1.0), one("a", [4, 1], 1.0), one("a", [1, 4], 1.5)] {
        assert_ne!(base, other);
    }
}
