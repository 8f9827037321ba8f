//! The average of the weights.

use super::*;

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
