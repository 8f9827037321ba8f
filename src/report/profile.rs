//! What the page of a table shows, worded and drawn.

use askama::Template;

use super::charts;
use crate::{
    data::profile::{ColumnProfile, Finding, Numbers, Profile, Weight},
    error::Result,
};

/// Columns with a picture each; the table names all of them.
const PICTURED: usize = 200;
/// Pairs of columns that are named.
const PAIRS: usize = 40;
/// Classes that are named.
const CLASSES: usize = 12;

#[derive(Template)]
#[template(path = "profile.html")]
pub(super) struct Page {
    source: String,
    facts: Vec<(&'static str, String)>,
    findings: Vec<Said>,
    target: Card,
    repeated: Vec<(String, String)>,
    repeated_note: &'static str,
    cards: Vec<Card>,
    columns: Vec<Row>,
    pairs: Vec<[String; 3]>,
    sampled: String,
}

struct Said {
    tone: &'static str,
    word: &'static str,
    what: Vec<Word>,
    next: Vec<Word>,
}

/// A part of a sentence, and whether it is code.
type Word = (String, bool);

/// A column with its picture.
struct Card {
    name: String,
    kind: String,
    facts: Vec<(&'static str, String)>,
    svg: String,
    bars: Vec<Bar>,
}

struct Bar {
    name: String,
    value: String,
    width: f64,
}

/// A line of the table of all columns.
struct Row {
    cells: Vec<String>,
    /// Of the relation with the target, in percent; and what it is measured by.
    strength: f64,
    relation: String,
    measure: &'static str,
}

impl Page {
    pub(super) fn new(profile: &Profile) -> Result<Self> {
        let [train, validation, test] = profile.rows;
        let count = |rows: u64| indicatif::HumanCount(rows).to_string();
        let r = &profile.repeated;
        let repeated = [
            ("training rows that repeat an earlier one", r.within_train),
            ("validation rows that are training rows too", r.validation_in_train),
            ("test rows that are training rows too", r.test_in_train),
            ("test rows that are validation rows too", r.test_in_validation),
            ("rows alike in all columns that differ in the target", r.disputed),
        ];
        Ok(Self {
            source: profile.source.clone(),
            facts: vec![
                ("training rows", count(train)),
                ("validation", count(validation)),
                ("test", count(test)),
                ("columns", profile.columns.len().to_string()),
                ("target", profile.target.name.clone()),
            ],
            findings: profile.findings.iter().map(said).collect(),
            target: target(profile)?,
            repeated: repeated.map(|(what, rows)| (what.to_owned(), count(rows))).to_vec(),
            repeated_note: if r.exact { "Counted over all rows." } else { "Estimated from a sample of all rows." },
            cards: profile.columns.iter().take(PICTURED).map(card).collect::<Result<_>>()?,
            columns: profile.columns.iter().map(row).collect(),
            pairs: profile
                .pairs
                .iter()
                .take(PAIRS)
                .map(|p| [format!("{} – {}", p.a, p.b), p.measure.replace('-', " "), format!("{:+.4}", p.value)])
                .collect(),
            sampled: count(profile.sampled as u64),
        })
    }
}

fn said(finding: &Finding) -> Said {
    let (tone, word) = match finding.weight {
        Weight::Grave => ("loses", "grave"),
        Weight::Worth => ("noise", "look"),
        Weight::Note => ("plain", "note"),
    };
    Said { tone, word, what: marked(&finding.what), next: marked(&finding.next) }
}

/// What stands between backquotes is code.
fn marked(text: &str) -> Vec<Word> {
    text.split('`').enumerate().map(|(at, part)| (part.to_owned(), at % 2 == 1)).collect()
}

fn target(profile: &Profile) -> Result<Card> {
    let target = &profile.target;
    let all = profile.rows[0].max(1) as f64;
    let most = target.classes.first().map_or(1, |class| class.rows[0]).max(1) as f64;
    let bar = |class: &crate::data::profile::Class| Bar {
        name: class.name.clone(),
        value: format!("{} · {:.1} %", indicatif::HumanCount(class.rows[0]), 100.0 * class.rows[0] as f64 / all),
        width: 100.0 * class.rows[0] as f64 / most,
    };
    let (svg, facts) = match &target.numbers {
        Some(numbers) => (picture(numbers)?, numbers_of(numbers)),
        None => (String::new(), vec![("classes", target.classes.len().to_string())]),
    };
    let kind = if target.numbers.is_some() { "values" } else { "classes" }.into();
    let bars = target.classes.iter().take(CLASSES).map(bar).collect();
    Ok(Card { name: target.name.clone(), kind, facts, svg, bars })
}

fn card(column: &ColumnProfile) -> Result<Card> {
    let present = (column.rows - column.missing).max(1) as f64;
    let most = column.common.first().map_or(1, |common| common.rows).max(1) as f64;
    let bar = |common: &crate::data::profile::Common| Bar {
        name: common.name.clone(),
        value: format!("{:.1} %", 100.0 * common.rows as f64 / present),
        width: 100.0 * common.rows as f64 / most,
    };
    let named = !column.common.is_empty();
    let mut facts = vec![("missing", missing(column)), ("unique", unique(column))];
    facts.extend(column.numbers.iter().filter(|_| !named).flat_map(numbers_of));
    facts.extend(column.relation.map(|r| (r.measure.name(), r.to_string())));
    let svg = match &column.numbers {
        Some(numbers) if !named => picture(numbers)?,
        _ => String::new(),
    };
    let kind = if column.left_out { format!("{}, dropped", column.kind.name()) } else { column.kind.name().into() };
    Ok(Card { name: column.name.clone(), kind, facts, svg, bars: column.common.iter().take(8).map(bar).collect() })
}

fn numbers_of(numbers: &Numbers) -> Vec<(&'static str, String)> {
    let say = words(numbers);
    let median = numbers.quantiles.iter().find(|q| q.0 == 0.5).map_or(0.0, |q| q.1);
    let mut facts = vec![("from", say(numbers.min)), ("median", say(median)), ("to", say(numbers.max))];
    if numbers.outliers > 0.0 && numbers.unit.is_empty() {
        facts.push(("outliers", format!("{:.1} %", 100.0 * numbers.outliers)));
    }
    facts
}

fn picture(numbers: &Numbers) -> Result<String> {
    let h = &numbers.histogram;
    charts::strip(&h.shares, (h.low, h.high), &words(numbers))
}

/// How the column's numbers are worded: dates as such.
fn words(numbers: &Numbers) -> impl Fn(f64) -> String {
    let days = numbers.unit.starts_with("days");
    move |value: f64| match days {
        true => chrono::DateTime::from_timestamp_millis((value * 86_400_000.0) as i64)
            .map_or_else(|| short(value), |at| at.date_naive().to_string()),
        false => short(value),
    }
}

fn row(column: &ColumnProfile) -> Row {
    let at = |share: f64| {
        let numbers = column.numbers.as_ref().filter(|_| column.common.is_empty());
        let value = numbers.and_then(|n| n.quantiles.iter().find(|q| q.0 == share).map(|q| words(n)(q.1)));
        value.unwrap_or_default()
    };
    let alone = column.alone.map(|a| format!("{:.3} {}", a.value, a.figure.replace('_', " "))).unwrap_or_default();
    let kind = column.kind.name().to_owned();
    let cells = vec![column.name.clone(), kind, missing(column), unique(column), at(0.05), at(0.5), at(0.95), alone];
    Row {
        cells,
        strength: column.relation.map_or(0.0, |r| (100.0 * r.value.abs()).clamp(0.0, 100.0)),
        relation: column.relation.map(|r| r.to_string()).unwrap_or_default(),
        measure: column.relation.map_or("", |r| r.measure.name()),
    }
}

fn missing(column: &ColumnProfile) -> String {
    match 100.0 * column.missing as f64 / column.rows.max(1) as f64 {
        0.0 => "–".into(),
        share => format!("{share:.1} %"),
    }
}

fn unique(column: &ColumnProfile) -> String {
    let count = indicatif::HumanCount(column.unique);
    if column.unique_exact { count.to_string() } else { format!("~{count}") }
}

/// A number in few characters.
fn short(value: f64) -> String {
    match value.abs() {
        0.0 => "0".into(),
        all if !(1e-3..1e6).contains(&all) => format!("{value:.1e}"),
        all if all >= 100.0 => format!("{value:.0}"),
        _ => format!("{}", (value * 1000.0).round() / 1000.0),
    }
}
