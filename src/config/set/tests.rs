use super::{super::fault::shown as fault, *};

fn merged(source: &str, assignment: &str) -> Value {
    let mut root = parse(source, 0).unwrap();
    apply(&mut root, assignment, 1).unwrap();
    root.to_value()
}

#[test]
fn values_are_toml_or_bare_strings() {
    for (assignment, expected) in [
        ("train.steps=100", "train.steps = 100"),
        ("train.device=cuda:0", "train.device = 'cuda:0'"),
        ("train.device = \"flex\"", "train.device = 'flex'"),
        ("train.max_time=90m", "train.max_time = '90m'"),
        ("optim.lr=1e-4", "optim.lr = 1e-4"),
        ("optim.betas=[0.9, 0.99]", "optim.betas = [0.9, 0.99]"),
        ("data.source={ path = \"a=b.txt\" }", "data.source = { path = 'a=b.txt' }"),
        ("run.name=a\nb=1", "run.name = \"a\\nb=1\""),
        ("run.name=", "run.name = ''"),
    ] {
        assert_eq!(merged("", assignment), expected.parse::<toml::Table>().unwrap().into(), "{assignment}");
    }
}

#[test]
fn a_dotted_key_reaches_into_inline_tables() {
    let source = "[optim]\nlr = 1.0\nschedule = { kind = 'linear', warmup = 3 }\n";
    let expected = "[optim]\nlr = 1.0\nschedule = { kind = 'linear', warmup = 9 }\n";
    assert_eq!(merged(source, "optim.schedule.warmup=9"), expected.parse::<toml::Table>().unwrap().into());
}

#[test]
fn one_source_takes_the_place_of_another() {
    let expected: Value = "data.source.path = 'x.txt'".parse::<toml::Table>().unwrap().into();
    assert_eq!(merged("data.source.dataset = 'sotu'", "data.source.path=x.txt"), expected);
    let expected: Value = "data.tokenizer.bpe = 512".parse::<toml::Table>().unwrap().into();
    assert_eq!(merged("data.tokenizer = 'char'", "data.tokenizer.bpe=512"), expected);
}

#[test]
fn no_equals_sign() {
    let shown = fault(&[], &["train.steps"]);
    assert_eq!(
        shown,
        r#"`--set train.steps` has no `=`
 --> --set:1:1
  |
1 | train.steps
  | ^^^^^^^^^^^ no value
next: write --set key=value, as in train.steps=100"#
    );
}

#[test]
fn an_empty_key() {
    let shown = fault(&[], &["train.=3"]);
    assert_eq!(
        shown,
        r#"`--set train.=3` has an empty key
 --> --set:1:7
  |
1 | train.=3
  |       ^ a key should be here
next: write a dotted key, as in train.steps=100"#
    );
}

#[test]
fn an_unknown_section() {
    let shown = fault(&[], &["trian.steps=3"]);
    assert_eq!(
        shown,
        r#"unknown key `trian.steps` in --set
 --> --set:1:1
  |
1 | trian.steps=3
  | ^^^^^^^^^^^ did you mean `train.steps`?
next: write --set train.steps=..."#
    );
}

#[test]
fn an_unknown_key() {
    let shown = fault(&[], &["train.stpes=3"]);
    assert_eq!(
        shown,
        r#"unknown key `train.stpes` in --set
 --> --set:1:1
  |
1 | train.stpes=3
  | ^^^^^^^^^^^ did you mean `train.steps`?
next: write --set train.steps=..."#
    );
}

#[test]
fn a_key_without_its_section() {
    let shown = fault(&[], &["lr=3"]);
    assert_eq!(
        shown,
        r#"unknown key `lr` in --set
 --> --set:1:1
  |
1 | lr=3
  | ^^ did you mean `optim.lr`?
next: write --set optim.lr=..."#
    );
}

#[test]
fn a_key_like_no_other() {
    let shown = fault(&[], &["foo.bar=3"]);
    assert_eq!(
        shown,
        r#"unknown key `foo.bar` in --set
 --> --set:1:1
  |
1 | foo.bar=3
  | ^^^^^^^
next: `kiln schema` lists every key"#
    );
}

#[test]
fn a_table_replaced_by_a_number() {
    let shown = fault(&[], &["train=3"]);
    assert_eq!(
        shown,
        r#"`train` must be a table, found an integer
 --> --set:1:7
  |
1 | train=3
  |       ^
next: write it as in `{ accumulate = 1 }`"#
    );
}

#[test]
fn a_number_replaced_by_a_table() {
    let shown = fault(&[], &["train.steps.x=3"]);
    assert_eq!(
        shown,
        r#"`train.steps` must be a non-negative integer, found a table
 --> --set:1:7
  |
1 | train.steps.x=3
  |       ^^^^^
next: write it as in `1000`"#
    );
}

#[test]
fn a_wrong_type() {
    let shown = fault(&[], &["train.steps=many"]);
    assert_eq!(
        shown,
        r#"`train.steps` must be a non-negative integer, found a string
 --> --set:1:13
  |
1 | train.steps=many
  |             ^^^^
next: write it as in `1000`"#
    );
}
