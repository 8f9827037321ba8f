//! What a person sees for every fault.

use crate::config::fault::shown as fault;

#[test]
fn a_name_with_a_separator() {
    let shown = fault(&[("[data]", "[run]\nname = \"a/b\"\n[data]")], &[]);
    assert_eq!(
        shown,
        r#"`run.name` must be one folder's name, found "a/b"
 --> a.toml:2:8
  |
2 | name = "a/b"
  |        ^^^^^
next: set `run.dir` to choose where the run's folder goes"#
    );
}

#[test]
fn steps_and_epochs() {
    let shown = fault(&[("= 100", "= 100\nepochs = 2")], &[]);
    assert_eq!(
        shown,
        r#"`train.steps` and `train.epochs` are both set
 --> a.toml:7:9
  |
7 | steps = 100
  |         ^^^ `train.steps`
8 | epochs = 2
  |          - `train.epochs`
next: set one of them to 0"#
    );
}

#[test]
fn neither_steps_nor_epochs() {
    let shown = fault(&[("steps = 100", "batch = 8")], &[]);
    assert_eq!(
        shown,
        r#"neither `train.steps` nor `train.epochs` says how long to train
 --> a.toml:6:2
  |
6 | [train]
  |  ^^^^^
next: set one of them, as in `steps = 1000`"#
    );
}

#[test]
fn no_rows() {
    let shown = fault(&[("= 100", "= 100\nbatch = 0\naccumulate = 0")], &[]);
    assert_eq!(
        shown,
        r#"`train.batch` must be at least 1, found 0
 --> a.toml:8:9
  |
8 | batch = 0
  |         ^
next: give a positive integer

`train.accumulate` must be at least 1, found 0
 --> a.toml:9:14
  |
9 | accumulate = 0
  |              ^
next: give a positive integer"#
    );
}

#[test]
fn smoothing_too_strong() {
    let shown = fault(&[("= 100", "= 100\nlabel_smoothing = 1.0")], &[]);
    assert_eq!(
        shown,
        r#"`train.label_smoothing` must be in [0, 1), found 1
 --> a.toml:8:19
  |
8 | label_smoothing = 1.0
  |                   ^^^
next: give 0 or more, and less than 1"#
    );
}

#[test]
fn a_rate_of_zero() {
    let shown = fault(&[("= 100", "= 100\n[optim]\nlr = 0")], &[]);
    assert_eq!(
        shown,
        r#"`optim.lr` must be above 0, found 0
 --> a.toml:9:6
  |
9 | lr = 0
  |      ^
next: give a positive number"#
    );
}

#[test]
fn a_beta_of_one() {
    let shown = fault(&[("= 100", "= 100\n[optim]\nbetas = [0.9, 1.0]")], &[]);
    assert_eq!(
        shown,
        r#"`optim.betas[1]` must be in [0, 1), found 1
 --> a.toml:9:15
  |
9 | betas = [0.9, 1.0]
  |               ^^^
next: give 0 or more, and less than 1"#
    );
}

#[test]
fn a_negative_clip() {
    let shown = fault(&[("= 100", "= 100\n[optim]\nclip = -1.0")], &[]);
    assert_eq!(
        shown,
        r#"`optim.clip` must not be negative, found -1
 --> a.toml:9:8
  |
9 | clip = -1.0
  |        ^^^^
next: give 0 or more"#
    );
}

#[test]
fn a_warm_up_longer_than_the_run() {
    let shown = fault(&[("= 100", "= 100\n[optim]\nschedule = { warmup = 200 }")], &[]);
    assert_eq!(
        shown,
        r#"`optim.schedule.warmup` = 200 is longer than `train.steps` = 100
 --> a.toml:9:23
  |
7 | steps = 100
  |         --- `train.steps`
8 | [optim]
9 | schedule = { warmup = 200 }
  |                       ^^^ `optim.schedule.warmup`
next: warm up over fewer steps, or train for more"#
    );
}

#[test]
fn phases_longer_than_the_run() {
    let shown = fault(&[("= 100", "= 100\n[optim]\nschedule = { kind = \"wsd\", warmup = 50, decay = 60 }")], &[]);
    assert_eq!(
        shown,
        r#"`optim.schedule.warmup` = 50 and `optim.schedule.decay` = 60 take more than `train.steps` = 100
 --> a.toml:9:37
  |
7 | steps = 100
  |         --- `train.steps`
8 | [optim]
9 | schedule = { kind = "wsd", warmup = 50, decay = 60 }
  |                                     ^^          -- `optim.schedule.decay`
  |                                     |
  |                                     `optim.schedule.warmup`
next: shorten one of the two, or train for more"#
    );
}

