//! Recommendation, anomalies and windows through the real binary: training, its gate, resuming, evaluating, predicting.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::Bench;

/// Users of two sorts, who choose among ten of the twenty items of theirs.
fn choices() -> String {
    let mut text = String::from("who,what,when\n");
    for user in 0..60u64 {
        for step in 0..9u64 {
            let item = (user % 2) * 10 + (user * 7 + step * 3) % 10;
            text.push_str(&format!("u{user},i{item},{}\n", step * 60 + user));
        }
    }
    text
}

const RECOMMEND: &str = r#"
[data]
task = "recommendation"
source = { path = "choices.csv" }
cache = "cache"
interactions = { user = "who", item = "what", time = "when" }
[model]
kind = "matrix-factorization"
width = 8
[train]
steps = 150
batch = 64
device = "flex"
[optim]
lr = 0.02
"#;

fn recommender() -> Bench {
    let bench = Bench::new();
    bench.write("choices.csv", &choices());
    bench.write("rec.toml", RECOMMEND);
    bench
}

#[test]
fn a_recommender_learns_what_users_of_a_sort_choose() {
    for (kind, loss) in [("matrix-factorization", "bpr"), ("two-tower", "in-batch"), ("neumf", "logistic")] {
        let bench = recommender();
        let (kind, loss) = (format!("model.kind={kind}"), format!("data.interactions.loss={loss}"));
        bench.ok(&["train", "rec.toml", "-q", "--set", &kind, "--set", &loss, "--set", "model.width=8"]);
        let found = bench.json(&["eval", "rec", "--split", "test"]);
        assert_eq!(found["count"], 60, "a user a row");
        // One item of a user's own ten is left beside the ten of the others: any rank but the first is of chance.
        let hit = found["metrics"]["recall@10"].as_f64().unwrap();
        assert!(hit > 0.95, "{kind}: {found}");
        assert!(found["metrics"]["mrr"].as_f64().unwrap() > 0.8, "{kind}: {found}");
        let kinds: Vec<&str> =
            found["baselines"]["candidates"].as_array().unwrap().iter().map(|c| c["kind"].as_str().unwrap()).collect();
        assert_eq!(kinds, ["popularity", "item-knn"]);
        assert_eq!(found["gate"]["figure"], "ndcg@10");
    }
}

#[test]
fn a_recommender_continues_bit_for_bit_with_its_drawn_items() {
    let bench = recommender();
    let proof = bench.json(&["verify-resume", "rec.toml", "--steps", "8", "--set", "data.interactions.negatives=3"]);
    assert_eq!(proof["identical"], true, "{proof}");
    assert_eq!(proof["losses_equal"], 8);
}

#[test]
fn recommendations_leave_out_what_was_chosen_and_know_strangers() {
    let bench = recommender();
    bench.ok(&["train", "rec.toml", "-q"]);
    bench.write("who.csv", "who\nu3\nstranger\n");
    let said = bench.kiln(&["predict", "rec", "--input", "who.csv", "--top", "11"]);
    assert_eq!(said.code, 0, "{}", said.err);
    let lines: Vec<Vec<&str>> = said.out.lines().map(|line| line.split(',').collect()).collect();
    assert_eq!(lines[0], ["who", "rank", "item", "score"]);
    assert_eq!(lines.len(), 1 + 11 + 11);
    let chosen: Vec<String> = (0..9).map(|step| format!("i{}", 10 + (3 * 7 + step * 3) % 10)).collect();
    let own: Vec<&str> = lines.iter().filter(|line| line[0] == "u3").map(|line| line[2]).collect();
    assert!(own.iter().all(|item| !chosen.contains(&item.to_string())), "{own:?}");
    assert!(own[0].starts_with("i1") && own[0].len() == 3, "the last of its own sort comes first: {own:?}");
    assert!(lines.iter().filter(|line| line[0] == "stranger").all(|line| line[3].is_empty()));
    assert!(said.err.contains("1 of 2 users are not in the run's data"), "{}", said.err);
    let said = bench.kiln(&["eval", "rec", "--split", "train"]);
    assert_eq!(said.code, 2, "{}", said.err);
    assert!(said.err.contains("--split validation or test"), "{}", said.err);
}

/// Rows on a plane in four columns; one in ten lies off it, which no column alone tells.
fn rows() -> String {
    let mut text = String::from("a,b,c,d,fault\n");
    let mut state = 7u64;
    let mut draw = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 40) as f64 / (1u64 << 24) as f64 * 2.0 - 1.0
    };
    for row in 0..1500 {
        let (x, y) = (draw(), draw());
        let mut values = [x, y, x + y, x - y];
        if row % 10 == 0 {
            values[2..].iter_mut().for_each(|v| *v = 2.0 * draw());
        }
        let [a, b, c, d] = values;
        text.push_str(&format!("{a:.4},{b:.4},{c:.4},{d:.4},{}\n", if row % 10 == 0 { "yes" } else { "no" }));
    }
    text
}

