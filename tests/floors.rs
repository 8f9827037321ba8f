//! Floors: imports run strictly downward, and only two places name a backend.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::{fs, path::Path};

const FLOORS: [(&str, usize); 22] = [
    ("error", 1),
    ("device", 1),
    ("track", 1),
    ("nn", 2),
    ("metric", 2),
    ("model", 3),
    ("data", 3),
    ("optim", 3),
    ("task", 4),
    ("baseline", 4),
    ("checkpoint", 4),
    ("config", 5),
    ("eval", 6),
    ("train", 7),
    ("tune", 8),
    ("judge", 8),
    ("cv", 9),
    ("report", 9),
    ("commands", 11),
    ("cli", 12),
    ("main", 12),
    ("lib", 13),
];

fn floor(module: &str) -> usize {
    FLOORS.iter().find(|(name, _)| *name == module).unwrap_or_else(|| panic!("`{module}` has no floor")).1
}

fn sources(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

/// `(module, file, text)` of every source file.
fn modules() -> Vec<(String, String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    assert!(files.len() > 30, "the sources are found");
    files
        .into_iter()
        .map(|path| {
            let inside = path.strip_prefix(&root).unwrap();
            let first = inside.components().next().unwrap().as_os_str().to_string_lossy().into_owned();
            (first.trim_end_matches(".rs").into(), inside.display().to_string(), fs::read_to_string(&path).unwrap())
        })
        .collect()
}

/// The modules that a text imports by `crate::name` (or `kiln::name` in the binary), one level of braces opened.
fn imports(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for root in ["crate::", "kiln::"] {
        for (at, _) in text.match_indices(root) {
            let rest = &text[at + root.len()..];
            match rest.strip_prefix('{') {
                Some(group) => found.extend(heads(group)),
                None => found.push(word(rest)),
            }
        }
    }
    found.retain(|name| FLOORS.iter().any(|(floor, _)| floor == name));
    found
}

fn word(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// The first word of every item of a brace group.
fn heads(group: &str) -> Vec<String> {
    let (mut depth, mut start, mut heads) = (0, true, Vec::new());
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => start = true,
            c if start && depth == 0 && !c.is_whitespace() => {
                heads.push(word(&group[at..]));
                start = false;
            }
            _ => {}
        }
    }
    heads
}

#[test]
fn imports_run_strictly_downward() {
    let mut upward = Vec::new();
    for (module, file, text) in modules() {
        for import in imports(&text) {
            if import != module && floor(&import) >= floor(&module) && !is_sibling_error(&module, &import) {
                upward.push(format!("{file} imports {import}"));
            }
        }
    }
    assert!(upward.is_empty(), "{upward:#?}");
}

/// The error type is the lowest of floor 1: its neighbours there may use it.
fn is_sibling_error(module: &str, import: &str) -> bool {
    import == "error" && floor(module) == 1
}

#[test]
fn only_device_names_a_backend() {
    const BACKENDS: [&str; 6] =
        ["burn::backend", "burn_flex", "burn_wgpu", "burn_tch", "Device::cuda", "Device::libtorch"];
    for (module, file, text) in modules() {
        let shipped = text.split("#[cfg(test)]").next().unwrap();
        for backend in BACKENDS {
            assert!(module == "device" || !shipped.contains(backend), "{file} names {backend}");
        }
    }
}

#[test]
fn the_scanner_sees_an_upward_import() {
    let text = "use crate::{\n    error::{Error, Result},\n    train::Run,\n};\nlet x = crate::config::Plan;";
    assert_eq!(imports(text), ["error", "train", "config"]);
}
