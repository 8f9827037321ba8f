//! From words and signs to a tree, by precedence; kinds are checked on the way.

mod atom;
mod typed;

use super::{
    Arithmetic, Compare, Expr, Kind, Wrong,
    function::Function,
    token::{Token, tokens},
};
use typed::{Parsed, as_bool, as_number, compare};

/// Expressions in expressions.
const DEEPEST: usize = 64;

/// The expression of a derived column's name.
type Others<'a> = dyn Fn(&str) -> Option<&'a str> + 'a;

pub(super) struct Parser<'a> {
    tokens: Vec<(Token, usize)>,
    next: usize,
    depth: usize,
    /// Nodes so far: a column that uses another twice, which uses another twice, ..., is small to write and huge to be.
    nodes: usize,
    inputs: Vec<String>,
    others: &'a Others<'a>,
}

const MOST_NODES: usize = 10_000;

impl<'a> Parser<'a> {
    pub(super) fn new(text: &str, others: &'a Others<'a>) -> Parsed<Self> {
        Ok(Self { tokens: tokens(text)?, next: 0, depth: 0, nodes: 0, inputs: Vec::new(), others })
    }

    /// The columns that the expression reads.
    pub(super) fn inputs(self) -> Vec<String> {
        self.inputs
    }

    /// All of the text as one expression.
    pub(super) fn whole(&mut self) -> Parsed {
        let whole = self.expression()?;
        match self.peek() {
            Token::End => Ok(whole),
            _ => Err(self.unexpected("an operator or the end")),
        }
    }

    fn peek(&self) -> &Token {
        self.tokens.get(self.next).map_or(&Token::End, |(token, _)| token)
    }

    fn at(&self) -> usize {
        self.tokens.get(self.next).or(self.tokens.last()).map_or(1, |(_, at)| *at)
    }

    fn take(&mut self) -> Token {
        let token = self.peek().clone();
        self.next += 1;
        token
    }

    fn sign(&mut self, sign: &str) -> bool {
        let found = matches!(self.peek(), Token::Sign(found) if *found == sign);
        self.next += usize::from(found);
        found
    }

    fn word(&mut self, word: &str) -> bool {
        let found = self.is_word(0, word);
        self.next += usize::from(found);
        found
    }

    fn is_word(&self, ahead: usize, word: &str) -> bool {
        let token = self.tokens.get(self.next + ahead);
        matches!(token, Some((Token::Word(found), _)) if found.eq_ignore_ascii_case(word))
    }

    fn unexpected(&self, wanted: &str) -> Wrong {
        let found = match self.peek() {
            Token::Number(value) => format!("`{value}`"),
            Token::Text(text) => format!("'{text}'"),
            Token::Word(word) | Token::Name(word) => format!("`{word}`"),
            Token::Sign(sign) => format!("`{sign}`"),
            Token::End => "the end".into(),
        };
        Wrong { at: self.at(), what: format!("{wanted} is wanted here, not {found}") }
    }

    fn expect(&mut self, sign: &str) -> Parsed<()> {
        if self.sign(sign) { Ok(()) } else { Err(self.unexpected(&format!("`{sign}`"))) }
    }

    /// One level deeper.
    fn within<T>(&mut self, parse: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        self.depth += 1;
        self.nodes += 1;
        if self.depth > DEEPEST || self.nodes > MOST_NODES {
            return Err(Wrong { at: self.at(), what: "expressions are nested too deeply".into() });
        }
        let parsed = parse(self);
        self.depth -= 1;
        parsed
    }

    fn expression(&mut self) -> Parsed {
        self.within(Self::or)
    }

    fn or(&mut self) -> Parsed {
        let mut left = self.and()?;
        while self.is_word(0, "or") {
            let at = self.at();
            self.next += 1;
            let right = self.and()?;
            left = (Expr::Or(as_bool(left, at)?, as_bool(right, at)?), Kind::Bool);
        }
        Ok(left)
    }

    fn and(&mut self) -> Parsed {
        let mut left = self.not()?;
        while self.is_word(0, "and") {
            let at = self.at();
            self.next += 1;
            let right = self.not()?;
            left = (Expr::And(as_bool(left, at)?, as_bool(right, at)?), Kind::Bool);
        }
        Ok(left)
    }

