//! A column of a table as it was learned: its type, its policies and what it becomes.

mod profile;

use serde::{Deserialize, Serialize};

use super::{
    Bag, Category, Cell, CleanConfig, ColumnType, Date, Encode, Fault, Number, OnOutlier, OnUnseen, Policies, Policy,
    Used, hash, number, sample::Moments, target::TargetSums,
};
pub(in crate::data) use profile::Profile;

/// A column of a table and what it becomes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Column {
    /// Its name in the source.
    pub name: String,
    /// What it holds.
    #[serde(rename = "type")]
    pub kind: ColumnType,
    /// Values that the training split misses.
    pub missing: u64,
    /// Words that mean a missing value, beside the usual ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub markers: Vec<String>,
    /// What happens to what the training split did not prepare for.
    pub policies: Policies,
    /// What it becomes.
    pub transform: Transform,
}

/// What a column becomes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Transform {
    /// Nothing: it is left out.
    Drop,
    /// Numbers, and true and false.
    Number(Number),
    /// Categories.
    Category(Category),
    /// Dates.
    Date(Date),
    /// Text, as a bag of the terms of a vocabulary.
    Bag(Bag),
    /// A bag of words, hashed.
    Words {
        /// Features a row.
        buckets: usize,
    },
}

/// What a second look at the training split learns, once fills and fences are known.
pub(in crate::data) enum Second {
    Moments(Moments),
    Targets(TargetSums),
}

impl Column {
    /// Whether it is left out.
    pub fn is_dropped(&self) -> bool {
        self.transform == Transform::Drop
    }

    /// Whether a file may lack it: it is left out, or its policy imputes it.
    pub(in crate::data) fn may_be_absent(&self) -> bool {
        self.is_dropped() || self.policies.on_absent == Policy::Impute
    }

    /// Its features' names.
    pub fn outputs(&self) -> Vec<String> {
        match &self.transform {
            Transform::Drop => Vec::new(),
            Transform::Number(number) => number.outputs(&self.name),
            Transform::Category(category) => category.outputs(&self.name),
            Transform::Date(date) => date.outputs(&self.name),
            Transform::Bag(bag) => bag.outputs(&self.name),
            Transform::Words { buckets } => (0..*buckets).map(|i| format!("{}:{i}", self.name)).collect(),
        }
    }

    /// Number of codes, where its feature is a code to embed: those of the categories, and one for an unseen one.
    pub fn codes(&self) -> Option<usize> {
        match &self.transform {
            Transform::Category(category) if category.encode == Encode::Embedding => {
                Some(category.categories.names().len() + 1)
            }
            _ => None,
        }
    }

    /// Nearest rows that fill a missing value; 0: none.
    pub(super) fn neighbours(&self) -> usize {
        match &self.transform {
            Transform::Number(number) => number.neighbours,
            _ => 0,
        }
    }

    /// The cell's number; NaN where it is missing or of another type, which is told of when the rows are written.
    pub(in crate::data) fn number(&self, cell: &Cell<'_>) -> f64 {
        if cell.is_missing(&self.markers) { f64::NAN } else { number::value(self.kind, cell).unwrap_or(f64::NAN) }
    }

    pub(in crate::data) fn drops_rows(&self) -> bool {
        matches!(&self.transform, Transform::Number(n) if n.fence.is_some_and(|f| f.then == OnOutlier::Drop))
    }

    /// What a second look must learn, if anything.
    pub(in crate::data) fn second(&self, rows_are_dropped: bool) -> Option<Second> {
        match &self.transform {
            Transform::Number(number) if number.refines(rows_are_dropped) => Some(Second::Moments(Moments::default())),
            Transform::Category(category) => category.sums().map(Second::Targets),
            _ => None,
        }
    }

    /// Adds a training row to the second look; `targets` as in a target encoding.
    pub(in crate::data) fn observe(
        &self,
        cell: &Cell<'_>,
        fill: Option<f64>,
        fold: usize,
        targets: &[f64],
        second: &mut Second,
    ) {
        let mut used = Used::default();
        match (&self.transform, second) {
            (Transform::Number(number), Second::Moments(moments)) => {
                if let Ok(value) = self.value(cell, &mut used, |cell| number::value(self.kind, cell)) {
                    number.observe(value, fill, moments);
                }
            }
            (Transform::Category(category), Second::Targets(sums)) => {
                if let Ok(code) = self.code(category, cell, &mut used) {
                    sums.add(code.1, fold, targets);
                }
            }
            _ => {}
        }
    }

