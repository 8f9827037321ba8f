//! The functions that an expression may call.

use super::Kind::{self, Any, Bool, Number, Text};

/// A function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    Abs,
    Ceil,
    Coalesce,
    Concat,
    Contains,
    Day,
    Days,
    EndsWith,
    Exp,
    Floor,
    Hour,
    If,
    Length,
    Ln,
    Log10,
    Lower,
    Max,
    Min,
    Month,
    Pow,
    Round,
    Sign,
    Sqrt,
    StartsWith,
    Trim,
    Upper,
    Weekday,
    Year,
}

/// Name, function, the fewest and the most arguments, the kind of each, and the kind of the result; `Any` as a result is
/// that of the arguments.
type Entry = (&'static str, Function, usize, usize, Kind, Kind);

const MANY: usize = 64;

/// Every function; `log` is `ln`, as in SQL, R and NumPy.
pub(super) const FUNCTIONS: [Entry; 29] = [
    ("abs", Function::Abs, 1, 1, Number, Number),
    ("ceil", Function::Ceil, 1, 1, Number, Number),
    ("coalesce", Function::Coalesce, 1, MANY, Any, Any),
    ("concat", Function::Concat, 2, MANY, Text, Text),
    ("contains", Function::Contains, 2, 2, Text, Bool),
    ("day", Function::Day, 1, 1, Any, Number),
    ("days", Function::Days, 1, 1, Any, Number),
    ("ends_with", Function::EndsWith, 2, 2, Text, Bool),
    ("exp", Function::Exp, 1, 1, Number, Number),
    ("floor", Function::Floor, 1, 1, Number, Number),
    ("hour", Function::Hour, 1, 1, Any, Number),
    ("if", Function::If, 3, 3, Any, Any),
    ("length", Function::Length, 1, 1, Text, Number),
    ("ln", Function::Ln, 1, 1, Number, Number),
    ("log", Function::Ln, 1, 1, Number, Number),
    ("log10", Function::Log10, 1, 1, Number, Number),
    ("lower", Function::Lower, 1, 1, Text, Text),
    ("max", Function::Max, 2, MANY, Number, Number),
    ("min", Function::Min, 2, MANY, Number, Number),
    ("month", Function::Month, 1, 1, Any, Number),
    ("pow", Function::Pow, 2, 2, Number, Number),
    ("round", Function::Round, 1, 2, Number, Number),
    ("sign", Function::Sign, 1, 1, Number, Number),
    ("sqrt", Function::Sqrt, 1, 1, Number, Number),
    ("starts_with", Function::StartsWith, 2, 2, Text, Bool),
    ("trim", Function::Trim, 1, 1, Text, Text),
    ("upper", Function::Upper, 1, 1, Text, Text),
    ("weekday", Function::Weekday, 1, 1, Any, Number),
    ("year", Function::Year, 1, 1, Any, Number),
];

/// The function of a name, whatever its case.
pub(super) fn find(name: &str) -> Option<&'static Entry> {
    FUNCTIONS.iter().find(|entry| entry.0.eq_ignore_ascii_case(name))
}
