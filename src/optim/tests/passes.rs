//! The norm, the clip, accumulation, and which parameters move.

use super::*;

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
