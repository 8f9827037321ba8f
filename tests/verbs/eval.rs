//! What `kiln eval` says beyond metrics, and `kiln cv`.

use std::fs;

use crate::common::{Bench, steps};

/// 600 rows of `a,b,c,kind`: whether `kind` is 1 follows `a + b` with noise, `c` says nothing. No line parts them.
fn noisy_rows() -> String {
    let mut state = 7u64;
    let mut uniform = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 40) as f64 / (1u64 << 24) as f64
    };
    let mut text = String::from("a,b,c,kind\n");
    for _ in 0..600 {
        let (a, b, c, luck) = (uniform(), uniform(), (uniform() * 3.0).floor(), uniform());
        let one = if luck < 0.1 { luck < 0.05 } else { (a > 0.5) != (b > 0.5) };
        text.push_str(&format!("{a:.4},{b:.4},{c},{}\n", u8::from(one)));
    }
    text
}

const NOISY: &str = r#"
[data]
task = "classification"
source = { path = "noisy.csv" }
holdout = { validation = 0.3, test = 0.3 }

[model]
kind = "linear"

[train]
epochs = 30
batch = 32
device = "flex"

[optim]
lr = 0.02
"#;

fn noisy() -> Bench {
    let bench = Bench::new();
    bench.write("noisy.csv", &noisy_rows());
    bench.write("noisy.toml", NOISY);
    bench
}

#[test]
fn the_gate_says_that_a_line_loses_to_trees_on_an_exclusive_or() {
    let bench = noisy();
    let trained = bench.json(&["train", "noisy.toml"]);
    assert_eq!(trained["gate"]["outcome"], "loses", "{trained}");
    assert_eq!(trained["gate"]["split"], "validation");
    assert!(bench.path("checkpoints/noisy/baseline.json.gz").is_file());

    let found = bench.json(&["eval", "noisy", "--split", "test"]);
    let gate = &found["gate"];
    assert_eq!((gate["figure"].as_str(), gate["outcome"].as_str()), (Some("auroc"), Some("loses")), "{gate}");
    let number = |value: &serde_json::Value| value.as_f64().unwrap();
    let gap = &gate["difference"];
    assert!(
        (number(&gap["value"]) - (number(&gate["network"]["value"]) - number(&gate["baseline"]["value"]))).abs()
            < 1e-12
    );
    assert!(number(&gap["interval"]["low"]) < number(&gap["value"]) && number(&gap["interval"]["high"]) < 0.0, "{gap}");
    assert_eq!(gate["rows"], found["count"]);
    assert_eq!(found["metrics"]["auroc"], gate["network"]["value"], "one figure, one number");
    let kinds = found["baselines"]["candidates"].as_array().unwrap();
    assert_eq!(kinds.len(), 5);
    assert!(kinds.iter().all(|kind| kind["fault"].is_null() && kind["value"].is_number()), "{kinds:?}");
    let auroc = &found["assessment"]["figures"]["auroc"];
    assert!(number(&auroc["interval"]["low"]) <= number(&auroc["value"]));

    let kept = fs::metadata(bench.path("checkpoints/noisy/baseline.json.gz")).unwrap().modified().unwrap();
    let said = bench.kiln(&["eval", "noisy", "--split", "test"]);
    assert!(said.out.contains("the network loses to the best baseline"), "{}", said.out);
    assert!(!said.err.contains("fitting"), "the baselines are kept: {}", said.err);
    assert_eq!(fs::metadata(bench.path("checkpoints/noisy/baseline.json.gz")).unwrap().modified().unwrap(), kept);
    assert_eq!(bench.json(&["eval", "noisy", "--split", "test"]), found, "the same again");

    fs::write(bench.path("checkpoints/noisy/baseline.json.gz"), "damaged").unwrap();
    let again = bench.kiln(&["eval", "noisy", "--split", "test"]);
    assert!(again.code == 0 && again.err.contains("is no baseline"), "{}", again.err);
    assert!(again.out.contains("the network loses"), "{}", again.out);
}

