//! From words and signs to a tree, by precedence; kinds are checked on the way.

use super::{
    Arithmetic, Compare, Expr, Kind, Wrong,
    function::{self, FUNCTIONS, Function},
    token::{Token, tokens},
};
use crate::data::fetch::nearest;

/// Expressions in expressions.
const DEEPEST: usize = 64;

/// What an expression gives, beside it.
type Typed = (Expr, Kind);
type Parsed<T = Typed> = Result<T, Wrong>;

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

/// Words that are no columns.
const RESERVED: [&str; 15] =
    ["and", "or", "not", "is", "null", "in", "between", "like", "case", "when", "then", "else", "end", "true", "false"];

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

    fn primary(&mut self) -> Parsed {
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
    fn list<T>(&mut self, mut item: impl FnMut(&mut Self) -> Parsed<T>) -> Parsed<Vec<T>> {
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

fn negated(expr: Expr, not: bool) -> Expr {
    if not { Expr::Not(Box::new(expr)) } else { expr }
}

fn as_number((expr, kind): Typed, at: usize) -> Parsed<Box<Expr>> {
    match kind {
        Kind::Text => Err(Wrong { at, what: "a number is wanted here, not a text".into() }),
        _ => Ok(Box::new(expr)),
    }
}

fn as_bool((expr, kind): Typed, at: usize) -> Parsed<Box<Expr>> {
    match kind {
        Kind::Bool | Kind::Any => Ok(Box::new(expr)),
        other => Err(Wrong { at, what: format!("true or false is wanted here, not {}", other.name()) }),
    }
}

/// What both are.
fn common(a: Kind, b: Kind, at: usize) -> Parsed<Kind> {
    match (a, b) {
        (a, b) if a == b => Ok(a),
        (Kind::Any, other) | (other, Kind::Any) => Ok(other),
        (Kind::Number, Kind::Bool) | (Kind::Bool, Kind::Number) => Ok(Kind::Number),
        (a, b) => Err(Wrong { at, what: format!("one value is {}, another is {}", a.name(), b.name()) }),
    }
}

fn compare(how: Compare, left: Typed, right: Typed, at: usize) -> Parsed<Expr> {
    let kind = common(left.1, right.1, at)?;
    let kind = if kind == Kind::Bool { Kind::Number } else { kind };
    Ok(Expr::Compare(how, kind, Box::new(left.0), Box::new(right.0)))
}
