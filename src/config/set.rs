//! `--set key=value`: overrides merged into the tree.

use serde_json::Value as Schema;
use toml::Value;

use super::{
    fault::{Fault, Place},
    schema,
    suggest::nearest,
    tree::{Data, Node, parse},
};

/// Merges one `key=value`, which is text number `text`, into `root`.
///
/// The value is TOML where it parses as TOML, else a bare string; a dotted key reaches into inline tables too.
pub(super) fn apply(root: &mut Node, assignment: &str, text: usize) -> Result<(), Fault> {
    let whole = Place { text, span: 0..assignment.len() };
    let Some((path, value)) = assignment.split_once('=') else {
        let fault =
            Fault::new(format!("`--set {assignment}` has no `=`"), "write --set key=value, as in train.steps=100");
        return Err(fault.mark(&whole, "no value"));
    };
    let parts = split(path, text);
    if let Some((_, place)) = parts.iter().find(|(part, _)| part.is_empty()) {
        let fault =
            Fault::new(format!("`--set {assignment}` has an empty key"), "write a dotted key, as in train.steps=100");
        return Err(fault.mark(place, "a key should be here"));
    }
    known(path.trim(), &parts)?;
    let start = path.len() + 1;
    let mut leaf = read_value(value);
    replace(&mut leaf, &Place { text, span: start..assignment.len() });
    insert(root, Some(schema::shared()), &parts, leaf);
    Ok(())
}

/// The parts of a dotted key, each with its place.
fn split(path: &str, text: usize) -> Vec<(String, Place)> {
    let mut start = 0;
    let part = |part: &str| {
        let begin = start + part.len() - part.trim_start().len();
        start += part.len() + 1;
        let name = part.trim();
        (name.to_string(), Place { text, span: begin..begin + name.len() })
    };
    path.split('.').map(part).collect()
}

/// Refuses a key that no config has, with the nearest one of all sections.
fn known(path: &str, parts: &[(String, Place)]) -> Result<(), Fault> {
    let keys = schema::keys();
    // A key below a known plain value is left to the check of types, which says what the value should be.
    if parts.len() > 1 && keys.iter().any(|key| path == key || path.starts_with(&format!("{key}.")) && !is_table(key)) {
        return Ok(());
    }
    if keys.iter().any(|key| key == path) {
        return Ok(());
    }
    // A table with free keys, as `data.columns`, takes any name; what follows it is checked with the rest.
    let mut under = Some(schema::shared());
    for (part, _) in parts {
        under = under.and_then(|schema| schema::child(schema, part));
        if under.is_some_and(|schema| schema::free(schema).is_some()) {
            return Ok(());
        }
    }
    let meant = meant(path, &keys);
    let (label, next) = match meant {
        Some(key) => (format!("did you mean `{key}`?"), format!("write --set {key}=...")),
        None => (String::new(), "`kiln schema` lists every key".to_string()),
    };
    let fault = Fault::new(format!("unknown key `{path}` in --set"), next);
    Err(match (parts.first(), parts.last()) {
        (Some((_, first)), Some((_, last))) => {
            fault.mark(&Place { text: first.text, span: first.span.start..last.span.end }, label)
        }
        _ => fault,
    })
}

/// A slip within the section, a key of another section, or a slip anywhere.
pub(super) fn meant<'a>(path: &str, keys: &'a [String]) -> Option<&'a str> {
    let (section, leaf) = path.rsplit_once('.').unwrap_or(("", path));
    let parts = |key: &str| key.split('.').count();
    let siblings = || keys.iter().filter_map(|key| Some((key.strip_prefix(section)?.strip_prefix('.')?, key.as_str())));
    let slip = nearest(leaf, siblings().map(|(leaf, _)| leaf));
    let sibling = siblings().find(|(leaf, _)| Some(*leaf) == slip).map(|(_, key)| key);
    let elsewhere = || keys.iter().find(|key| key.ends_with(&format!(".{leaf}"))).map(String::as_str);
    let like = || nearest(path, keys.iter().map(String::as_str).filter(|key| parts(key) == parts(path)));
    sibling.or_else(like).or_else(elsewhere)
}

pub(super) fn is_table(path: &str) -> bool {
    let found = path.split('.').try_fold(schema::shared(), |schema, key| schema::child(schema, key));
    found.is_some_and(|schema| schema.get("properties").is_some() || !schema::choices(schema).is_empty())
}

/// The value, as TOML or as a bare string.
fn read_value(value: &str) -> Node {
    let quoted = |value: &str| {
        let mut node = Node::root();
        node.data = Data::Leaf(Value::String(value.to_string()));
        node
    };
    // A value with a line break could smuggle in further keys; it is a string.
    let parsed = (!value.contains('\n')).then(|| parse(&format!("value = {value}"), 0).ok()).flatten();
    parsed.and_then(|root| root.get("value").cloned()).unwrap_or_else(|| quoted(value.trim()))
}

/// Gives a value and everything in it one place: the right side of the flag.
fn replace(node: &mut Node, place: &Place) {
    node.key = place.clone();
    node.value = place.clone();
    match &mut node.data {
        Data::Leaf(_) => {}
        Data::Array(items) => items.iter_mut().for_each(|item| replace(item, place)),
        Data::Table(entries) => entries.iter_mut().for_each(|(_, child)| replace(child, place)),
    }
}

fn insert(node: &mut Node, schema: Option<&Schema>, parts: &[(String, Place)], mut leaf: Node) {
    let Some(((name, place), rest)) = parts.split_first() else { return };
    let Data::Table(entries) = &mut node.data else { return };
    if schema.is_some_and(schema::is_one_key_of) {
        entries.retain(|(key, _)| key == name); // data.source.path=x takes the place of { dataset = "y" }
    }
    let schema = schema.and_then(|schema| schema::child(schema, name));
    let index = entries.iter().position(|(key, _)| key == name);
    if rest.is_empty() {
        leaf.key = place.clone();
        match index.and_then(|index| entries.get_mut(index)) {
            Some((_, old)) => *old = leaf,
            None => entries.push((name.clone(), leaf)),
        }
        return;
    }
    let table = || Node { key: place.clone(), value: place.clone(), data: Data::Table(Vec::new()) };
    if index.is_none() {
        entries.push((name.clone(), table()));
    }
    if let Some((_, child)) = entries.iter_mut().find(|(key, _)| key == name) {
        if !matches!(child.data, Data::Table(_)) {
            *child = table();
        }
        insert(child, schema, rest, leaf);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
