//! `kiln data fetch` and `kiln data show`.

use std::path::Path;

use serde_json::json;

use super::{Console, console::table};
use crate::{
    config::Plan,
    data::{self, Column, Split, TableSchema, fetch},
    error::Result,
};

/// Fetches a named data set, prepares a config's data, or lists what can be fetched.
pub fn data_fetch(what: Option<&str>, refresh: bool, console: &Console) -> Result<()> {
    match what {
        None => list(console),
        Some(what) if what.ends_with(".toml") || Path::new(what).is_file() => {
            let plan = Plan::load(Path::new(what), &[])?.with_pretrained(&|text| console.say(text))?;
            if refresh {
                data::forget(&plan.data.source, &plan.base)?;
            }
            let dataset = data::prepare(&plan.data, &plan.base, plan.run.seed, &|text| console.say(text))?;
            let counts = Split::ALL.map(|split| (split.to_string(), dataset.len(split)));
            let result = json!({ "config": what, "fingerprint": dataset.fingerprint(), "folder": dataset.folder(),
                                 "rows": counts.iter().cloned().collect::<std::collections::BTreeMap<_, _>>() });
            console.result(&result, || format!("prepared in {}", dataset.folder().display()))
        }
        Some(name) => {
            let fetched = fetch::named(name, &|text| console.say(text))?;
            let result = json!({ "dataset": name, "folder": fetched.folder, "files": fetched.files });
            console.result(&result, || format!("{name} is in {}", fetched.folder.display()))
        }
    }
}

fn list(console: &Console) -> Result<()> {
    let sets = fetch::list();
    console.result(&sets, || {
        let rows: Vec<_> = sets
            .iter()
            .map(|s| {
                vec![s.name.to_string(), s.task.to_string(), s.size.clone(), s.recipe.clone(), s.about.to_string()]
            })
            .collect();
        table(&rows)
    })
}

/// Shows splits, shapes and the first `rows` examples of each split.
pub fn data_show(plan: Plan, rows: u64, console: &Console) -> Result<()> {
    let plan = plan.with_pretrained(&|text| console.say(text))?;
    let dataset = data::prepare(&plan.data, &plan.base, plan.run.seed, &|text| console.say(text))?;
    let mut splits = Vec::new();
    for split in Split::ALL {
        let len = dataset.len(split);
        let examples = (0..rows.min(len)).map(|row| dataset.describe(split, row)).collect::<Result<Vec<_>>>()?;
        splits.push((split, len, examples));
    }
    let result = json!({
        "fingerprint": dataset.fingerprint(), "folder": dataset.folder(), "schema": dataset.schema(),
        "splits": splits.iter().map(|(split, len, examples)| json!({ "split": split, "rows": len, "examples": examples }))
            .collect::<Vec<_>>(),
    });
    console.result(&result, || {
        let schema = match &dataset.schema().table {
            Some(table) => columns(table),
            None => serde_json::to_string(dataset.schema()).unwrap_or_default(),
        };
        let mut text =
            format!("fingerprint {}\nfolder {}\nschema {schema}\n", dataset.fingerprint(), dataset.folder().display());
        for (split, len, examples) in &splits {
            text.push_str(&format!("\n{split}: {len} rows\n"));
            for (row, example) in examples.iter().enumerate() {
                text.push_str(&format!("--- {row}\n{example}\n"));
            }
        }
        text
    })
}

/// A table's columns: name, type, what the training split misses, and what each becomes.
fn columns(schema: &TableSchema) -> String {
    let row = |column: &Column| {
        let missing = if column.missing > 0 { format!("{} missing", column.missing) } else { String::new() };
        let kind = column.kind.name().to_string();
        let derived = schema.derived.iter().find(|derived| derived.name == column.name);
        let made = derived.map(|derived| format!("{}; ", derived.says)).unwrap_or_default();
        let becomes = format!("{made}{}", column.becomes());
        vec![column.name.clone(), kind, missing, column.outputs().len().to_string(), becomes]
    };
    let head = ["column", "type", "", "features", "becomes"].map(String::from).to_vec();
    let rows: Vec<_> = [head].into_iter().chain(schema.columns.iter().map(row)).collect();
    format!("\n{}", table(&rows))
}
