//! `[data.clean]` and `[data.columns]`: how the columns of a table become numbers.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    DateParts, Encode, Impute, OnOutlier, OnUnseen, Outliers, Policy, Scaling, TextConfig, TextKind, category, hash,
    target,
};
use crate::error::{Error, Result};

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ColumnType {
    /// Numbers.
    Numeric,
    /// True and false, yes and no, 1 and 0.
    Boolean,
    /// One of several names; numbers may be names.
    Categorical,
    /// A date or a time.
    Date,
    /// Words: a bag of them.
    Text,
    /// Another value in every row, which nothing can be learned from: left out.
    Identifier,
    /// One value in all rows: left out.
    Constant,
    /// Left out because the config says so.
    Drop,
}

impl ColumnType {
    /// As a config spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Numeric => "numeric",
            Self::Boolean => "boolean",
            Self::Categorical => "categorical",
            Self::Date => "date",
            Self::Text => "text",
            Self::Identifier => "identifier",
            Self::Constant => "constant",
            Self::Drop => "drop",
        }
    }
}

/// A column: its type alone, or a table with its type and transforms.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum ColumnConfig {
    /// Its type; the transforms are the type's own.
    Type(ColumnType),
    /// Its type and its transforms.
    Table(Box<CleanConfig>),
}

/// How columns become numbers. A key that is not set leaves the choice to the column's type.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CleanConfig {
    /// What the column holds; found in the training rows by default.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<ColumnType>,
    /// Words or numbers that stand for a missing value, beside the usual ones: empty, `NA`, `NaN`, `none`, `?`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missing: Option<Vec<String>>,
    /// What takes the place of a missing value: numbers and dates `median`, booleans `mode`, categories `category`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub impute: Option<Impute>,
    /// Numbers, booleans, dates: a further feature that is 1 where the value was missing; by default where training
    /// rows miss any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub indicator: Option<bool>,
    /// Numbers: what counts as an outlier; nothing by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outliers: Option<Outliers>,
    /// Numbers: what happens to an outlier; `clip` by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_outlier: Option<OnOutlier>,
    /// Numbers and encoded categories: the scale; `standard` by default, or `none` with `data.standardize = false`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale: Option<Scaling>,
    /// Categories: `one-hot` by default, `target` above 64 of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encode: Option<Encode>,
    /// Hashed categories and words: features they are spread over; 32 by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub buckets: Option<usize>,
    /// `encode = "target"`: rows that the overall mean counts as; 10 by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub smooth: Option<f64>,
    /// Categories kept, the most frequent ones; the rest are as unseen. 1,000 by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub most: Option<usize>,
    /// `encode = "ordinal"`: the categories from the lowest to the highest; by name, or as numbers, by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order: Option<Vec<String>>,
    /// Dates: `cycles` (sine and cosine of month, day, weekday and hour) by default, or `parts`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dates: Option<DateParts>,
    /// Dates: the format in strftime's letters, as in `%d.%m.%Y`; ISO 8601 by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    /// Text: its vocabulary and weights; TF-IDF of at most 2,000 words by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<TextConfig>,
    /// A value is missing: `impute` it (default), or `refuse` the data with the rows named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_missing: Option<Policy>,
    /// A category that no training row has: `fallback` to what the encoding has for none (default), `impute` it as if
    /// missing, or `refuse`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_unseen: Option<OnUnseen>,
    /// A value of another type, as text among numbers: `refuse` (default), or `impute`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_bad: Option<Policy>,
    /// The column is gone when predicting or evaluating: `refuse` (default), or `impute` all of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_absent: Option<Policy>,
}

impl CleanConfig {
    /// Whether nothing is set.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// This, with what it leaves open from `base`.
    fn over(self, base: &Self) -> Self {
        let base = base.clone();
        Self {
            kind: self.kind.or(base.kind),
            missing: self.missing.or(base.missing),
            impute: self.impute.or(base.impute),
            indicator: self.indicator.or(base.indicator),
            outliers: self.outliers.or(base.outliers),
            on_outlier: self.on_outlier.or(base.on_outlier),
            scale: self.scale.or(base.scale),
            encode: self.encode.or(base.encode),
            buckets: self.buckets.or(base.buckets),
            smooth: self.smooth.or(base.smooth),
            most: self.most.or(base.most),
            order: self.order.or(base.order),
            dates: self.dates.or(base.dates),
            format: self.format.or(base.format),
            text: self.text.or(base.text),
            on_missing: self.on_missing.or(base.on_missing),
            on_unseen: self.on_unseen.or(base.on_unseen),
            on_bad: self.on_bad.or(base.on_bad),
            on_absent: self.on_absent.or(base.on_absent),
        }
    }

