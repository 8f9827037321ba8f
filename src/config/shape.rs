//! Checks a tree against the schema: unknown and missing keys, types, the words of enums. All faults at once.

mod wanted;

use serde_json::Value as Schema;
use toml::Value;

use super::{
    fault::Fault,
    schema::{choices, forms, free, keys, properties, shared, tag, words},
    suggest::{list, nearest},
    tree::{Data, Node},
};
use wanted::{alternatives, describe, example, minimum, table_example, tables};

/// Every way in which `root` is not a config.
pub(super) fn check(root: &Node) -> Vec<Fault> {
    let mut walk = Walk { faults: Vec::new() };
    walk.table("", root, shared(), "");
    walk.faults
}

struct Walk {
    faults: Vec<Fault>,
}

impl Walk {
    fn node(&mut self, path: &str, node: &Node, schema: &Schema) {
        if !forms(schema).is_empty() {
            return match forms(schema).iter().find(|form| is_like(node, form)) {
                Some(form) => self.node(path, node, form),
                None => self.wrong_type(path, node, schema),
            };
        }
        if !words(schema).is_empty() || !choices(schema).is_empty() {
            return self.choice(path, node, schema);
        }
        match (schema.get("type").and_then(Schema::as_str), &node.data) {
            (Some("object"), Data::Table(_)) => self.table(path, node, schema, ""),
            (Some("array"), Data::Array(items)) => self.array(path, node, items, schema),
            (Some("string"), Data::Leaf(Value::String(text))) => self.string(path, node, text, schema),
            (Some("boolean"), Data::Leaf(Value::Boolean(_))) => {}
            (Some("integer"), Data::Leaf(Value::Integer(number))) if *number >= minimum(schema) => {}
            (Some("number"), Data::Leaf(Value::Integer(_))) => {}
            (Some("number"), Data::Leaf(Value::Float(number))) if number.is_finite() => {}
            // What the schema leaves open is left to the types.
            (None | Some("null"), _) => {}
            _ => self.wrong_type(path, node, schema),
        }
    }

    /// `note` says which kind of table it is, as in ` of kind "gpt"`.
    fn table(&mut self, path: &str, node: &Node, schema: &Schema, note: &str) {
        for (key, child) in node.entries() {
            match schema.get("properties").and_then(|properties| properties.get(key)) {
                Some(property) => self.node(&join(path, key), child, property),
                None => match (schema.get("additionalProperties"), free(schema)) {
                    (Some(Schema::Bool(true)), _) => {}
                    (_, Some(each)) if path == "tune.space" => self.dotted(path, key, child, each),
                    (_, Some(each)) => self.node(&join(path, key), child, each),
                    _ => self.unknown_key(path, key, child, schema, note),
                },
            }
        }
        let required = schema.get("required").and_then(Schema::as_array).into_iter().flatten();
        for key in required.filter_map(Schema::as_str).filter(|key| node.get(key).is_none()) {
            self.missing(path, key, node, schema);
        }
    }

    /// An entry of a table whose keys are keys of the config, dots and all.
    fn dotted(&mut self, path: &str, key: &str, node: &Node, each: &Schema) {
        let nested = |(inner, child): &(String, Node)| {
            matches!(child.data, Data::Table(_)) && properties(each).all(|(name, _)| name != inner)
        };
        match node.entries().iter().find(|entry| nested(entry)) {
            Some((inner, _)) => {
                let message = format!("`{key}.{inner}` in [{path}] is taken apart at its dot");
                let next = format!("put the key in quotes: `\"{key}.{inner}\" = ...`");
                self.faults.push(Fault::new(message, next).mark(&node.key, ""));
            }
            None => self.node(&format!("{path}.\"{key}\""), node, each),
        }
    }

    fn array(&mut self, path: &str, node: &Node, items: &[Node], schema: &Schema) {
        let bound = |name| schema.get(name).and_then(Schema::as_u64).map(|bound| bound as usize);
        let least = bound("minItems").unwrap_or(0);
        let most = bound("maxItems").unwrap_or(usize::MAX);
        if !(least..=most).contains(&items.len()) {
            let message = format!("`{path}` must have {least} entries, found {}", items.len());
            self.faults.push(Fault::new(message, "give one value for each entry").mark(&node.value, ""));
            return;
        }
        if let Some(each) = schema.get("items") {
            for (index, item) in items.iter().enumerate() {
                self.node(&format!("{path}[{index}]"), item, each);
            }
        }
    }

