//! An expression with what it gives.

use crate::data::derive::{Compare, Expr, Kind, Wrong};

/// What an expression gives, beside it.
pub(super) type Typed = (Expr, Kind);
pub(super) type Parsed<T = Typed> = Result<T, Wrong>;

pub(super) fn as_number((expr, kind): Typed, at: usize) -> Parsed<Box<Expr>> {
    match kind {
        Kind::Text => Err(Wrong { at, what: "a number is wanted here, not a text".into() }),
        _ => Ok(Box::new(expr)),
    }
}

pub(super) fn as_bool((expr, kind): Typed, at: usize) -> Parsed<Box<Expr>> {
    match kind {
        Kind::Bool | Kind::Any => Ok(Box::new(expr)),
        other => Err(Wrong { at, what: format!("true or false is wanted here, not {}", other.name()) }),
    }
}

/// What both are.
pub(super) fn common(a: Kind, b: Kind, at: usize) -> Parsed<Kind> {
    match (a, b) {
        (a, b) if a == b => Ok(a),
        (Kind::Any, other) | (other, Kind::Any) => Ok(other),
        (Kind::Number, Kind::Bool) | (Kind::Bool, Kind::Number) => Ok(Kind::Number),
        (a, b) => Err(Wrong { at, what: format!("one value is {}, another is {}", a.name(), b.name()) }),
    }
}

pub(super) fn compare(how: Compare, left: Typed, right: Typed, at: usize) -> Parsed<Expr> {
    let kind = common(left.1, right.1, at)?;
    let kind = if kind == Kind::Bool { Kind::Number } else { kind };
    Ok(Expr::Compare(how, kind, Box::new(left.0), Box::new(right.0)))
}
