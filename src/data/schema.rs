//! What a prepared data set looks like: everything that serving needs to read an example again.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::TableSchema;
use crate::error::{Error, Result};

/// The part of the data that an example comes from. Splits are disjoint and a function of the seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Split {
    /// Seen by the optimizer.
    Train,
    /// Watched while training; picks the best checkpoint.
    Validation,
    /// Judged once, at the end.
    Test,
}

impl Split {
    /// Every split, in order.
    pub const ALL: [Self; 3] = [Self::Train, Self::Validation, Self::Test];

    /// `train`, `validation` or `test`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Validation => "validation",
            Self::Test => "test",
        }
    }
}

impl std::fmt::Display for Split {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for Split {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|split| split.name() == name)
            .ok_or_else(|| Error::input(format!("there is no split `{name}`")).next("choose train, validation or test"))
    }
}

/// One example's input.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum InputSchema {
    /// `context` token ids below `vocab`.
    Tokens {
        /// Number of distinct tokens.
        vocab: usize,
        /// Tokens in one example.
        context: usize,
    },
    /// Pixels, channel first, stored as `u8`.
    Image {
        /// 1 (grey) or 3 (RGB).
        channels: usize,
        /// Rows of pixels.
        height: usize,
        /// Columns of pixels.
        width: usize,
    },
    /// Features of a table, stored as `f32` after all transforms.
    Table {
        /// Their names, in order.
        columns: Vec<String>,
    },
    /// Windows over the rows of a table, `[length, columns]` each, stored as `f32` after all transforms.
    Windows {
        /// Names of a row's features, in order.
        columns: Vec<String>,
        /// Rows.
        length: usize,
        /// What is known of the targets of a forecast.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        forecast: Option<Forecast>,
    },
    /// A user, to whom items are recommended; the position of a name is its id.
    Choices {
        /// Names of users.
        users: Vec<String>,
        /// Names of items.
        items: Vec<String>,
    },
}

impl Schema {
    /// What is known of the values that are forecast; nothing of other data.
    pub fn forecast(&self) -> Option<&Forecast> {
        match &self.input {
            InputSchema::Windows { forecast, .. } => forecast.as_ref(),
            _ => None,
        }
    }
}

/// What the training rows say of the values that are forecast.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Forecast {
    /// For every target, the feature of a row that is its own past.
    pub past: Vec<usize>,
    /// Rows after which values come again; 1 where nothing is known of it.
    pub season: usize,
    /// For every target, how far its values are from those a season before, on average.
    pub naive: Vec<f64>,
    /// Of every output; a model gives values in units of it.
    pub scale: Scale,
}

/// One example's target.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum TargetSchema {
    /// The token that follows, at every position.
    NextToken,
    /// One of these classes, by name.
    Classes {
        /// Names in the order of their indices.
        names: Vec<String>,
    },
    /// Real values.
    Values {
        /// The columns' names.
        names: Vec<String>,
    },
    /// The items that the user chooses.
    Items,
    /// The row itself; whether it is an anomaly is known of labelled rows.
    Itself {
        /// Whether rows say what they are.
        labelled: bool,
    },
}

impl TargetSchema {
    /// The names of classes or values.
    pub fn names(&self) -> &[String] {
        match self {
            Self::NextToken | Self::Items | Self::Itself { .. } => &[],
            Self::Classes { names } | Self::Values { names } => names,
        }
    }
}

/// Mean and standard deviation of each channel of pictures, learned on the training split only.
///
/// Pixels are first divided by 255. A constant channel has `std = 1`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scale {
    /// One mean per channel.
    pub mean: Vec<f32>,
    /// One standard deviation per channel, never 0.
    pub std: Vec<f32>,
}

/// A prepared data set, described.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Schema {
    /// What goes in.
    pub input: InputSchema,
    /// What should come out.
    pub target: TargetSchema,
    /// Tables: the source's columns, and the learned transforms that made features of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<TableSchema>,
    /// Standardisation of pictures, where there is one.
    pub scale: Option<Scale>,
    /// Text only: bytes of source text a token stands for, on average, over the validation split.
    pub bytes_per_token: Option<f64>,
}
