//! The `[data]` section.

use std::{collections::BTreeMap, path::PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use super::{CleanConfig, ColumnConfig};

use super::Fold;

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
}

impl TaskKind {
    /// As a config spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::LanguageModel => "language-model",
            Self::Classification => "classification",
            Self::Regression => "regression",
        }
    }
}

/// Where rows come from: exactly one of the keys `dataset`, `path`, `glob`, `url`, or `sql` with its `query`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(transform = exactly_one)]
pub enum Source {
    /// A named data set of the fetch manifest (`kiln data fetch --help` lists them).
    Dataset(String),
    /// A file or a folder, relative to the config file.
    Path(PathBuf),
    /// Several files by a pattern such as `logs/*.txt`, relative to the config file.
    Glob(String),
    /// A file to download once into the cache; with the feature `object-store` also objects, as in
    /// `s3://bucket/folder/*.parquet` (`gs://`, `az://`).
    Url(String),
    /// A database to ask once; the rows are kept in the cache.
    #[serde(untagged)]
    Sql(SqlSource),
}

/// schemars takes an untagged variant to overlap with the others, and this one does not.
fn exactly_one(schema: &mut schemars::Schema) {
    if let Some(choices) = schema.remove("anyOf") {
        schema.insert("oneOf".into(), choices);
    }
}

/// A query to a database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SqlSource {
    /// The database: `postgres://user@host/database`, its password in the environment variable PGPASSWORD, or
    /// `sqlite:file.db`, relative to the config file.
    pub sql: String,
    /// One SELECT.
    pub query: String,
}

/// How the source is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// UTF-8 text; every file is one document.
    Text,
    /// A folder with the four `{train,t10k}-{images-idx3,labels-idx1}-ubyte[.gz]` files.
    Idx,
    /// A folder with one folder of png or jpeg files per class.
    Images,
    /// Comma-separated values, optionally gzipped.
    Csv,
    /// Apache Parquet.
    Parquet,
    /// One JSON object a line.
    Jsonl,
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
}

/// What decides which rows of a table are held out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum HoldoutBy {
    /// A hash of the row's number.
    #[default]
    Row,
    /// The same within every class, so that each split has every class's exact share.
    Class,
    /// A hash of `column`: rows of one group (a patient, a customer) are in one split.
    Group,
    /// `column`, a date or a number: the last rows are the test split, those before them validation.
    Time,
}

/// Fractions held out, by a hash of the row (tables, images) or by position (text: the end).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Holdout {
    /// Fraction for validation, `[0, 1)`.
    pub validation: f64,
    /// Fraction for test, `[0, 1)`; a data set with its own test split keeps that and ignores this.
    pub test: f64,
    /// Tables: what decides which rows are held out.
    pub by: HoldoutBy,
    /// Tables: the column of `by = "group"` or `by = "time"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
}

impl Holdout {
    /// Fractions for validation and test, by the row.
    pub const fn of(validation: f64, test: f64) -> Self {
        Self { validation, test, by: HoldoutBy::Row, column: None }
    }
}

impl Default for Holdout {
    fn default() -> Self {
        Self::of(0.1, 0.0)
    }
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
    /// Text: how it becomes tokens.
    #[serde(default = "bytes")]
    pub tokenizer: TokenizerKind,
    /// Text: tokens in one example.
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
    /// CSV: whether the first row names the columns; without names they are `c0`, `c1`, ...
    #[serde(default = "yes")]
    pub header: bool,
    /// CSV without a header: the columns' names, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
    /// CSV: the delimiter, one ASCII character.
    #[serde(default = "comma")]
    pub delimiter: char,
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
    /// Where prepared shards are kept; the user's cache folder by default (`KILN_CACHE` overrides).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache: Option<PathBuf>,
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

fn bytes() -> TokenizerKind {
    TokenizerKind::Bytes
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
