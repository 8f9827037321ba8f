//! Tables looked at, derived from, weighed and resampled, through the real binary.

use std::fs;

use crate::common::Bench;

/// 600 orders: `late` follows from `delay`, `code` and `town` say the same, `id` numbers the rows, a few rows are twice.
fn orders() -> String {
    let mut text = "id,serial,weight,town,code,delay,note,late\n".to_string();
    for id in 0..600usize {
        let i = if id >= 590 { id - 590 } else { id };
        let (town, code) = [("Bonn", "b1"), ("Jena", "j7"), ("Ulm", "u3")][i * 7 % 3];
        let delay = i * 131 % 97;
        let weight = if i % 13 == 0 { String::new() } else { format!("{}.5", i * 37 % 101) };
        let late = if delay > 80 { "yes" } else { "no" };
        text.push_str(&format!(
            "{id},{},{weight},{town},{code},{delay},parcel {town} number {},{late}\n",
            1000 + i * 2,
            i % 5
        ));
    }
    text
}

const CONFIG: &str = r#"
[data]
task = "classification"
source = { path = "orders.csv" }
target = "late"
holdout = { validation = 0.2, test = 0.1 }
cache = "cache"
[data.columns]
note = "text"
[model]
kind = "mlp"
hidden = [8]
[train]
steps = 120
batch = 32
device = "flex"
[optim]
lr = 0.02
"#;

fn bench() -> Bench {
    let bench = Bench::new();
    bench.write("orders.csv", &orders());
    bench.write("orders.toml", CONFIG);
    bench
}

#[test]
fn a_profile_tells_what_to_look_at() {
    let bench = bench();
    let found = bench.json(&["data", "profile", "orders.toml", "--html", "orders.html"]);
    let rows: u64 = found["rows"].as_array().unwrap().iter().map(|rows| rows.as_u64().unwrap()).sum();
    assert_eq!(rows, 600);
    let kinds: Vec<&str> = found["findings"].as_array().unwrap().iter().map(|f| f["kind"].as_str().unwrap()).collect();
    for kind in ["leakage", "near-duplicate", "identifier", "identifier-like", "duplicates"] {
        assert!(kinds.contains(&kind), "{kind} is not among {kinds:?}");
    }
    assert_eq!(found["findings"][0]["kind"], "leakage", "the gravest comes first");
    assert_eq!(found["findings"][0]["columns"][0], "delay");
    let column = |name: &str| found["columns"].as_array().unwrap().iter().find(|c| c["name"] == name).unwrap().clone();
    assert_eq!(column("town")["relation"]["measure"], "cramers-v");
    assert_eq!(column("delay")["relation"]["measure"], "correlation-ratio");
    assert_eq!((column("id")["type"].as_str(), column("note")["type"].as_str()), (Some("identifier"), Some("text")));
    assert!(column("weight")["missing"].as_u64().unwrap() > 20);
    assert_eq!(column("town")["unique"], 3);
    let html = fs::read_to_string(bench.path("orders.html")).unwrap();
    assert!(html.contains("<svg") && html.contains("<code>delay</code>") && !html.contains("http-equiv"));
    let text = bench.ok(&["data", "profile", "orders.toml"]);
    assert!(text.contains("grave: `delay` alone tells the target"), "{text}");
    assert!(!bench.path("checkpoints").exists(), "nothing was written");
}

#[test]
fn a_profile_is_of_a_table() {
    let bench = Bench::tiny();
    let said = bench.kiln(&["data", "profile", "tiny.toml"]);
    assert_eq!(said.code, 2);
    assert!(said.err.contains("data show"), "{}", said.err);
}

