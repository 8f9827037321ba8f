//! What a person should look at, each with what to do.

use serde::Serialize;

use super::{ColumnProfile, Profile, single::signs};

/// A column that tells the target this well alone is more likely its echo than its cause.
const LEAK: f64 = 0.98;
/// Correlation from which on one of two columns is superfluous.
const TWIN: f64 = 0.99;
/// The commonest class has this many times the rows of the rarest.
const IMBALANCE: f64 = 5.0;

/// How grave a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Weight {
    /// It makes figures worthless, or learning impossible.
    Grave,
    /// It costs something.
    Worth,
    /// Good to know.
    Note,
}

/// Something to look at.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    /// How grave it is.
    pub weight: Weight,
    /// What kind, for programs: `leakage`, `duplicates`, `imbalance`, ...
    pub kind: &'static str,
    /// The columns that it is about.
    pub columns: Vec<String>,
    /// What was found, in a sentence.
    pub what: String,
    /// What to do.
    pub next: String,
}

/// Everything worth a look, the gravest first.
pub(super) fn of(profile: &Profile) -> Vec<Finding> {
    let mut found = Vec::new();
    found.extend(leaks(profile));
    found.extend(repeated(profile));
    found.extend(target(profile));
    found.extend(twins(profile));
    found.extend(signs(profile));
    found.sort_by_key(|finding| finding.weight);
    found
}

fn finding(weight: Weight, kind: &'static str, columns: Vec<String>, what: String, next: String) -> Finding {
    Finding { weight, kind, columns, what, next }
}

fn leaks(profile: &Profile) -> impl Iterator<Item = Finding> {
    let leak = |column: &ColumnProfile| {
        let alone = column.alone.filter(|alone| alone.value >= LEAK && !column.left_out)?;
        let name = &column.name;
        Some(finding(
            Weight::Grave,
            "leakage",
            vec![name.clone()],
            format!(
                "`{name}` alone tells the target ({} {:.4}): is it known before the target is?",
                alone.figure, alone.value
            ),
            format!("if not, set `data.columns.{}` to \"drop\"", key(name)),
        ))
    };
    profile.columns.iter().filter_map(leak).collect::<Vec<_>>().into_iter()
}

fn repeated(profile: &Profile) -> Vec<Finding> {
    let r = &profile.repeated;
    let about = if r.exact { "" } else { "about " };
    let mut found = Vec::new();
    let across = [
        (r.validation_in_train, profile.rows[1], "validation", "training"),
        (r.test_in_train, profile.rows[2], "test", "training"),
        (r.test_in_validation, profile.rows[2], "test", "validation"),
    ];
    for (count, of, split, other) in across.into_iter().filter(|(count, ..)| *count > 0) {
        let share = count as f64 / of.max(1) as f64;
        let weight = if share >= 0.01 { Weight::Worth } else { Weight::Note };
        found.push(finding(
            weight,
            "duplicates",
            Vec::new(),
            format!("{about}{count} {split} rows ({}) are {other} rows too, column by column", percent(share)),
            "where they are one case twice, split by `data.holdout.by = \"group\"`; where values are few, it is chance"
                .into(),
        ));
    }
    if r.within_train > 0 {
        let share = r.within_train as f64 / profile.rows[0].max(1) as f64;
        let weight = if share >= 0.05 { Weight::Worth } else { Weight::Note };
        let what = format!("{about}{} training rows ({}) repeat an earlier one", r.within_train, percent(share));
        found.push(finding(
            weight,
            "duplicates",
            Vec::new(),
            what,
            "remove them where they are no cases of their own".into(),
        ));
    }
    if r.disputed > 0 {
        let all: u64 = profile.rows.iter().sum();
        let share = r.disputed as f64 / all.max(1) as f64;
        let what = format!(
            "{about}{} rows ({}) are alike in all columns but differ in the target",
            r.disputed,
            percent(share)
        );
        found.push(finding(Weight::Note, "disputed", Vec::new(), what, "no model can get all of them right".into()));
    }
    found
}

fn target(profile: &Profile) -> Vec<Finding> {
    let target = &profile.target;
    let mut found = Vec::new();
    if target.unusable > 0 {
        let what = format!("{} rows have no usable `{}`", target.unusable, target.name);
        let next = "fill or remove them: a target is never imputed".into();
        found.push(finding(Weight::Grave, "target", vec![target.name.clone()], what, next));
    }
    let (Some(first), Some(last)) = (target.classes.first(), target.classes.last()) else { return found };
    let times = first.rows[0] as f64 / last.rows[0].max(1) as f64;
    if target.classes.len() > 1 && times >= IMBALANCE {
        let weight = if times >= 20.0 { Weight::Worth } else { Weight::Note };
        let share = last.rows[0] as f64 / profile.rows[0].max(1) as f64;
        let what = format!(
            "class `{}` is rare: {} of the training rows, {times:.0} times fewer than `{}`",
            last.name,
            percent(share),
            first.name
        );
        let next =
            "judge by average precision (`eval.figure`), split by class, and try `train.class_weights = \"balanced\"`";
        found.push(finding(weight, "imbalance", vec![target.name.clone()], what, next.into()));
    }
    let few = target.classes.iter().filter(|class| class.rows[0] < 10 && target.classes.len() > 1).count();
    if few > 0 {
        let what = format!("{few} of {} classes have fewer than 10 training rows", target.classes.len());
        let next = "join them with others, or get more rows of them".into();
        found.push(finding(Weight::Worth, "rare-classes", vec![target.name.clone()], what, next));
    }
    found
}

fn twins(profile: &Profile) -> impl Iterator<Item = Finding> {
    let twins = profile.pairs.iter().filter(|pair| pair.value.abs() >= TWIN);
    twins.map(|pair| {
        let how = match pair.measure {
            "pearson" => format!("correlate by {:+.4}", pair.value),
            _ => "go one to one".into(),
        };
        let what = format!("`{}` and `{}` {how}: they say the same", pair.a, pair.b);
        let next = format!("`data.columns.{}` = \"drop\" leaves one of them out", key(&pair.b));
        finding(Weight::Worth, "near-duplicate", vec![pair.a.clone(), pair.b.clone()], what, next)
    })
}

pub(super) fn percent(share: f64) -> String {
    match share * 100.0 {
        all if all >= 99.95 => "100 %".into(),
        all if all >= 10.0 => format!("{all:.0} %"),
        all if all >= 0.095 => format!("{all:.1} %"),
        _ => "below 0.1 %".into(),
    }
}

/// The name as a key of TOML.
fn key(name: &str) -> String {
    let bare = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
    if bare { name.to_owned() } else { format!("{name:?}") }
}