    /// Takes what the second look learned.
    pub(in crate::data) fn refine(&mut self, second: &Second, settings: &CleanConfig) {
        match (&mut self.transform, second) {
            (Transform::Number(number), Second::Moments(moments)) => number.refine(moments),
            (Transform::Category(category), Second::Targets(sums)) => category.refine(sums, settings),
            _ => {}
        }
    }

    /// Appends the features of a value; whether it is an outlier. `fold` is that of a training row, `fill` what
    /// neighbours say of a missing number.
    ///
    /// # Errors
    /// A value that a policy refuses.
    pub(in crate::data) fn write(
        &self,
        cell: &Cell<'_>,
        fold: Option<usize>,
        fill: Option<f64>,
        used: &mut Used,
        out: &mut Vec<f32>,
    ) -> Result<bool, Fault> {
        match &self.transform {
            Transform::Drop => {}
            Transform::Number(number) => {
                let value = self.value(cell, used, |cell| number::value(self.kind, cell))?;
                let outside = number.write(value, fill, out)?;
                used.outliers += u64::from(outside);
                return Ok(outside);
            }
            Transform::Category(category) => {
                let (name, code) = self.code(category, cell, used)?;
                category.write(&name, code, fold, out);
            }
            Transform::Date(date) => {
                let time = self.value(cell, used, |cell| cell.time(date.format.as_deref()))?;
                date.write(time, out);
            }
            Transform::Bag(bag) => {
                let text = self.value(cell, used, |cell| cell.name())?.unwrap_or_default();
                bag.write(&text, out);
            }
            Transform::Words { buckets } => {
                let text = self.value(cell, used, |cell| cell.name())?.unwrap_or_default();
                let start = out.len();
                out.resize(start + buckets, 0.0);
                for word in hash::words(&text) {
                    let (place, sign) = hash::place(&word, *buckets);
                    if let Some(feature) = out.get_mut(start + place) {
                        *feature += sign;
                    }
                }
            }
        }
        Ok(false)
    }

    /// The cell's value, `None` where it is to be imputed.
    fn value<'a, T>(
        &self,
        cell: &Cell<'a>,
        used: &mut Used,
        read: impl Fn(&Cell<'a>) -> Result<T, Fault>,
    ) -> Result<Option<T>, Fault> {
        let fault = if cell.is_missing(&self.markers) {
            Fault::Missing
        } else {
            match read(cell) {
                Ok(value) => return Ok(Some(value)),
                Err(fault) => fault,
            }
        };
        match (fault, self.policies.on_missing, self.policies.on_bad) {
            (Fault::Missing, Policy::Impute, _) => used.missing += 1,
            (Fault::Bad(..), _, Policy::Impute) => used.bad += 1,
            (fault, ..) => return Err(fault),
        }
        Ok(None)
    }

    /// The category's name and code; no code for an unseen one.
    fn code<'a>(
        &self,
        category: &'a Category,
        cell: &Cell<'a>,
        used: &mut Used,
    ) -> Result<(std::borrow::Cow<'a, str>, Option<usize>), Fault> {
        let filled = || (std::borrow::Cow::Borrowed(category.fill.as_str()), category.code(&category.fill));
        let Some(name) = self.value(cell, used, |cell| cell.name())? else { return Ok(filled()) };
        let code = category.code(&name);
        if code.is_some() || category.encode == Encode::Hash {
            return Ok((name, code));
        }
        used.unseen += 1;
        match self.policies.on_unseen {
            OnUnseen::Fallback => Ok((name, None)),
            OnUnseen::Impute => Ok(filled()),
            OnUnseen::Refuse => Err(Fault::Unseen(super::super::cell::quoted(&name))),
        }
    }

    /// A person's view of its features.
    pub(in crate::data) fn describe(&self, values: &[f32]) -> Option<String> {
        let value = match &self.transform {
            Transform::Drop => return None,
            Transform::Number(_) if self.kind == ColumnType::Boolean => {
                (if values.first().is_some_and(|v| *v > 0.5) { "true" } else { "false" }).into()
            }
            Transform::Number(number) => number.describe(values),
            Transform::Category(category) => category.describe(values),
            Transform::Date(date) => date.describe(values),
            Transform::Bag(_) => format!("{} terms", values.iter().filter(|v| **v != 0.0).count()),
            Transform::Words { .. } => format!("{} words", values.iter().map(|v| v.abs()).sum::<f32>()),
        };
        Some(format!("{} = {value}", self.name))
    }
}
