//! What a person sees for every fault.

use crate::config::fault::shown as fault;

#[test]
fn a_misspelt_section() {
    let shown = fault(&[("[train]", "[trian]")], &[]);
    assert_eq!(
        shown,
        r#"unknown section [trian]
 --> a.toml:6:2
  |
6 | [trian]
  |  ^^^^^ did you mean `train`?
next: rename it to `train`"#
    );
}

#[test]
fn a_misspelt_key() {
    let shown = fault(&[("steps =", "stpes =")], &[]);
    assert_eq!(
        shown,
        r#"unknown key `stpes` in [train]
 --> a.toml:7:1
  |
7 | stpes = 100
  | ^^^^^ did you mean `steps`?
next: rename it to `steps`"#
    );
}

#[test]
fn two_misspelt_keys_are_told_at_once() {
    let shown = fault(&[("steps = 100", "stpes = 100\nbatchs = 8")], &[]);
    assert_eq!(
        shown,
        r#"unknown key `stpes` in [train]
 --> a.toml:7:1
  |
7 | stpes = 100
  | ^^^^^ did you mean `steps`?
next: rename it to `steps`

unknown key `batchs` in [train]
 --> a.toml:8:1
  |
8 | batchs = 8
  | ^^^^^^ did you mean `batch`?
next: rename it to `batch`"#
    );
}

#[test]
fn a_key_of_another_section() {
    let shown = fault(&[("steps = 100", "steps = 100\nlr = 0.1")], &[]);
    assert_eq!(
        shown,
        r#"unknown key `lr` in [train]
 --> a.toml:8:1
  |
8 | lr = 0.1
  | ^^ did you mean `optim.lr`?
next: move it to `optim.lr`"#
    );
}

#[test]
fn a_key_outside_of_sections() {
    let shown = fault(&[("[data]", "steps = 100\n[data]")], &[]);
    assert_eq!(
        shown,
        r#"`steps` stands outside of any section
 --> a.toml:1:1
  |
1 | steps = 100
  | ^^^^^ did you mean `train.steps`?
next: move it to `train.steps`"#
    );
}

