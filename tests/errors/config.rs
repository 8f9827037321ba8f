//! Configs and overrides.

use crate::{
    common::{Bench, TABLE, TINY},
    refuse,
};

#[test]
fn a_config_that_cannot_be_read() {
    let bench = Bench::tiny();
    bench.write("empty.toml", "");
    bench.write("torn.toml", "[data\ntask = 1\n");
    bench.write("folder/one.toml", TINY);
    std::fs::write(bench.path("latin.toml"), b"[run]\nname = \"caf\xe9\"\n").unwrap();
    refuse(
        &bench,
        &[
            (&["train", "tniy.toml"], 2, &["there is no config tniy.toml", "did you mean tiny.toml?"]),
            (&["train", "no/such.toml"], 2, &["there is no config no/such.toml", "check the path"]),
            (&["check", "folder"], 2, &["folder is a folder, not a config", "folder/one.toml"]),
            (&["train", "empty.toml"], 2, &["empty.toml", "the config is empty", "configs/"]),
            (&["train", "torn.toml"], 2, &["TOML syntax", "torn.toml:1:6", "^"]),
            (&["train", "latin.toml"], 2, &["latin.toml:2:12", "not UTF-8", "save the file as UTF-8"]),
        ],
    );
}

#[test]
fn a_key_or_value_that_is_wrong_is_underlined() {
    let bench = Bench::tiny();
    let edit = |name: &str, old: &str, new: &str| bench.write(name, &TINY.replacen(old, new, 1));
    edit("key.toml", "width = 16", "widht = 16");
    edit("section.toml", "[optim]", "[optin]");
    edit("type.toml", "steps = 6", "steps = \"six\"");
    edit("kind.toml", "\"gpt\"", "\"gtp\"");
    edit("heads.toml", "heads = 2", "heads = 3");
    edit("zero.toml", "steps = 6", "steps = 0");
    edit("task.toml", "language-model", "classification");
    edit("name.toml", "[data]", "[run]\nname = \"a/b\"\n[data]");
    refuse(
        &bench,
        &[
            (&["train", "key.toml"], 2, &["unknown key `widht`", "key.toml:12:1", "^^^^^ did you mean `width`?"]),
            (&["train", "section.toml"], 2, &["unknown section [optin]", "section.toml:19:2", "did you mean `optim`?"]),
            (&["train", "type.toml"], 2, &["`train.steps` must be a non-negative integer, found a string", "^^^^^"]),
            (&["train", "kind.toml"], 2, &["`gtp`", "did you mean `gpt`?", "`linear`, `mlp`, `cnn`, `gpt`, `vit`, "]),
            (
                &["train", "heads.toml"],
                2,
                &["`model.heads` = 3", "`model.width` = 16", "heads.toml:11:9", "multiple of 3"],
            ),
            (&["train", "zero.toml"], 2, &["neither `train.steps` nor `train.epochs`", "steps = 1000"]),
            (&["train", "task.toml"], 2, &["`data.task` = \"classification\"", "`model.kind` = \"gpt\""]),
            (&["train", "name.toml"], 2, &["`run.name` must be one folder's name", "set `run.dir`"]),
        ],
    );
    assert!(!bench.path("checkpoints").exists(), "nothing was written");
}

