//! `[data.interactions]`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `[data.interactions]`: a table of who chose what.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InteractionsConfig {
    /// The column of who chose.
    pub user: String,
    /// The column of what was chosen.
    pub item: String,
    /// The column of how much it was liked, for `least`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rating: Option<String>,
    /// Rows with a rating below this are left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub least: Option<f64>,
    /// The column of when, a date or a number; the order of the rows by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// Which of a user's choices are held out.
    #[serde(default)]
    pub split: SplitPerUser,
    /// What training lowers.
    #[serde(default)]
    pub loss: RankingLoss,
    /// Items beside each chosen one, drawn at random among those that the user did not choose.
    #[serde(default = "one")]
    pub negatives: usize,
}

/// Which of a user's choices, in the order of time, are held out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SplitPerUser {
    /// The last one for test, the one before it for validation; users with fewer than three are for training.
    #[default]
    LeaveOneOut,
    /// The last shares that `data.holdout` says, for every user.
    Time,
}

/// The loss of a recommender.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RankingLoss {
    /// Bayesian personalised ranking (Rendle et al. 2009): the chosen item above each drawn one.
    #[default]
    Bpr,
    /// Softmax over the chosen item and the drawn ones.
    Softmax,
    /// Whether each item was chosen, by itself (He et al. 2017).
    Logistic,
    /// Softmax over the items of the batch, less the logarithm of how often each is there (Yi et al. 2019); nothing is
    /// drawn.
    InBatch,
}

fn one() -> usize {
    1
}

impl InteractionsConfig {
    /// What decides the prepared bytes: the rest is left at its default.
    pub(in crate::data) fn prepared(&self) -> Self {
        Self { loss: RankingLoss::default(), negatives: one(), ..self.clone() }
    }

    /// Items drawn for each chosen one; none where the batch's own take their place.
    pub(in crate::data) fn drawn(&self) -> Option<usize> {
        (self.loss != RankingLoss::InBatch).then_some(self.negatives)
    }
}
