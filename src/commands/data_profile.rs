//! `kiln data profile`: a table's columns before anything is learned of them.

use std::path::Path;

use super::{Console, console::table};
use crate::{
    config::Plan,
    data::profile::{ColumnProfile, Finding, Profile, Weight, profile},
    error::Result,
    report,
};

/// Categories of a column, and classes of the target, that a line names.
const NAMED: usize = 3;

/// Profiles a config's table; `html` is where its page goes.
pub fn data_profile(plan: &Plan, html: Option<&Path>, console: &Console) -> Result<()> {
    let found = profile(&plan.data, &plan.base, plan.run.seed, &|text| console.say(text))?;
    if let Some(path) = html {
        report::write_profile(&found, path)?;
        console.say(&format!("the page is {}", path.display()));
    }
    console.result(&found, || text(&found))
}

fn text(profile: &Profile) -> String {
    let [train, validation, test] = profile.rows;
    let splits = format!("{}: {train} training, {validation} validation and {test} test rows", profile.source);
    let mut parts = vec![format!("{splits}\n{}", target(profile)), columns(profile)];
    if profile.findings.is_empty() {
        parts.push("nothing stands out".into());
    } else {
        parts.push(profile.findings.iter().map(finding).collect::<Vec<_>>().join("\n"));
    }
    parts.join("\n\n")
}

fn target(profile: &Profile) -> String {
    let target = &profile.target;
    match &target.numbers {
        Some(n) => {
            format!("target {}: mean {}, from {} to {}", target.name, short(n.mean), short(n.min), short(n.max))
        }
        None => {
            let all = profile.rows[0].max(1) as f64;
            let share = |rows: u64| 100.0 * rows as f64 / all;
            let named = target.classes.iter().take(NAMED).map(|c| format!("{} {:.1} %", c.name, share(c.rows[0])));
            let more = target.classes.len().saturating_sub(NAMED);
            let more = if more > 0 { format!(" and {more} more classes") } else { String::new() };
            format!("target {}: {}{more}", target.name, named.collect::<Vec<_>>().join(", "))
        }
    }
}

fn columns(profile: &Profile) -> String {
    let head = ["column", "type", "missing", "unique", "holds", "with the target", "alone"].map(String::from).to_vec();
    let row = |c: &ColumnProfile| {
        let share = 100.0 * c.missing as f64 / c.rows.max(1) as f64;
        let missing = if c.missing > 0 { format!("{share:.1} %") } else { String::new() };
        let unique = if c.unique_exact { c.unique.to_string() } else { format!("~{}", c.unique) };
        let relation = c.relation.map(|r| format!("{r} {}", r.measure.name())).unwrap_or_default();
        let alone = c.alone.map(|a| format!("{:.3} {}", a.value, a.figure)).unwrap_or_default();
        let kind = if c.left_out { format!("{} (dropped)", c.kind.name()) } else { c.kind.name().into() };
        vec![c.name.clone(), kind, missing, unique, holds(c), relation, alone]
    };
    table(&[head].into_iter().chain(profile.columns.iter().map(row)).collect::<Vec<_>>())
}

fn holds(column: &ColumnProfile) -> String {
    if !column.common.is_empty() {
        let all = (column.rows - column.missing).max(1) as f64;
        let name = |common: &crate::data::profile::Common| {
            format!("{} {:.0} %", common.name, 100.0 * common.rows as f64 / all)
        };
        return column.common.iter().take(NAMED).map(name).collect::<Vec<_>>().join(", ");
    }
    let Some(n) = &column.numbers else { return String::new() };
    let at = |share: f64| n.quantiles.iter().find(|q| q.0 == share).map_or(0.0, |q| q.1);
    let unit = if n.unit.is_empty() { String::new() } else { format!(" {}", n.unit) };
    format!(
        "{} .. {} [{}] {} .. {}{unit}",
        short(n.min),
        short(at(0.25)),
        short(at(0.5)),
        short(at(0.75)),
        short(n.max)
    )
}

fn finding(finding: &Finding) -> String {
    let weight = match finding.weight {
        Weight::Grave => "grave: ",
        Weight::Worth => "look: ",
        Weight::Note => "note: ",
    };
    format!("{weight}{}\n      {}", finding.what, finding.next)
}

/// A number in few characters.
fn short(value: f64) -> String {
    match value.abs() {
        0.0 => "0".into(),
        all if !(1e-3..1e6).contains(&all) => format!("{value:.2e}"),
        all if all >= 100.0 => format!("{value:.0}"),
        _ => format!("{}", (value * 1000.0).round() / 1000.0),
    }
}