#[test]
fn baselines_can_be_chosen_or_left_out() {
    let bench = noisy();
    let none = bench.json(&["train", "noisy.toml", "--set", "baseline.on=never"]);
    assert!(none["gate"].is_null() && !bench.path("checkpoints/noisy/baseline.json.gz").exists(), "{none}");
    let one = bench.json(&["eval", "noisy", "--set", "baseline.on=tables", "--set", "baseline.models=['linear']"]);
    let candidates = one["baselines"]["candidates"].as_array().unwrap();
    assert!(candidates.len() == 1 && candidates[0]["kind"] == "linear", "{one}");
    assert_eq!(one["gate"]["outcome"], "within-noise", "a linear network is no better than logistic regression: {one}");
    let few = bench.kiln(&["eval", "noisy", "--set", "baseline.on=tables", "--set", "baseline.rows=100"]);
    assert!(few.err.contains("fitted on 100 of 2"), "what is left out is said: {}", few.err);
    let other = bench.json(&["eval", "noisy", "--set", "baseline.on=tables", "--set", "eval.figure=log_loss"]);
    assert_eq!(other["gate"]["figure"], "log_loss");
}

#[test]
fn thresholds_slices_and_importance() {
    let bench = noisy();
    bench.ok(&["train", "noisy.toml", "--quiet", "--set", "model.kind=mlp", "--set", "train.epochs=60"]);
    let args = ["eval", "noisy", "--split", "test", "--cost", "1,20", "--importance", "--slice", "c", "--slice", "a"];
    let found = bench.json(&args);
    let threshold = &found["assessment"]["threshold"];
    let cost = threshold["cost"].as_array().unwrap();
    assert!(cost[0].as_f64() < cost[1].as_f64(), "the chosen cut is cheaper than 0.5 on other rows: {threshold}");
    assert!(threshold["cut"]["threshold"].as_f64().unwrap() < 0.5);
    let columns: Vec<_> =
        found["importance"].as_array().unwrap().iter().map(|i| i["column"].as_str().unwrap()).collect();
    assert_eq!(columns[2], "c", "the column that says nothing comes last");
    let slices = found["slices"].as_array().unwrap();
    let names = |i: usize| -> Vec<_> {
        slices[i]["slices"].as_array().unwrap().iter().map(|s| s["name"].as_str().unwrap()).collect()
    };
    assert_eq!(names(0), ["0", "1", "2"]);
    assert_eq!(names(1).len(), 4, "quartiles");
    for sliced in slices {
        let rows: u64 = sliced["slices"].as_array().unwrap().iter().map(|s| s["rows"].as_u64().unwrap()).sum();
        assert_eq!(rows, found["count"].as_u64().unwrap());
    }
    let calibration: serde_json::Value =
        serde_json::from_slice(&fs::read(bench.path("checkpoints/noisy/calibration.json")).unwrap()).unwrap();
    assert_eq!(calibration["temperature"], found["assessment"]["adjusted"]["temperature"]);
    let text = bench.ok(&[&args[..], &["--quiet"]].concat());
    for word in ["calibration error", "best for cost 1,20", "importance:"] {
        assert!(text.contains(word), "{word}: {text}");
    }
}

#[test]
fn the_page_holds_everything_and_needs_nothing() {
    let bench = noisy();
    bench.write("noisy.csv", &noisy_rows().replacen("a,b,c,", "<a>,b,c,", 1));
    bench.ok(&["train", "noisy.toml", "--quiet"]);
    let said = bench.kiln(&["eval", "noisy", "--split", "test", "--html", "--threshold", "f1"]);
    assert!(said.code == 0 && said.err.contains("the page is checkpoints/noisy/report.html"), "{}", said.err);
    let page = fs::read_to_string(bench.path("checkpoints/noisy/report.html")).unwrap();
    for word in
        ["A classic model is better", "ROC", "Reliability", "Confusion", "What matters", "By class", "Threshold for f1"]
    {
        assert!(page.contains(word), "{word}");
    }
    assert!(page.matches("<svg").count() >= 4);
    assert!(page.contains("&#60;a&#62;") && !page.contains("<a>"), "a column's name is text");
    for link in ["http://", "https://", "<script", "<link", "src="] {
        assert!(!page.replace("http://www.w3.org/2000/svg", "").contains(link), "nothing is loaded: {link}");
    }
}