    fn string(&mut self, path: &str, node: &Node, text: &str, schema: &Schema) {
        let one = schema.get("maxLength").and_then(Schema::as_u64) == Some(1);
        if one && text.chars().count() != 1 {
            let message = format!("`{path}` must be one character, found {}", text.chars().count());
            self.faults
                .push(Fault::new(message, "give one character, as in `\",\"` or `\"\\t\"`").mark(&node.value, ""));
        }
    }

    fn choice(&mut self, path: &str, node: &Node, schema: &Schema) {
        match (tag(schema), &node.data) {
            (Some(tag), Data::Table(_)) => self.tagged(path, node, schema, tag),
            (None, Data::Leaf(Value::String(word))) if !words(schema).is_empty() => {
                if !words(schema).contains(&word.as_str()) {
                    self.unknown_word(path, node, word, schema);
                }
            }
            (None, Data::Table(entries)) if tables(schema).next().is_some() => {
                self.one_key_of(path, node, entries, schema)
            }
            _ => self.wrong_type(path, node, schema),
        }
    }

    /// A table whose key `tag` says which table it is.
    fn tagged(&mut self, path: &str, node: &Node, schema: &Schema, tag: &str) {
        let word_of = |choice: &Schema| Some(choice.get("properties")?.get(tag)?.get("const")?.as_str()?.to_string());
        let kinds: Vec<_> = choices(schema).iter().filter_map(word_of).collect();
        let all = list(kinds.iter().map(String::as_str));
        let Some(kind) = node.get(tag) else {
            let next = format!("add `{tag} = \"...\"` with one of {all}");
            let fault = Fault::new(format!("[{path}] has no `{tag}`"), next);
            return self.faults.push(fault.mark(&node.key, format!("`{tag}` is missing")));
        };
        let Some(word) = kind.as_str() else {
            let message = format!("`{path}.{tag}` must be one of {all}, found {}", kind.what());
            return self.faults.push(Fault::new(message, format!("give one of {all}")).mark(&kind.value, ""));
        };
        match choices(schema).iter().find(|choice| word_of(choice).as_deref() == Some(word)) {
            Some(chosen) => self.table(path, node, chosen, &format!(" of kind \"{word}\"")),
            None => {
                let meant = nearest(word, kinds.iter().map(String::as_str));
                let label = meant.map_or(String::new(), |word| format!("did you mean `{word}`?"));
                let fault = Fault::new(format!("unknown `{path}.{tag}` `{word}`"), format!("use one of {all}"));
                self.faults.push(fault.mark(&kind.value, label));
            }
        }
    }

    /// A table of exactly one of several keys; a key may come with others of its own.
    fn one_key_of(&mut self, path: &str, node: &Node, entries: &[(String, Node)], schema: &Schema) {
        let all = list(tables(schema).map(|(key, _)| key.as_str()));
        let companions = choices(schema).iter().find(|choice| {
            properties(choice).count() > 1
                && entries.iter().any(|(key, _)| properties(choice).any(|(own, _)| own == key))
        });
        if let Some(choice) = companions {
            return self.table(path, node, choice, "");
        }
        for (key, child) in entries {
            match tables(schema).find(|(name, _)| *name == key) {
                Some((_, property)) => self.node(&join(path, key), child, property),
                None => {
                    let meant = nearest(key, tables(schema).map(|(name, _)| name.as_str()));
                    let label = meant.map_or(String::new(), |word| format!("did you mean `{word}`?"));
                    let fault = Fault::new(format!("unknown key `{path}.{key}`"), format!("use one of {all}"));
                    return self.faults.push(fault.mark(&child.key, label));
                }
            }
        }
        if entries.len() != 1 {
            let message = format!("`{path}` must have exactly one of the keys {all}, found {}", entries.len());
            let fault = Fault::new(message, "keep one of them");
            let fault = match entries {
                [] => fault.mark(&node.value, ""),
                _ => entries.iter().fold(fault, |fault, (_, child)| fault.mark(&child.key, "")),
            };
            self.faults.push(fault);
        }
    }