#[test]
fn what_is_said_of_columns_is_underlined_too() {
    let bench = Bench::table();
    let with = |name: &str, says: &str| bench.write(name, &TABLE.replacen("[model]", &format!("{says}\n[model]"), 1));
    with("type.toml", "columns.a = \"numerc\"");
    with("key.toml", "columns.a = { encod = \"hash\" }");
    with("word.toml", "columns.a = { type = \"categorical\", encode = \"one_hot\" }");
    with("number.toml", "columns.a = 3");
    with("range.toml", "columns.a = { outliers = { quantile = 0.7 } }");
    with("policy.toml", "clean = { on_unseen = \"ignore\" }");
    with("by.toml", "holdout = { by = \"time\" }");
    with("column.toml", "holdout = { column = \"a\" }");
    refuse(
        &bench,
        &[
            (
                &["train", "type.toml"],
                2,
                &["unknown `data.columns.a` `numerc`", "type.toml:7:13", "did you mean `numeric`?"],
            ),
            (&["train", "key.toml"], 2, &["unknown key `encod` in [data.columns.a]", "did you mean `encode`?"]),
            (&["train", "word.toml"], 2, &["`one_hot`", "did you mean `one-hot`?", "`frequency`"]),
            (&["train", "number.toml"], 2, &["`data.columns.a` must be one of `numeric`", "found an integer"]),
            (
                &["train", "range.toml"],
                2,
                &["`data.columns.a.outliers.quantile` must be in [0, 0.5), found 0.7", "^^^"],
            ),
            (
                &["train", "policy.toml"],
                2,
                &["unknown `data.clean.on_unseen` `ignore`", "`fallback`, `impute`, `refuse`"],
            ),
            (&["train", "by.toml"], 2, &["`data.holdout.by` = \"time\" needs `data.holdout.column`", "by.toml:7"]),
            (&["train", "column.toml"], 2, &["`data.holdout.column` = \"a\" does nothing without `by`"]),
        ],
    );
    assert!(!bench.path("checkpoints").exists(), "nothing was written");
}

#[test]
fn an_override_that_is_wrong_is_underlined() {
    let bench = Bench::tiny();
    refuse(
        &bench,
        &[
            (
                &["train", "tiny.toml", "--set", "model.widht=3"],
                2,
                &["model.widht", "--set:1:1", "did you mean `model.width`?"],
            ),
            (&["train", "tiny.toml", "--set", "train.steps"], 2, &["has no `=`", "train.steps=100"]),
            (&["train", "tiny.toml", "--set", "=3"], 2, &["an empty key", "train.steps=100"]),
            (&["train", "tiny.toml", "--set", "train.steps=-1"], 2, &["`train.steps`", "found -1", "1000"]),
            (&["train", "tiny.toml", "--set", "train.max_time=soon"], 2, &["not a length of time", "`1h30m`"]),
            (&["train", "tiny.toml", "--set", "train.precision=fp16"], 2, &["`fp16`", "`f32`, `bf16`"]),
            (
                &["train", "tiny.toml", "--set", "optim.lr=-1"],
                2,
                &["`optim.lr` must be above 0", "give a positive number"],
            ),
            (
                &["train", "tiny.toml", "--set", "train.batch=99999999999"],
                2,
                &["`train.batch` must be at most 16777216"],
            ),
            (&["train", "tiny.toml", "--set", "data.workers=99999999"], 2, &["`data.workers` must be at most 1024"]),
            (&["trian", "tiny.toml"], 2, &["trian", "'train'"]),
            (&["bench", "tiny.toml", "--steps", "0"], 2, &["--steps", "1..=1000000"]),
            (&["verify-resume", "tiny.toml", "--steps", "2"], 2, &["--steps 2", "at least 4"]),
            (&["models", "gtp"], 2, &["no model `gtp`", "linear, mlp, cnn, gpt, vit, "]),
        ],
    );
}

#[test]
fn a_model_that_memory_cannot_hold_is_refused_before_it_is_allocated() {
    let bench = Bench::tiny();
    let huge = ["--set", "model.width=65536", "--set", "model.layers=100"];
    for verb in ["train", "check", "bench"] {
        let args: Vec<&str> = [verb, "tiny.toml"].into_iter().chain(huge).collect();
        let says = ["5,154,048,245,760 parameters", "TiB for weights, gradients and moments", "GiB to give", "smaller"];
        refuse(&bench, &[(&args, 2, &says)]);
    }
    assert!(!bench.path("checkpoints").exists(), "nothing was written");
}
