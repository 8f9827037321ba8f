//! Preparing a source: once, into a folder of shards that its fingerprint names.

use std::path::Path;

use super::{
    DataConfig, Dataset, Format, Holdout, InputSchema, RecordWriter, Records, Schema, Split, TargetSchema, TaskKind,
    TokenizerKind, cache,
    dataset::{SCHEMA_FILE, TOKENIZER_FILE, View},
    fingerprint::fingerprint,
    interactions::{self, InteractionsConfig},
    source::{self, Resolved, table::Request},
    tokenize,
};
use crate::error::{Error, IoContext, Result};

/// Prepares the data of a config, or finds it prepared, and opens it. Relative paths start from `base`.
///
/// A corpus larger than memory is prepared, and read, with flat memory. `progress` gets a line for a person now and
/// then.
///
/// # Errors
/// Settings that contradict each other, a source that cannot be read, a split that is too short.
pub fn prepare(config: &DataConfig, base: &Path, seed: u64, progress: &dyn Fn(&str)) -> Result<Dataset> {
    prepare_with(config, base, Request { seed, learned: None, progress })
}

/// The same with what a run has `learned` of a table: its transforms and classes are applied as they are, whatever the
/// rows are now.
///
/// # Errors
/// As [`prepare`]; a row that the run's columns or classes do not take.
pub fn prepare_as(
    config: &DataConfig,
    base: &Path,
    seed: u64,
    learned: &Schema,
    progress: &dyn Fn(&str),
) -> Result<Dataset> {
    let learned = Some(learned).filter(|schema| schema.table.is_some());
    prepare_with(config, base, Request { seed, learned, progress })
}

fn prepare_with(config: &DataConfig, base: &Path, request: Request<'_>) -> Result<Dataset> {
    let Request { seed, learned, progress } = request;
    check(config)?;
    let seed = config.seed.unwrap_or(seed);
    let source = source::resolve(config, base, progress)?;
    check_task(source.config.task, source.format)?;
    let texts = source.format == Format::Text || config.text.is_some();
    let given = match config.tokenizer_kind() {
        TokenizerKind::File(path) if texts => Some(base.join(path)),
        _ => None,
    };
    let root = cache::root(config.cache.as_ref().map(|c| base.join(c)).as_deref())?;
    let contents = cache::contents(&root, &source.files, &source.names())?;
    let tokenizer = given.iter().map(|f| cache::contents(&root, std::slice::from_ref(f), &[])).next().transpose()?;
    let fingerprint = fingerprint(&source, contents.clone(), tokenizer.clone(), seed, learned)?;
    let negatives = config.interactions.as_ref().map_or(Some(1), InteractionsConfig::drawn);
    let view = View { context: config.context, standardize: config.standardize, seed, negatives };
    if learned.is_some()
        && let Some(dataset) =
            as_learned(&root, &self::fingerprint(&source, contents.clone(), tokenizer, seed, None)?, view, request)
    {
        return Ok(dataset);
    }
    let open = |folder: &Path| Dataset::open(folder, &fingerprint, view);
    let dataset = cache::entry(&root, &fingerprint, progress, open, |folder| match source.format {
        Format::Text => tokenize::build(&source, given.as_deref(), folder, progress),
        _ if source.config.task == TaskKind::Recommendation => build_choices(&source, folder, progress),
        _ => build_records(&source, request, folder),
    })?;
    check_splits(config, &dataset)?;
    match &config.fold {
        // A table was prepared for its fold.
        Some(fold) if matches!(dataset.schema().input, InputSchema::Image { .. }) => dataset.fold(fold),
        _ => Ok(dataset),
    }
}

/// The data as a run prepared it, where it is still there and learned the same.
fn as_learned(root: &Path, fingerprint: &str, view: View, request: Request<'_>) -> Option<Dataset> {
    let dataset = Dataset::open(&cache::folder(root, fingerprint), fingerprint, view).ok()?;
    let same = |learned: &Schema| {
        let schema = dataset.schema();
        learned.table == schema.table && learned.target == schema.target
    };
    request.learned.is_some_and(same).then_some(dataset)
}

pub(super) fn check(config: &DataConfig) -> Result<()> {
    let Holdout { validation, test, .. } = config.holdout;
    if !(0.0..1.0).contains(&validation) || !(0.0..1.0).contains(&test) || validation + test >= 1.0 {
        return Err(Error::input(format!(
            "`data.holdout.validation` = {validation} and `data.holdout.test` = {test} must be at least 0 and leave \
             something to train on"
        ))
        .next("make their sum less than 1"));
    }
    if config.context == 0 || config.context > 1 << 24 {
        return Err(Error::input(format!("`data.context` = {} is not a usable length", config.context))
            .next("set it to at least 1 and at most 16777216"));
    }
    Ok(())
}