#[test]
fn a_floor_above_the_peak() {
    let shown = fault(&[("= 100", "= 100\n[optim]\nlr = 1e-4\nschedule = { floor = 1e-3 }")], &[]);
    assert_eq!(
        shown,
        r#"`optim.schedule.floor` = 0.001 is above the peak rate `optim.lr` = 0.0001
  --> a.toml:10:22
   |
 9 | lr = 1e-4
   |      ---- `optim.lr`
10 | schedule = { floor = 1e-3 }
   |                      ^^^^ `optim.schedule.floor`
next: lower `floor`, or raise `lr`"#
    );
}

#[test]
fn a_floor_above_the_default_peak() {
    let shown = fault(&[("= 100", "= 100\n[optim]\nschedule = { floor = 1.0 }")], &[]);
    assert_eq!(
        shown,
        r#"`optim.schedule.floor` = 1 is above the peak rate `optim.lr` = 0.001
 --> a.toml:9:22
  |
9 | schedule = { floor = 1.0 }
  |                      ^^^ `optim.schedule.floor`
next: lower `floor`, or raise `lr`"#
    );
}

#[test]
fn not_a_length_of_time() {
    let shown = fault(&[("= 100", "= 100\nmax_time = \"soon\"")], &[]);
    assert_eq!(
        shown,
        r#"`train.max_time` is not a length of time: `soon`
 --> a.toml:8:12
  |
8 | max_time = "soon"
  |            ^^^^^^
next: write it as in `90s`, `30m`, `2h` or `1h30m`"#
    );
}

#[test]
fn patience_without_evaluations() {
    let shown = fault(&[("= 100", "= 100\npatience = 3")], &[]);
    assert_eq!(
        shown,
        r#"`train.patience` counts evaluations, but `eval.every` = 0 makes none while training
 --> a.toml:8:12
  |
8 | patience = 3
  |            ^ `train.patience`
next: set `eval.every`, or `train.patience` to 0"#
    );
}

#[test]
fn nothing_to_roll_back_to() {
    let shown = fault(&[("= 100", "= 100\n[guard]\nspike = \"rollback\"\n[checkpoint]\nevery = 0")], &[]);
    assert_eq!(
        shown,
        r#"`guard.spike` rolls back to a checkpoint, but `checkpoint.every` = 0 writes none to go to
  --> a.toml:9:9
   |
 9 | spike = "rollback"
   |         ^^^^^^^^^^ `guard.spike`
10 | [checkpoint]
11 | every = 0
   |         - `checkpoint.every`
next: set `checkpoint.every`, or choose `skip` or `halt`"#
    );
}

#[test]
fn nothing_is_kept() {
    let shown = fault(&[("= 100", "= 100\n[checkpoint]\nkeep = 0")], &[]);
    assert_eq!(
        shown,
        r#"`checkpoint.keep` must be at least 1, found 0
 --> a.toml:9:8
  |
9 | keep = 0
  |        ^
next: give a positive integer"#
    );
}

