//! Texts as classic models read them: weighted counts of their commonest terms.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};

use crate::{
    data::{Dataset, HostInput, InputSchema, PADDING, Split, TargetSchema},
    error::Result,
};

/// Terms that become a column each, at most.
const MOST: usize = 1000;

/// A token tells little where there are but so many of them, as of letters: terms then are up to [`LONGEST`] in a row.
const LETTERS: usize = 256;
const LONGEST: usize = 3;

/// Texts that are read together.
const BATCH: usize = 1024;

/// Which terms become columns, and their weights, learned on the training split: term frequency times the smoothed
/// `ln((1 + n) / (1 + n_t)) + 1`, rows of length 1, as scikit-learn's `TfidfVectorizer` has them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Terms {
    /// A token or several in a row each, the commonest first.
    terms: Vec<Vec<i32>>,
    /// A weight a term.
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
        let longest = match dataset.schema().input {
            InputSchema::Tokens { vocab: ..=LETTERS, .. } => LONGEST,
            _ => 1,
        };
        let mut within: HashMap<Vec<i32>, u64> = HashMap::new();
        let rows: Vec<u64> = (0..texts).collect();
        for some in rows.chunks(BATCH) {
            for text in split_up(dataset.batch(Split::Train, some, 0)?.input) {
                let distinct: HashSet<&[i32]> = terms(&text, longest).collect();
                for term in distinct {
                    match within.get_mut(term) {
                        Some(texts) => *texts += 1,
                        None => _ = within.insert(term.to_vec(), 1),
                    }
                }
            }
        }
        let mut common: Vec<(Vec<i32>, u64)> = within.into_iter().filter(|(_, texts)| *texts > 1).collect();
        common.sort_unstable_by(|(a, texts), (b, more)| more.cmp(texts).then_with(|| a.cmp(b)));
        common.truncate(MOST);
        let weight = |(_, within): &(_, u64)| (((1 + texts) as f64 / (1 + within) as f64).ln() + 1.0) as f32;
        let weights = common.iter().map(weight).collect();
        Ok(Some(Self { terms: common.into_iter().map(|(term, _)| term).collect(), weights }))
    }

    /// Columns of a row; at least one, so that there are rows at all.
    pub(super) fn columns(&self) -> usize {
        self.terms.len().max(1)
    }

    /// Appends a row for each text.
    pub(super) fn write(&self, input: HostInput, values: &mut Vec<f32>) {
        let places: HashMap<&[i32], usize> =
            self.terms.iter().enumerate().map(|(place, term)| (term.as_slice(), place)).collect();
        let longest = self.terms.iter().map(Vec::len).max().unwrap_or(1);
        for text in split_up(input) {
            let start = values.len();
            values.resize(start + self.columns(), 0.0);
            let Some(row) = values.get_mut(start..) else { continue };
            for term in terms(&text, longest) {
                if let Some((place, value)) = places.get(term).and_then(|&place| Some((place, row.get_mut(place)?))) {
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

/// Every run of 1 to `longest` tokens.
fn terms(text: &[i32], longest: usize) -> impl Iterator<Item = &[i32]> {
    (1..=longest).flat_map(|length| text.windows(length))
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
        let terms = Terms { terms: vec![vec![7], vec![3]], weights: vec![1.0, 2.0] };
        let mut values = Vec::new();
        let ids = vec![7, 3, 7, 9, 5, PADDING, PADDING, PADDING];
        terms.write(HostInput::Tokens { ids, context: 4 }, &mut values);
        // Twice 7 and once 3: (2, 2), made as long as 1; the second text has no known token.
        let half = 0.5f32.sqrt();
        assert!(values.iter().zip([half, half, 0.0, 0.0]).all(|(a, b)| (a - b).abs() < 1e-6), "{values:?}");
        let pairs = Terms { terms: vec![vec![7], vec![7, 3]], weights: vec![1.0, 2.0] };
        let mut values = Vec::new();
        pairs.write(HostInput::Tokens { ids: vec![3, 7, 7, 3], context: 4 }, &mut values);
        assert!(values.iter().all(|value| (value - half).abs() < 1e-6), "{values:?}");
    }
}
