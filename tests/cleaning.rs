//! What is learned of a table's columns: scikit-learn's figures on the same rows, and nothing of the held-out rows.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::{fs, path::Path};

use kiln::data::{DataConfig, Dataset, HostInput, Split, prepare, source::table};
use serde_json::Value;

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures");

fn dataset(base: &Path, text: &str, cache: &Path) -> Dataset {
    let mut config: DataConfig = toml::from_str(text).unwrap_or_else(|e| panic!("{e}\n{text}"));
    config.cache = Some(cache.to_path_buf());
    prepare(&config, base, 1, &|_| {}).unwrap_or_else(|e| panic!("{e}\n{text}"))
}

fn rows(dataset: &Dataset, split: Split) -> Vec<Vec<f32>> {
    let all: Vec<u64> = (0..dataset.len(split)).collect();
    let HostInput::Floats { values, shape } = dataset.batch(split, &all, 0).unwrap().input else { panic!() };
    values.chunks(shape[0]).map(<[f32]>::to_vec).collect()
}

/// The case's columns: the one it is about, the others beside it, and what it is computed by if it is.
fn columns(case: &Value) -> String {
    let own = |name: &str, says: &str| format!("columns.{name} = {{ {says} }}\n");
    let name = case["column"].as_str().unwrap();
    let mut features = vec![name.to_string()];
    let mut config = own(name, case["says"].as_str().unwrap());
    for (other, says) in case["others"].as_object().into_iter().flatten() {
        features.push(other.clone());
        config += &own(other, says.as_str().unwrap());
    }
    if let Some(says) = case["derive"].as_str() {
        config += &format!("derive.{name} = \"{says}\"\n");
    }
    format!("features = {features:?}\n{config}")
}

/// The first value that is not the expected one within 1e-6.
fn differs(found: &[Vec<f32>], expected: &Value) -> Option<String> {
    let expected: Vec<Vec<f64>> = serde_json::from_value(expected.clone()).unwrap();
    if found.len() != expected.len() {
        return Some(format!("{} rows instead of {}", found.len(), expected.len()));
    }
    found.iter().zip(&expected).enumerate().find_map(|(row, (found, expected))| {
        let near = |(a, b): (&f32, &f64)| (f64::from(*a) - b).abs() <= 1e-6 * b.abs().max(1.0);
        let same = found.len() == expected.len() && found.iter().zip(expected).all(near);
        (!same).then(|| format!("row {row} is {found:?} instead of {expected:?}"))
    })
}

#[test]
fn every_transform_is_scikit_learns() {
    let cache = tempfile::tempdir().unwrap();
    let cases: Vec<Value> =
        serde_json::from_str(&fs::read_to_string(format!("{FIXTURES}/cleaning.json")).unwrap()).unwrap();
    assert!(cases.len() > 54, "{} cases", cases.len());
    let mut faults = Vec::new();
    for case in &cases {
        let text = |key: &str| case[key].as_str().unwrap();
        let task = if text("target") == "value" { "regression" } else { "classification" };
        let config = format!(
            "task = \"{task}\"\nsource = {{ path = \"cleaning.csv\" }}\ntarget = \"{}\"\n\
             holdout = {{ validation = 0.0 }}\n",
            text("target"),
        ) + &columns(case);
        let dataset = dataset(Path::new(FIXTURES), &config, cache.path());
        let mut predicted = Vec::new();
        let layout = table::Layout { format: None, header: true, delimiter: ',', names: Vec::new(), skip: 0 };
        table::read_rows(Path::new(FIXTURES).join("cleaning.csv").as_path(), dataset.schema(), &layout, &mut |row| {
            predicted.push(row.to_vec());
            Ok(())
        })
        .unwrap();
        let training = rows(&dataset, Split::Train);
        for (what, found, key) in [("training", &training, "training"), ("predicting", &predicted, "expected")] {
            faults.extend(differs(found, &case[key]).map(|why| format!("{}, {what}: {why}", text("name"))));
        }
    }
    assert!(faults.is_empty(), "{} faults\n{}", faults.len(), faults.join("\n"));
}

