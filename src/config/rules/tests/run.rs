//! Faults of a run, its steps, its optimizer and its checkpoints.

use super::fault;

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
