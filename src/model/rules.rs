//! What a `[model]` section must satisfy, in messages that name its keys.

use super::{InputShape, Reads, Signature};
use crate::error::{Error, Result};

/// `key` lies within `1..=most`. The bounds keep products of sizes far from overflow.
pub(super) fn size(key: &str, value: usize, most: usize) -> Result<()> {
    if (1..=most).contains(&value) {
        return Ok(());
    }
    let range = if value == 0 { "at least 1".to_string() } else { format!("at most {most}") };
    Err(Error::input(format!("`{key}` = {value} must be {range}")).next(format!("choose a `{key}` of 1 to {most}")))
}

/// Every width in the list `key`.
pub(super) fn sizes(key: &str, widths: &[usize]) -> Result<()> {
    widths.iter().enumerate().try_for_each(|(i, &width)| size(&format!("{key}[{i}]"), width, 1 << 20))
}

/// `key` is a probability below 1.
pub(super) fn dropout(value: f64) -> Result<()> {
    if (0.0..1.0).contains(&value) {
        return Ok(());
    }
    Err(Error::input(format!("`model.dropout` = {value} is not a probability below 1"))
        .next("choose one from 0 (off) to below 1, such as 0.1"))
}

/// `part` divides `whole`; both are (what it is, its value), a key in backticks.
pub(super) fn divides(part: (&str, usize), whole: (&str, usize)) -> Result<()> {
    if part.1 > 0 && whole.1.is_multiple_of(part.1) {
        return Ok(());
    }
    let nearest = (1..=whole.1).filter(|n| whole.1.is_multiple_of(*n)).min_by_key(|n| n.abs_diff(part.1)).unwrap_or(1);
    Err(Error::input(format!("{} = {} does not divide {} = {}", part.0, part.1, whole.0, whole.1))
        .next(format!("set {} = {nearest}, or change {}", part.0, whole.0)))
}

/// The data gives text, or texts: (vocab, most tokens of an example).
pub(super) fn tokens(kind: &str, sig: &Signature) -> Result<(usize, usize)> {
    match sig.input {
        InputShape::Tokens { vocab, context } => Ok((vocab, context)),
        _ => Err(misfit(kind, sig)),
    }
}

/// What a model of texts and of windows reads, step by step.
pub(super) struct Steps {
    /// Of texts.
    pub vocab: Option<usize>,
    /// Most of them.
    pub steps: usize,
    /// Of a step.
    pub values: usize,
}

/// The data gives texts, whose tokens become `embedding` values each, or windows.
pub(super) fn steps(kind: &str, embedding: usize, sig: &Signature) -> Result<Steps> {
    match sig.input {
        InputShape::Tokens { vocab, context } => Ok(Steps { vocab: Some(vocab), steps: context, values: embedding }),
        InputShape::Sequence { length, values } => Ok(Steps { vocab: None, steps: length, values }),
        _ => Err(misfit(kind, sig)),
    }
}

/// The data gives a table.
pub(super) fn table(kind: &str, sig: &Signature) -> Result<()> {
    match sig.input {
        InputShape::Features(_) | InputShape::Mixed { .. } => Ok(()),
        _ => Err(misfit(kind, sig)),
    }
}

/// The data gives pictures: [channels, height, width].
pub(super) fn image(kind: &str, sig: &Signature) -> Result<[usize; 3]> {
    match sig.input {
        InputShape::Image { channels, height, width } => Ok([channels, height, width]),
        _ => Err(misfit(kind, sig)),
    }
}

/// The data gives a vector, or a picture that becomes one: its length.
pub(super) fn features(kind: &str, sig: &Signature) -> Result<usize> {
    match sig.input {
        InputShape::Features(count) | InputShape::Mixed { features: count, .. } => Ok(count),
        InputShape::Image { channels, height, width } => Ok(channels * height * width),
        InputShape::Sequence { length, values } => Ok(length * values),
        InputShape::Tokens { .. } | InputShape::Choices { .. } => Err(misfit(kind, sig)),
    }
}

/// The data gives windows: [steps, values of a step].
pub(super) fn sequence(kind: &str, sig: &Signature) -> Result<[usize; 2]> {
    match sig.input {
        InputShape::Sequence { length, values } => Ok([length, values]),
        _ => Err(misfit(kind, sig)),
    }
}

/// The data gives choices: (users, items).
pub(super) fn choices(kind: &str, sig: &Signature) -> Result<(usize, usize)> {
    match sig.input {
        InputShape::Choices { users, items } => Ok((users, items)),
        _ => Err(misfit(kind, sig)),
    }
}

fn misfit(kind: &str, sig: &Signature) -> Error {
    let given = Reads::given(sig);
    Error::input(format!(
        "`model.kind` = \"{kind}\" reads {}, but `data` gives {}",
        Reads::names(Reads::of(kind)),
        given.name()
    ))
    .next(format!("set `model.kind` to {}", Reads::kinds(&[given])))
}
