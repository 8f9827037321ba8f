//! Faults of the model.

use super::fault;

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
