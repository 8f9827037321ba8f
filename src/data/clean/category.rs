//! A column of categories: an index into the names that the training split has, and what each becomes.

mod names;

use foldhash::{HashMap, HashMapExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    CleanConfig, ColumnType, Constant, Impute, Scaling, hash,
    impute::mode,
    sample::Moments,
    target::{FOLDS, TargetSums},
};
use crate::error::{Error, Result};
pub use names::Categories;
pub(in crate::data) use names::sorted;
use names::{kept, ordered};

/// Categories kept by default.
pub(super) const MOST: usize = 1_000;
/// Categories that are counted; a column with more needs an encoding without state.
const COUNTED: usize = 100_000;
/// From more categories than this on, `target` is the default instead of `one-hot`.
const ONE_HOT: usize = 64;
/// The name of the category of missing values.
const MISSING: &str = "(missing)";

/// What a category becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Encode {
    /// A feature a category: 1 for its own; all 0 for an unseen one.
    OneHot,
    /// Its place in `order`, from 0; -1 for an unseen one.
    Ordinal,
    /// The mean target of its training rows, each row's own left out; one feature a class from three classes on.
    Target,
    /// Its share of the training rows; 0 for an unseen one.
    Frequency,
    /// 1 or -1 at one of `buckets` features, by a hash of its name.
    Hash,
    /// Its code from 0, for a model that embeds it; an unseen one has the code after the last.
    Embedding,
}

/// What the training split showed of a column.
pub(super) struct CategoryProfile {
    pub(super) missing: u64,
    counts: HashMap<String, u64>,
    overflow: bool,
}

impl CategoryProfile {
    pub(super) fn new() -> Self {
        Self { missing: 0, counts: HashMap::new(), overflow: false }
    }

    pub(super) fn add(&mut self, name: &str) {
        let room = self.counts.len() < COUNTED;
        match self.counts.get_mut(name) {
            Some(count) => *count += 1,
            None if room => drop(self.counts.insert(name.to_owned(), 1)),
            None => self.overflow = true,
        }
    }
}

/// A column of categories as it was learned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Category {
    /// The names seen in training; none for a hash.
    pub categories: Categories,
    /// The category that takes the place of a missing value.
    pub fill: String,
    /// What a category becomes.
    pub encode: Encode,
    /// Features a row.
    pub width: usize,
    /// `[categories + 1, width]`: what every category becomes, and last what is no category; none for one-hot and hash.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub table: Vec<f32>,
    /// The same for the training rows of every fold, while data is prepared.
    #[serde(skip)]
    folds: Vec<Vec<f32>>,
    #[serde(skip)]
    counts: Vec<u64>,
}

impl Category {
    /// `targets` is the number of values that a target encoding has.
    ///
    /// # Errors
    /// More categories than can be counted, or an `order` that lacks one.
    pub(super) fn fit(profile: &CategoryProfile, name: &str, settings: &CleanConfig, targets: usize) -> Result<Self> {
        let encode = settings.encode.unwrap_or(match profile.counts.len() > ONE_HOT {
            false => Encode::OneHot,
            true if targets == 0 => Encode::Frequency, // there is no target to take means of
            true => Encode::Target,
        });
        let mut counts = profile.counts.clone();
        let fill = match settings.impute.as_ref().filter(|impute| impute.fits(ColumnType::Categorical)) {
            Some(Impute::Mode) => {
                let mut all: Vec<(&String, u64)> = counts.iter().map(|(name, n)| (name, *n)).collect();
                all.sort_unstable();
                mode(all.into_iter()).cloned().unwrap_or_default()
            }
            Some(Impute::Constant(Constant::Text(text))) => text.clone(),
            Some(Impute::Constant(Constant::Number(number))) => number.to_string(),
            _ => MISSING.to_owned(),
        };
        if profile.missing > 0 {
            *counts.entry(fill.clone()).or_default() += profile.missing;
        }
        if encode == Encode::Hash {
            let width = settings.buckets();
            return Ok(Self {
                categories: Categories::default(),
                fill,
                encode,
                width,
                table: vec![],
                folds: vec![],
                counts: vec![],
            });
        }
        if profile.overflow {
            return Err(Error::input(format!("column `{name}` has more than {COUNTED} categories")).next(format!(
                "set `data.columns.{name} = {{ type = \"categorical\", encode = \"hash\" }}`, or \"drop\""
            )));
        }
        let names = ordered(kept(&counts, settings.most()), name, settings.order.as_deref())?;
        let counts = names.iter().map(|name| counts.get(name).copied().unwrap_or(0)).collect();
        let width = match encode {
            Encode::OneHot => names.len(),
            Encode::Target => targets,
            _ => 1,
        };
        let mut category = Self { categories: names.into(), fill, encode, width, table: vec![], folds: vec![], counts };
        category.tabulate(settings);
        Ok(category)
    }

