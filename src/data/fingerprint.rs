//! The name of prepared data: a hash of everything that their bytes depend on.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{
    CleanConfig, ColumnConfig, Fold, Format, Holdout, IsolationConfig, Schema, TaskKind, TokenizerKind, WindowConfig,
    interactions::InteractionsConfig, source::Resolved,
};
use crate::error::{Error, Result};

/// Raised whenever the same source and settings would give other bytes.
const PREPARATION: u32 = 4;

/// Everything that the prepared bytes depend on.
#[derive(Serialize)]
struct Key<'a> {
    preparation: u32,
    contents: String,
    format: Format,
    holdout: &'a Holdout,
    limit: u64,
    text: Option<TextKey<'a>>,
    records: Option<RecordsKey<'a>>,
}

#[derive(Serialize)]
struct TextKey<'a> {
    /// Tables: the column, and how long a text may be.
    #[serde(skip_serializing_if = "Option::is_none")]
    column: Option<(&'a str, usize)>,
    kind: Option<TokenizerKind>,
    /// The hash of a tokenizer's file, which stands for its path.
    file: Option<String>,
}

#[derive(Serialize)]
struct RecordsKey<'a> {
    seed: u64,
    task: TaskKind,
    target: &'a [String],
    features: &'a [String],
    header: bool,
    names: &'a [String],
    delimiter: char,
    skip: u64,
    /// Tables only: pictures are standardised when they are read.
    standardize: Option<bool>,
    clean: &'a CleanConfig,
    columns: &'a BTreeMap<String, ColumnConfig>,
    derive: &'a BTreeMap<String, String>,
    isolation: Option<&'a IsolationConfig>,
    learned: Option<&'a Schema>,
    /// Tables only, whose transforms learn on the fold's own rows.
    fold: Option<&'a Fold>,
    image_size: [usize; 2],
    channels: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    interactions: Option<InteractionsConfig>,
    #[serde(skip_serializing_if = "Option::is_none")]
    window: Option<&'a WindowConfig>,
    /// The words of a normal row, and whether others are left out of training.
    #[serde(skip_serializing_if = "Option::is_none")]
    anomaly: Option<(&'a [String], bool)>,
}

/// The name of what a source and its settings are prepared to: `contents` is the hash of its files, `tokenizer` that of a
/// tokenizer's.
///
/// # Errors
/// None that a user can cause.
pub(super) fn fingerprint(
    source: &Resolved,
    contents: String,
    tokenizer: Option<String>,
    seed: u64,
    learned: Option<&Schema>,
) -> Result<String> {
    let config = &source.config;
    let text = source.format == Format::Text;
    let table = source.format.is_table();
    let kind = Some(config.tokenizer_kind()).filter(|_| tokenizer.is_none());
    let column = config.text.as_deref().map(|column| (column, config.context));
    let key = Key {
        preparation: PREPARATION,
        contents,
        format: source.format,
        holdout: &config.holdout,
        limit: config.limit,
        text: (text || column.is_some()).then_some(TextKey { column, kind, file: tokenizer }),
        records: (!text).then_some(RecordsKey {
            seed,
            task: config.task,
            target: &config.target,
            features: &config.features,
            header: config.header,
            names: &config.names,
            delimiter: config.delimiter,
            skip: config.skip,
            standardize: table.then_some(config.standardize),
            clean: &config.clean,
            columns: &config.columns,
            derive: &config.derive,
            isolation: config.isolation_forest.as_ref(),
            learned,
            fold: config.fold.as_ref().filter(|_| table),
            image_size: config.image_size,
            channels: config.channels,
            interactions: config.interactions.as_ref().map(InteractionsConfig::prepared),
            window: config.window.as_ref(),
            anomaly: config.anomaly.as_ref().map(|asked| (asked.normal.as_slice(), asked.only_normal)),
        }),
    };
    let json = serde_json::to_vec(&key).map_err(|e| Error::failed(format!("the fingerprint failed: {e}")))?;
    Ok(blake3::hash(&json).to_hex().chars().take(32).collect())
}
