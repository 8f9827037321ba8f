//! Weights of BERT-family encoders as Hugging Face keeps them: `config.json`, `model.safetensors`, `tokenizer.json`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use burn::tensor::TensorData;
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{EncoderConfig, Model, NormPlacement};
use crate::{
    error::{Error, IoContext, Result},
    nn::{Tensors, load_tensors, tensors_of},
};

/// Bytes of a `config.json` that are read at most.
const MAX_CONFIG: u64 = 1 << 20;
/// Bytes of weights that are read at most: the largest BERT has 1.4 GB.
const MAX_WEIGHTS: u64 = 16 << 30;

/// Where pretrained weights come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Pretrained {
    /// A folder, relative to the config file.
    Path(PathBuf),
    /// A named one of the fetch manifest, such as `minilm`.
    Dataset(String),
}

/// What `config.json` says.
#[derive(Deserialize)]
struct Bert {
    model_type: String,
    hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    intermediate_size: usize,
    vocab_size: usize,
    max_position_embeddings: usize,
    #[serde(default = "gelu")]
    hidden_act: String,
    #[serde(default = "absolute")]
    position_embedding_type: String,
    #[serde(default = "epsilon")]
    layer_norm_eps: f64,
}

fn gelu() -> String {
    "gelu".into()
}
fn absolute() -> String {
    "absolute".into()
}
fn epsilon() -> f64 {
    1e-12
}

impl EncoderConfig {
    /// With the sizes that the model in `folder` has.
    ///
    /// # Errors
    /// A `config.json` that is missing, too large or damaged, or that describes no BERT with GELU and learned positions.
    pub fn sized_by(&self, folder: &Path) -> Result<Self> {
        let path = folder.join("config.json");
        let bad = |why: &str| {
            Error::input(format!("{}: {why}", path.display()))
                .next("give the folder of a BERT-family encoder in Hugging Face's layout")
        };
        let text = bounded(&path, MAX_CONFIG)?;
        let bert: Bert = serde_json::from_slice(&text).map_err(|e| bad(&format!("it describes no encoder: {e}")))?;
        let parts = [
            ("model_type", &bert.model_type, "bert"),
            ("hidden_act", &bert.hidden_act, "gelu"),
            ("position_embedding_type", &bert.position_embedding_type, "absolute"),
        ];
        if let Some((key, found, wanted)) = parts.into_iter().find(|(_, found, wanted)| found != wanted) {
            return Err(bad(&format!("its `{key}` is \"{found}\", and only \"{wanted}\" is known")));
        }
        if !(bert.layer_norm_eps.is_finite() && bert.layer_norm_eps >= 0.0) {
            return Err(bad("its `layer_norm_eps` is no positive number"));
        }
        Ok(Self {
            layers: bert.num_hidden_layers,
            heads: bert.num_attention_heads,
            width: bert.hidden_size,
            hidden: bert.intermediate_size,
            norm: NormPlacement::Post,
            epsilon: bert.layer_norm_eps,
            vocab: bert.vocab_size,
            positions: bert.max_position_embeddings,
            ..self.clone()
        })
    }
}

impl Model {
    /// With the weights in `folder`; the head, which no pretrained model has, stays as it is.
    ///
    /// # Errors
    /// Weights that are missing, damaged, or of other sizes than the model's.
    pub fn with_pretrained(self, folder: &Path) -> Result<Self> {
        let path = folder.join("model.safetensors");
        let mut tensors = tensors_of(&self)?;
        let Self::Encoder(encoder) = &self else {
            return Err(Error::failed(format!("a model of kind \"{}\" has no pretrained weights", self.name())));
        };
        let found = weights(&path, encoder.layers())?;
        tensors.extend(found);
        load_tensors(self, &tensors).map_err(|e| e.at(path.display()))
    }
}

/// The file's bytes, if there are not too many.
fn bounded(path: &Path, most: u64) -> Result<Vec<u8>> {
    let size = fs::metadata(path).io("read", path)?.len();
    if size > most {
        return Err(Error::input(format!("{} has {size} bytes, more than the {most} that are read", path.display())));
    }
    fs::read(path).io("read", path)
}