#[test]
fn derived_columns_are_computed_alike_when_predicting() {
    let bench = bench();
    let derived = CONFIG.replace(
        "[data.columns]\n",
        "[data.derive]\nheavy = \"weight > 50 and town <> 'Ulm'\"\nper_day = \"round(weight / (delay + 1), 2)\"\n\
         [data.columns]\ndelay = \"drop\"\n",
    );
    bench.write("orders.toml", &derived);
    bench.json(&["train", "orders.toml"]);
    // A file with the columns in another order, and no target.
    bench.write("new.csv", "town,delay,weight,note,code,serial\nBonn,96,60,parcel Bonn number 1,b1,1\nUlm,1,,x,u3,2\n");
    let csv = bench.ok(&["predict", "orders", "--input", "new.csv", "--quiet"]);
    assert_eq!(csv.lines().count(), 3, "{csv}");
    // What a derived column is made of must be there, though it is no feature itself.
    bench.write("less.csv", "town,weight,note,code,serial\nBonn,60,x,b1,7\n");
    let said = bench.kiln(&["predict", "orders", "--input", "less.csv"]);
    assert_eq!(said.code, 2);
    assert!(said.err.contains("has no column `delay`"), "{}", said.err);
    // What cannot be computed is told with its place.
    bench.write("bad.csv", "town,delay,weight,note,code,serial\nBonn,soon,60,x,b1,7\n");
    let said = bench.kiln(&["predict", "orders", "--input", "bad.csv"]);
    assert!(said.code == 2 && said.err.contains("line 2: column `per_day`"), "{}", said.err);
    let wrong = derived.replace("weight > 50 and", "weight > * and");
    bench.write("wrong.toml", &wrong);
    let said = bench.kiln(&["train", "wrong.toml"]);
    assert!(said.code == 2 && said.err.contains("`data.derive.heavy`, character 10"), "{}", said.err);
    assert!(said.err.contains("wrong.toml:"), "it is underlined: {}", said.err);
}

#[test]
fn classes_are_weighed_and_resampled() {
    let bench = bench();
    let said = bench.kiln(&["train", "orders.toml", "--set", "train.class_weights=balanced"]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.err.contains("the training loss weighs classes: no 0."), "{}", said.err);
    let journal = fs::read_to_string(bench.path("checkpoints/orders/journal.jsonl")).unwrap();
    let started: serde_json::Value = serde_json::from_str(journal.lines().next().unwrap()).unwrap();
    let weights = &started["class_weights"];
    assert!(weights["yes"].as_f64().unwrap() > 2.0 && weights["no"].as_f64().unwrap() < 1.0, "{weights}");
    let over = ["train", "orders.toml", "--fresh", "--set", "train.resample={ over = 1.0 }"];
    let said = bench.kiln(&over);
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.err.contains("an epoch draws of each class"), "{}", said.err);
    for (over, what) in [
        ("train.class_weights={ maybe = 2.0 }", "is no class"),
        ("train.resample={ over = 2.0 }", "must be a share in (0, 1]"),
    ] {
        let said = bench.kiln(&["train", "orders.toml", "--fresh", "--set", over]);
        assert!(said.code == 2 && said.err.contains(what), "{over}: {}", said.err);
    }
}

#[test]
fn a_folder_of_texts_is_a_table() {
    let bench = Bench::new();
    for i in 0..60 {
        bench.write(&format!("mails/good/{i}.txt"), &format!("dear friend, lunch at {} as agreed", i % 4));
        bench.write(&format!("mails/junk/{i}.txt"), &format!("win {i} million now, free money"));
    }
    let config = CONFIG
        .replace("{ path = \"orders.csv\" }", "{ path = \"mails\" }\nformat = \"documents\"\nfeatures = [\"text\"]")
        .replace("\"late\"", "\"folder\"")
        .replace("note = \"text\"", "text = { type = \"text\", text = { min_rows = 3 } }");
    bench.write("mails.toml", &config);
    let trained = bench.json(&["train", "mails.toml"]);
    assert_eq!(trained["metrics"]["accuracy"], 1.0, "{trained}");
    bench.write("new.csv", "text\nfree money for you now\nlunch as agreed my friend\n");
    let csv = bench.ok(&["predict", "mails", "--input", "new.csv", "--quiet"]);
    let said: Vec<&str> = csv.lines().skip(1).filter_map(|line| line.split(',').nth(1)).collect();
    assert_eq!(said, ["junk", "good"]);
}
