//! What a single column shows that a person should look at; one finding for all columns that show it.

use super::{
    ColumnProfile, Profile,
    findings::{Finding, Weight, percent},
};
use crate::data::ColumnType;

/// Share of one value from which on a column hardly varies.
const HARDLY: f64 = 0.995;
/// Share of missing values worth a word.
const MUCH_MISSING: f64 = 0.3;
/// Share of outliers worth a word.
const OUTLIERS: f64 = 0.05;
/// Share of distinct values from which on whole numbers may number the rows, and rows that tell so.
const NUMBERING: f64 = 0.97;
const ENOUGH: u64 = 20;
/// Columns named in one finding.
const NAMED: usize = 8;

struct Sign {
    weight: Weight,
    kind: &'static str,
    /// Of one column, and of several.
    verb: [&'static str; 2],
    what: &'static str,
    next: &'static str,
    /// Whether a column shows it, and a figure worth telling; an empty one is not.
    shows: fn(&ColumnProfile) -> Option<String>,
}

const SIGNS: [Sign; 7] = [
    Sign {
        weight: Weight::Worth,
        kind: "bad-values",
        verb: ["holds", "hold"],
        what: "values of another type",
        next: "correct them, name the type in `data.columns`, or let `on_bad` impute",
        shows: |column| (column.bad > 0).then(|| column.bad.to_string()),
    },
    Sign {
        weight: Weight::Worth,
        kind: "missing",
        verb: ["misses", "miss"],
        what: "much",
        next: "a feature tells where; drop what says nothing",
        shows: missing,
    },
    Sign {
        weight: Weight::Worth,
        kind: "identifier-like",
        verb: ["holds", "hold"],
        what: "another whole number in every row",
        next: "if they number the rows, set them to \"drop\"",
        shows: numbering,
    },
    Sign {
        weight: Weight::Note,
        kind: "identifier",
        verb: ["tells", "tell"],
        what: "rows apart, nothing else",
        next: "they are left out; `data.columns` can name another type",
        shows: |column| (column.kind == ColumnType::Identifier).then(String::new),
    },
    Sign {
        weight: Weight::Note,
        kind: "constant",
        verb: ["holds", "hold"],
        what: "one value or none",
        next: "they are left out",
        shows: |column| (column.unique <= 1).then(String::new),
    },
    Sign {
        weight: Weight::Note,
        kind: "hardly-varies",
        verb: ["hardly varies", "hardly vary"],
        what: "",
        next: "they tell little; drop what says nothing",
        shows: hardly_varies,
    },
    Sign {
        weight: Weight::Note,
        kind: "outliers",
        verb: ["has", "have"],
        what: "outliers beyond 1.5 interquartile ranges",
        next: "`scale = \"log1p\"` or `\"quantile\"`, or `outliers`, tames them",
        shows: outliers,
    },
];

/// One finding for every sign that columns show.
pub(super) fn signs(profile: &Profile) -> impl Iterator<Item = Finding> {
    SIGNS.iter().filter_map(|sign| sign.finding(&profile.columns))
}

impl Sign {
    fn finding(&self, columns: &[ColumnProfile]) -> Option<Finding> {
        let kept = columns.iter().filter(|column| !column.left_out);
        let named: Vec<(&str, String)> =
            kept.filter_map(|column| Some((column.name.as_str(), (self.shows)(column)?))).collect();
        if named.is_empty() {
            return None;
        }
        let word = |(name, figure): &(&str, String)| match figure.is_empty() {
            true => format!("`{name}`"),
            false => format!("`{name}` ({figure})"),
        };
        let mut list = named.iter().take(NAMED).map(word).collect::<Vec<_>>().join(", ");
        if named.len() > NAMED {
            list.push_str(&format!(" and {} more", named.len() - NAMED));
        }
        let [one, many] = self.verb;
        let (noun, verb) = if named.len() == 1 { ("column", one) } else { ("columns", many) };
        let words = format!("{} {noun} {verb} {}", named.len(), self.what);
        Some(Finding {
            weight: self.weight,
            kind: self.kind,
            columns: named.iter().map(|(name, _)| (*name).to_owned()).collect(),
            what: format!("{}: {list}", words.trim_end()),
            next: self.next.to_owned(),
        })
    }
}

fn missing(column: &ColumnProfile) -> Option<String> {
    let share = column.missing as f64 / column.rows.max(1) as f64;
    (share >= MUCH_MISSING && column.kind != ColumnType::Constant).then(|| percent(share))
}

fn hardly_varies(column: &ColumnProfile) -> Option<String> {
    let there = (column.rows - column.missing).max(1) as f64;
    let most = column.common.first().map_or(0, |common| common.rows) as f64 / there;
    let zeros = column.numbers.as_ref().filter(|_| column.kind == ColumnType::Numeric).map_or(0.0, |n| n.zeros);
    let share = most.max(zeros);
    (column.unique > 1 && share >= HARDLY).then(|| percent(share))
}

/// Whole numbers, hardly one of them twice, that lie close enough together to count rows.
fn numbering(column: &ColumnProfile) -> Option<String> {
    let numbers = column.numbers.as_ref().filter(|_| column.kind == ColumnType::Numeric)?;
    let dense = numbers.max - numbers.min + 1.0 < 4.0 * column.rows as f64;
    let distinct = column.unique as f64 >= NUMBERING * (column.rows - column.missing) as f64;
    (numbers.whole && dense && distinct && column.rows >= ENOUGH).then(String::new)
}

fn outliers(column: &ColumnProfile) -> Option<String> {
    let numbers = column.numbers.as_ref().filter(|_| column.kind == ColumnType::Numeric)?;
    (numbers.outliers >= OUTLIERS).then(|| percent(numbers.outliers))
}
