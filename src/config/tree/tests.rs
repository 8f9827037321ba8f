use super::{super::fault::shown as fault, *};

#[test]
fn places_are_those_of_the_text() {
    let source = "[a]\nb = { c = [1, 0xFF] }\nd.e = 2.5\n";
    let root = parse(source, 0).unwrap();
    let at = |place: &Place| source[place.span.clone()].to_string();
    assert_eq!(at(&root.find("a").unwrap().key), "a");
    assert_eq!(at(&root.find("a.b.c").unwrap().value), "[1, 0xFF]");
    assert_eq!(at(&root.nearest("a.b.c[1]").value), "0xFF");
    assert_eq!(at(&root.nearest("a.b.nothing.at.all").key), "b");
    assert_eq!(at(&root.find("a.d.e").unwrap().value), "2.5");
    assert_eq!(root.to_value(), source.parse::<toml::Table>().unwrap().into());
}

#[test]
fn no_value() {
    let shown = fault(&[("= 100", "=")], &[]);
    assert_eq!(
        shown,
        r#"TOML syntax: string values must be quoted, expected literal string
 --> a.toml:7:8
  |
7 | steps =
  |        ^
next: write a value here"#
    );
}

#[test]
fn an_unclosed_string() {
    let shown = fault(&[(r#""gpt""#, r#""gpt"#)], &[]);
    assert_eq!(
        shown,
        r#"TOML syntax: invalid basic string, expected `"`
 --> a.toml:5:12
  |
5 | kind = "gpt
  |            ^
next: correct the TOML here"#
    );
}

#[test]
fn an_unquoted_word() {
    let shown = fault(&[(r#""gpt""#, "gpt")], &[]);
    assert_eq!(
        shown,
        r#"TOML syntax: string values must be quoted, expected literal string
 --> a.toml:5:8
  |
5 | kind = gpt
  |        ^^^
next: put the value in double quotes"#
    );
}

#[test]
fn an_unclosed_header() {
    let shown = fault(&[("[train]", "[train")], &[]);
    assert_eq!(
        shown,
        r#"TOML syntax: unclosed table, expected `]`
 --> a.toml:6:7
  |
6 | [train
  |       ^
next: correct the TOML here"#
    );
}

#[test]
fn a_key_twice() {
    let shown = fault(&[("steps = 100", "steps = 100\nsteps = 200")], &[]);
    assert_eq!(
        shown,
        r#"TOML syntax: duplicate key
 --> a.toml:8:1
  |
8 | steps = 200
  | ^^^^^
next: keep one of the two"#
    );
}

#[test]
fn a_number_too_large() {
    let shown = fault(&[("= 100", "= 99999999999999999999")], &[]);
    assert_eq!(
        shown,
        r#"this number does not fit 64 bits
 --> a.toml:7:9
  |
7 | steps = 99999999999999999999
  |         ^^^^^^^^^^^^^^^^^^^^
next: give a smaller number"#
    );
}
