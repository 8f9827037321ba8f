//! The config's JSON schema, derived from the sections' types; parsing, help and did-you-mean are derived from it.

use std::sync::LazyLock;

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};

use super::plan::Plan;

static SCHEMA: LazyLock<Value> = LazyLock::new(|| {
    // Inlined, so that a walk needs no look-ups and an editor shows every description in place.
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    let mut schema = settings.into_generator().into_root_schema_for::<Plan>().to_value();
    without_null(&mut schema);
    schema
});

/// The JSON schema (draft 2020-12) of a config file.
pub fn schema() -> Value {
    SCHEMA.clone()
}

/// The same, borrowed.
pub(super) fn shared() -> &'static Value {
    &SCHEMA
}

/// Every key of a config as a dotted path, sections included: `train`, `train.steps`, `optim.schedule.warmup`, ...
pub fn keys() -> Vec<String> {
    let mut found = Vec::new();
    collect(&SCHEMA, "", &mut found);
    found.sort();
    found.dedup();
    found
}

fn collect(schema: &Value, path: &str, found: &mut Vec<String>) {
    for (key, child) in properties(schema) {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        collect(child, &path, found);
        found.push(path);
    }
    for choice in choices(schema) {
        collect(choice, path, found);
    }
}

/// The keys a table may have; nothing for the rest.
pub(super) fn properties(schema: &Value) -> impl Iterator<Item = (&String, &Value)> {
    schema.get("properties").and_then(Value::as_object).into_iter().flat_map(Map::iter)
}

/// The alternatives of an enum.
pub(super) fn choices(schema: &Value) -> &[Value] {
    schema.get("oneOf").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The strings an enum may be, in order.
pub(super) fn words(schema: &Value) -> Vec<&str> {
    let plain = schema.get("enum").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    plain
        .chain(choices(schema).iter().flat_map(|choice| match choice.get("const").and_then(Value::as_str) {
            Some(word) => vec![word],
            None => words(choice),
        }))
        .collect()
}

/// The key that tells an enum's tables apart (`kind`), if it is an enum of that sort.
pub(super) fn tag(schema: &Value) -> Option<&str> {
    let first = choices(schema).first()?;
    properties(first).find(|(_, child)| child.get("const").is_some()).map(|(key, _)| key.as_str())
}

/// Whether this is a table of exactly one of several keys, as `data.source` is.
pub(super) fn is_one_key_of(schema: &Value) -> bool {
    tag(schema).is_none() && choices(schema).iter().any(|choice| choice.get("properties").is_some())
}

/// What may stand in one place in several forms, as a word or a table: its forms.
pub(super) fn forms(schema: &Value) -> &[Value] {
    schema.get("anyOf").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// What every key of a table with free keys holds, as `data.columns` does.
pub(super) fn free(schema: &Value) -> Option<&Value> {
    schema.get("additionalProperties").filter(|each| each.is_object())
}

/// The schema of `key` under `schema`, whatever alternative it belongs to.
pub(super) fn child<'a>(schema: &'a Value, key: &str) -> Option<&'a Value> {
    let own = schema.get("properties").and_then(|properties| properties.get(key));
    own.or_else(|| choices(schema).iter().chain(forms(schema)).find_map(|choice| child(choice, key)))
        .or_else(|| free(schema))
}

/// TOML has no null: an optional key is one that may be left out.
fn without_null(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(without_null),
        Value::Object(map) => {
            if let Some(Value::Array(types)) = map.get_mut("type") {
                types.retain(|name| name != "null");
                if let [only] = types.as_slice() {
                    let only = only.clone();
                    map.insert("type".into(), only);
                }
            }
            if let Some(Value::Array(mut options)) = map.remove("anyOf") {
                options.retain(|option| option.get("type").is_none_or(|name| name != "null"));
                match options.as_slice() {
                    [Value::Object(only)] => {
                        let own = std::mem::replace(map, only.clone());
                        map.extend(own);
                    }
                    _ => drop(map.insert("anyOf".into(), Value::Array(options))),
                }
            }
            map.values_mut().for_each(without_null);
        }
        _ => {}
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn keys_reach_into_sections_and_alternatives() {
        let keys = keys();
        for key in ["train", "train.steps", "optim.schedule.warmup", "model.kind", "model.kv_heads", "data.source.url"]
        {
            assert!(keys.iter().any(|found| found == key), "{key} is missing from {keys:?}");
        }
        assert!(!keys.iter().any(|key| key == "base" || key == "typed"));
    }

    #[test]
    fn tables_are_closed_documented_and_never_null() {
        let text = schema().to_string();
        assert!(!text.contains("null"));
        assert!(!text.contains("$ref"));
        assert_eq!(schema()["additionalProperties"], false);
        assert_eq!(schema()["properties"]["train"]["additionalProperties"], false);
        let steps = &schema()["properties"]["train"]["properties"]["steps"];
        assert!(steps["description"].as_str().unwrap().starts_with("Optimizer updates"));
        assert_eq!(words(&schema()["properties"]["data"]["properties"]["format"])[0], "text");
    }

    #[test]
    fn every_kind_is_told_apart_by_its_tag() {
        let schema = schema();
        let model = &schema["properties"]["model"];
        assert_eq!(tag(model), Some("kind"));
        assert!(!is_one_key_of(model));
        assert!(is_one_key_of(&schema["properties"]["data"]["properties"]["source"]));
        assert!(is_one_key_of(&schema["properties"]["data"]["properties"]["tokenizer"]));
    }

    #[test]
    fn every_key_of_every_config_is_in_the_schema() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("configs");
        let mut seen = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|ending| ending == "toml") {
                let table: toml::Table = std::fs::read_to_string(&path).unwrap().parse().unwrap();
                covered(&table, &schema(), &path.display().to_string());
                seen += 1;
            }
        }
        assert!(seen >= 8, "{seen} configs");
    }

    fn covered(table: &toml::Table, schema: &Value, at: &str) {
        for (key, value) in table {
            let at = format!("{at}: {key}");
            let free = schema.get("additionalProperties").filter(|each| each.is_object());
            let found = child(schema, key).or(free).unwrap_or_else(|| panic!("{at} is not in the schema"));
            if let toml::Value::Table(table) = value {
                covered(table, found, &at);
            }
        }
    }
}
