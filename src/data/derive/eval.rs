//! An expression's value in a row, asked for as what is needed: a number, a text, or true and false.

use std::borrow::Cow;
use std::cmp::Ordering;

use chrono::{DateTime, Datelike, NaiveDateTime, Timelike};

use super::{Arithmetic, Compare, Expr, Kind, function::Function};
use crate::data::cell::Cell;

/// A value, none where it is missing, or what keeps it from being told.
type Found<T> = Result<Option<T>, &'static str>;

const NO_NUMBER: &str = "made of something that is no number";
const NO_TRUTH: &str = "made of something that is neither true nor false";
const NO_DATE: &str = "made of something that is no date";
const NO_TEXT: &str = "made of something that is no text";

/// The cells of a row that an expression reads.
pub(super) struct Row<'r, 'c> {
    pub(super) cells: &'r [Cell<'c>],
    pub(super) markers: &'r [String],
}

impl<'c> Row<'_, 'c> {
    fn cell(&self, index: usize) -> Option<Cell<'c>> {
        self.cells.get(index).copied().filter(|cell| !cell.is_missing(self.markers))
    }

    pub(super) fn number(&self, expr: &Expr) -> Found<f64> {
        let value = match expr {
            Expr::Missing => None,
            Expr::Number(value) => Some(*value),
            Expr::Text(_) => return Err(NO_NUMBER),
            Expr::Column(index) => match self.cell(*index) {
                Some(cell) => Some(cell.number().map_err(|_| NO_NUMBER)?),
                None => None,
            },
            Expr::Negative(inner) => self.number(inner)?.map(|value| -value),
            Expr::Arithmetic(how, left, right) => match (self.number(left)?, self.number(right)?) {
                (Some(a), Some(b)) => Some(match how {
                    Arithmetic::Add => a + b,
                    Arithmetic::Subtract => a - b,
                    Arithmetic::Multiply => a * b,
                    Arithmetic::Divide => a / b,
                    Arithmetic::Remainder => a.rem_euclid(b),
                }),
                _ => None,
            },
            Expr::Case(..) => return self.chosen(expr, |chosen| self.number(chosen)),
            Expr::Call(function, arguments) => self.called(*function, arguments)?,
            _ => self.truth(expr)?.map(|value| f64::from(u8::from(value))),
        };
        Ok(value.filter(|value| value.is_finite()))
    }

    fn called(&self, function: Function, arguments: &[Expr]) -> Found<f64> {
        let [first, rest @ ..] = arguments else { return Ok(None) };
        let one = |of: fn(f64) -> f64| Ok(self.number(first)?.map(of));
        let date = |of: fn(NaiveDateTime) -> f64| Ok(self.date(first)?.map(of));
        match function {
            Function::Abs => one(f64::abs),
            Function::Ceil => one(f64::ceil),
            Function::Exp => one(f64::exp),
            Function::Floor => one(f64::floor),
            Function::Ln => one(f64::ln),
            Function::Log10 => one(f64::log10),
            Function::Sign => one(|x| if x == 0.0 { 0.0 } else { x.signum() }),
            Function::Sqrt => one(f64::sqrt),
            Function::Min | Function::Max => {
                let mut values = Vec::new();
                for argument in arguments {
                    let Some(value) = self.number(argument)? else { return Ok(None) };
                    values.push(value);
                }
                let pick = if function == Function::Min { f64::min } else { f64::max };
                Ok(values.into_iter().reduce(pick))
            }
            Function::Pow => self.two(first, rest, f64::powf),
            Function::Round if rest.is_empty() => one(f64::round),
            Function::Round => self.two(first, rest, |x, digits| {
                let scale = 10f64.powf(digits.round());
                (x * scale).round() / scale
            }),
            Function::Length => Ok(self.text(first)?.map(|text| text.chars().count() as f64)),
            Function::Year => date(|at| f64::from(at.year())),
            Function::Month => date(|at| f64::from(at.month())),
            Function::Day => date(|at| f64::from(at.day())),
            Function::Weekday => date(|at| f64::from(at.weekday().num_days_from_monday())),
            Function::Hour => date(|at| f64::from(at.hour())),
            Function::Days => date(|at| at.and_utc().timestamp_micros() as f64 / 86_400_000_000.0),
            Function::Coalesce => self.first(arguments, |argument| self.number(argument)),
            Function::Contains | Function::StartsWith | Function::EndsWith => {
                Ok(self.told(function, first, rest)?.map(|value| f64::from(u8::from(value))))
            }
            Function::Concat | Function::Lower | Function::Upper | Function::Trim | Function::If => Err(NO_NUMBER),
        }
    }

    fn two(&self, first: &Expr, rest: &[Expr], of: impl Fn(f64, f64) -> f64) -> Found<f64> {
        let [second, ..] = rest else { return Ok(None) };
        Ok(self.number(first)?.zip(self.number(second)?).map(|(a, b)| of(a, b)))
    }

    fn first<T>(&self, arguments: &[Expr], of: impl Fn(&Expr) -> Found<T>) -> Found<T> {
        for argument in arguments {
            if let Some(value) = of(argument)? {
                return Ok(Some(value));
            }
        }
        Ok(None)
    }

    fn told(&self, function: Function, first: &Expr, rest: &[Expr]) -> Found<bool> {
        let [second, ..] = rest else { return Ok(None) };
        let both = self.text(first)?.zip(self.text(second)?);
        Ok(both.map(|(text, part)| match function {
            Function::Contains => text.contains(part.as_ref()),
            Function::StartsWith => text.starts_with(part.as_ref()),
            _ => text.ends_with(part.as_ref()),
        }))
    }

    fn date(&self, expr: &Expr) -> Found<NaiveDateTime> {
        let micros = match self.any(expr)? {
            Cell::Missing => return Ok(None),
            cell => cell.time(None).map_err(|_| NO_DATE)?,
        };
        DateTime::from_timestamp_micros(micros).map(|at| Some(at.naive_utc())).ok_or(NO_DATE)
    }

    pub(super) fn truth(&self, expr: &Expr) -> Found<bool> {
        Ok(match expr {
            Expr::Missing => None,
            Expr::Bool(value) => Some(*value),
            Expr::Column(index) => match self.cell(*index) {
                Some(cell) => Some(cell.boolean().map_err(|_| NO_TRUTH)?),
                None => None,
            },
            Expr::Not(inner) => self.truth(inner)?.map(|value| !value),
            // Three-valued: false and missing is false, true or missing is true.
            Expr::And(left, right) => match (self.truth(left)?, self.truth(right)?) {
                (Some(false), _) | (_, Some(false)) => Some(false),
                (Some(true), Some(true)) => Some(true),
                _ => None,
            },
            Expr::Or(left, right) => match (self.truth(left)?, self.truth(right)?) {
                (Some(true), _) | (_, Some(true)) => Some(true),
                (Some(false), Some(false)) => Some(false),
                _ => None,
            },
            Expr::IsMissing(inner) => Some(matches!(self.any(inner)?, Cell::Missing) && self.text(inner)?.is_none()),
            Expr::Compare(how, kind, left, right) => self.ordered(*kind, left, right)?.map(|order| how.holds(order)),
            Expr::Case(..) => return self.chosen(expr, |chosen| self.truth(chosen)),
            Expr::Call(Function::Coalesce, arguments) => self.first(arguments, |argument| self.truth(argument))?,
            Expr::Call(function, arguments) => match (function, arguments.as_slice()) {
                (Function::Contains | Function::StartsWith | Function::EndsWith, [first, rest @ ..]) => {
                    self.told(*function, first, rest)?
                }
                _ => return Err(NO_TRUTH),
            },
            Expr::Number(_) | Expr::Text(_) | Expr::Negative(_) | Expr::Arithmetic(..) => return Err(NO_TRUTH),
        })
    }

    fn ordered(&self, kind: Kind, left: &Expr, right: &Expr) -> Found<Ordering> {
        let texts = || -> Found<Ordering> { Ok(self.text(left)?.zip(self.text(right)?).map(|(a, b)| a.cmp(&b))) };
        match kind {
            Kind::Text => texts(),
            Kind::Number | Kind::Bool => {
                Ok(self.number(left)?.zip(self.number(right)?).and_then(|(a, b)| a.partial_cmp(&b)))
            }
            // Two columns: as numbers where both are, as dates or names otherwise.
            Kind::Any => match (self.number(left), self.number(right)) {
                (Ok(a), Ok(b)) => Ok(a.zip(b).and_then(|(a, b)| a.partial_cmp(&b))),
                _ => texts(),
            },
        }
    }

    pub(super) fn text(&self, expr: &Expr) -> Found<Cow<'c, str>> {
        Ok(match expr {
            Expr::Missing => None,
            Expr::Text(text) => Some(Cow::Owned(text.clone())),
            Expr::Column(index) => match self.cell(*index) {
                Some(cell) => Some(cell.name().map_err(|_| NO_TEXT)?),
                None => None,
            },
            Expr::Case(..) => return self.chosen(expr, |chosen| self.text(chosen)),
            Expr::Call(Function::Coalesce, arguments) => self.first(arguments, |argument| self.text(argument))?,
            Expr::Call(Function::Concat, arguments) => {
                let mut all = String::new();
                for argument in arguments {
                    let Some(text) = self.text(argument)? else { return Ok(None) };
                    all.push_str(&text);
                }
                Some(Cow::Owned(all))
            }
            Expr::Call(function @ (Function::Lower | Function::Upper | Function::Trim), arguments) => {
                let text = self.first(arguments, |argument| self.text(argument))?;
                text.map(|text| match function {
                    Function::Lower => Cow::Owned(text.to_lowercase()),
                    Function::Upper => Cow::Owned(text.to_uppercase()),
                    _ => Cow::Owned(text.trim().to_owned()),
                })
            }
            Expr::Bool(_) | Expr::Not(_) | Expr::And(..) | Expr::Or(..) | Expr::Compare(..) | Expr::IsMissing(_) => {
                self.truth(expr)?.map(|value| Cow::Borrowed(if value { "true" } else { "false" }))
            }
            _ => self.number(expr)?.map(|value| Cow::Owned(value.to_string())),
        })
    }

    /// The value as whatever it is; texts that are made, not found, are missing here.
    pub(super) fn any(&self, expr: &Expr) -> Result<Cell<'c>, &'static str> {
        Ok(match expr {
            Expr::Column(index) => self.cell(*index).unwrap_or(Cell::Missing),
            Expr::Case(..) => {
                return Ok(self.chosen(expr, |chosen| self.any(chosen).map(Some))?.unwrap_or(Cell::Missing));
            }
            Expr::Call(Function::Coalesce, arguments) => {
                let found = |argument: &Expr| Ok(Some(self.any(argument)?).filter(|cell| *cell != Cell::Missing));
                self.first(arguments, found)?.unwrap_or(Cell::Missing)
            }
            Expr::Missing | Expr::Text(_) => Cell::Missing,
            Expr::Call(Function::Concat | Function::Lower | Function::Upper | Function::Trim, _) => Cell::Missing,
            _ => self.number(expr)?.map_or(Cell::Missing, Cell::Number),
        })
    }

    /// The value of the first condition that holds; one that is neither true nor false does not.
    fn chosen<T>(&self, case: &Expr, of: impl Fn(&Expr) -> Found<T>) -> Found<T> {
        let Expr::Case(arms, other) = case else { return Ok(None) };
        for (condition, value) in arms {
            if self.truth(condition)? == Some(true) {
                return of(value);
            }
        }
        of(other)
    }
}

impl Compare {
    fn holds(self, order: Ordering) -> bool {
        match self {
            Self::Equal => order == Ordering::Equal,
            Self::Unequal => order != Ordering::Equal,
            Self::Less => order == Ordering::Less,
            Self::AtMost => order != Ordering::Greater,
            Self::More => order == Ordering::Greater,
            Self::AtLeast => order != Ordering::Less,
        }
    }
}