const ANOMALY: &str = r#"
[data]
task = "anomaly"
source = { path = "rows.csv" }
cache = "cache"
target = "fault"
holdout = { validation = 0.2, test = 0.2 }
[data.anomaly]
only_normal = true
quantile = 0.95
[model]
kind = "autoencoder"
hidden = [16]
code = 2
[train]
steps = 600
batch = 64
device = "flex"
[optim]
lr = 0.01
"#;

#[test]
fn an_autoencoder_tells_rows_that_are_unlike_the_normal_ones() {
    let bench = Bench::new();
    bench.write("rows.csv", &rows());
    bench.write("odd.toml", ANOMALY);
    bench.ok(&["train", "odd.toml", "-q"]);
    let found = bench.json(&["eval", "odd", "--split", "test"]);
    let figure = |name: &str| found["metrics"][name].as_f64().unwrap_or_else(|| panic!("no {name}: {found}"));
    assert!(figure("auroc") > 0.95 && figure("average_precision") > 0.85, "{found}");
    assert!(figure("recall") > 0.6 && figure("threshold") > 0.0, "{found}");
    assert_eq!(found["gate"]["figure"], "auroc");
    let kinds: Vec<&str> =
        found["baselines"]["candidates"].as_array().unwrap().iter().map(|c| c["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["k-means", "pca"]);

    bench.write("new.csv", "a,b,c,d\n0.5,0.25,0.75,0.25\n0.5,0.25,-1.5,1.5\n");
    let lines = bench.ok(&["predict", "odd", "--input", "new.csv"]);
    let lines: Vec<&str> = lines.lines().collect();
    assert_eq!(lines[0], "row,score,anomaly");
    assert!(lines[1].ends_with("false") && lines[2].ends_with("true"), "{lines:?}");

    // Without labels there is a score, and nothing to judge it by.
    let said = bench.json(&[
        "train",
        "odd.toml",
        "--set",
        "data.target=[]",
        "--set",
        "run.name=blind",
        "--set",
        "data.features=[\"a\", \"b\", \"c\", \"d\"]",
        "--set",
        "model.kind=vae",
    ]);
    assert_eq!(said["gate"], serde_json::Value::Null);
    let names: Vec<&String> = said["metrics"].as_object().unwrap().keys().collect();
    assert_eq!(names, ["loss"]);
}

/// Two series of a wave of 8 steps, the second higher.
fn waves() -> String {
    let mut text = String::from("t,series,load,other\n");
    for t in 0..400 {
        for series in 0..2 {
            let wave = [0.0, 3.0, 5.0, 4.0, 1.0, -2.0, -4.0, -3.0][(t + series * 3) % 8];
            let load = 100.0 + 6.0 * series as f64 + wave + 0.3 * ((t * 7919 + series) % 11) as f64 / 11.0;
            text.push_str(&format!("{t},s{series},{load:.3},{}\n", (t * 31) % 7));
        }
    }
    text
}

const FORECAST: &str = r#"
[data]
task = "regression"
source = { path = "waves.csv" }
cache = "cache"
target = "load"
holdout = { validation = 0.2, test = 0.2 }
[data.window]
length = 16
horizon = 2
time = "t"
group = "series"
season = 8
[model]
kind = "conv1d"
layers = 2
width = 16
[train]
steps = 400
batch = 32
device = "flex"
[optim]
lr = 0.005
"#;

#[test]
fn every_model_of_windows_forecasts_better_than_the_last_value() {
    for kind in ["conv1d", "gru", "lstm", "series-transformer"] {
        let bench = Bench::new();
        bench.write("waves.csv", &waves());
        bench.write("wave.toml", FORECAST);
        let kind = format!("model.kind={kind}");
        bench.ok(&["train", "wave.toml", "-q", "--set", &kind, "--set", "model.layers=1", "--set", "model.width=16"]);
        let found = bench.json(&["eval", "wave", "--split", "test"]);
        assert_eq!(found["detail"]["targets"], serde_json::json!(["load+1", "load+2"]));
        // 80 rows of each series, windows of 16 and two after them.
        assert_eq!(found["count"], 2 * (80 - 17));
        let candidates = found["baselines"]["candidates"].as_array().unwrap();
        let value = |kind: &str| candidates.iter().find(|c| c["kind"] == kind).unwrap()["value"].as_f64().unwrap();
        assert!(value("seasonal") < 0.25 && value("last") > 2.0, "{candidates:?}");
        let rmse = found["metrics"]["rmse"].as_f64().unwrap();
        assert!(rmse < 0.5 * value("last"), "{kind}: {rmse}");
        assert!(found["metrics"]["mase"].as_f64().unwrap() > 0.0);

        let lines = bench.ok(&["predict", "wave", "--input", "waves.csv"]);
        let lines: Vec<&str> = lines.lines().collect();
        assert_eq!((lines[0], lines.len()), ("row,load+1,load+2", 1 + 800 - 2 * 15));
        let last: Vec<f64> = lines[lines.len() - 1].split(',').map(|cell| cell.parse().unwrap()).collect();
        assert_eq!(last[0], 799.0, "the row that the window ends with");
        assert!((100.0..113.0).contains(&last[1]), "in the units of the source: {last:?}");
    }
}

#[test]
fn windows_are_cross_validated_by_their_time_or_their_group() {
    let bench = Bench::new();
    bench.write("waves.csv", &waves());
    bench.write("wave.toml", FORECAST);
    let args = ["cv", "wave.toml", "--folds", "3", "--set", "train.steps=60", "--set", "model.width=8"];
    let by_time = bench.json(&args);
    let rows = |found: &serde_json::Value, key: &str| -> Vec<u64> {
        found["folds"].as_array().unwrap().iter().map(|fold| fold[key].as_u64().unwrap()).collect()
    };
    // 320 rows of each series are before the test split: four parts of 80, windows of 16 and two after them.
    assert_eq!(rows(&by_time, "judged_rows"), [2 * (80 - 17); 3]);
    assert_eq!(rows(&by_time, "train_rows"), [80, 160, 240].map(|before| 2 * (before - 17)));
    assert!(by_time["baselines"].to_string().contains("seasonal"), "{by_time}");
    let by_group = bench.json(&["cv", "wave.toml", "--folds", "2", "--group", "series", "--set", "train.steps=60"]);
    assert_eq!(rows(&by_group, "judged_rows"), [320 - 17; 2], "one series each");
    let said = bench.kiln(&["cv", "wave.toml", "--shuffled"]);
    assert!(said.code == 2 && said.err.contains("take windows apart"), "{}", said.err);
}

#[test]
fn recommenders_are_compared_over_seeds() {
    let bench = recommender();
    let found = bench.json(&["cv", "rec.toml", "--folds", "1", "--seeds", "1,2", "--set", "train.steps=20"]);
    assert_eq!((found["figure"].as_str(), found["between_seeds"]["count"].as_u64()), (Some("ndcg@10"), Some(2)));
    let said = bench.kiln(&["cv", "rec.toml"]);
    assert!(said.code == 2 && said.err.contains("--folds 1 --seeds"), "{}", said.err);
}

#[test]
fn windows_have_classes_and_need_their_order() {
    let bench = Bench::new();
    let text = waves();
    let rows = text.lines().skip(1).map(|row| {
        let cells: Vec<&str> = row.split(',').collect();
        let above = cells[2].parse::<f64>().unwrap() - if cells[1] == "s1" { 106.0 } else { 100.0 };
        format!("{row},{}\n", if above > 2.0 { "high" } else { "low" })
    });
    bench.write("waves.csv", &format!("t,series,load,other,state\n{}", rows.collect::<String>()));
    bench.write("wave.toml", FORECAST);
    let sets = [
        "data.task=classification",
        "data.target=state",
        "data.window.horizon=1",
        "model.kind=gru",
        "model.layers=1",
        "model.width=16",
        "run.name=state",
    ];
    let args: Vec<&str> =
        ["train", "wave.toml", "-q"].into_iter().chain(sets.iter().flat_map(|s| ["--set", *s])).collect();
    bench.ok(&args);
    let found = bench.json(&["eval", "state", "--split", "test"]);
    assert!(found["metrics"]["accuracy"].as_f64().unwrap() > 0.9, "{found}");

    let mut lines: Vec<&str> = text.lines().collect();
    lines.swap(20, 40);
    bench.write("waves.csv", &(lines.join("\n") + "\n"));
    let said = bench.kiln(&["train", "wave.toml", "-q", "--set", "run.name=unsorted"]);
    assert_eq!(said.code, 2, "{}", said.err);
    assert!(
        said.err.contains("earlier than the one before it") && said.err.contains("waves.csv, line"),
        "{}",
        said.err
    );
}

#[test]
fn keys_that_do_not_go_together_are_told_with_their_places() {
    let bench = recommender();
    bench.write("wave.toml", FORECAST);
    bench.write("odd.toml", ANOMALY);
    for (config, set, expected) in [
        ("rec.toml", "model={ kind = \"mlp\" }", "`matrix-factorization`, `neumf` or `two-tower`"),
        ("rec.toml", "data.interactions.negatives=0", "at least 1"),
        ("rec.toml", "data.interactions.least=3.5", "`rating`"),
        ("rec.toml", "eval.figure=rmse", "recall@10"),
        ("odd.toml", "model={ kind = \"mlp\" }", "`autoencoder` or `vae`"),
        ("odd.toml", "data.anomaly.quantile=1.5", "between 0 and 1"),
        ("wave.toml", "model.kernel=4", "odd"),
        ("wave.toml", "data.window.stride=0", "at least 1"),
        ("wave.toml", "data.holdout.by=class", "takes windows apart"),
    ] {
        let said = bench.kiln(&["check", config, "--set", set]);
        assert_eq!(said.code, 2, "{set}: {}", said.err);
        assert!(said.err.contains(expected), "{set}: {}", said.err);
    }
}
