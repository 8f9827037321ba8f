//! Which columns of a table are features and which are targets.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::{Layout, columns, wanted};
use crate::data::fetch::nearest;
use crate::data::{ColumnConfig, DataConfig, Derived, HoldoutBy, TaskKind};
use crate::error::{Error, Result};

/// The columns' names by their use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) features: Vec<String>,
    pub(super) targets: Vec<String>,
    /// The columns that rows are split by, and that windows go by, where they are none of those.
    extra: Vec<String>,
    by: Option<String>,
    /// Columns that are computed.
    pub(super) derived: Vec<Derived>,
}

impl Plan {
    /// As the config says; by default the last column of the first file is the target and all others are features.
    pub(super) fn new(files: &[PathBuf], config: &DataConfig) -> Result<Self> {
        let Some(file) = files.first() else {
            return Err(Error::input("the data source has no files").next("check `data.source`"));
        };
        let columns = columns(file, &Layout::from(config))?;
        let targets = match (config.target.as_slice(), columns.last()) {
            ([], _) if config.task == TaskKind::Anomaly => Vec::new(), // rows need no label
            ([], Some(last)) => vec![last.clone()],
            (targets, _) => targets.to_vec(),
        };
        let mut features = config.text.clone().map_or_else(|| config.features.clone(), |text| vec![text]);
        if features.is_empty() {
            // What a row belongs to is not what it is like.
            let group = config.holdout.column.as_ref().filter(|_| config.holdout.by == HoldoutBy::Group);
            let window = config.window.as_ref().map(|window| [&window.time, &window.group]).unwrap_or([&None, &None]);
            let orders = |name: &String| group == Some(name) || window.iter().any(|key| key.as_ref() == Some(name));
            let is_feature = |name: &&String| !targets.contains(name) && !orders(name);
            features = columns.iter().filter(is_feature).cloned().collect();
        }
        let derived = derived(config);
        wanted::check(file, &columns, &derived)?;
        let names = derived.iter().map(|column| &column.name);
        let new: Vec<String> =
            names.filter(|name| !targets.contains(name) && !features.contains(name)).cloned().collect();
        features.extend(new);
        if config.window.is_some() && config.task == TaskKind::Regression {
            // A value's own past is what tells most of what follows.
            features.extend(targets.iter().filter(|name| !config.features.contains(name)).cloned());
        }
        let by = match config.holdout.by {
            HoldoutBy::Row => None,
            HoldoutBy::Class => targets.first().cloned(),
            HoldoutBy::Group | HoldoutBy::Time => config.holdout.column.clone(),
        };
        let window = config.window.iter().flat_map(|window| [window.time.clone(), window.group.clone()]);
        let mut extra: Vec<String> = Vec::new();
        for name in window.flatten().chain(by.clone()) {
            if !features.contains(&name) && !targets.contains(&name) && !extra.contains(&name) {
                extra.push(name);
            }
        }
        let plan = Self { features, targets, extra, by, derived };
        plan.check_columns(file, config)?;
        let computed = |name: &String| plan.derived.iter().any(|column| column.name == *name);
        let read: Vec<String> = plan.names().into_iter().filter(|name| !computed(name)).collect();
        resolve(file, &columns, &read)?;
        plan.check(file, config)?;
        Ok(plan)
    }

    /// Features, then targets, then what the rows are split by and windows go by where it is neither.
    pub(super) fn names(&self) -> Vec<String> {
        [self.features.as_slice(), &self.targets, &self.extra].concat()
    }

    /// The place among the names of what the rows are split by.
    pub(super) fn by(&self) -> Option<usize> {
        self.names().iter().position(|name| Some(name) == self.by.as_ref())
    }

    /// The place among the names of the column that `key` of the config names.
    ///
    /// # Errors
    /// There is none.
    pub(super) fn place(&self, name: &str, key: &str, files: &[PathBuf]) -> Result<usize> {
        let (names, file) = (self.names(), files.first().map_or(Path::new("the table"), PathBuf::as_path));
        let place = names.iter().position(|other| other == name);
        place.ok_or_else(|| absent(file, &names, name).at(format!("`{key}`")))
    }

    /// Refuses what `data.columns` says of a column that is no feature.
    fn check_columns(&self, file: &Path, config: &DataConfig) -> Result<()> {
        let Some(name) = config.columns.keys().find(|name| !self.features.contains(name)) else { return Ok(()) };
        if self.targets.contains(name) {
            return Err(Error::input(format!("`data.columns.{name}` is about the target, which is never transformed"))
                .next("remove it, or choose another `data.target`"));
        }
        Err(absent(file, &self.features, name).at(format!("`data.columns.{name}`")))
    }

    fn check(&self, file: &Path, config: &DataConfig) -> Result<()> {
        let needs_target = config.task != TaskKind::Anomaly;
        if self.features.is_empty() || needs_target && self.targets.is_empty() {
            return Err(Error::input(format!("{} has no columns left for features", file.display()))
                .next("check `data.target`, `data.features` and `data.delimiter`"));
        }
        let (mut seen, mut wanted) = (HashSet::new(), HashSet::new());
        // The past of what is forecast is a feature too.
        let past = config.window.is_some() && config.task == TaskKind::Regression;
        let twice = |name: &&String| !(seen.insert(String::clone(name)) || past && self.targets.contains(name));
        let again = self.features.iter().chain(&self.targets).chain(&self.extra).find(twice);
        match again.or_else(|| self.targets.iter().find(|name| !wanted.insert(*name))) {
            Some(twice) => Err(Error::input(format!("column `{twice}` is listed twice"))
                .next("list it once, in `data.features` or in `data.target`")),
            None => Ok(()),
        }
    }
}

/// The columns that the config derives, with what means a missing value in those that they are made of.
fn derived(config: &DataConfig) -> Vec<Derived> {
    let own = config.columns.values().filter_map(|column| match column {
        ColumnConfig::Table(own) => Some(own.markers()),
        ColumnConfig::Type(_) => None,
    });
    let mut markers: Vec<String> = own.chain([config.clean.markers()]).flatten().cloned().collect();
    markers.sort();
    markers.dedup();
    let column =
        |(name, says): (&String, &String)| Derived { name: name.clone(), says: says.clone(), markers: markers.clone() };
    config.derive.iter().map(column).collect()
}

/// The places of the names among the file's columns.
pub(super) fn resolve(file: &Path, columns: &[String], names: &[String]) -> Result<Vec<usize>> {
    let mut seen = HashSet::new();
    if let Some(twice) = columns.iter().find(|column| !seen.insert(*column)) {
        return Err(Error::input(format!("{} has two columns named `{twice}`", file.display()))
            .next("rename one; if the first row holds no names, set `data.header` to false"));
    }
    let place =
        |name: &String| columns.iter().position(|column| column == name).ok_or_else(|| absent(file, columns, name));
    names.iter().map(place).collect()
}

fn absent(file: &Path, columns: &[String], name: &str) -> Error {
    let error = Error::input(format!("{} has no column `{name}`", file.display()));
    if let Some(near) = nearest(name, columns.iter().map(String::as_str)) {
        return error.next(format!("did you mean `{near}`?"));
    }
    let mut shown = columns.iter().take(20).map(String::as_str).collect::<Vec<_>>().join(", ");
    if columns.len() > 20 {
        shown.push_str(", ...");
    }
    error.next(format!("its columns are {shown}"))
}
