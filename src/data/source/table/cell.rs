//! One value of a table, as a file holds it.

/// A value before it is known what it is for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Cell<'a> {
    /// Null, or the key is absent.
    Missing,
    Bool(bool),
    Integer(i64),
    Number(f64),
    /// Every value of a CSV file.
    Text(&'a str),
    /// Something that is neither a number nor text, named.
    Other(&'static str),
}

/// Why a value is not what its column needs.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fault {
    Missing,
    Bad(String),
    NoClass(String),
}

/// What files write for a value that is not there.
const MISSING: [&str; 7] = ["", "na", "n/a", "nan", "null", "none", "?"];

impl Cell<'_> {
    /// A finite number; true and false are 1 and 0.
    pub(super) fn number(&self) -> Result<f32, Fault> {
        let number = match self {
            Self::Missing => return Err(Fault::Missing),
            Self::Bool(value) => f64::from(u8::from(*value)),
            Self::Integer(value) => *value as f64,
            Self::Number(value) if value.is_nan() => return Err(Fault::Missing),
            Self::Number(value) => *value,
            Self::Text(text) => parse(text.trim())?,
            Self::Other(what) => return Err(Fault::Bad((*what).to_owned())),
        };
        if (number as f32).is_finite() { Ok(number as f32) } else { Err(Fault::Bad(format!("{number}"))) }
    }

    /// A class's name: text, an integer, or true and false.
    pub(super) fn class(&self) -> Result<String, Fault> {
        let whole = |value: f64| value.is_finite() && value.fract() == 0.0;
        match self {
            Self::Missing => Err(Fault::Missing),
            Self::Bool(value) => Ok(value.to_string()),
            Self::Integer(value) => Ok(value.to_string()),
            Self::Number(value) if value.is_nan() => Err(Fault::Missing),
            Self::Number(value) if whole(*value) => Ok(value.to_string()),
            Self::Number(value) => Err(Fault::NoClass(value.to_string())),
            Self::Text(text) => match text.trim() {
                "" => Err(Fault::Missing),
                text if text.parse().is_ok_and(|value: f64| value.is_finite() && !whole(value)) => {
                    Err(Fault::NoClass(text.to_owned()))
                }
                text => Ok(text.to_owned()),
            },
            Self::Other(what) => Err(Fault::NoClass((*what).to_owned())),
        }
    }
}

fn parse(text: &str) -> Result<f64, Fault> {
    if let Ok(number) = text.parse::<f64>()
        && !number.is_nan()
    {
        return Ok(number);
    }
    let is = |word: &str| text.eq_ignore_ascii_case(word);
    match () {
        () if MISSING.iter().any(|word| is(word)) => Err(Fault::Missing),
        () if is("true") => Ok(1.0),
        () if is("false") => Ok(0.0),
        () => Err(Fault::Bad(format!("\"{}\"", text.chars().take(40).collect::<String>()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        let good = [("1", 1.0), (" -2.5e1 ", -25.0), ("TRUE", 1.0), ("false", 0.0)];
        for (text, number) in good {
            assert_eq!(Cell::Text(text).number(), Ok(number));
        }
        for missing in [Cell::Text("NA"), Cell::Text(""), Cell::Text("nan"), Cell::Missing, Cell::Number(f64::NAN)] {
            assert_eq!(missing.number(), Err(Fault::Missing));
        }
        for bad in [Cell::Text("abc"), Cell::Text("inf"), Cell::Number(1e300), Cell::Other("a list")] {
            assert!(matches!(bad.number(), Err(Fault::Bad(_))), "{bad:?}");
        }
    }

    #[test]
    fn classes() {
        let good = [(Cell::Text(" a b"), "a b"), (Cell::Text("NA"), "NA"), (Cell::Number(5.0), "5")];
        for (cell, name) in good {
            assert_eq!(cell.class().as_deref(), Ok(name));
        }
        assert_eq!(Cell::Integer(-3).class().as_deref(), Ok("-3"));
        assert_eq!(Cell::Text("3.5").class(), Err(Fault::NoClass("3.5".into())));
        assert_eq!(Cell::Text(" ").class(), Err(Fault::Missing));
    }
}