    fn not(&mut self) -> Parsed {
        let at = self.at();
        if self.word("not") || self.sign("!") {
            let inner = self.within(Self::not)?;
            return Ok((Expr::Not(as_bool(inner, at)?), Kind::Bool));
        }
        self.comparison()
    }

    fn comparison(&mut self) -> Parsed {
        let left = self.joined()?;
        let at = self.at();
        if self.word("is") {
            let not = self.word("not");
            if !self.word("null") {
                return Err(self.unexpected("`null`"));
            }
            return Ok((negated(Expr::IsMissing(Box::new(left.0)), not), Kind::Bool));
        }
        let not = self.is_word(0, "not") && (self.is_word(1, "in") || self.is_word(1, "between"));
        self.next += usize::from(not);
        if self.word("in") {
            self.expect("(")?;
            let equal = |parser: &mut Self| {
                let item = parser.expression()?;
                compare(Compare::Equal, left.clone(), item, at)
            };
            let items = self.list(equal)?;
            let any = items.into_iter().reduce(|a, b| Expr::Or(Box::new(a), Box::new(b))).unwrap_or(Expr::Bool(false));
            return Ok((negated(any, not), Kind::Bool));
        }
        if self.word("between") {
            let low = self.joined()?;
            if !self.word("and") {
                return Err(self.unexpected("`and`"));
            }
            let high = self.joined()?;
            let above = compare(Compare::AtLeast, left.clone(), low, at)?;
            let below = compare(Compare::AtMost, left, high, at)?;
            return Ok((negated(Expr::And(Box::new(above), Box::new(below)), not), Kind::Bool));
        }
        let operators = [
            ("=", Compare::Equal),
            ("==", Compare::Equal),
            ("<>", Compare::Unequal),
            ("!=", Compare::Unequal),
            ("<=", Compare::AtMost),
            ("<", Compare::Less),
            (">=", Compare::AtLeast),
            (">", Compare::More),
        ];
        let Some((_, how)) = operators.into_iter().find(|(sign, _)| self.sign(sign)) else { return Ok(left) };
        let right = self.joined()?;
        Ok((compare(how, left, right, at)?, Kind::Bool))
    }

    fn joined(&mut self) -> Parsed {
        let mut left = self.sum()?;
        while self.sign("||") {
            let right = self.sum()?;
            left = (Expr::Call(Function::Concat, vec![left.0, right.0]), Kind::Text);
        }
        Ok(left)
    }

    fn sum(&mut self) -> Parsed {
        self.chain(&[("+", Arithmetic::Add), ("-", Arithmetic::Subtract)], Self::product)
    }

    fn product(&mut self) -> Parsed {
        let signs = [("*", Arithmetic::Multiply), ("/", Arithmetic::Divide), ("%", Arithmetic::Remainder)];
        self.chain(&signs, Self::signed)
    }

    fn chain(&mut self, signs: &[(&str, Arithmetic)], operand: fn(&mut Self) -> Parsed) -> Parsed {
        let mut left = operand(self)?;
        loop {
            let at = self.at();
            let Some((_, how)) = signs.iter().find(|(sign, _)| self.sign(sign)) else { return Ok(left) };
            self.nodes += 1;
            let right = operand(self)?;
            left = (Expr::Arithmetic(*how, as_number(left, at)?, as_number(right, at)?), Kind::Number);
        }
    }

    fn signed(&mut self) -> Parsed {
        let at = self.at();
        if self.sign("-") {
            let inner = self.within(Self::signed)?;
            return Ok((Expr::Negative(as_number(inner, at)?), Kind::Number));
        }
        let base = self.primary()?;
        let at = self.at();
        if self.sign("^") || self.sign("**") {
            let power = self.within(Self::signed)?;
            return Ok((Expr::Call(Function::Pow, vec![*as_number(base, at)?, *as_number(power, at)?]), Kind::Number));
        }
        Ok(base)
    }
}

fn negated(expr: Expr, not: bool) -> Expr {
    if not { Expr::Not(Box::new(expr)) } else { expr }
}
