//! Tables of texts: every kind of model learns from them, predicts, and is judged.

use serde_json::Value;

use crate::common::Bench;

const CONFIG: &str = r#"
[data]
task = "classification"
source = { path = "texts.csv" }
text = "text"
target = "mood"
context = 12
holdout = { validation = 0.2, test = 0.1 }

[model]
kind = "linear"

[train]
epochs = 30
batch = 16
device = "flex"

[optim]
lr = 0.02
"#;

/// A text is good or bad by one of its words, which stands anywhere, among others of no meaning.
fn bench() -> Bench {
    let bench = Bench::new();
    let words = ["the film", "was", "a", "story, really", "of", "some people"];
    let text = |i: usize| {
        let mood = if i.is_multiple_of(2) { "good" } else { "bad" };
        let own = ["fine", "lovely", "awful", "dull"][(i % 2) * 2 + i / 2 % 2];
        let mut parts: Vec<&str> = words.iter().cycle().skip(i % 5).take(2 + i % 5).copied().collect();
        parts.insert(i % 3, own);
        format!("\"{}\",{i},{mood}\n", parts.join(" "))
    };
    bench.write("texts.csv", &format!("text,number,mood\n{}", (0..240).map(text).collect::<String>()));
    bench.write("texts.toml", CONFIG);
    bench
}

#[test]
fn every_kind_of_model_learns_from_texts() {
    let bench = bench();
    let kinds: [(&str, &[&str]); 6] = [
        ("linear", &["optim.lr=0.1"]),
        ("embedding-bag", &["model.width=8"]),
        ("lstm", &["model.width=8", "model.embedding=8"]),
        ("gru", &["model.width=8", "model.embedding=8", "data.tokenizer={ bpe = 300 }"]),
        (
            "encoder",
            &[
                "model.width=16",
                "model.layers=1",
                "model.heads=2",
                "optim.lr=0.005",
                "data.tokenizer=char",
                "data.context=40",
            ],
        ),
        ("encoder", &["model.width=16", "model.layers=1", "model.heads=2", "optim.lr=0.005", "model.pooling=cls"]),
    ];
    for (i, (kind, more)) in kinds.into_iter().enumerate() {
        let own = [format!("model.kind={kind}"), format!("run.name={kind}-{i}")];
        let sets = own.iter().map(String::as_str).chain(more.iter().copied());
        let args: Vec<&str> = ["train", "texts.toml"].into_iter().chain(sets.flat_map(|set| ["--set", set])).collect();
        let trained = bench.json(&args);
        let accuracy = trained["metrics"]["accuracy"].as_f64().unwrap();
        assert!(accuracy > 0.9, "{kind}: {trained}");
        let judged = bench.json(&["eval", &own[1]["run.name=".len()..], "--split", "test"]);
        assert!(judged["metrics"]["accuracy"].as_f64().unwrap() > 0.9, "{kind}: {judged}");
    }
}

#[test]
fn new_texts_are_predicted_whatever_else_the_file_has() {
    let bench = bench();
    bench.ok(&["train", "texts.toml", "--quiet", "--set", "optim.lr=0.1"]);
    bench.write(
        "new.jsonl",
        "{\"id\": 1, \"text\": \"Lovely!\"}\n{\"text\": \"it is an AWFUL thing\"}\n{\"text\": null}\n",
    );
    let said = bench.ok(&["predict", "texts", "--input", "new.jsonl", "--json", "--quiet"]);
    let lines: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((lines.len(), &lines[0]["prediction"], &lines[1]["prediction"]), (3, &"good".into(), &"bad".into()));
    bench.write("other.csv", "body\nhello\n");
    let refused = bench.kiln(&["predict", "texts", "--input", "other.csv"]);
    assert!(refused.code == 2 && refused.err.contains("has no column `text`"), "{}", refused.err);
    let shown = bench.ok(&["data", "show", "texts.toml", "--rows", "1"]);
    assert!(shown.contains(": good") || shown.contains(": bad"), "{shown}");
}

#[test]
fn folds_learn_their_own_vocabulary() {
    let bench = bench();
    let found = bench.json(&["cv", "texts.toml", "--folds", "3", "--set", "optim.lr=0.1", "--set", "train.epochs=10"]);
    assert!(found.to_string().contains("accuracy"), "{found}");
}

#[test]
fn texts_and_models_that_do_not_go_together_are_refused_by_their_keys() {
    let bench = bench();
    let refused = |sets: &[&str]| {
        let args: Vec<&str> =
            ["train", "texts.toml"].into_iter().chain(sets.iter().flat_map(|set| ["--set", set])).collect();
        let said = bench.kiln(&args);
        assert_eq!(said.code, 2, "{sets:?}: {}", said.err);
        said.err
    };
    assert!(refused(&["model.kind=mlp"]).contains("reads tables, pictures or windows, but `data.text` gives texts"));
    assert!(refused(&["data.features=[\"number\"]"]).contains("`data.text` is the only feature"));
    assert!(refused(&["data.text=txt"]).contains("did you mean `text`?"));
    let pretrained = ["model.kind=encoder", "model.pretrained={ path = \"nowhere\" }"];
    assert!(refused(&pretrained).contains("config.json"));
    assert!(refused(&[&pretrained[..], &["data.tokenizer=char"]].concat()).contains("brings its own tokenizer"));
    bench.write("table.toml", &CONFIG.replace("text = \"text\"\n", "").replace("linear", "lstm"));
    let said = bench.kiln(&["train", "table.toml"]);
    assert!(said.code == 2 && said.err.contains("or `data.text` to a column of texts"), "{}", said.err);
}
