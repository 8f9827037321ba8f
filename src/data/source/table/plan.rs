//! Which columns of a table are features and which are targets.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::{Layout, columns};
use crate::data::fetch::nearest;
use crate::data::{DataConfig, HoldoutBy};
use crate::error::{Error, Result};

/// The columns' names by their use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) features: Vec<String>,
    pub(super) targets: Vec<String>,
    /// The column that rows are split by, where it is not one of those.
    split: Option<String>,
    by: Option<String>,
}

impl Plan {
    /// As the config says; by default the last column of the first file is the target and all others are features.
    pub(super) fn new(files: &[PathBuf], config: &DataConfig) -> Result<Self> {
        let Some(file) = files.first() else {
            return Err(Error::input("the data source has no files").next("check `data.source`"));
        };
        let columns = columns(file, &Layout::from(config))?;
        let targets = match (config.target.as_slice(), columns.last()) {
            ([], Some(last)) => vec![last.clone()],
            (targets, _) => targets.to_vec(),
        };
        let mut features = config.text.clone().map_or_else(|| config.features.clone(), |text| vec![text]);
        if features.is_empty() {
            // What a row belongs to is not what it is like.
            let group = config.holdout.column.as_ref().filter(|_| config.holdout.by == HoldoutBy::Group);
            let is_feature = |name: &&String| !targets.contains(name) && group != Some(*name);
            features = columns.iter().filter(is_feature).cloned().collect();
        }
        let by = match config.holdout.by {
            HoldoutBy::Row => None,
            HoldoutBy::Class => targets.first().cloned(),
            HoldoutBy::Group | HoldoutBy::Time => config.holdout.column.clone(),
        };
        let split = by.clone().filter(|name| !features.contains(name) && !targets.contains(name));
        let plan = Self { features, targets, split, by };
        plan.check_columns(file, config)?;
        resolve(file, &columns, &plan.names())?;
        plan.check(file)?;
        Ok(plan)
    }

    /// Features, then targets, then what the rows are split by where it is neither.
    pub(super) fn names(&self) -> Vec<String> {
        [self.features.as_slice(), &self.targets, self.split.as_slice()].concat()
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

    fn check(&self, file: &Path) -> Result<()> {
        if self.features.is_empty() || self.targets.is_empty() {
            return Err(Error::input(format!("{} has no columns left for features", file.display()))
                .next("check `data.target`, `data.features` and `data.delimiter`"));
        }
        let mut seen = HashSet::new();
        match self.names().into_iter().find(|name| !seen.insert(name.clone())) {
            Some(twice) => Err(Error::input(format!("column `{twice}` is listed twice"))
                .next("list it once, in `data.features` or in `data.target`")),
            None => Ok(()),
        }
    }
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
