//! Which model reads what, and what does not fit.

use super::*;

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
