//! `kiln models` and `kiln schema`: what a config can say, from the config's own types.

use serde_json::Value;

use super::{Console, console::table};
use crate::{
    config,
    error::{Error, Result},
};

/// Prints the JSON schema of a config.
pub fn schema(console: &Console) -> Result<()> {
    let schema = config::schema();
    console.result(&schema, || serde_json::to_string_pretty(&schema).unwrap_or_default())
}

/// Lists the models, or the keys of one.
pub fn models(kind: Option<&str>, console: &Console) -> Result<()> {
    let all = describe()?;
    let Some(kind) = kind else {
        return console.result(&all, || {
            let rows = all.iter().map(|m| vec![m.kind.clone(), m.description.clone()]);
            let rows: Vec<_> = rows.collect();
            format!("{}\n\nkiln models KIND shows a model's keys and defaults", table(&rows))
        });
    };
    let Some(model) = all.iter().find(|m| m.kind == kind) else {
        let kinds: Vec<_> = all.iter().map(|m| m.kind.as_str()).collect();
        return Err(
            Error::input(format!("there is no model `{kind}`")).next(format!("choose one of {}", kinds.join(", ")))
        );
    };
    console.result(model, || {
        let rows = model.keys.iter().map(|k| vec![k.key.clone(), k.default.to_string(), k.description.clone()]);
        format!("{}: {}\n\n{}", model.kind, model.description, table(&rows.collect::<Vec<_>>()))
    })
}

#[derive(serde::Serialize)]
struct Described {
    kind: String,
    description: String,
    keys: Vec<Key>,
}

#[derive(serde::Serialize)]
struct Key {
    key: String,
    default: Value,
    description: String,
}

/// The variants of the `[model]` section's schema.
fn describe() -> Result<Vec<Described>> {
    let schema = serde_json::to_value(schemars::schema_for!(crate::model::ModelConfig))
        .map_err(|e| Error::failed(format!("cannot write the schema: {e}")))?;
    let variants = schema["oneOf"].as_array().cloned().unwrap_or_default();
    Ok(variants.iter().map(|variant| describe_one(variant, &schema)).collect())
}

fn describe_one(variant: &Value, schema: &Value) -> Described {
    let target = variant["$ref"].as_str().and_then(|path| schema.pointer(path.trim_start_matches('#')));
    let of = |key: &str| -> serde_json::Map<String, Value> {
        let own = variant["properties"].as_object().cloned().unwrap_or_default();
        let mut all = target.and_then(|t| t["properties"].as_object().cloned()).unwrap_or_default();
        all.extend(own);
        all.retain(|name, _| name != key);
        all
    };
    Described {
        kind: variant["properties"]["kind"]["const"].as_str().unwrap_or_default().into(),
        description: text(variant),
        keys: of("kind")
            .iter()
            .map(|(key, value)| Key { key: key.clone(), default: value["default"].clone(), description: text(value) })
            .collect(),
    }
}

fn text(value: &Value) -> String {
    value["description"].as_str().unwrap_or_default().replace('\n', " ")
}