#[test]
fn a_key_of_another_kind() {
    let shown = fault(&[(r#""gpt""#, "\"gpt\"\npatch = 4")], &[]);
    assert_eq!(
        shown,
        r#"unknown key `patch` in [model] of kind "gpt"
 --> a.toml:6:1
  |
6 | patch = 4
  | ^^^^^
next: remove it; the keys here are `bias`, `dropout`, `feed_forward`, `heads`, `kind`, `kv_heads`, `layers`, `norm`, `position`, `tied`, `width`"#
    );
}

#[test]
fn a_misspelt_kind() {
    let shown = fault(&[(r#""gpt""#, r#""gtp""#)], &[]);
    assert_eq!(
        shown,
        r#"unknown `model.kind` `gtp`
 --> a.toml:5:8
  |
5 | kind = "gtp"
  |        ^^^^^ did you mean `gpt`?
next: use one of `linear`, `mlp`, `cnn`, `gpt`, `vit`, `ft-transformer`, `wide-and-deep`, `embedding-bag`, `lstm`, `gru`, `encoder`, `conv1d`, `series-transformer`, `autoencoder`, `vae`, `matrix-factorization`, `neumf`, `two-tower`"#
    );
}

#[test]
fn a_kind_that_is_no_word() {
    let shown = fault(&[(r#""gpt""#, "3")], &[]);
    assert_eq!(
        shown,
        r#"`model.kind` must be one of `linear`, `mlp`, `cnn`, `gpt`, `vit`, `ft-transformer`, `wide-and-deep`, `embedding-bag`, `lstm`, `gru`, `encoder`, `conv1d`, `series-transformer`, `autoencoder`, `vae`, `matrix-factorization`, `neumf`, `two-tower`, found an integer
 --> a.toml:5:8
  |
5 | kind = 3
  |        ^
next: give one of `linear`, `mlp`, `cnn`, `gpt`, `vit`, `ft-transformer`, `wide-and-deep`, `embedding-bag`, `lstm`, `gru`, `encoder`, `conv1d`, `series-transformer`, `autoencoder`, `vae`, `matrix-factorization`, `neumf`, `two-tower`"#
    );
}

#[test]
fn no_kind() {
    let shown = fault(&[(r#"kind = "gpt""#, "layers = 2")], &[]);
    assert_eq!(
        shown,
        r#"[model] has no `kind`
 --> a.toml:4:2
  |
4 | [model]
  |  ^^^^^ `kind` is missing
next: add `kind = "..."` with one of `linear`, `mlp`, `cnn`, `gpt`, `vit`, `ft-transformer`, `wide-and-deep`, `embedding-bag`, `lstm`, `gru`, `encoder`, `conv1d`, `series-transformer`, `autoencoder`, `vae`, `matrix-factorization`, `neumf`, `two-tower`"#
    );
}

#[test]
fn a_misspelt_word() {
    let shown = fault(&[("steps = 100", "steps = 100\nprecision = \"fp32\"")], &[]);
    assert_eq!(
        shown,
        r#"unknown `train.precision` `fp32`
 --> a.toml:8:13
  |
8 | precision = "fp32"
  |             ^^^^^^ did you mean `f32`?
next: use one of `f32`, `bf16`"#
    );
}

#[test]
fn a_tokenizer_without_its_size() {
    let shown = fault(&[(r#""sotu" }"#, "\"sotu\" }\ntokenizer = \"bpe\"")], &[]);
    assert_eq!(
        shown,
        r#"unknown `data.tokenizer` `bpe`
 --> a.toml:4:13
  |
4 | tokenizer = "bpe"
  |             ^^^^^ did you mean `{ bpe = 1000 }`?
next: use one of `bytes`, `char`, `gpt2`, `{ file = "..." }`, `{ bpe = 1000 }`, `{ words = 1000 }`"#
    );
}

#[test]
fn a_misspelt_source() {
    let shown = fault(&[("dataset =", "datset =")], &[]);
    assert_eq!(
        shown,
        r#"unknown key `data.source.datset`
 --> a.toml:3:12
  |
3 | source = { datset = "sotu" }
  |            ^^^^^^ did you mean `dataset`?
next: use one of `dataset`, `path`, `glob`, `url`, `sql`"#
    );
}

#[test]
fn two_sources() {
    let shown = fault(&[(r#""sotu" }"#, r#""sotu", url = "x" }"#)], &[]);
    assert_eq!(
        shown,
        r#"`data.source` must have exactly one of the keys `dataset`, `path`, `glob`, `url`, `sql`, found 2
 --> a.toml:3:12
  |
3 | source = { dataset = "sotu", url = "x" }
  |            ^^^^^^^           ---
next: keep one of them"#
    );
}

#[test]
fn a_source_that_is_no_table() {
    let shown = fault(&[(r#"{ dataset = "sotu" }"#, "7")], &[]);
    assert_eq!(
        shown,
        r#"`data.source` must be one of `{ dataset = "..." }`, `{ path = "..." }`, `{ glob = "..." }`, `{ url = "..." }`, `{ sql = "..." }`, found an integer
 --> a.toml:3:10
  |
3 | source = 7
  |          ^
next: write it as in `{ dataset = "..." }`"#
    );
}

#[test]
fn a_number_in_quotes() {
    let shown = fault(&[("= 100", r#"= "100""#)], &[]);
    assert_eq!(
        shown,
        r#"`train.steps` must be a non-negative integer, found a string
 --> a.toml:7:9
  |
7 | steps = "100"
  |         ^^^^^
next: write it without quotes"#
    );
}

#[test]
fn a_fraction_for_an_integer() {
    let shown = fault(&[("= 100", "= 1e3")], &[]);
    assert_eq!(
        shown,
        r#"`train.steps` must be a non-negative integer, found a fraction
 --> a.toml:7:9
  |
7 | steps = 1e3
  |         ^^^
next: write `1000`"#
    );
}

#[test]
fn a_negative_count() {
    let shown = fault(&[("= 100", "= -3")], &[]);
    assert_eq!(
        shown,
        r#"`train.steps` must be a non-negative integer, found -3
 --> a.toml:7:9
  |
7 | steps = -3
  |         ^^
next: write it as in `1000`"#
    );
}

#[test]
fn not_a_number() {
    let shown = fault(&[("steps = 100", "steps = 100\nepochs = nan")], &[]);
    assert_eq!(
        shown,
        r#"`train.epochs` must be a number, found NaN
 --> a.toml:8:10
  |
8 | epochs = nan
  |          ^^^
next: write it as in `0.1`"#
    );
}

#[test]
fn a_number_for_a_boolean() {
    let shown = fault(&[(r#""gpt""#, "\"gpt\"\ntied = 1")], &[]);
    assert_eq!(
        shown,
        r#"`model.tied` must be `true` or `false`, found an integer
 --> a.toml:6:8
  |
6 | tied = 1
  |        ^
next: write it as in `true`"#
    );
}

#[test]
fn a_word_for_a_list() {
    let shown = fault(&[(r#""sotu" }"#, "\"sotu\" }\nfeatures = \"price\"")], &[]);
    assert_eq!(
        shown,
        r#"`data.features` must be a list, found a string
 --> a.toml:4:12
  |
4 | features = "price"
  |            ^^^^^^^
next: write `["price"]`"#
    );
}

#[test]
fn a_number_for_a_string() {
    let shown = fault(&[("steps = 100", "steps = 100\ndevice = 0")], &[]);
    assert_eq!(
        shown,
        r#"`train.device` must be a string, found an integer
 --> a.toml:8:10
  |
8 | device = 0
  |          ^
next: put it in quotes"#
    );
}

#[test]
fn a_list_of_the_wrong_length() {
    let shown = fault(&[(r#""sotu" }"#, "\"sotu\" }\nimage_size = [64]")], &[]);
    assert_eq!(
        shown,
        r#"`data.image_size` must have 2 entries, found 1
 --> a.toml:4:14
  |
4 | image_size = [64]
  |              ^^^^
next: give one value for each entry"#
    );
}

#[test]
fn a_wrong_entry_of_a_list() {
    let shown = fault(&[(r#""sotu" }"#, "\"sotu\" }\nimage_size = [64, \"64\"]")], &[]);
    assert_eq!(
        shown,
        r#"`data.image_size[1]` must be a non-negative integer, found a string
 --> a.toml:4:19
  |
4 | image_size = [64, "64"]
  |                   ^^^^
next: write it without quotes"#
    );
}

#[test]
fn a_word_for_a_table() {
    let shown = fault(&[("steps = 100", "steps = 100\n[optim]\nschedule = \"linear\"")], &[]);
    assert_eq!(
        shown,
        r#"`optim.schedule` must be a table, found a string
 --> a.toml:9:12
  |
9 | schedule = "linear"
  |            ^^^^^^^^
next: write it as in `{ kind = "linear" }`"#
    );
}

#[test]
fn a_delimiter_of_two() {
    let shown = fault(&[(r#""sotu" }"#, "\"sotu\" }\ndelimiter = \"ab\"")], &[]);
    assert_eq!(
        shown,
        r#"`data.delimiter` must be one character, found 2
 --> a.toml:4:13
  |
4 | delimiter = "ab"
  |             ^^^^
next: give one character, as in `","` or `"\t"`"#
    );
}

#[test]
fn a_missing_key() {
    let shown = fault(&[("task = \"language-model\"\n", "")], &[]);
    assert_eq!(
        shown,
        r#"[data] has no `task`
 --> a.toml:1:2
  |
1 | [data]
  |  ^^^^ `task` is missing
next: add it, as in `task = "language-model"`"#
    );
}

#[test]
fn a_missing_section() {
    let shown = fault(&[("[model]\nkind = \"gpt\"\n", "")], &[]);
    assert_eq!(shown, r#"a.toml: the section [model] is missing; add [model] with `kind = "linear"`"#);
}