    /// The words that mean a missing value beside the usual ones.
    pub(in crate::data) fn markers(&self) -> &[String] {
        self.missing.as_deref().unwrap_or_default()
    }

    pub(super) fn buckets(&self) -> usize {
        self.buckets.unwrap_or(hash::BUCKETS)
    }

    /// How text becomes features; `buckets` alone asks for a hash.
    pub(super) fn text(&self) -> TextConfig {
        let hashed = self.text.is_none() && self.buckets.is_some();
        let kind = if hashed { TextKind::Hash } else { TextKind::TfIdf };
        self.text.clone().unwrap_or(TextConfig { kind, ..TextConfig::default() })
    }

    pub(super) fn smooth(&self) -> f64 {
        self.smooth.unwrap_or(target::SMOOTH)
    }

    pub(super) fn most(&self) -> usize {
        self.most.unwrap_or(category::MOST)
    }

    /// Refuses what a column of this type has no use for; only what was said of the column itself.
    fn check(&self, name: &str, kind: ColumnType) -> Result<()> {
        use ColumnType::{Boolean, Categorical, Date, Numeric, Text};
        let keys: [(&str, bool, &[ColumnType]); 13] = [
            ("indicator", self.indicator.is_some(), &[Numeric, Boolean, Date]),
            ("outliers", self.outliers.is_some(), &[Numeric]),
            ("on_outlier", self.on_outlier.is_some(), &[Numeric]),
            ("scale", self.scale.is_some(), &[Numeric, Categorical]),
            ("encode", self.encode.is_some(), &[Categorical]),
            ("buckets", self.buckets.is_some(), &[Categorical, Text]),
            ("smooth", self.smooth.is_some(), &[Categorical]),
            ("most", self.most.is_some(), &[Categorical]),
            ("order", self.order.is_some(), &[Categorical]),
            ("dates", self.dates.is_some(), &[Date]),
            ("format", self.format.is_some(), &[Date]),
            ("text", self.text.is_some(), &[Text]),
            ("on_unseen", self.on_unseen.is_some(), &[Categorical]),
        ];
        if let Some((key, ..)) = keys.iter().find(|(_, set, kinds)| *set && !kinds.contains(&kind)) {
            let message = format!("`data.columns.{name}.{key}` means nothing: column `{name}` is {}", kind.name());
            return Err(Error::input(message).next(format!("remove it, or set `data.columns.{name}.type`")));
        }
        if let Some(impute) = self.impute.as_ref().filter(|impute| !impute.fits(kind)) {
            let message = format!(
                "`data.columns.{name}.impute` = {} does not go with column `{name}`, which is {}",
                impute.word(),
                kind.name()
            );
            return Err(Error::input(message).next(format!("use one of {}", Impute::words(kind))));
        }
        let affine = [None, Some(Scaling::Standard), Some(Scaling::None)].contains(&self.scale);
        if kind == Categorical && !affine {
            let message = format!("`data.columns.{name}.scale` of categories is \"standard\" or \"none\"");
            return Err(Error::input(message).next("change it, or make the column numeric"));
        }
        Ok(())
    }
}

/// What the config says of the columns.
#[derive(Debug, Clone, Copy)]
pub(in crate::data) struct Columns<'a> {
    pub(in crate::data) base: &'a CleanConfig,
    pub(in crate::data) own: &'a BTreeMap<String, ColumnConfig>,
    /// `data.standardize`.
    pub(in crate::data) standardize: bool,
}

impl Columns<'_> {
    /// The column's settings on top of the table's.
    pub(in crate::data) fn of(&self, name: &str) -> CleanConfig {
        let base = CleanConfig {
            scale: self.base.scale.or((!self.standardize).then_some(Scaling::None)),
            ..self.base.clone()
        };
        self.own(name).over(&base)
    }

    fn own(&self, name: &str) -> CleanConfig {
        match self.own.get(name) {
            None => CleanConfig::default(),
            Some(ColumnConfig::Type(kind)) => CleanConfig { kind: Some(*kind), ..CleanConfig::default() },
            Some(ColumnConfig::Table(table)) => table.as_ref().clone(),
        }
    }

    /// Whether what is said of the column fits its type.
    pub(in crate::data) fn check(&self, name: &str, kind: ColumnType) -> Result<()> {
        self.own(name).check(name, kind)
    }
}
