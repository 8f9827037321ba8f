//! Pretrained encoders: MiniLM's sentence embeddings are those that `tests/fixtures/minilm.py` recorded of
//! `transformers`, and what is no such encoder is refused.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use std::{fs, path::Path};

use burn::tensor::{Device, FloatDType, Int, Tensor, TensorData};
use common::{Bench, skip};
use kiln::{
    data::{TextEncoder, Tokenizer},
    model::{EncoderConfig, InputShape, Model, ModelConfig, Signature},
};
use safetensors::{Dtype, tensor::TensorView};
use serde_json::Value;

/// Of unit vectors; both compute in f32. Seen: 3e-7.
const NEAR: f32 = 1e-5;

fn fixture() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/minilm.json");
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn numbers<T>(value: &Value, read: impl Fn(&Value) -> T) -> Vec<T> {
    value.as_array().unwrap().iter().map(read).collect()
}

fn encoder(folder: &Path, vocab: usize, context: usize) -> kiln::error::Result<Model> {
    let config = EncoderConfig::default().sized_by(folder)?;
    let sig = Signature { input: InputShape::Tokens { vocab, context }, outputs: 2 };
    ModelConfig::Encoder(config).init(&sig, &Device::flex())?.with_pretrained(folder)
}

#[test]
fn sentence_embeddings_are_the_reference_implementation_s() {
    let bench = Bench::new();
    let said = bench.kiln(&["data", "fetch", "minilm", "--json"]);
    if said.code != 0 {
        return skip(&format!("minilm: {}", said.err.trim()));
    }
    let fetched: Value = serde_json::from_str(&said.out).unwrap();
    let folder = Path::new(fetched["folder"].as_str().unwrap());
    let fixture = fixture();
    let most = fixture["most"].as_u64().unwrap() as usize;
    let tokenizer = Tokenizer::from_hf_file(&folder.join("tokenizer.json")).unwrap();
    let texts = TextEncoder::new(&tokenizer, most).unwrap();
    let Model::Encoder(model) = encoder(folder, tokenizer.vocab(), most).unwrap() else { panic!() };
    // All in one batch, so that the shorter ones are padded.
    let cases = fixture["cases"].as_array().unwrap();
    let mut ids = Vec::new();
    for case in cases {
        let found = texts.encode(case["text"].as_str().unwrap()).unwrap();
        assert_eq!(found, numbers(&case["ids"], |id| id.as_u64().unwrap() as u32), "{}", case["text"]);
        ids.extend(found.iter().map(|id| id.cast_signed()));
        ids.extend(std::iter::repeat_n(-1, most - found.len()));
    }
    let ids = Tensor::<2, Int>::from_data(TensorData::new(ids, [cases.len(), most]), &Device::flex());
    let pooled = model.pooled(ids, FloatDType::F32);
    let length = pooled.clone().square().sum_dim(1).sqrt();
    let found: Vec<f32> = (pooled / length).into_data().try_to_vec().unwrap();
    let width = found.len() / cases.len();
    let mut worst = 0f32;
    for (case, found) in cases.iter().zip(found.chunks(width)) {
        let right = numbers(&case["embedding"], |x| x.as_f64().unwrap() as f32);
        assert_eq!(right.len(), width);
        worst = found.iter().zip(&right).fold(worst, |worst, (a, b)| worst.max((a - b).abs()));
    }
    common::say(&format!("the largest difference of an element is {worst:.1e}"));
    assert!(worst < NEAR, "an embedding is off by {worst}");
}

const CONFIG: &str = r#"{"model_type": "bert", "hidden_size": 4, "num_hidden_layers": 1, "num_attention_heads": 2,
"intermediate_size": 6, "vocab_size": 5, "max_position_embeddings": 8}"#;

/// A BERT of one layer, without the tensor of this name, and with one more row in that of the other.
fn write(folder: &Path, config: &str, without: &str, larger: &str) {
    fs::write(folder.join("config.json"), config).unwrap();
    let mut shapes = vec![
        ("embeddings.word_embeddings.weight".to_string(), vec![5, 4]),
        ("embeddings.position_embeddings.weight".into(), vec![8, 4]),
        ("embeddings.token_type_embeddings.weight".into(), vec![2, 4]),
    ];
    let layer = "encoder.layer.0";
    let linear = [
        ("attention.self.query", 4, 4),
        ("attention.self.key", 4, 4),
        ("attention.self.value", 4, 4),
        ("attention.output.dense", 4, 4),
        ("intermediate.dense", 6, 4),
        ("output.dense", 4, 6),
    ];
    for (name, outputs, inputs) in linear {
        shapes.push((format!("{layer}.{name}.weight"), vec![outputs, inputs]));
        shapes.push((format!("{layer}.{name}.bias"), vec![outputs]));
    }
    let norms = ["attention.output.LayerNorm", "output.LayerNorm"].map(|name| format!("{layer}.{name}"));
    for name in [&norms[0], &norms[1], "embeddings.LayerNorm"] {
        shapes.push((format!("{name}.weight"), vec![4]));
        shapes.push((format!("{name}.bias"), vec![4]));
    }
    shapes.retain(|(name, _)| name != without);
    for (_, shape) in shapes.iter_mut().filter(|(name, _)| name == larger) {
        shape[0] += 1;
    }
    let zeros = vec![0u8; 4096];
    let views = shapes.iter().map(|(name, shape)| {
        let bytes = 4 * shape.iter().product::<usize>();
        (name.as_str(), TensorView::new(Dtype::F32, shape.clone(), &zeros[..bytes]).unwrap())
    });
    fs::write(folder.join("model.safetensors"), safetensors::serialize(views, None).unwrap()).unwrap();
}

#[test]
fn what_is_no_such_encoder_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let refused = |config: &str, without: &str, larger: &str| {
        write(dir.path(), config, without, larger);
        encoder(dir.path(), 5, 8).unwrap_err().to_string()
    };
    write(dir.path(), CONFIG, "", "");
    assert!(encoder(dir.path(), 5, 8).is_ok());
    assert!(encoder(dir.path(), 6, 8).unwrap_err().to_string().contains("the model has 5 tokens, but the tokenizer 6"));
    assert!(encoder(dir.path(), 5, 9).unwrap_err().to_string().contains("set `data.context` to at most 8"));
    let roberta = refused(&CONFIG.replace("bert", "roberta"), "", "");
    assert!(roberta.contains("its `model_type` is \"roberta\", and only \"bert\" is known"), "{roberta}");
    assert!(refused("{}", "", "").contains("it describes no encoder"));
    let huge = refused(&CONFIG.replace("\"hidden_size\": 4", "\"hidden_size\": 4000000000"), "", "");
    assert!(huge.contains("must be at most"), "{huge}");
    let missing = refused(CONFIG, "encoder.layer.0.output.dense.bias", "");
    assert!(missing.contains("it has no tensor `encoder.layer.0.output.dense.bias`"), "{missing}");
    let larger = refused(CONFIG, "", "encoder.layer.0.output.LayerNorm.weight");
    assert!(larger.contains("`blocks.0.feed_forward_norm.weight` has shape [5] where [4] is needed"), "{larger}");
    let uneven = refused(CONFIG, "", "encoder.layer.0.attention.self.key.weight");
    assert!(uneven.contains("`blocks.0.attention.qkv.weight` has shape [4, 13]"), "{uneven}");
    write(dir.path(), CONFIG, "", "");
    fs::write(dir.path().join("model.safetensors"), [0xff; 64]).unwrap();
    assert!(encoder(dir.path(), 5, 8).unwrap_err().to_string().contains("is no SafeTensors file"));
}
