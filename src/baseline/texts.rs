//! Texts as classic models read them: weighted counts of their commonest tokens.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::{
    data::{Dataset, HostInput, InputSchema, PADDING, Split, TargetSchema},
    error::Result,
};

/// Tokens that become a column each, at most.
const MOST: usize = 1000;

/// Texts that are read together.
const BATCH: usize = 1024;

/// Which tokens become columns, and their weights, learned on the training split: term frequency times the smoothed
/// `ln((1 + n) / (1 + n_t)) + 1`, rows of length 1, as scikit-learn's `TfidfVectorizer` has them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Terms {
    /// Tokens, the commonest first.
    tokens: Vec<i32>,
    /// A weight a token.
    weights: Vec<f32>,
}

/// Whether every example is a text of its own.
pub(super) fn are_texts(dataset: &Dataset) -> bool {
    let schema = dataset.schema();
    matches!(schema.input, InputSchema::Tokens { .. }) && schema.target != TargetSchema::NextToken
}

impl Terms {
    /// Learns on the training split; `None` where the examples are no texts.
    ///
    /// # Errors
    /// A damaged shard.
    pub(super) fn learn(dataset: &Dataset) -> Result<Option<Self>> {
        if !are_texts(dataset) {
            return Ok(None);
        }
        let texts = dataset.len(Split::Train);
        let mut within: HashMap<i32, u64> = HashMap::new();
        let rows: Vec<u64> = (0..texts).collect();
        for some in rows.chunks(BATCH) {
            for text in split_up(dataset.batch(Split::Train, some, 0)?.input) {
                let mut tokens = text;
                tokens.sort_unstable();
                tokens.dedup();
                tokens.into_iter().for_each(|token| *within.entry(token).or_default() += 1);
            }
        }
        let mut common: Vec<(i32, u64)> = within.into_iter().filter(|(_, texts)| *texts > 1).collect();
        common.sort_unstable_by_key(|&(token, texts)| (std::cmp::Reverse(texts), token));
        common.truncate(MOST);
        let weight = |&(_, within): &(i32, u64)| (((1 + texts) as f64 / (1 + within) as f64).ln() + 1.0) as f32;
        let weights = common.iter().map(weight).collect();
        Ok(Some(Self { tokens: common.into_iter().map(|(token, _)| token).collect(), weights }))
    }

    /// Columns of a row; at least one, so that there are rows at all.
    pub(super) fn columns(&self) -> usize {
        self.tokens.len().max(1)
    }

    /// Appends a row for each text.
    pub(super) fn write(&self, input: HostInput, values: &mut Vec<f32>) {
        let places: HashMap<i32, usize> =
            self.tokens.iter().enumerate().map(|(place, token)| (*token, place)).collect();
        for text in split_up(input) {
            let start = values.len();
            values.resize(start + self.columns(), 0.0);
            let Some(row) = values.get_mut(start..) else { continue };
            for token in text {
                if let Some((place, value)) = places.get(&token).and_then(|&place| Some((place, row.get_mut(place)?))) {
                    *value += self.weights.get(place).copied().unwrap_or(0.0);
                }
            }
            let length = row.iter().map(|v| v * v).sum::<f32>().sqrt();
            if length > 0.0 {
                row.iter_mut().for_each(|v| *v /= length);
            }
        }
    }
}

/// The texts of a batch without their padding.
fn split_up(input: HostInput) -> Vec<Vec<i32>> {
    let HostInput::Tokens { ids, context } = input else { return Vec::new() };
    ids.chunks(context.max(1)).map(|row| row.iter().copied().filter(|&id| id != PADDING).collect()).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_weighted_counts_of_length_one() {
        let terms = Terms { tokens: vec![7, 3], weights: vec![1.0, 2.0] };
        let mut values = Vec::new();
        let ids = vec![7, 3, 7, 9, 5, PADDING, PADDING, PADDING];
        terms.write(HostInput::Tokens { ids, context: 4 }, &mut values);
        // Twice 7 and once 3: (2, 2), made as long as 1; the second text has no known token.
        let half = 0.5f32.sqrt();
        assert!(values.iter().zip([half, half, 0.0, 0.0]).all(|(a, b)| (a - b).abs() < 1e-6), "{values:?}");
    }
}
