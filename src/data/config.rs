//! The `[data]` section.

mod parts;
mod source;

use std::{collections::BTreeMap, path::PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use super::{CleanConfig, ColumnConfig, Fold, InteractionsConfig, IsolationConfig};
pub use parts::{AnomalyConfig, Holdout, HoldoutBy, WindowConfig};
pub use source::{Format, Source, SqlSource};

/// What is learned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TaskKind {
    /// Predict the next token.
    LanguageModel,
    /// Predict one of several classes.
    Classification,
    /// Predict real values.
    Regression,
    /// Rank the items that a user may choose.
    Recommendation,
    /// Score rows by how unlike those of training they are.
    Anomaly,
}

impl TaskKind {
    /// As a config spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::LanguageModel => "language-model",
            Self::Classification => "classification",
            Self::Regression => "regression",
            Self::Recommendation => "recommendation",
            Self::Anomaly => "anomaly",
        }
    }
}

/// How text becomes tokens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TokenizerKind {
    /// One token per byte: 256.
    Bytes,
    /// One token per character seen in the corpus.
    Char,
    /// GPT-2's byte-pair encoding: 50,257 tokens.
    Gpt2,
    /// A Hugging Face `tokenizer.json`, relative to the config file.
    File(PathBuf),
    /// Byte-pair encoding with this many tokens, trained on the corpus's training split.
    Bpe(usize),
    /// Texts of a table: this many words and punctuation marks in lower case, the most frequent ones of the training
    /// split.
    Words(usize),
}

/// The `[data]` section of a config.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    /// What is learned.
    pub task: TaskKind,
    /// Where rows come from.
    pub source: Source,
    /// How the source is laid out; inferred from the data set or the file's ending.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<Format>,
    /// `url` sources: the expected SHA-256 of the download, in hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Text: how it becomes tokens; `bytes` by default, `{ words = 20000 }` for the texts of a table, and a pretrained
    /// model's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokenizer: Option<TokenizerKind>,
    /// Tables: the column of texts, where one text is an example; no other column is then a feature.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Text: tokens in one example, at most where a row of a table is one.
    #[serde(default = "context")]
    pub context: usize,
    /// Tables: the target column or columns; the last column by default.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "one_or_many")]
    #[schemars(with = "OneOrMany")]
    pub target: Vec<String>,
    /// Tables: the feature columns; all but the targets by default.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub features: Vec<String>,
    /// Tables: how columns become numbers, for all that `columns` does not say otherwise of.
    #[serde(default, skip_serializing_if = "CleanConfig::is_empty")]
    pub clean: CleanConfig,
    /// Tables: a column's type, as in `zip = "categorical"`, or a table of its type and transforms.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub columns: BTreeMap<String, ColumnConfig>,
    /// Tables: columns computed from others, as in `rooms_per_head = "total_rooms / households"`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub derive: BTreeMap<String, String>,
    /// Tables: rows that lie apart by all numeric columns together are marked or left out; not looked for by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub isolation_forest: Option<IsolationConfig>,
    /// Recommendation: the columns of a table of who chose what, and which of its rows are held out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interactions: Option<InteractionsConfig>,
    /// Anomalies: which rows are normal; the target column, which need not be there, tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anomaly: Option<AnomalyConfig>,
    /// Tables: windows over rows in the order of time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<WindowConfig>,
    /// CSV: whether the first row names the columns; without names they are `c0`, `c1`, ...
    #[serde(default = "yes")]
    pub header: bool,
    /// CSV without a header: the columns' names, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
    /// CSV: the delimiter, one ASCII character.
    #[serde(default = "comma")]
    pub delimiter: char,
    /// CSV: lines before the table, which are not read.
    #[serde(default)]
    pub skip: u64,
    /// Image folder: every picture is resized to `[height, width]`.
    #[serde(default = "image_size")]
    pub image_size: [usize; 2],
    /// Image folder: 1 for grey, 3 for RGB.
    #[serde(default = "channels")]
    pub channels: usize,
    /// Standardise pixels, and numeric columns that no `scale` says otherwise of, by the training split.
    #[serde(default = "yes")]
    pub standardize: bool,
    /// Fractions held out for validation and test.
    #[serde(default)]
    pub holdout: Holdout,
    /// What the splits are drawn by; `run.seed` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// One fold of a cross-validation, instead of `holdout.validation`; `kiln cv` writes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fold: Option<Fold>,
    /// Use at most this many bytes of text or rows of the rest (the first ones); 0 means all.
    #[serde(default)]
    pub limit: u64,
    /// Threads that build batches.
    #[serde(default = "workers")]
    pub workers: usize,
    /// The `tokenizer.json` of a pretrained model, found when the model is.
    #[serde(skip)]
    pub pretrained_tokenizer: Option<PathBuf>,
    /// Where prepared shards are kept; the user's cache folder by default (`KILN_CACHE` overrides).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache: Option<PathBuf>,
}

impl DataConfig {
    /// Windows are held out by their time where nothing else is said.
    pub(super) fn hold_out_by_time(&mut self) {
        let time = self.window.as_ref().and_then(|window| window.time.clone());
        if let (HoldoutBy::Row, Some(time)) = (self.holdout.by, time) {
            (self.holdout.by, self.holdout.column) = (HoldoutBy::Time, Some(time));
        }
    }

    /// How text becomes tokens.
    pub fn tokenizer_kind(&self) -> TokenizerKind {
        match (&self.pretrained_tokenizer, &self.tokenizer, &self.text) {
            (_, Some(kind), _) => kind.clone(),
            (Some(file), ..) => TokenizerKind::File(file.clone()),
            (None, None, Some(_)) => TokenizerKind::Words(20_000),
            (None, None, None) => TokenizerKind::Bytes,
        }
    }
}

/// One name, or a list of them.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Ok(match OneOrMany::deserialize(deserializer)? {
        OneOrMany::One(name) => vec![name],
        OneOrMany::Many(names) => names,
    })
}

fn context() -> usize {
    256
}
fn yes() -> bool {
    true
}
fn comma() -> char {
    ','
}
fn image_size() -> [usize; 2] {
    [64, 64]
}
fn channels() -> usize {
    3
}
fn workers() -> usize {
    1
}
