//! The best config, as a file to train: the one that was typed, comments and all, with the trial's values set in.

use std::path::Path;

use toml_edit::{DocumentMut, InlineTable, Item, Table, TableLike, Value};

use super::Values;
use crate::{
    config::Plan,
    data::{Source, TokenizerKind},
    error::{Error, Result},
};

/// Keys that decide where a run computes, not what it learns.
const NOT_LEARNED: [&str; 1] = ["train.device"];

/// The text of a config that trains what the trial trained; `remark` becomes its first line.
///
/// # Errors
/// The typed file no longer is TOML, or a path is not UTF-8.
pub fn best_config(plan: &Plan, values: &Values, remark: &str) -> Result<String> {
    let broken = |e: &dyn std::fmt::Display| Error::failed(format!("cannot write the best config: {e}"));
    let mut document: DocumentMut = plan.typed.parse().map_err(|e| broken(&e))?;
    let root = document.as_table_mut();
    for (key, value) in plan.overrides.iter().filter_map(|assignment| assignment.split_once('=')) {
        if !NOT_LEARNED.contains(&key.trim()) {
            set(root, key.trim(), literal(value));
        }
    }
    for (key, value) in values {
        set(root, key, literal(value));
    }
    // The file lies elsewhere than the one that was typed.
    let text = |path: &Path| path.to_str().map(Value::from).ok_or_else(|| broken(&"a path is not UTF-8"));
    match &plan.data.source {
        Source::Path(path) => set(root, "data.source.path", text(path)?),
        Source::Glob(pattern) => set(root, "data.source.glob", pattern.as_str().into()),
        Source::Sql(source) => set(root, "data.source.sql", source.sql.as_str().into()),
        _ => {}
    }
    if let Some(TokenizerKind::File(path)) = &plan.data.tokenizer {
        set(root, "data.tokenizer.file", text(path)?);
    }
    if let Some(cache) = &plan.data.cache {
        set(root, "data.cache", text(cache)?);
    }
    set(root, "run.name", format!("{}-best", plan.run.name).into());
    Ok(format!("# {remark}\n{document}"))
}

/// The value as TOML where it is TOML, else a bare string, as `--set` takes it.
fn literal(text: &str) -> Value {
    text.trim().parse().unwrap_or_else(|_| Value::from(text.trim()))
}

/// Sets a dotted key; a section that was not typed begins at the end of the file.
fn set(root: &mut Table, key: &str, value: Value) {
    match key.split_once('.') {
        Some((section, rest)) => {
            if root.get(section).is_none_or(|item| !item.is_table_like()) {
                root.insert(section, Item::Table(Table::new()));
            }
            if let Some(table) = root.get_mut(section).and_then(Item::as_table_like_mut) {
                set_in(table, rest, value);
            }
        }
        None => drop(root.insert(key, Item::Value(value))),
    }
}

/// The same in a table, reaching into inline tables; what stood around the old value stays.
fn set_in(table: &mut dyn TableLike, key: &str, mut value: Value) {
    let Some((first, rest)) = key.split_once('.') else {
        if let Some(old) = table.get(key).and_then(Item::as_value) {
            *value.decor_mut() = old.decor().clone();
        }
        table.insert(key, Item::Value(value));
        return;
    };
    // A source or a tokenizer is one of several keys: the new one takes the place of another.
    let one_of = matches!(first, "source" | "tokenizer");
    let old = table.get(first);
    if old.and_then(Item::as_table_like).is_none_or(|inner| one_of && !inner.contains_key(rest)) {
        let mut inner = Value::from(InlineTable::new());
        if let Some(old) = old.and_then(Item::as_value) {
            *inner.decor_mut() = old.decor().clone();
        }
        table.insert(first, Item::Value(inner));
    }
    if let Some(inner) = table.get_mut(first).and_then(Item::as_table_like_mut) {
        set_in(inner, rest, value);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const TYPED: &str = "# Two layers.\n[data]\ntask = 'regression'\nsource = { path = 'rows.csv' } # ours\n\
                         target = ['y']\n\n[model]\nkind = \"mlp\"\nhidden = [8] # small\n\n[train]\nepochs = 3\n\n\
                         [tune.space]\n'optim.lr' = { log = [1e-4, 1e-1] }\n'model.hidden' = { choice = [[8], [16, 8]] }\n\
                         'optim.schedule.warmup' = { int = [1, 3] }\n";

    fn best(overrides: &[&str]) -> (Plan, Plan, String) {
        let overrides: Vec<String> = overrides.iter().map(|text| text.to_string()).collect();
        let plan = Plan::parse(TYPED, "wine.toml", Path::new("/home/me"), &overrides).unwrap();
        let values = [("model.hidden", "[16, 8]"), ("optim.lr", "0.0012"), ("optim.schedule.warmup", "2")];
        let values: Values = values.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
        let set: Vec<String> = values.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let text = best_config(&plan, &values, "Best of 9.").unwrap();
        (plan.with(&set).unwrap(), Plan::parse(&text, "best.toml", Path::new("/elsewhere"), &[]).unwrap(), text)
    }

    #[test]
    fn comments_stay_and_values_are_set_in() {
        let (_, _, text) = best(&[]);
        assert!(text.starts_with("# Best of 9.\n# Two layers.\n[data]\n"), "{text}");
        for line in ["source = { path = \"/home/me/rows.csv\" } # ours", "hidden = [16, 8] # small", "lr = 0.0012"] {
            assert!(text.contains(line), "{line}\n{text}");
        }
    }

    #[test]
    fn it_trains_what_the_trial_trained() {
        for overrides in
            [&[][..], &["train.epochs=1", "train.device=flex", "data.source.glob=*.csv", "optim.kind=lion"]]
        {
            let (trial, best, text) = best(overrides);
            let mut trial = trial;
            trial.run.name = best.run.name.clone();
            assert_eq!(best.run.name, "wine-best");
            assert_eq!(Plan::difference(&trial, &best).unwrap(), None, "{text}");
        }
    }
}
