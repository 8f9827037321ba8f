//! What stands between operators: values, columns, calls and cases.

use super::{
    Parser,
    typed::{Parsed, as_bool, as_number, common},
};
use crate::data::{
    derive::{
        Expr, Kind, Wrong,
        function::{self, FUNCTIONS, Function},
        token::{Token, tokens},
    },
    fetch::nearest,
};

/// Words that are no columns.
const RESERVED: [&str; 15] =
    ["and", "or", "not", "is", "null", "in", "between", "like", "case", "when", "then", "else", "end", "true", "false"];

impl Parser<'_> {
    pub(super) fn primary(&mut self) -> Parsed {
        let at = self.at();
        match self.take() {
            Token::Number(value) => Ok((Expr::Number(value), Kind::Number)),
            Token::Text(text) => Ok((Expr::Text(text), Kind::Text)),
            Token::Name(name) => self.column(name, at),
            Token::Sign("(") => {
                let inner = self.expression()?;
                self.expect(")")?;
                Ok(inner)
            }
            Token::Word(word) if self.sign("(") => self.call(&word, at),
            Token::Word(word) => match word.to_lowercase().as_str() {
                "true" => Ok((Expr::Bool(true), Kind::Bool)),
                "false" => Ok((Expr::Bool(false), Kind::Bool)),
                "null" => Ok((Expr::Missing, Kind::Any)),
                "case" => self.within(Self::case),
                reserved if RESERVED.contains(&reserved) => {
                    self.next -= 1;
                    Err(self.unexpected("a value"))
                }
                _ => self.column(word, at),
            },
            _ => {
                self.next -= 1;
                Err(self.unexpected("a value"))
            }
        }
    }

    /// A column, or the expression of a derived one.
    fn column(&mut self, name: String, at: usize) -> Parsed {
        if let Some(says) = (self.others)(&name) {
            let wrong =
                |inner: Wrong| Wrong { at, what: format!("in `{name}`, character {}: {}", inner.at, inner.what) };
            let outer = (std::mem::replace(&mut self.tokens, tokens(says).map_err(wrong)?), self.next);
            self.next = 0;
            let inner = self.within(Self::whole);
            (self.tokens, self.next) = outer;
            return inner.map_err(|inner| match inner.what.contains("too deeply") {
                true => Wrong { at, what: format!("`{name}` is made of itself, or nested too deeply") },
                false => wrong(inner),
            });
        }
        let index = self.inputs.iter().position(|input| *input == name).unwrap_or_else(|| {
            self.inputs.push(name);
            self.inputs.len() - 1
        });
        Ok((Expr::Column(index), Kind::Any))
    }

    fn call(&mut self, name: &str, at: usize) -> Parsed {
        let Some((name, function, fewest, most, takes, gives)) = function::find(name) else {
            let near = nearest(name, FUNCTIONS.iter().map(|entry| entry.0));
            let near = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
            return Err(Wrong { at, what: format!("there is no function `{name}`{near}") });
        };
        let arguments = self.list(|parser| parser.expression())?;
        if arguments.len() < *fewest || arguments.len() > *most {
            let wanted = match (fewest, most) {
                (a, b) if a == b => format!("{a}"),
                (a, b) if *b > 9 => format!("{a} or more"),
                (a, b) => format!("{a} to {b}"),
            };
            let what = format!("`{name}` takes {wanted} arguments, not {}", arguments.len());
            return Err(Wrong { at, what });
        }
        if *function == Function::If {
            let [condition, yes, no] = arguments.try_into().map_err(|_| Wrong { at, what: "`if` takes 3".into() })?;
            let kind = common(yes.1, no.1, at)?;
            let condition = *as_bool(condition, at)?;
            return Ok((Expr::Case(vec![(condition, yes.0)], Box::new(no.0)), kind));
        }
        let mut kind = *gives;
        if *takes == Kind::Any && *gives == Kind::Any {
            kind = arguments.iter().try_fold(Kind::Any, |kind, argument| common(kind, argument.1, at))?;
        }
        let inner = match takes {
            Kind::Number => arguments.into_iter().map(|a| as_number(a, at).map(|a| *a)).collect::<Parsed<Vec<_>>>()?,
            _ => arguments.into_iter().map(|a| a.0).collect(),
        };
        Ok((Expr::Call(*function, inner), kind))
    }

    /// What stands between commas, up to the bracket that closes; the one that opens is taken.
    pub(super) fn list<T>(&mut self, mut item: impl FnMut(&mut Self) -> Parsed<T>) -> Parsed<Vec<T>> {
        let mut items = Vec::new();
        if self.sign(")") {
            return Ok(items);
        }
        loop {
            items.push(item(self)?);
            if self.sign(")") {
                return Ok(items);
            }
            if !self.sign(",") {
                return Err(self.unexpected("`,` or `)`"));
            }
        }
    }

    /// `case when c then v ... else v end`; the first word is taken.
    fn case(&mut self) -> Parsed {
        let (mut arms, mut kind) = (Vec::new(), Kind::Any);
        while self.word("when") {
            let at = self.at();
            let condition = self.expression()?;
            if !self.word("then") {
                return Err(self.unexpected("`then`"));
            }
            let value = self.expression()?;
            kind = common(kind, value.1, at)?;
            arms.push((*as_bool(condition, at)?, value.0));
        }
        if arms.is_empty() {
            return Err(self.unexpected("`when`"));
        }
        let at = self.at();
        let other = if self.word("else") { self.expression()? } else { (Expr::Missing, Kind::Any) };
        if !self.word("end") {
            return Err(self.unexpected("`end`"));
        }
        Ok((Expr::Case(arms, Box::new(other.0)), common(kind, other.1, at)?))
    }
}
