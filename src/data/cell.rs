//! One value of a table, as a file holds it.

use std::borrow::Cow;

use chrono::{DateTime, NaiveDate, NaiveDateTime};

/// A value before it is known what it is for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Cell<'a> {
    /// Null, or the key is absent.
    Missing,
    Bool(bool),
    Integer(i64),
    Number(f64),
    /// Microseconds since 1970.
    Time(i64),
    /// Every value of a CSV file.
    Text(&'a str),
    /// Something that is neither a number nor text, named.
    Other(&'static str),
}

/// Why a value is not what its column needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    Missing,
    /// What was found, and what the column holds.
    Bad(String, &'static str),
    /// A category that training never saw.
    Unseen(String),
    NoClass(String),
}

/// What files write for a value that is not there.
const MISSING: [&str; 7] = ["", "na", "n/a", "nan", "null", "none", "?"];

/// What files write for true and false.
const WORDS: [(&str, bool); 8] = [
    ("true", true),
    ("false", false),
    ("yes", true),
    ("no", false),
    ("t", true),
    ("f", false),
    ("y", true),
    ("n", false),
];

const FORMATS: [&str; 6] = [
    "%Y-%m-%dT%H:%M:%S%.f",
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%dT%H:%M",
    "%Y/%m/%d %H:%M:%S%.f",
    "%Y/%m/%d %H:%M",
];

impl<'a> Cell<'a> {
    /// Whether there is no value, by what files usually write for none or by the column's own `markers`.
    pub(super) fn is_missing(&self, markers: &[String]) -> bool {
        let marked = |text: &str| markers.iter().any(|marker| marker == text);
        match self {
            Self::Missing => true,
            Self::Number(value) if value.is_nan() => true,
            Self::Text(text) => {
                let text = trimmed(text);
                // Nearly every value is told from those words by how it begins.
                let may_be = matches!(text.as_bytes(), [] | [b'n' | b'N' | b'?', ..]) && text.len() <= 4;
                may_be && MISSING.iter().any(|word| text.eq_ignore_ascii_case(word)) || marked(text)
            }
            _ if markers.is_empty() => false,
            _ => self.name().is_ok_and(|name| marked(&name)),
        }
    }

    /// A finite number that fits 32 bits; true and false are 1 and 0.
    pub(super) fn number(&self) -> Result<f64, Fault> {
        let number = match self {
            Self::Missing => return Err(Fault::Missing),
            Self::Bool(value) => f64::from(u8::from(*value)),
            Self::Integer(value) => *value as f64,
            Self::Number(value) if value.is_nan() => return Err(Fault::Missing),
            Self::Number(value) => *value,
            Self::Text(text) => parse(trimmed(text))?,
            Self::Time(_) => return Err(Fault::Bad("a date".to_owned(), "a number")),
            Self::Other(what) => return Err(Fault::Bad((*what).to_owned(), "a number")),
        };
        if (number as f32).is_finite() { Ok(number) } else { Err(Fault::Bad(format!("{number}"), "a number")) }
    }

    /// True or false: as such, as words such as `yes`, or as 1 and 0.
    pub(super) fn boolean(&self) -> Result<bool, Fault> {
        match self {
            Self::Missing => Err(Fault::Missing),
            Self::Bool(value) => Ok(*value),
            Self::Text(text) => {
                let text = text.trim();
                let word = WORDS.iter().find(|(word, _)| text.eq_ignore_ascii_case(word));
                match (word, text) {
                    (Some((_, value)), _) => Ok(*value),
                    (None, "1") => Ok(true),
                    (None, "0") => Ok(false),
                    _ => Err(Fault::Bad(quoted(text), "true or false")),
                }
            }
            _ => match self.number()? {
                1.0 => Ok(true),
                0.0 => Ok(false),
                other => Err(Fault::Bad(other.to_string(), "true or false")),
            },
        }
    }

    /// Whether this is a word for true or false; 1 and 0 are numbers.
    pub(super) fn is_boolean(&self) -> bool {
        matches!(self, Self::Bool(_))
            || matches!(self, Self::Text(t) if self.boolean().is_ok() && t.trim().parse::<u8>().is_err())
    }

    /// Microseconds since 1970: ISO 8601 (`2026-03-01`, `2026-03-01 12:30:00`, also with `/`), or text in a `format` of
    /// strftime.
    pub(super) fn time(&self, format: Option<&str>) -> Result<i64, Fault> {
        match self {
            Self::Missing => Err(Fault::Missing),
            Self::Time(micros) => Ok(*micros),
            Self::Text(text) => parse_time(text.trim(), format).ok_or_else(|| Fault::Bad(quoted(text), "a date")),
            _ => match (format, self.name()) {
                (Some(_), Ok(name)) => parse_time(&name, format).ok_or_else(|| Fault::Bad(quoted(&name), "a date")),
                _ => Err(Fault::Bad(self.number()?.to_string(), "a date")),
            },
        }
    }

    /// A category's name: text, a number, or true and false.
    pub(super) fn name(&self) -> Result<Cow<'a, str>, Fault> {
        match self {
            Self::Missing => Err(Fault::Missing),
            Self::Bool(value) => Ok(Cow::Borrowed(if *value { "true" } else { "false" })),
            Self::Integer(value) => Ok(Cow::Owned(value.to_string())),
            Self::Number(value) if value.is_nan() => Err(Fault::Missing),
            Self::Number(value) => Ok(Cow::Owned(value.to_string())),
            Self::Time(micros) => Ok(Cow::Owned(date(*micros))),
            Self::Text(text) => Ok(Cow::Borrowed(trimmed(text))),
            Self::Other(what) => Err(Fault::Bad((*what).to_owned(), "a category")),
        }
    }

    /// A class's name: text, an integer, or true and false.
    pub(super) fn class(&self) -> Result<Cow<'a, str>, Fault> {
        let whole = |value: f64| value.is_finite() && value.fract() == 0.0;
        let name = match self.name() {
            Err(Fault::Bad(what, _)) => return Err(Fault::NoClass(what)),
            name => name?,
        };
        match self {
            _ if name.is_empty() => Err(Fault::Missing),
            Self::Number(value) if !whole(*value) => Err(Fault::NoClass(value.to_string())),
            Self::Text(_) if name.parse().is_ok_and(|value: f64| value.is_finite() && !whole(value)) => {
                Err(Fault::NoClass(name.into_owned()))
            }
            _ => Ok(name),
        }
    }
}

