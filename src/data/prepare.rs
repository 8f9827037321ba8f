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
mod tests {
    use std::cell::RefCell;

    use super::{
        super::{HostInput, HostTarget, IGNORE},
        *,
    };

    fn config(extra: &str) -> DataConfig {
        let base = "task = \"language-model\"\nsource = { path = \"t.txt\" }\ncontext = 8\ncache = \"cache\"\n";
        toml::from_str(&format!("{base}{extra}")).unwrap()
    }

    fn folder(text: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("t.txt"), text).unwrap();
        folder
    }

    fn lines(n: usize) -> String {
        (0..n).map(|i| format!("{i} bottles of beer\n")).collect()
    }

    /// Every id and target of a split in row order, without padding.
    fn pairs(dataset: &Dataset, split: Split, epoch: u64) -> (Vec<i32>, Vec<i32>) {
        let rows: Vec<u64> = (0..dataset.len(split)).collect();
        let batch = dataset.batch(split, &rows, epoch).unwrap();
        let (HostInput::Tokens { ids, context }, HostTarget::Classes(targets)) = (&batch.input, &batch.target) else {
            panic!()
        };
        assert_eq!((ids.len(), targets.len()), (rows.len() * context, rows.len() * context));
        ids.iter().zip(targets).filter(|(_, t)| **t != IGNORE).unzip()
    }

    #[test]
    fn every_tokenizer_prepares_and_reads_back() {
        let text = lines(300);
        let folder = folder(&text);
        for tokenizer in ["\"bytes\"", "\"char\"", "\"gpt2\"", "{ bpe = 300 }"] {
            let config = config(&format!("tokenizer = {tokenizer}\n[holdout]\nvalidation = 0.2\ntest = 0.1"));
            let dataset = prepare(&config, folder.path(), 1, &|_| {}).unwrap();
            let mut parts = Vec::new();
            for split in Split::ALL {
                let tokens = dataset.tokens(split).unwrap();
                assert!(tokens > 8);
                if split != Split::Train {
                    // Evaluation sees every token but the first exactly once.
                    let (ids, targets) = pairs(&dataset, split, 3);
                    assert_eq!(targets.len() as u64, tokens - 1);
                    assert_eq!(ids[1..], targets[..targets.len() - 1]);
                    let first = ids.first().copied().into_iter().chain(targets);
                    let ids: Vec<u32> = first.map(i32::cast_unsigned).collect();
                    parts.push(dataset.tokenizer().unwrap().decode(&ids).unwrap());
                }
            }
            assert!(text.ends_with(&parts.concat()), "{tokenizer}");
            assert!(dataset.describe(Split::Test, 0).unwrap().starts_with(&parts[1][..8]));
            let per_token = dataset.schema().bytes_per_token.unwrap();
            let expected = parts[0].len() as f64 / dataset.tokens(Split::Validation).unwrap() as f64;
            assert!((per_token - expected).abs() < 1e-9);
        }
    }

    #[test]
    fn epochs_cut_training_text_at_other_places() {
        let folder = folder(&lines(300));
        let dataset = prepare(&config(""), folder.path(), 1, &|_| {}).unwrap();
        let (ids, targets) = pairs(&dataset, Split::Train, 0);
        assert_eq!(ids[1..], targets[..targets.len() - 1]);
        assert_eq!(ids.len() as u64, dataset.len(Split::Train) * 8);
        let firsts: std::collections::BTreeSet<Vec<i32>> =
            (0..50).map(|epoch| pairs(&dataset, Split::Train, epoch).0[..8].to_vec()).collect();
        assert_eq!(firsts.len(), 8);
        assert_eq!(pairs(&dataset, Split::Validation, 0), pairs(&dataset, Split::Validation, 1));
    }

    #[test]
    fn prepared_once_whatever_the_context() {
        let folder = folder(&lines(300));
        let prepared = RefCell::new(0);
        let get = |extra: &str, seed: u64| {
            let count = |line: &str| *prepared.borrow_mut() += usize::from(line.starts_with("preparing"));
            let dataset = prepare(&config(extra), folder.path(), seed, &count).unwrap();
            (dataset.fingerprint().to_owned(), *prepared.borrow())
        };
        let (first, n) = get("", 1);
        assert_eq!(n, 1);
        assert_eq!(get("standardize = false\nworkers = 3", 2), (first.clone(), 1));
        let (other, n) = get("limit = 3000", 1);
        assert_eq!(n, 2);
        assert_ne!(first, other);
        // The same text in another place is the same data.
        std::fs::rename(folder.path().join("t.txt"), folder.path().join("u.txt")).unwrap();
        std::fs::copy(folder.path().join("u.txt"), folder.path().join("t.txt")).unwrap();
        assert_eq!(get("", 1), (first, 2));
    }

    #[test]
    fn short_splits_and_contradictions_name_their_keys() {
        let small = folder("just a few words here\n");
        let error = |extra: &str| prepare(&config(extra), small.path(), 1, &|_| {}).unwrap_err().to_string();
        let short = error("");
        assert!(short.contains("data.context") && short.contains("data.holdout.validation"), "{short}");
        assert!(error("[holdout]\nvalidation = 0.6\ntest = 0.5").contains("data.holdout.test"));
        assert!(error("format = \"csv\"").contains("data.format"));
        assert!(error("tokenizer = { file = \"none.json\" }").contains("none.json"));
        let empty = folder("");
        assert!(prepare(&config(""), empty.path(), 1, &|_| {}).unwrap_err().to_string().contains("empty"));
        std::fs::remove_file(empty.path().join("t.txt")).unwrap();
        assert!(prepare(&config(""), empty.path(), 1, &|_| {}).unwrap_err().to_string().contains("t.txt"));
    }

    #[test]
    fn bytes_take_anything_and_the_rest_wants_utf8() {
        let folder = folder("");
        let bytes: Vec<u8> = (0..3000u32).map(|i| (i * 7 % 256) as u8).collect();
        std::fs::write(folder.path().join("t.txt"), bytes).unwrap();
        let dataset = prepare(&config(""), folder.path(), 1, &|_| {}).unwrap();
        assert_eq!(dataset.tokens(Split::Train).unwrap() + dataset.tokens(Split::Validation).unwrap(), 3000);
        let error = prepare(&config("tokenizer = \"char\""), folder.path(), 1, &|_| {}).unwrap_err().to_string();
        assert!(error.contains("UTF-8") && error.contains("bytes"), "{error}");
    }

    #[test]
    fn gpt2_separates_documents() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("t.txt")).unwrap();
        for name in ["a", "b", "c", "d", "e"] {
            std::fs::write(folder.path().join("t.txt").join(name), "one two three four five").unwrap();
        }
        let config = config("tokenizer = \"gpt2\"\n[holdout]\nvalidation = 0.0");
        let dataset = prepare(&config, folder.path(), 1, &|_| {}).unwrap();
        let text = dataset.describe(Split::Train, 0).unwrap() + &dataset.describe(Split::Train, 1).unwrap();
        assert_eq!(dataset.tokens(Split::Train), Some(29));
        assert!(text.contains("five<|endoftext|>one"), "{text}");
        assert!(dataset.is_empty(Split::Validation));
    }
}
