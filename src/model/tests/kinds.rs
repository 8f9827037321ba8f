//! What single kinds promise.

use super::*;

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
