//! Parameters and work by the published figures, and the documented paths.

use super::*;

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