#[test]
fn everything_held_out() {
    let shown = fault(&[(r#""sotu" }"#, "\"sotu\" }\nholdout = { validation = 0.5, test = 0.5 }")], &[]);
    assert_eq!(
        shown,
        r#"`data.holdout.validation` = 0.5 and `data.holdout.test` = 0.5 leave nothing to train on
 --> a.toml:4:26
  |
4 | holdout = { validation = 0.5, test = 0.5 }
  |                          ^^^         --- `data.holdout.test`
  |                          |
  |                          `data.holdout.validation`
next: let them sum to less than 1"#
    );
}

#[test]
fn too_few_tokens() {
    let shown = fault(&[(r#""sotu" }"#, "\"sotu\" }\ntokenizer = { bpe = 100 }")], &[]);
    assert_eq!(
        shown,
        r#"`data.tokenizer.bpe` must be in 257..=1000000, found 100
 --> a.toml:4:21
  |
4 | tokenizer = { bpe = 100 }
  |                     ^^^
next: 256 bytes and at least one merge make 257"#
    );
}

#[test]
fn two_channels() {
    let shown = fault(&[(r#""sotu" }"#, "\"sotu\" }\nchannels = 2")], &[]);
    assert_eq!(
        shown,
        r#"`data.channels` must be 1 or 3, found 2
 --> a.toml:4:12
  |
4 | channels = 2
  |            ^
next: write 1 for grey, 3 for RGB"#
    );
}

#[test]
fn a_checksum_of_no_download() {
    let shown = fault(&[(r#""sotu" }"#, "\"sotu\" }\nsha256 = \"abc\"")], &[]);
    assert_eq!(
        shown,
        r#"`data.sha256` must be 64 hexadecimal digits
 --> a.toml:4:10
  |
4 | sha256 = "abc"
  |          ^^^^^
next: take it from `sha256sum FILE`

`data.sha256` checks a download, but `data.source` is no `url` of one file
 --> a.toml:4:10
  |
3 | source = { dataset = "sotu" }
  | ------ `data.source`
4 | sha256 = "abc"
  |          ^^^^^ `data.sha256`
next: remove `sha256`, or give an https address"#
    );
}

#[test]
fn a_language_model_that_is_no_gpt() {
    let shown = fault(&[(r#""gpt""#, r#""mlp""#)], &[]);
    assert_eq!(
        shown,
        r#"`model.kind` = "mlp" reads tables, pictures or windows, but `data.task` = "language-model" gives text without end
 --> a.toml:2:8
  |
2 | task = "language-model"
  |        ^^^^^^^^^^^^^^^^ `data.task`
...
5 | kind = "mlp"
  |        ----- `model.kind`
next: set `model.kind` to `gpt`"#
    );
}

#[test]
fn a_classifier_that_is_a_gpt() {
    let shown = fault(&[(r#""language-model""#, r#""classification""#)], &[]);
    assert_eq!(
        shown,
        r#"`model.kind` = "gpt" reads text without end, but `data.task` = "classification" gives tables or pictures
 --> a.toml:2:8
  |
2 | task = "classification"
  |        ^^^^^^^^^^^^^^^^ `data.task`
...
5 | kind = "gpt"
  |        ----- `model.kind`
next: set `model.kind` to `linear`, `mlp`, `cnn`, `vit`, `ft-transformer` or `wide-and-deep`, or `data.task` to `language-model`"#
    );
}

#[test]
fn a_tokenizer_for_a_table() {
    let shown = fault(
        &[
            (r#""language-model""#, r#""regression""#),
            (r#""gpt""#, r#""mlp""#),
            (r#""sotu" }"#, "\"sotu\" }\ntokenizer = \"char\""),
        ],
        &[],
    );
    assert_eq!(
        shown,
        r#"`data.tokenizer` is for text, but `data.task` = "regression"
 --> a.toml:4:13
  |
2 | task = "regression"
  |        ------------ `data.task`
3 | source = { dataset = "sotu" }
4 | tokenizer = "char"
  |             ^^^^^^ `data.tokenizer`
next: remove `tokenizer`"#
    );
}

#[test]
fn pictures_for_a_language_model() {
    let shown = fault(&[(r#""sotu" }"#, "\"sotu\" }\nformat = \"images\"")], &[]);
    assert_eq!(
        shown,
        r#"`data.format` = "images" does not go with `data.task` = "language-model"
 --> a.toml:4:10
  |
2 | task = "language-model"
  |        ---------------- `data.task`
3 | source = { dataset = "sotu" }
4 | format = "images"
  |          ^^^^^^^^ `data.format`
next: use `text` for language models, `idx` or `images` for classification, tables for it and for regression"#
    );
}

#[test]
fn smoothing_without_classes() {
    let shown = fault(
        &[
            (r#""language-model""#, r#""regression""#),
            (r#""gpt""#, r#""mlp""#),
            ("= 100", "= 100\nlabel_smoothing = 0.1"),
        ],
        &[],
    );
    assert_eq!(
        shown,
        r#"`train.label_smoothing` spreads classes, but `data.task` = "regression" has none
 --> a.toml:8:19
  |
2 | task = "regression"
  |        ------------ `data.task`
...
8 | label_smoothing = 0.1
  |                   ^^^ `train.label_smoothing`
next: remove `label_smoothing`"#
    );
}

#[test]
fn heads_that_do_not_divide() {
    let shown = fault(&[(r#""gpt""#, "\"gpt\"\nheads = 5\nwidth = 128")], &[]);
    assert_eq!(
        shown,
        r#"`model.heads` = 5 does not divide `model.width` = 128
 --> a.toml:6:9
  |
6 | heads = 5
  |         ^ `model.heads`
7 | width = 128
  |         --- `model.width`
next: make `width` a multiple of 5, or change `heads`"#
    );
}

#[test]
fn heads_against_a_default() {
    let shown = fault(&[(r#""gpt""#, "\"gpt\"\nheads = 5")], &[]);
    assert_eq!(
        shown,
        r#"`model.heads` = 5 does not divide `model.width` = 768
 --> a.toml:6:9
  |
6 | heads = 5
  |         ^ `model.heads`
next: make `width` a multiple of 5, or change `heads`"#
    );
}

#[test]
fn key_value_heads_that_do_not_divide() {
    let shown = fault(&[(r#""gpt""#, "\"gpt\"\nkv_heads = 5")], &[]);
    assert_eq!(
        shown,
        r#"`model.kv_heads` = 5 does not divide `model.heads` = 12
 --> a.toml:6:12
  |
6 | kv_heads = 5
  |            ^ `model.kv_heads`
next: change one of the two"#
    );
}

#[test]
fn an_odd_rotation() {
    let shown = fault(&[(r#""gpt""#, "\"gpt\"\nheads = 4\nwidth = 12\nposition = \"rope\"")], &[]);
    assert_eq!(
        shown,
        r#"`model.position` = "rope" turns pairs, but `model.width` = 12 over `model.heads` = 4 is odd: 3
 --> a.toml:8:12
  |
6 | heads = 4
  |         - `model.heads`
7 | width = 12
  |         -- `model.width`
8 | position = "rope"
  |            ^^^^^^ `model.position`
next: make the head's width even"#
    );
}

#[test]
fn a_head_too_few() {
    let shown = fault(&[(r#""gpt""#, "\"gpt\"\nheads = 0")], &[]);
    assert_eq!(
        shown,
        r#"`model.heads` must be at least 1, found 0
 --> a.toml:6:9
  |
6 | heads = 0
  |         ^
next: give a positive integer"#
    );
}

#[test]
fn dropout_of_everything() {
    let shown = fault(&[(r#""gpt""#, "\"gpt\"\ndropout = 1.0")], &[]);
    assert_eq!(
        shown,
        r#"`model.dropout` must be in [0, 1), found 1
 --> a.toml:6:11
  |
6 | dropout = 1.0
  |           ^^^
next: give 0 or more, and less than 1"#
    );
}

#[test]
fn a_flag_against_the_file() {
    let shown = fault(&[(r#""gpt""#, "\"gpt\"\nwidth = 128")], &["model.heads=3"]);
    assert_eq!(
        shown,
        r#"`model.heads` = 3 does not divide `model.width` = 128
 --> a.toml:6:9
  |
6 | width = 128
  |         --- `model.width`
  |
 ::: --set:1:13
  |
1 | model.heads=3
  |             ^ `model.heads`
next: make `width` a multiple of 3, or change `heads`"#
    );
}

/// A table's config with `more` in its `[data]`.
fn table(more: &str) -> String {
    let data = format!("\"classification\"\n{more}");
    fault(&[(r#""language-model""#, &data), (r#""gpt""#, r#""mlp""#)], &[])
}

#[test]
fn an_expression_that_cannot_be_read() {
    assert_eq!(
        table(r#"derive = { ratio = "a / * b" }"#),
        r#"`data.derive.ratio`, character 5: a value is wanted here, not `*`
 --> a.toml:3:20
  |
3 | derive = { ratio = "a / * b" }
  |                    ^^^^^^^^^
next: write it as SQL does, a column's name bare or in double quotes"#
    );
    let circle = table(r#"derive = { p = "q + 1", q = "p + 1" }"#);
    assert!(circle.contains("made of itself"), "{circle}");
}

#[test]
fn text_neighbours_and_forests_out_of_range() {
    let shown = table("columns = { t = { type = \"text\", text = { ngrams = [3, 2] } } }");
    assert!(shown.starts_with("`data.columns.t.text.ngrams` must be two lengths in 1..=16"), "{shown}");
    let shown = table("clean = { text = { max_share = 0.0 } }");
    assert!(shown.starts_with("`data.clean.text.max_share` must be in (0, 1], found 0"), "{shown}");
    let shown = table("clean = { impute = { knn = 0 } }");
    assert!(shown.starts_with("`data.clean.impute.knn` must be in 1..=1000, found 0"), "{shown}");
    let shown = table("isolation_forest = { share = 1.0 }");
    assert!(shown.starts_with("`data.isolation_forest.share` must be in [0, 1), found 1"), "{shown}");
}

#[test]
fn weights_and_resampling_without_classes() {
    let shown = fault(
        &[
            (r#""language-model""#, r#""regression""#),
            (r#""gpt""#, r#""mlp""#),
            ("= 100", "= 100\nclass_weights = \"balanced\""),
        ],
        &[],
    );
    assert!(
        shown.starts_with("`train.class_weights` goes by class, but `data.task` = \"regression\" has none"),
        "{shown}"
    );
    let shown = fault(
        &[
            (r#""language-model""#, r#""classification""#),
            (r#""gpt""#, r#""mlp""#),
            ("= 100", "= 100\nresample = { over = 1.5 }"),
        ],
        &[],
    );
    assert!(shown.starts_with("`train.resample` must be a share in (0, 1], found 1.5"), "{shown}");
}
