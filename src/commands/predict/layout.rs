//! How a table to predict for is laid out.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read},
    path::Path,
};

use crate::{
    data::{
        DataConfig,
        source::{self, table::Layout},
    },
    error::Result,
};

/// The layout of a table to predict for: its own file may use another delimiter than the training data did, and may
/// have a header, or lack the targets, where that had none.
pub(in super::super) fn layout(
    input: &Path,
    needed: &[String],
    targets: &[String],
    config: &DataConfig,
) -> Result<Layout> {
    let unnamed = needed.iter().all(|name| name.strip_prefix('c').is_some_and(|n| n.parse::<usize>().is_ok()));
    // A file of the data's own form has the same lines before its table; another has none.
    let first = [0, config.skip].map(|skip| (skip, line(input, skip)));
    let delimiters = [config.delimiter, ',', ';', '\t'];
    let named = first.iter().find_map(|(skip, line)| {
        let names = |delimiter: &&char| {
            let cells = cells(line, **delimiter);
            needed.iter().all(|name| cells.contains(&name.as_str()))
        };
        delimiters.iter().find(names).map(|delimiter| (*skip, *delimiter))
    });
    let (skip, delimiter) = named.unwrap_or((config.skip, config.delimiter));
    let mut layout = Layout { format: None, header: config.header && !unnamed, delimiter, names: Vec::new(), skip };
    let given = source::names(config)?;
    if !given.is_empty() {
        layout.header = named.is_some();
        layout.names = given;
        let [_, (_, line)] = &first;
        if !layout.header && cells(line, delimiter).len() < layout.names.len() {
            layout.names.retain(|name| !targets.contains(name) && !config.target.contains(name));
        }
    }
    Ok(layout)
}

/// The line of a file after so many, in part if it is longer than 1 MiB; what cannot be read fails with its place in the
/// reader.
fn line(input: &Path, after: u64) -> String {
    let mut line = String::new();
    let Ok(file) = File::open(input) else { return line };
    let mut file = BufReader::new(file);
    for _ in 0..after {
        if !file.skip_until(b'\n').is_ok_and(|read| read > 0) {
            return line;
        }
    }
    let _ = file.take(1 << 20).read_line(&mut line);
    line
}

fn cells(line: &str, delimiter: char) -> Vec<&str> {
    line.trim_end().split(delimiter).map(|cell| cell.trim().trim_matches('"')).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_file_may_have_the_lines_before_the_table_or_not() {
        let folder = tempfile::tempdir().unwrap();
        let config = |more: &str| -> DataConfig {
            let base = "task = \"classification\"\nsource = { path = \"t.csv\" }\nskip = 2\n";
            toml::from_str(&format!("{base}{more}")).unwrap()
        };
        let found = |content: &str, more: &str| {
            let path = folder.path().join("new.csv");
            std::fs::write(&path, content).unwrap();
            let needed = ["x".to_owned(), "z".to_owned()];
            let layout = layout(&path, &needed, &["y".to_owned()], &config(more)).unwrap();
            (layout.skip, layout.delimiter, layout.header, layout.names.len())
        };
        assert_eq!(found("by hand\n\nx;y;z\n1;a;2\n", ""), (2, ';', true, 0));
        assert_eq!(found("x,z\n1,2\n", ""), (0, ',', true, 0));
        let names = "header = false\nnames = [\"x\", \"y\", \"z\"]";
        assert_eq!(found("by hand\n\n1,a,2\n", names), (2, ',', false, 3));
        assert_eq!(found("by hand\n\n1,2\n", names), (2, ',', false, 2), "without the target");
        assert_eq!(found("x,z\n1,2\n", names), (0, ',', true, 3));
    }
}
