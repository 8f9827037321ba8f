//! Predictions for tables and pictures.

use std::fs;

use serde_json::Value;

use crate::common::{Bench, TABLE, rows};

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_table_s_classes_in_csv_and_jsonl() {
    let bench = Bench::table();
    let learn = ["--set", "train.steps=300", "--set", "optim.lr=0.02"];
    let trained = bench.json(&[&["train", "table.toml"][..], &learn].concat());
    assert!(trained["metrics"]["accuracy"].as_f64().unwrap() > 0.85, "{trained}");
    let csv = bench.ok(&["predict", "table", "--input", "rows.csv", "--quiet"]);
    assert_eq!(csv.lines().next(), Some("row,prediction,probability,p_down,p_up"));
    assert_eq!(csv.lines().count(), 201);
    let table = rows();
    let right = csv
        .lines()
        .skip(1)
        .zip(table.lines().skip(1))
        .filter(|(said, row)| said.split(',').nth(1).unwrap() == row.split(',').nth(2).unwrap());
    assert!(right.count() > 170);

    let jsonl = lines(&bench.ok(&["predict", "table", "--input", "rows.csv", "--json", "--quiet"]));
    assert_eq!(jsonl.len(), 200);
    let sum = jsonl[0]["p_down"].as_f64().unwrap() + jsonl[0]["p_up"].as_f64().unwrap();
    assert!((sum - 1.0).abs() < 1e-5, "probabilities sum to 1, not {sum}");
    bench.write("rows.jsonl", "{\"b\": 0.1, \"a\": 0.9}\n{\"a\": 0.1, \"b\": 0.9}\n");
    bench.ok(&["predict", "table", "--input", "rows.jsonl", "--output", "out.jsonl", "--quiet"]);
    let said = lines(&fs::read_to_string(bench.path("out.jsonl")).unwrap());
    let classes: Vec<&str> = said.iter().filter_map(|line| line["prediction"].as_str()).collect();
    assert_eq!(classes, ["up", "down"]);
    bench.ok(&["predict", "table", "--input", "rows.jsonl", "--output", "out.csv", "--quiet"]);
    assert_eq!(fs::read_to_string(bench.path("out.csv")).unwrap().lines().count(), 3);
}

#[test]
fn a_table_s_values() {
    let bench = Bench::new();
    let table: String =
        (0..200).map(|i| f64::from(i * 37 % 101) / 100.0).map(|x| format!("{x},{}\n", 2.0 * x - 1.0)).collect();
    bench.write("line.csv", &format!("x,y\n{table}"));
    let config =
        TABLE.replace("classification", "regression").replace("rows.csv", "line.csv").replace("\"kind\"", "\"y\"");
    bench.write("line.toml", &config.replace("steps = 6", "steps = 300").replace("hidden = [8]", "hidden = [16]"));
    let trained = bench.json(&["train", "line.toml", "--set", "optim.lr=0.02"]);
    assert!(trained["metrics"]["r2"].as_f64().unwrap() > 0.95, "{trained}");
    bench.write("new.csv", "x\n0.25\n0.75\n");
    let csv = bench.ok(&["predict", "line", "--input", "new.csv", "--quiet"]);
    let said: Vec<&str> = csv.lines().collect();
    assert_eq!(said[0], "row,y");
    for (line, y) in said[1..].iter().zip([-0.5, 0.5]) {
        let value: f64 = line.split(',').nth(1).unwrap().parse().unwrap();
        assert!((value - y).abs() < 0.2, "{value} is not about {y}");
    }
}

#[test]
fn a_folder_of_pictures() {
    let bench = Bench::new();
    let picture = |path: &str, light: bool, i: u8| {
        let path = bench.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let base = if light { 200 } else { 20 };
        image::GrayImage::from_fn(8, 8, |x, y| image::Luma([base + i % 10 + (x + y) as u8])).save(path).unwrap();
    };
    for i in 0..30 {
        picture(&format!("pictures/light/{i}.png"), true, i);
        picture(&format!("pictures/dark/{i}.png"), false, i);
    }
    picture("new/a.png", false, 3);
    picture("new/b.png", true, 4);
    let config = "[data]\ntask = \"classification\"\nsource = { path = \"pictures\" }\nformat = \"images\"\n\
                  image_size = [8, 8]\nchannels = 1\n[model]\nkind = \"cnn\"\nwidth = 4\n\
                  [train]\nsteps = 30\nbatch = 16\ndevice = \"flex\"\n[optim]\nlr = 0.01\n";
    bench.write("light.toml", config);
    let trained = bench.json(&["train", "light.toml"]);
    assert_eq!(trained["metrics"]["accuracy"], 1.0, "{trained}");
    let said = lines(&bench.ok(&["predict", "light", "--input", "new", "--json", "--quiet"]));
    let said: Vec<(&str, &str)> =
        said.iter().map(|line| (line["file"].as_str().unwrap(), line["prediction"].as_str().unwrap())).collect();
    assert_eq!(said, [("new/a.png", "dark"), ("new/b.png", "light")]);
    let one = bench.ok(&["predict", "light", "--input", "new/b.png", "--quiet"]);
    assert!(one.lines().nth(1).unwrap().starts_with("new/b.png,light,"), "{one}");
}