/// An encoder's tensors by kiln's names, read from a file with BERT's.
fn weights(path: &Path, layers: usize) -> Result<Tensors> {
    let bytes = bounded(path, MAX_WEIGHTS)?;
    let file = SafeTensors::deserialize(&bytes)
        .map_err(|e| Error::input(format!("{} is no SafeTensors file: {e}", path.display())))?;
    let source = Source { path, file };
    let mut found = Tensors::new();
    let mut put = |name: String, matrix: Matrix| drop(found.insert(name, matrix.data()));
    put("token_embedding.weight".into(), source.matrix("embeddings.word_embeddings.weight")?);
    put("position_embedding.weight".into(), source.positions()?);
    for (part, theirs) in [("weight", "weight"), ("bias", "bias")] {
        put(format!("embedding_norm.{part}"), source.matrix(&format!("embeddings.LayerNorm.{theirs}"))?);
    }
    for i in 0..layers {
        let (at, from) = (format!("blocks.{i}"), format!("encoder.layer.{i}"));
        let qkv = ["query", "key", "value"].map(|part| format!("{from}.attention.self.{part}"));
        put(format!("{at}.attention.qkv.weight"), source.beside(&qkv.clone().map(|name| name + ".weight"))?);
        put(format!("{at}.attention.qkv.bias"), source.beside(&qkv.map(|name| name + ".bias"))?);
        for (ours, theirs, linear) in [
            ("attention.output", "attention.output.dense", true),
            ("attention_norm", "attention.output.LayerNorm", false),
            ("up", "intermediate.dense", true),
            ("down", "output.dense", true),
            ("feed_forward_norm", "output.LayerNorm", false),
        ] {
            let weight = source.matrix(&format!("{from}.{theirs}.weight"))?;
            put(format!("{at}.{ours}.weight"), if linear { weight.transposed() } else { weight });
            put(format!("{at}.{ours}.bias"), source.matrix(&format!("{from}.{theirs}.bias"))?);
        }
    }
    Ok(found)
}

struct Source<'a> {
    path: &'a Path,
    file: SafeTensors<'a>,
}

impl Source<'_> {
    /// A tensor of one or two dimensions; some files put `bert.` before every name.
    fn matrix(&self, name: &str) -> Result<Matrix> {
        let found = self.file.tensor(name).or_else(|_| self.file.tensor(&format!("bert.{name}")));
        let view = found.map_err(|_| self.bad(&format!("it has no tensor `{name}`")))?;
        let shape = view.shape().to_vec();
        let values = floats(&view).ok_or_else(|| self.bad(&format!("`{name}` holds {:?}", view.dtype())))?;
        match shape[..] {
            [_] | [_, _] => Ok(Matrix { values, shape }),
            _ => Err(self.bad(&format!("`{name}` has shape {shape:?}"))),
        }
    }

    /// Tensors of linear layers of one input, transposed and beside each other.
    fn beside(&self, names: &[String; 3]) -> Result<Matrix> {
        let parts = names.iter().map(|name| Ok(self.matrix(name)?.transposed())).collect::<Result<Vec<_>>>()?;
        let rows = |part: &Matrix| if part.shape.len() == 2 { part.shape.first().copied().unwrap_or(0) } else { 1 };
        let count = parts.first().map_or(0, rows);
        if parts.iter().any(|part| rows(part) != count) {
            return Err(self.bad(&format!("`{}` and its neighbours have different shapes", names[0])));
        }
        let mut values = Vec::new();
        for row in 0..count {
            for part in &parts {
                let width = part.values.len() / count.max(1);
                values.extend_from_slice(part.values.get(row * width..(row + 1) * width).unwrap_or_default());
            }
        }
        let columns = values.len() / count.max(1);
        let flat = parts.first().is_some_and(|part| part.shape.len() == 1);
        Ok(Matrix { values, shape: if flat { vec![columns] } else { vec![count, columns] } })
    }

    /// Positions with the first of the token types on top: a text alone is all of that type.
    fn positions(&self) -> Result<Matrix> {
        let mut positions = self.matrix("embeddings.position_embeddings.weight")?;
        let types = self.matrix("embeddings.token_type_embeddings.weight")?;
        let width = positions.shape.last().copied().unwrap_or(0);
        if width == 0 || types.shape.last() != Some(&width) {
            return Err(self.bad("its token types are of another width than its positions"));
        }
        let first = types.values.get(..width).unwrap_or_default();
        for row in positions.values.chunks_mut(width) {
            row.iter_mut().zip(first).for_each(|(value, own)| *value += own);
        }
        Ok(positions)
    }

    fn bad(&self, why: &str) -> Error {
        Error::input(format!("{}: {why}", self.path.display())).next("give the weights of a BERT-family encoder")
    }
}

/// f32 values in order, with one or two dimensions.
struct Matrix {
    values: Vec<f32>,
    shape: Vec<usize>,
}

impl Matrix {
    /// A vector stays as it is.
    fn transposed(self) -> Self {
        let [rows, columns] = self.shape[..] else { return self };
        let value = |i: usize| self.values.get(i % rows.max(1) * columns + i / rows.max(1)).copied().unwrap_or(0.0);
        Self { values: (0..rows * columns).map(value).collect(), shape: vec![columns, rows] }
    }

    fn data(self) -> TensorData {
        TensorData::new(self.values, self.shape)
    }
}

fn floats(view: &TensorView<'_>) -> Option<Vec<f32>> {
    let pairs = || view.data().as_chunks::<2>().0.iter();
    Some(match view.dtype() {
        Dtype::F32 => view.data().as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
        Dtype::F16 => pairs().map(|b| half::f16::from_le_bytes(*b).to_f32()).collect(),
        Dtype::BF16 => pairs().map(|b| half::bf16::from_le_bytes(*b).to_f32()).collect(),
        _ => return None,
    })
}
