//! One fault of a config, and how it is shown: message, place, line, caret.

use std::ops::Range;

use annotate_snippets::{Annotation, AnnotationKind, Group, Level, Renderer, Snippet};

use crate::error::Error;

/// A text that values came from: the file, or one `--set`.
#[derive(Debug, Clone)]
pub(super) struct Text {
    /// How its place is named: the file's path, or `--set`.
    pub name: String,
    /// The text itself.
    pub text: String,
}

/// A stretch of bytes in one of the texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// Index of the text.
    pub text: usize,
    /// Bytes in it.
    pub span: Range<usize>,
}

/// Something wrong with a config.
#[derive(Debug, Clone)]
pub(super) struct Fault {
    message: String,
    marks: Vec<(Place, String)>,
    next: String,
}

impl Fault {
    /// A fault, with what to do about it.
    pub fn new(message: impl Into<String>, next: impl Into<String>) -> Self {
        Self { message: message.into(), marks: Vec::new(), next: next.into() }
    }

    /// Underlines `place` and writes `label` (which may be empty) after it; the first mark gives the location.
    #[must_use]
    pub fn mark(mut self, place: &Place, label: impl Into<String>) -> Self {
        self.marks.push((place.clone(), label.into()));
        self
    }

    /// What is wrong, in one line.
    pub fn message(&self) -> &str {
        &self.message
    }

    fn render(&self, texts: &[Text]) -> String {
        let mut group = Group::with_level(Level::ERROR);
        for (index, text) in texts.iter().enumerate() {
            let marks: Vec<_> = self.annotations(index, text).collect();
            if !marks.is_empty() {
                group = group.element(Snippet::source(&text.text).path(&text.name).annotations(marks));
            }
        }
        if group.is_empty() {
            let place = texts.first().map_or("config", |text| &text.name);
            return format!("{place}: {}", self.message);
        }
        format!("{}\n{}", self.message, Renderer::plain().render(&[group]))
    }

    fn annotations<'a>(&'a self, index: usize, text: &Text) -> impl Iterator<Item = Annotation<'a>> {
        let end = text.text.len();
        self.marks.iter().enumerate().filter(move |(_, (place, _))| place.text == index).map(
            move |(order, (place, label))| {
                let kind = if order == 0 { AnnotationKind::Primary } else { AnnotationKind::Context };
                let span = place.span.start.min(end)..place.span.end.min(end);
                kind.span(span).label((!label.is_empty()).then_some(label.as_str()))
            },
        )
    }
}

/// All faults as one error: each with its own next action, the last one's as the error's.
pub(super) fn error(faults: &[Fault], texts: &[Text]) -> Error {
    let mut message = String::new();
    for (index, fault) in faults.iter().enumerate() {
        message.push_str(&fault.render(texts));
        if index + 1 < faults.len() {
            message.push_str(&format!("\nnext: {}\n\n", fault.next));
        }
    }
    let error = Error::input(message);
    match faults.last() {
        Some(last) => error.next(&last.next),
        None => error,
    }
}

/// For tests: the message for a small config after `edits` (old, new) and under `overrides`.
#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(super) fn shown(edits: &[(&str, &str)], overrides: &[&str]) -> String {
    let base = "[data]\ntask = \"language-model\"\nsource = { dataset = \"sotu\" }\n[model]\nkind = \"gpt\"\n\
                [train]\nsteps = 100\n";
    let text = edits.iter().fold(base.to_string(), |text, (old, new)| text.replacen(old, new, 1));
    let overrides: Vec<_> = overrides.iter().map(|text| text.to_string()).collect();
    let error = super::Plan::parse(&text, "a.toml", std::path::Path::new("/base"), &overrides).unwrap_err();
    assert_eq!(error.exit_code(), 2);
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_in_two_texts_are_both_shown() {
        let texts = [
            Text { name: "a.toml".into(), text: "[x]\ny = 1\n".into() },
            Text { name: "--set".into(), text: "x.z=22".into() },
        ];
        let fault = Fault::new("`x.y` and `x.z` differ", "make them equal")
            .mark(&Place { text: 0, span: 8..9 }, "one")
            .mark(&Place { text: 1, span: 4..6 }, "twenty-two");
        let shown = error(&[fault], &texts).to_string();
        let expected = "\
`x.y` and `x.z` differ
 --> a.toml:2:5
  |
2 | y = 1
  |     ^ one
  |
 ::: --set:1:5
  |
1 | x.z=22
  |     -- twenty-two
next: make them equal";
        assert_eq!(shown, expected, "\n{shown}");
    }

    #[test]
    fn a_place_past_the_end_is_cut_not_a_panic() {
        let texts = [Text { name: "a.toml".into(), text: "é".into() }];
        let fault = Fault::new("m", "n").mark(&Place { text: 0, span: 5..9 }, "");
        assert!(error(&[fault], &texts).to_string().contains("a.toml:1"));
    }
}
