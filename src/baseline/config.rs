//! The `[baseline]` section.

pub use kiln_classic::Kind as BaselineKind;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// On which data classic models are fitted beside the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum When {
    /// On tables.
    Tables,
    /// On pictures as well, a column a pixel.
    Always,
    /// Nowhere.
    Never,
}

/// `[baseline]`: classic models that the network has to beat.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BaselineConfig {
    /// Where they are fitted; a language model never has any.
    pub on: When,
    /// Which ones; by default all that suit the task.
    pub models: Vec<BaselineKind>,
    /// Training rows that they are fitted on at most, drawn at random; fewer where rows are wide. What was left out is
    /// always said.
    pub rows: usize,
}

impl Default for BaselineConfig {
    fn default() -> Self {
        Self { on: When::Tables, models: BaselineKind::ALL.to_vec(), rows: 10_000 }
    }
}