    /// Fills the table of an encoding that does not look at the targets.
    fn tabulate(&mut self, settings: &CleanConfig) {
        let n = self.counts.len();
        let rows = self.counts.iter().sum::<u64>().max(1) as f64;
        let table: Vec<f64> = match self.encode {
            Encode::Ordinal => (0..n).map(|code| code as f64).chain([-1.0]).collect(),
            Encode::Frequency => self.counts.iter().map(|count| *count as f64 / rows).chain([0.0]).collect(),
            Encode::Embedding => (0..=n).map(|code| code as f64).collect(),
            _ => return,
        };
        let scale = if self.encode == Encode::Embedding { vec![] } else { self.scale(&table, settings.scale) };
        self.table = scaled(&table, &scale);
    }

    /// Takes the encoding that was learned from the targets, with that of every fold for its training rows.
    pub(super) fn refine(&mut self, sums: &TargetSums, settings: &CleanConfig) {
        let whole = sums.table(settings.smooth(), None);
        let scale = self.scale(&whole, settings.scale);
        self.table = scaled(&whole, &scale);
        self.folds = (0..FOLDS).map(|fold| scaled(&sums.table(settings.smooth(), Some(fold)), &scale)).collect();
    }

    /// Mean and deviation over the training rows of every feature of a table; none where it stays as it is.
    fn scale(&self, table: &[f64], scaling: Option<Scaling>) -> Vec<(f64, f64)> {
        if scaling == Some(Scaling::None) {
            return Vec::new();
        }
        let mut moments = vec![Moments::default(); self.width];
        for (row, count) in table.chunks(self.width.max(1)).zip(&self.counts) {
            moments.iter_mut().zip(row).for_each(|(moments, value)| moments.add_many(*value, *count));
        }
        moments.iter().map(|moments| (moments.mean(), moments.deviation())).collect()
    }

    /// Lets go of what only the training rows need.
    pub(super) fn settle(&mut self) {
        self.folds = Vec::new();
        self.counts = Vec::new();
    }

    pub(super) fn is_sound(&self) -> bool {
        let names = self.categories.names().len();
        match self.encode {
            Encode::OneHot => self.width == names,
            Encode::Hash => self.width <= hash::MOST_BUCKETS,
            _ => self.width > 0 && (names + 1).checked_mul(self.width) == Some(self.table.len()),
        }
    }

    pub(super) fn sums(&self) -> Option<TargetSums> {
        (self.encode == Encode::Target).then(|| TargetSums::new(self.categories.names().len(), self.width))
    }

    pub(super) fn outputs(&self, name: &str) -> Vec<String> {
        match self.encode {
            Encode::OneHot => self.categories.names().iter().map(|category| format!("{name}={category}")).collect(),
            _ if self.width == 1 => vec![name.to_owned()],
            _ => (0..self.width).map(|i| format!("{name}:{i}")).collect(),
        }
    }

    /// What it becomes, in words.
    pub(super) fn becomes(&self) -> String {
        let encode = serde_json::to_string(&self.encode).unwrap_or_default();
        let encode = encode.trim_matches('"');
        match self.encode {
            Encode::Hash => format!("{encode} to {} features", self.width),
            _ => format!("{encode} of {} categories, missing as {}", self.categories.names().len(), self.fill),
        }
    }

    /// The code of a category; `None` for an unseen one. A hash has no codes.
    pub(super) fn code(&self, name: &str) -> Option<usize> {
        self.categories.code(name)
    }

    /// Appends the features of a category. `fold` is that of a training row.
    pub(super) fn write(&self, name: &str, code: Option<usize>, fold: Option<usize>, out: &mut Vec<f32>) {
        let start = out.len();
        let known = self.categories.names().len();
        match self.encode {
            Encode::OneHot | Encode::Hash => {
                out.resize(start + self.width, 0.0);
                let (place, value) = match self.encode {
                    Encode::Hash => hash::place(name, self.width),
                    _ => (code.unwrap_or(self.width), 1.0),
                };
                if let Some(feature) = out.get_mut(start + place).filter(|_| place < self.width) {
                    *feature = value;
                }
            }
            _ => {
                let table = fold.and_then(|fold| self.folds.get(fold)).unwrap_or(&self.table);
                out.extend(table.iter().skip(code.unwrap_or(known) * self.width).take(self.width));
            }
        }
    }

    /// The category for a person, where the features still tell it.
    pub(super) fn describe(&self, values: &[f32]) -> String {
        let name = match self.encode {
            Encode::OneHot => values.iter().position(|value| *value > 0.5),
            Encode::Ordinal | Encode::Embedding => self.table.iter().position(|code| values.first() == Some(code)),
            _ => None,
        };
        match name {
            Some(code) => self.categories.names().get(code).cloned().unwrap_or_else(|| "(unseen)".into()),
            None if self.encode == Encode::OneHot => "(unseen)".into(),
            None => format!("{values:?}"),
        }
    }
}

fn scaled(table: &[f64], scale: &[(f64, f64)]) -> Vec<f32> {
    let cycle = scale.iter().copied().chain(scale.is_empty().then_some((0.0, 1.0)));
    let scales: Vec<(f64, f64)> = cycle.collect();
    table.iter().zip(scales.iter().cycle()).map(|(value, (mean, std))| ((value - mean) / std) as f32).collect()
}
