//! The names of a column's categories, in the order of their codes.

use foldhash::HashMap;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Names in the order of their codes.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(from = "Vec<String>", into = "Vec<String>")]
pub struct Categories {
    names: Vec<String>,
    codes: HashMap<String, usize>,
}

impl From<Vec<String>> for Categories {
    fn from(names: Vec<String>) -> Self {
        let codes = names.iter().cloned().zip(0..).collect();
        Self { names, codes }
    }
}

impl From<Categories> for Vec<String> {
    fn from(categories: Categories) -> Self {
        categories.names
    }
}

impl Categories {
    /// The names.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The name's code.
    pub(in crate::data::clean) fn code(&self, name: &str) -> Option<usize> {
        self.codes.get(name).copied()
    }
}

/// The most frequent names, as numbers if all are integers, else as text.
pub(super) fn kept(counts: &HashMap<String, u64>, most: usize) -> Vec<String> {
    let mut names: Vec<(&String, u64)> = counts.iter().map(|(name, count)| (name, *count)).collect();
    names.sort_unstable_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    names.truncate(most.max(1));
    sorted(names.into_iter().map(|(name, _)| name.clone()).collect())
}

/// As numbers if all names are integers, else as text.
pub(in crate::data) fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort();
    if names.iter().all(|name| name.parse::<i64>().is_ok()) {
        names.sort_by_key(|name| name.parse::<i64>().unwrap_or_default());
    }
    names
}

pub(super) fn ordered(names: Vec<String>, column: &str, order: Option<&[String]>) -> Result<Vec<String>> {
    let Some(order) = order else { return Ok(names) };
    if let Some(absent) = names.iter().find(|name| !order.contains(name)) {
        return Err(Error::input(format!("`data.columns.{column}.order` lacks `{absent}`, which training rows have"))
            .next("add it in its place"));
    }
    Ok(order.to_vec())
}