#[test]
fn regression_has_residuals_and_intervals() {
    let bench = Bench::new();
    let text = noisy_rows().replace("kind", "y");
    bench.write("noisy.csv", &text);
    bench.write("noisy.toml", &NOISY.replace("classification", "regression"));
    bench.ok(&["train", "noisy.toml", "--quiet"]);
    let found = bench.json(&["eval", "noisy", "--split", "test", "--html"]);
    let residuals = &found["assessment"]["residuals"][0];
    let coverage = residuals["coverage"].as_f64().unwrap();
    assert!((0.85..=1.0).contains(&coverage), "meant for 95%: {residuals}");
    assert_eq!(residuals["quantiles"].as_array().unwrap().len(), 7);
    assert_eq!((found["gate"]["figure"].as_str(), found["gate"]["outcome"].as_str()), (Some("rmse"), Some("loses")));
    let page = fs::read_to_string(bench.path("checkpoints/noisy/report.html")).unwrap();
    assert!(page.contains("Prediction and truth") && page.contains("Errors by share of rows"));
}

#[test]
fn folds_are_runs_and_a_finished_one_is_not_trained_again() {
    let bench = noisy();
    let args = ["cv", "noisy.toml", "--folds", "3", "--seeds", "1,2", "--set", "train.epochs=5"];
    let report = bench.json(&args);
    assert_eq!(report["figure"], "auroc");
    let folds = report["folds"].as_array().unwrap();
    assert_eq!(folds.len(), 6);
    let rows = |fold: &serde_json::Value| fold["train_rows"].as_u64().unwrap() + fold["judged_rows"].as_u64().unwrap();
    assert!(folds.iter().all(|fold| rows(fold) == rows(&folds[0])), "every fold is made of all the rows");
    let judged: u64 = folds.iter().filter(|f| f["seed"] == 1).map(|f| f["judged_rows"].as_u64().unwrap()).sum();
    assert_eq!(judged, rows(&folds[0]), "every row is judged once");
    let of = |seed: u64| folds.iter().filter(move |f| f["seed"] == seed);
    for (a, b) in of(1).zip(of(2)) {
        assert_eq!(a["fold"], b["fold"]);
        assert_ne!(a["network"], b["network"], "another seed, another network");
        assert_eq!(a["judged_rows"], b["judged_rows"]);
    }
    let mean = folds.iter().map(|f| f["network"].as_f64().unwrap()).sum::<f64>() / 6.0;
    assert!((report["network"]["mean"].as_f64().unwrap() - mean).abs() < 1e-12);
    assert_eq!(report["test"]["folds"], 3);
    assert!(report["words"].as_str().unwrap().starts_with("the network loses to the best baseline"), "{report}");

    let run = "checkpoints/noisy-cv/fold0of3-repeat0-seed1";
    let before = steps(&bench.path(run).join("journal.jsonl"));
    assert_eq!(bench.json(&args), report, "the same again");
    assert_eq!(steps(&bench.path(run).join("journal.jsonl")), before, "without training");
    let one = bench.json(&["eval", run]);
    assert_eq!(one["count"], folds[0]["judged_rows"], "a fold is an ordinary run");
    let other = bench.kiln(&[&args[..], &["--set", "train.batch=16"]].concat());
    assert!(other.code == 2 && other.err.contains("with another config"), "{}", other.err);
}

