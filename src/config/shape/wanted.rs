//! What a schema wants, in words and by an example.

use serde_json::Value as Schema;

use crate::config::schema::{choices, forms, properties, tag, words};

pub(super) fn minimum(schema: &Schema) -> i64 {
    schema.get("minimum").and_then(Schema::as_i64).unwrap_or(i64::MIN)
}

/// The tables among an enum's alternatives, by the first key that each requires.
pub(super) fn tables(schema: &Schema) -> impl Iterator<Item = (&String, &Schema)> {
    choices(schema).iter().filter_map(|choice| {
        let first = choice.get("required")?.get(0)?.as_str()?;
        properties(choice).find(|(key, _)| *key == first)
    })
}

pub(super) fn alternatives(schema: &Schema) -> String {
    let words = words(schema).into_iter().map(|word| format!("`{word}`"));
    words
        .chain(tables(schema).map(|(key, child)| format!("`{}`", table_example(key, child))))
        .collect::<Vec<_>>()
        .join(", ")
}

pub(super) fn table_example(key: &str, schema: &Schema) -> String {
    format!("{{ {key} = {} }}", example(schema))
}

/// What a value should be, with its article.
pub(super) fn describe(schema: &Schema) -> String {
    if !forms(schema).is_empty() {
        return forms(schema).iter().map(describe).collect::<Vec<_>>().join(", or ");
    }
    if tag(schema).is_some() {
        return "a table".into();
    }
    if !words(schema).is_empty() || !choices(schema).is_empty() {
        return format!("one of {}", alternatives(schema));
    }
    match schema.get("type").and_then(Schema::as_str) {
        Some("integer") if minimum(schema) == 0 => "a non-negative integer".into(),
        Some("integer") => "an integer".into(),
        Some("number") => "a number".into(),
        Some("string") => "a string".into(),
        Some("boolean") => "`true` or `false`".into(),
        Some("array") => "a list".into(),
        _ => "a table".into(),
    }
}

/// A value of the right type, as TOML.
pub(super) fn example(schema: &Schema) -> String {
    if let Some(form) = forms(schema).first() {
        return example(form);
    }
    if let Some(word) = words(schema).first() {
        return format!("\"{word}\"");
    }
    if let Some((key, child)) = tables(schema).next() {
        let value = child.get("const").map_or_else(|| example(child), Schema::to_string);
        return format!("{{ {key} = {value} }}");
    }
    match (schema.get("const"), schema.get("default"), schema.get("type").and_then(Schema::as_str)) {
        (Some(word), ..) => word.to_string(),
        (_, Some(default), Some("integer" | "number" | "boolean" | "array")) if default.as_f64() != Some(0.0) => {
            default.to_string()
        }
        (_, _, Some("integer")) => "1000".into(),
        (_, _, Some("number")) => "0.1".into(),
        (_, _, Some("boolean")) => "true".into(),
        (_, _, Some("array")) => format!("[{}]", schema.get("items").map_or(String::new(), example)),
        (_, _, Some("object")) => properties(schema)
            .find(|(key, _)| *key == "kind")
            .or_else(|| properties(schema).next())
            .map_or("{ ... }".into(), |(key, child)| table_example(key, child)),
        _ => "\"...\"".into(),
    }
}