/// 600 rows of every type; `held_out` changes those that are not in the training split.
fn table(held_out: Option<&[bool]>) -> String {
    let mut text = "amount,city,day,ok,note,y\n".to_string();
    for i in 0..600usize {
        let city = ["Bonn", "Jena", "Köln", ""][i * 7 % 4];
        let amount = if i % 11 == 0 { String::new() } else { ((i * 37) % 101).to_string() };
        if held_out.is_some_and(|held_out| held_out[i]) {
            text.push_str(&format!("{},Ulm{i},2031-12-31,yes,other words than those,{}\n", 1e6 + i as f64, i % 2));
        } else {
            let day = format!("2026-{:02}-{:02}", i % 12 + 1, i % 28 + 1);
            let ok = ["yes", "no"][i % 2];
            text.push_str(&format!("{amount},{city},{day},{ok},some words of row {i},{}\n", i % 3 % 2));
        }
    }
    text
}

const EVERYTHING: &str = r#"
task = "classification"
source = { path = "t.csv" }
holdout = { validation = 0.2, test = 0.2 }
clean = { outliers = { quantile = 0.02 } }
columns.city = { encode = "target" }
columns.note = { type = "text", text = { ngrams = [1, 2] } }
"#;

#[test]
fn held_out_rows_change_no_transform() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("t.csv"), table(None)).unwrap();
    let learn = |says: &str| {
        let dataset = dataset(folder.path(), &format!("{EVERYTHING}{says}"), folder.path());
        (serde_json::to_string(&dataset.schema().table).unwrap(), rows(&dataset, Split::Train))
    };
    let scales = ["standard", "min-max", "robust", "quantile", "log1p"];
    let mut says: Vec<String> =
        scales.iter().map(|scale| format!("columns.amount = {{ scale = \"{scale}\" }}\n")).collect();
    says.extend(
        [
            "columns.amount = { impute = { knn = 3 } }\n",
            "isolation_forest = { share = 0.05 }\n",
            "isolation_forest = { share = 0.05, then = \"drop\" }\ncolumns.amount = { impute = { knn = 3 } }\n",
            "derive.made = \"amount / (length(city) + 1)\"\nderive.crossed = \"city || '-' || ok\"\n",
        ]
        .map(String::from),
    );
    let before: Vec<_> = says.iter().map(|says| learn(says)).collect();

    // Which rows are held out is a hash of their number, told here by the one column that numbers them.
    let numbered: String = (0..600).map(|i| format!("{i},{}\n", i % 2)).collect();
    fs::write(folder.path().join("n.csv"), "n,y\n".to_string() + &numbered).unwrap();
    let config = "task = \"classification\"\nsource = { path = \"n.csv\" }\nstandardize = false\n\
                  holdout = { validation = 0.2, test = 0.2 }\n";
    let numbers = dataset(folder.path(), config, folder.path());
    let mut held_out = vec![false; 600];
    for split in [Split::Validation, Split::Test] {
        rows(&numbers, split).iter().for_each(|row| held_out[row[0] as usize] = true);
    }
    assert!((200..280).contains(&held_out.iter().filter(|held| **held).count()));
    fs::write(folder.path().join("t.csv"), table(Some(&held_out))).unwrap();
    for (says, before) in says.iter().zip(before) {
        assert!(learn(says) == before, "{says} learned something of the held-out rows");
    }
}

#[test]
fn groups_and_times_are_kept_apart() {
    let folder = tempfile::tempdir().unwrap();
    let text: String = (0..400).map(|i| format!("{},{},{}\n", i % 40, (i * 131) % 400, i % 2)).collect();
    fs::write(folder.path().join("t.csv"), "patient,hour,y\n".to_string() + &text).unwrap();
    let split = |by: &str, column: &str, feature: usize| {
        let config = format!(
            "task = \"classification\"\nsource = {{ path = \"t.csv\" }}\nfeatures = [\"patient\", \"hour\"]\n\
             standardize = false\nholdout = {{ validation = 0.2, test = 0.2, by = \"{by}\", column = \"{column}\" }}\n"
        );
        let dataset = dataset(folder.path(), &config, folder.path());
        Split::ALL.map(|split| rows(&dataset, split).iter().map(|row| row[feature] as u32).collect::<Vec<u32>>())
    };
    let [train, validation, test] = split("group", "patient", 0);
    assert!(!validation.is_empty() && !test.is_empty());
    assert!(validation.iter().chain(&test).all(|patient| !train.contains(patient)));
    assert!(test.iter().all(|patient| !validation.contains(patient)));
    let [train, validation, test] = split("time", "hour", 1);
    assert_eq!([train.len(), validation.len(), test.len()], [240, 80, 80]);
    assert!(train.iter().max() < validation.iter().min() && validation.iter().max() < test.iter().min());
}