#[test]
fn the_kept_classic_model_predicts_and_the_network_calibrated() {
    let bench = noisy();
    let mlp = "model={ kind = \"mlp\", hidden = [16] }";
    bench.ok(&["train", "noisy.toml", "-q", "--set", mlp]);
    bench.ok(&["eval", "noisy", "-q"]);
    let predicted = |more: &[&str]| -> Vec<Vec<f64>> {
        let csv = bench.ok(&[&["predict", "noisy", "--input", "noisy.csv", "-q"], more].concat());
        let cells = |line: &str| line.split(',').map(|cell| cell.parse().unwrap()).collect();
        csv.lines().skip(1).map(cells).collect()
    };
    let rows = noisy_rows();
    let truth: Vec<f64> = rows.lines().skip(1).map(|row| row.split(',').nth(3).unwrap().parse().unwrap()).collect();
    let right = |said: &[Vec<f64>]| said.iter().zip(&truth).filter(|(row, kind)| row[1] == **kind).count();
    let (network, calibrated) = (predicted(&[]), predicted(&["--calibrated"]));
    assert_eq!(right(&network), right(&calibrated), "a temperature moves no class");
    let known: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(bench.path("checkpoints/noisy/calibration.json")).unwrap()).unwrap();
    let temperature = known["temperature"].as_f64().unwrap();
    let score = |row: &Vec<f64>| (row[4] / row[3]).ln();
    for (raw, cold) in network.iter().zip(&calibrated) {
        assert!((score(raw) / temperature - score(cold)).abs() < 1e-4, "{raw:?} {cold:?} {temperature}");
    }
    // The classic model answers where the network cannot.
    for step in fs::read_dir(bench.path("checkpoints/noisy")).unwrap().map(|entry| entry.unwrap().path()) {
        let weights = step.join("weights.safetensors");
        if weights.is_file() {
            fs::write(weights, "damaged").unwrap();
        }
    }
    assert_ne!(bench.kiln(&["predict", "noisy", "--input", "noisy.csv", "-q"]).code, 0);
    let classic = predicted(&["--baseline"]);
    assert!(right(&classic) > 520 && classic != network, "{}", right(&classic));
    fs::remove_file(bench.path("checkpoints/noisy/baseline.json.gz")).unwrap();
    let said = bench.kiln(&["predict", "noisy", "--input", "noisy.csv", "--baseline"]);
    assert!(said.code == 2 && said.err.contains("keeps no classic model"), "{}", said.err);
}

#[test]
fn what_a_run_does_not_have_is_said() {
    let bench = noisy();
    bench.ok(&["train", "noisy.toml", "--quiet", "--set", "train.epochs=1"]);
    let refused = |args: &[&str], says: &str| {
        let said = bench.kiln(args);
        assert!(said.code == 2 && said.err.contains(says), "kiln {args:?}: {} {}", said.code, said.err);
    };
    refused(&["eval", "noisy", "--threshold", "best"], "choose f1, accuracy or balanced_accuracy");
    refused(&["eval", "noisy", "--cost", "1"], "--cost 1,5");
    refused(&["eval", "noisy", "--slice", "d"], "choose one of a, b, c");
    refused(&["train", "noisy.toml", "--set", "eval.figure=rmse"], "use accuracy, auroc");
    refused(&["train", "noisy.toml", "--set", "eval.level=95"], "such as 0.95");
    refused(&["train", "noisy.toml", "--set", "baseline.models=['forrest']"], "did you mean `forest`?");
    refused(&["train", "noisy.toml", "--set", "data.fold.index=5", "--set", "data.fold.of=5"], "counted from 0");
    refused(&["cv", "noisy.toml", "--folds", "3", "--group", "d"], "its columns are a, b, c");
    refused(&["cv", "noisy.toml", "--folds", "1000"], "cannot be made of");
    let text = Bench::tiny();
    let said = text.kiln(&["cv", "tiny.toml"]);
    assert!(said.code == 2 && said.err.contains("text is not cross-validated"), "{}", said.err);
    text.ok(&["train", "tiny.toml", "--quiet"]);
    let said = text.kiln(&["eval", "tiny", "--importance"]);
    assert!(said.code == 2 && said.err.contains("this run is a language model"), "{}", said.err);
}
