//! Words and punctuation marks in lower case, the most frequent ones of the training split.

use std::collections::HashMap;

use crate::error::{Error, Result};

/// Distinct words that are counted; what comes later than so many is rare.
const COUNTED: usize = 1_000_000;
/// The name of what is not in the vocabulary; its id is 0.
const UNKNOWN: &str = "<unknown>";

/// A vocabulary of words: 0 stands for all that are not in it.
#[derive(Debug)]
pub struct Words {
    words: Vec<String>,
    ids: HashMap<String, u32>,
}

/// How often a corpus has every word.
#[derive(Debug, Default)]
pub struct WordCounts(HashMap<String, u64>);

impl WordCounts {
    /// Adds the words of `text`.
    pub fn add(&mut self, text: &str) {
        for word in split(text) {
            let room = self.0.len() < COUNTED;
            match self.0.get_mut(&word) {
                Some(count) => *count += 1,
                None if room => drop(self.0.insert(word, 1)),
                None => {}
            }
        }
    }

    /// A vocabulary of `size` ids at most: the most frequent words, of those that come twice at least.
    pub fn words(&self, size: usize) -> Words {
        let mut found: Vec<(&String, u64)> =
            self.0.iter().filter(|(_, count)| **count > 1).map(|(word, count)| (word, *count)).collect();
        found.sort_unstable_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        found.truncate(size.saturating_sub(1));
        Words::new(found.into_iter().map(|(word, _)| word.clone()).collect())
    }
}

impl Words {
    /// A vocabulary of these words in the order of their ids, from 1.
    pub fn new(words: Vec<String>) -> Self {
        let ids = words.iter().cloned().zip(1..).collect();
        Self { words, ids }
    }

    /// The words in the order of their ids, from 1.
    pub fn words(&self) -> &[String] {
        &self.words
    }

    /// Number of ids.
    pub(super) fn len(&self) -> usize {
        self.words.len() + 1
    }

    pub(super) fn encode(&self, text: &str) -> Vec<u32> {
        split(text).map(|word| self.ids.get(&word).copied().unwrap_or(0)).collect()
    }

    pub(super) fn decode(&self, ids: &[u32]) -> Result<String> {
        let word =
            |&id: &u32| match (id as usize).checked_sub(1) {
                None => Ok(UNKNOWN),
                Some(place) => self.words.get(place).map(String::as_str).ok_or_else(|| {
                    Error::input(format!("token {id} is outside the vocabulary of {} tokens", self.len()))
                }),
            };
        Ok(ids.iter().map(word).collect::<Result<Vec<_>>>()?.join(" "))
    }
}

/// Runs of letters, digits, `_` and inner apostrophes; every other character that is no space for itself.
fn split(text: &str) -> impl Iterator<Item = String> {
    let inside = |c: char| c.is_alphanumeric() || c == '_' || c == '\'';
    let mut rest = text.trim_start();
    std::iter::from_fn(move || {
        let first = rest.chars().next()?;
        let end = if inside(first) { rest.find(|c| !inside(c)).unwrap_or(rest.len()) } else { first.len_utf8() };
        let (word, tail) = rest.split_at(end);
        rest = tail.trim_start();
        Some(word.to_lowercase())
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_most_frequent_words_have_ids() {
        assert_eq!(split(" It's  GOOD, très bon! ").collect::<Vec<_>>(), ["it's", "good", ",", "très", "bon", "!"]);
        let mut counts = WordCounts::default();
        counts.add("b a b a b c c once");
        let words = counts.words(3);
        assert_eq!(words.words(), ["b", "a"]);
        assert_eq!(words.encode("A c B"), [2, 0, 1]);
        assert_eq!(words.decode(&[2, 0, 1]).unwrap(), "a <unknown> b");
        assert!(words.decode(&[3]).unwrap_err().to_string().contains("outside the vocabulary"));
    }
}