    fn unknown_key(&mut self, path: &str, key: &str, node: &Node, schema: &Schema, note: &str) {
        let known = || properties(schema).map(|(name, _)| name.as_str());
        let elsewhere = || keys().into_iter().find(|full| full.ends_with(&format!(".{key}")));
        let (label, next) = match (nearest(key, known()), elsewhere()) {
            (Some(meant), _) => (format!("did you mean `{meant}`?"), format!("rename it to `{meant}`")),
            (None, Some(full)) if full == join(path, key) => {
                (String::new(), format!("remove it; the keys here are {}", list(known())))
            }
            (None, Some(full)) => (format!("did you mean `{full}`?"), format!("move it to `{full}`")),
            (None, None) => (String::new(), format!("use one of {}", list(known()))),
        };
        let message = match (path, &node.data) {
            ("", Data::Table(_)) => format!("unknown section [{key}]"),
            ("", _) => format!("`{key}` stands outside of any section"),
            _ => format!("unknown key `{key}` in [{path}]{note}"),
        };
        self.faults.push(Fault::new(message, next).mark(&node.key, label));
    }

    fn missing(&mut self, path: &str, key: &str, node: &Node, schema: &Schema) {
        let example = |schema: &Schema, key: &str| {
            let child = schema.get("properties").and_then(|properties| properties.get(key));
            child.map_or("...".into(), |child| format!("`{key} = {}`", example(child)))
        };
        if !path.is_empty() {
            let fault =
                Fault::new(format!("[{path}] has no `{key}`"), format!("add it, as in {}", example(schema, key)));
            return self.faults.push(fault.mark(&node.key, format!("`{key}` is missing")));
        }
        let section = &schema["properties"][key];
        let first = choices(section).first().unwrap_or(section);
        let needs = first.get("required").and_then(Schema::as_array).into_iter().flatten().filter_map(Schema::as_str);
        let needs: Vec<_> = needs.map(|key| example(first, key)).collect();
        let next = format!("add [{key}] with {}", needs.join(" and "));
        self.faults.push(Fault::new(format!("the section [{key}] is missing"), next));
    }

    fn unknown_word(&mut self, path: &str, node: &Node, word: &str, schema: &Schema) {
        let meant = nearest(word, words(schema));
        let table = tables(schema).find(|(key, _)| *key == word).map(|(key, child)| table_example(key, child));
        let label = match (&table, meant) {
            (Some(table), _) => format!("did you mean `{table}`?"),
            (None, Some(meant)) => format!("did you mean `{meant}`?"),
            (None, None) => String::new(),
        };
        let fault = Fault::new(format!("unknown `{path}` `{word}`"), format!("use one of {}", alternatives(schema)));
        self.faults.push(fault.mark(&node.value, label));
    }

    fn wrong_type(&mut self, path: &str, node: &Node, schema: &Schema) {
        let message = format!("`{path}` must be {}, found {}", describe(schema), node.what());
        let wants = schema.get("type").and_then(Schema::as_str).unwrap_or_default();
        let next = match &node.data {
            Data::Leaf(Value::String(text)) if wants == "array" => format!("write `[\"{text}\"]`"),
            Data::Leaf(Value::String(text)) if text.parse::<f64>().is_ok() || text.parse::<bool>().is_ok() => {
                "write it without quotes".to_string()
            }
            Data::Leaf(Value::Float(number)) if wants == "integer" && *number >= 0.0 && number.fract() == 0.0 => {
                format!("write `{number:.0}`")
            }
            Data::Leaf(Value::String(text)) if wants == "object" => named(text, schema),
            Data::Leaf(_) if wants == "string" => "put it in quotes".to_string(),
            _ => format!("write it as in `{}`", example(schema)),
        };
        let place = if matches!(node.data, Data::Table(_)) { &node.key } else { &node.value };
        self.faults.push(Fault::new(message, next).mark(place, ""));
    }
}

/// Whether a value is of the form's type, whatever is wrong inside of it.
fn is_like(node: &Node, form: &Schema) -> bool {
    let wants = form.get("type").and_then(Schema::as_str);
    match &node.data {
        Data::Table(_) => wants == Some("object"),
        Data::Array(_) => wants == Some("array"),
        Data::Leaf(Value::String(_)) => wants == Some("string") || !words(form).is_empty(),
        Data::Leaf(Value::Integer(_) | Value::Float(_)) => matches!(wants, Some("number" | "integer")),
        Data::Leaf(_) => false,
    }
}

/// What to write for a table that was given as one word: the key that takes this word, if there is one.
fn named(text: &str, schema: &Schema) -> String {
    match properties(schema).find(|(_, child)| words(child).contains(&text)) {
        Some((key, _)) => format!("write it as in `{{ {key} = \"{text}\" }}`"),
        None => format!("write it as in `{}`", example(schema)),
    }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_string() } else { format!("{path}.{key}") }
}

#[cfg(test)]
mod tests;
