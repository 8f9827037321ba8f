//! Faults of the data.

use super::fault;

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