fn check_task(task: TaskKind, format: Format) -> Result<()> {
    let message = match (task, format) {
        (TaskKind::LanguageModel, Format::Text) => return Ok(()),
        (TaskKind::Recommendation, Format::Text | Format::Idx | Format::Images) => {
            "recommendation learns from a table of who chose what"
        }
        (TaskKind::Anomaly, Format::Text | Format::Idx | Format::Images) => {
            "anomalies are told among the rows of a table"
        }
        (TaskKind::LanguageModel, _) => "`data.task` = \"language-model\" reads text, and `data.format` is another",
        (_, Format::Text) => {
            "text has no classes or values to learn, so `data.task` must be \"language-model\"; texts with a class are a \
             column of a table (`data.text`)"
        }
        (TaskKind::Regression, Format::Idx | Format::Images) => {
            "pictures have classes, so `data.task` must be \"classification\""
        }
        _ => return Ok(()),
    };
    Err(Error::input(message).next("change `data.task` or `data.format`"))
}

/// A split that the config asks for must have something in it.
fn check_splits(config: &DataConfig, dataset: &Dataset) -> Result<()> {
    let holdout = &config.holdout;
    let wanted = [
        (Split::Train, true, "data.limit"),
        (Split::Validation, holdout.validation > 0.0, "data.holdout.validation"),
        (Split::Test, holdout.test > 0.0 && dataset.tokens(Split::Test).is_some(), "data.holdout.test"),
    ];
    for (split, _, key) in wanted.into_iter().filter(|w| w.1) {
        let name = split.name();
        let context = config.context as u64;
        match dataset.tokens(split) {
            Some(tokens) if tokens <= context => {
                return Err(Error::input(format!(
                    "the {name} split has {tokens} tokens, fewer than one example of `data.context` = {context} and \
                     the token after it"
                ))
                .next(format!("lower `data.context`, change `{key}`, or add text")));
            }
            None if dataset.is_empty(split) => {
                return Err(
                    Error::input(format!("the {name} split has no rows")).next(format!("change `{key}` or add rows"))
                );
            }
            _ => {}
        }
    }
    Ok(())
}

fn build_records(source: &Resolved, request: Request<'_>, folder: &Path) -> Result<()> {
    let files = source.files.len();
    (request.progress)(&format!("preparing {files} file{}", if files == 1 { "" } else { "s" }));
    let mut writer = RecordWriter::new(folder, source.config.holdout.clone(), request.seed);
    let records = source.read(request, &mut writer)?;
    let scale = writer.finish(&records)?;
    let Records { input, target, table, tokenizer } = records;
    if let Some(tokenizer) = tokenizer {
        tokenizer.save(&folder.join(TOKENIZER_FILE))?;
    }
    write_schema(folder, &Schema { input, target, table, scale, bytes_per_token: None })
}

fn build_choices(source: &Resolved, folder: &Path, progress: &dyn Fn(&str)) -> Result<()> {
    let config = &source.config;
    let Some(asked) = &config.interactions else {
        return Err(Error::input("`data.task` = \"recommendation\" needs `[data.interactions]`")
            .next("name the columns, as in `interactions = { user = \"user\", item = \"item\" }`"));
    };
    let found = source::table::read_choices(&source.files, config, asked)?;
    let parts = interactions::shared_out(&found.by_user, asked.split, (config.holdout.validation, config.holdout.test));
    let choices: usize = parts.iter().map(Vec::len).sum();
    progress(&format!("{choices} choices by {} users of {} items", found.users.len(), found.items.len()));
    interactions::write(folder, &parts)?;
    let input = InputSchema::Choices { users: found.users, items: found.items };
    write_schema(
        folder,
        &Schema { input, target: TargetSchema::Items, table: None, scale: None, bytes_per_token: None },
    )
}

pub(super) fn write_schema(folder: &Path, schema: &Schema) -> Result<()> {
    let path = folder.join(SCHEMA_FILE);
    let json = serde_json::to_vec_pretty(schema).map_err(|e| Error::failed(format!("the schema failed: {e}")))?;
    std::fs::write(&path, json).io("write", &path)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests;