/// The text without blanks at its ends; most texts have none, and telling that by two bytes is what costs least.
fn trimmed(text: &str) -> &str {
    let solid = |byte: Option<&u8>| byte.is_none_or(|byte| byte.is_ascii_graphic());
    let bytes = text.as_bytes();
    if solid(bytes.first()) && solid(bytes.last()) { text } else { text.trim() }
}

/// The first 40 characters, in quotes.
pub(super) fn quoted(text: &str) -> String {
    format!("\"{}\"", text.chars().take(40).collect::<String>())
}

/// ISO 8601, for people.
pub(super) fn date(micros: i64) -> String {
    DateTime::from_timestamp_micros(micros).map_or_else(|| micros.to_string(), |t| t.naive_utc().to_string())
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
        () => Err(Fault::Bad(quoted(text), "a number")),
    }
}

fn parse_time(text: &str, format: Option<&str>) -> Option<i64> {
    let start = |date: NaiveDate| date.and_hms_opt(0, 0, 0);
    let parsed = match format {
        Some(format) => NaiveDateTime::parse_from_str(text, format)
            .ok()
            .or_else(|| NaiveDate::parse_from_str(text, format).ok().and_then(start)),
        None => {
            let year = text.as_bytes().get(..5).is_some_and(|head| {
                head.iter().take(4).all(u8::is_ascii_digit) && matches!(head.last(), Some(b'-' | b'/'))
            });
            if !year {
                return None; // most text is no date, and five attempts to parse it are not free
            }
            let day = ["%Y-%m-%d", "%Y/%m/%d"].iter().find_map(|f| NaiveDate::parse_from_str(text, f).ok());
            day.and_then(start)
                .or_else(|| FORMATS.iter().find_map(|f| NaiveDateTime::parse_from_str(text, f).ok()))
                .or_else(|| DateTime::parse_from_rfc3339(text).ok().map(|t| t.naive_utc()))
        }
    };
    parsed.map(|time| time.and_utc().timestamp_micros())
}

#[cfg(test)]
mod tests;
