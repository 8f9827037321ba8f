//! An expression as words and signs.

use super::Wrong;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    Number(f64),
    /// In single quotes.
    Text(String),
    /// A bare word: a column, a function, or a word of the language.
    Word(String),
    /// In double quotes or backquotes: a column whatever its name.
    Name(String),
    Sign(&'static str),
    End,
}

/// The longest first, so that `<=` is not read as `<`.
const SIGNS: [&str; 20] =
    ["<=", ">=", "<>", "!=", "==", "||", "**", "=", "<", ">", "+", "-", "*", "/", "%", "(", ")", ",", "^", "!"];

/// An expression's length in bytes at most.
const LONGEST: usize = 10_000;

/// The tokens, each with the number of its first character, from 1.
pub(super) fn tokens(text: &str) -> Result<Vec<(Token, usize)>, Wrong> {
    if text.len() > LONGEST {
        return Err(Wrong { at: 1, what: format!("it is longer than {LONGEST} bytes") });
    }
    let mut found = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start();
        let at = text.chars().count() - rest.chars().count() + 1;
        let Some(first) = rest.chars().next() else {
            found.push((Token::End, at));
            return Ok(found);
        };
        let (token, after) = match first {
            '\'' | '"' | '`' => quoted(rest, first, at)?,
            '0'..='9' | '.' => number(rest, at)?,
            c if c.is_alphabetic() || c == '_' => {
                let end = rest.find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '.'))).unwrap_or(rest.len());
                let (word, after) = rest.split_at(end);
                (Token::Word(word.to_owned()), after)
            }
            c => match SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
                Some(sign) => (Token::Sign(sign), rest.get(sign.len()..).unwrap_or_default()),
                None => return Err(Wrong { at, what: format!("`{c}` means nothing here") }),
            },
        };
        found.push((token, at));
        rest = after;
    }
}

/// A doubled quote stands for itself.
fn quoted(text: &str, quote: char, at: usize) -> Result<(Token, &str), Wrong> {
    let mut inner = String::new();
    let mut chars = text.char_indices().skip(1).peekable();
    while let Some((index, c)) = chars.next() {
        if c != quote {
            inner.push(c);
        } else if chars.peek().is_some_and(|(_, next)| *next == quote) {
            inner.push(quote);
            chars.next();
        } else {
            let after = text.get(index + quote.len_utf8()..).unwrap_or_default();
            return Ok((if quote == '\'' { Token::Text(inner) } else { Token::Name(inner) }, after));
        }
    }
    Err(Wrong { at, what: format!("the {quote} is never closed") })
}

fn number(text: &str, at: usize) -> Result<(Token, &str), Wrong> {
    let mut end = 0;
    let mut before = ' ';
    for (index, c) in text.char_indices() {
        let exponent = matches!(c, 'e' | 'E') && index > 0;
        let signed = matches!(c, '+' | '-') && matches!(before, 'e' | 'E');
        if !(c.is_ascii_digit() || c == '.' || exponent || signed) {
            break;
        }
        (end, before) = (index + c.len_utf8(), c);
    }
    let (digits, after) = text.split_at(end);
    match digits.parse::<f64>() {
        Ok(value) if value.is_finite() => Ok((Token::Number(value), after)),
        _ => Err(Wrong { at, what: format!("`{digits}` is no number") }),
    }
}
